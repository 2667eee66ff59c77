"""Models of few rows, each beside its dense definition (`oracles.laplace.Dense`) as a function of an sd."""

import numpy as np
import pandas as pd
from oracles.laplace import Dense
from scipy import stats
from scipy.linalg import block_diag, null_space

import lgm

PRIORS = {"Intercept": lgm.priors.normal(0.5, 2.0), "x": lgm.priors.normal(0.0, 1.0)}


def walk():
    """Poisson counts along a walk, a constraint and a gap in its times included, and the same model densely."""
    t = np.array([0.0, 1, 2, 3, 5, 6, 7])
    x = np.array([0.3, -1.0, 0.4, 0.9, -0.2, 0.1, -0.8])
    y = np.array([2.0, 0, 3, 1, 4, 6, 2])
    data = pd.DataFrame({"y": y, "x": x, "t": t})
    model = lgm.model("y ~ x + rw1(t)", data, "poisson", priors=PRIORS)
    (factor,) = model.design.scales["rw1(t)"]
    difference = np.diff(np.eye(t.size), axis=0)
    structure = factor * difference.T @ np.diag(1 / np.diff(t)) @ difference
    free = null_space(np.ones((1, t.size)))

    def dense(sd):
        columns = np.column_stack([np.ones(t.size), x, free])
        cov = block_diag(4.0, 1.0, sd**2 * np.linalg.inv(free.T @ structure @ free))
        mean = np.concatenate([[0.5, 0.0], np.zeros(t.size - 1)])

        def logp(eta):
            return stats.poisson.logpmf(y.reshape(-1, *[1] * (eta.ndim - 1)), np.exp(eta))

        return Dense(logp, columns, mean, cov)

    return model, dense


def three():
    """Three effects, so that the integral is known: an intercept and two groups of few binary outcomes."""
    y, g = np.array([1.0, 1, 0, 0, 0]), np.array([0, 0, 0, 1, 1])
    priors = {"Intercept": lgm.priors.normal(0.5, 2.0)}
    model = lgm.model("y ~ 1 + (1|g)", pd.DataFrame({"y": y, "g": g}), "bernoulli", priors=priors)

    def dense(sd):
        columns = np.column_stack([np.ones(5), np.eye(2)[g]])

        def logp(eta):
            sign = (2.0 * y - 1.0).reshape(-1, *[1] * (eta.ndim - 1))
            return -np.logaddexp(0.0, -sign * eta)

        return Dense(logp, columns, np.array([0.5, 0.0, 0.0]), np.diag([4.0, sd**2, sd**2]))

    return model, dense
