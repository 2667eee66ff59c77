"""One small model, ``y ~ x + (1|g)`` with known priors of the fixed effects, by lgm and by dense algebra."""

import numpy as np
import pandas as pd
from oracles.laplace import Dense, differences, marginal_likelihood

import lgm
from lgm.priors import normal

X = np.array([0.1, -0.4, 1.0, 0.3, -1.2, 0.6, 0.2, -0.7])
G = np.array([0, 0, 1, 1, 2, 2, 3, 3])


def agrees(family, y, theta, logp, *, sd=0.7, level=0.0, step=0.05, theta_step=2e-3):
    """Whether value and gradient of the marginal likelihood at sd(g) and theta are those of the definition.

    ``logp(eta)`` is the log density of rows (8,) or (8, m). The error of differences in theta is of the order of
    ``theta_step`` to the fourth; smaller ones suit densities whose shape changes over short distances.
    """
    data = pd.DataFrame({"y": y, "x": X, "g": G.astype(str)})
    priors = {"Intercept": normal(level, 2.0), "x": normal(0.0, 1.5)}
    model = lgm.model("y ~ x + (1|g)", data, family, priors=priors)
    assert model.design.theta_names == ("sd(Intercept|g)", *theta)
    dense = Dense(
        logp=logp,
        A=np.column_stack([np.ones(8), X, np.eye(4)[G]]),
        mean=np.array([level, *[0.0] * 5]),
        cov=np.diag([2.0**2, 1.5**2, *[sd**2] * 4]),
        step=step,
    )
    values = [sd, *theta.values()]
    value, slopes = marginal_likelihood(model.analysed.marginal, values)
    np.testing.assert_allclose(value, dense.laplace(), rtol=0, atol=1e-6)
    found = differences(model.analysed.marginal, values, theta_step)
    np.testing.assert_allclose(slopes, found, rtol=1e-7, atol=1e-7 * np.max(np.abs(found)))


def by_rows(y):
    """The response as eta comes, (8,) or (8, m)."""
    return lambda eta: y if eta.ndim == 1 else y[:, None]
