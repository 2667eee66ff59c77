"""Poisson counts by their definition."""

import numpy as np
import pandas as pd
from oracles.laplace import Dense, differences, marginal_likelihood
from scipy import stats

import lgm
from lgm.priors import normal


def test_laplace_is_that_of_dense_algebra():
    y, x, g = np.array([0.0, 3, 1, 7, 2, 0]), np.array([0.1, -0.4, 1.0, 0.3, -1.2, 0.6]), np.array([0, 0, 1, 1, 2, 2])
    data = pd.DataFrame({"y": y, "x": x, "g": g.astype(str)})
    model = lgm.model("y ~ x + (1|g)", data, "poisson", priors={"Intercept": normal(0.5, 2.0), "x": normal(0.0, 1.5)})
    dense = Dense(
        logp=lambda eta: stats.poisson(np.exp(eta)).logpmf(y if eta.ndim == 1 else y[:, None]),
        A=np.column_stack([np.ones(6), x, np.eye(3)[g]]),
        mean=np.array([0.5, 0.0, 0.0, 0.0, 0.0]),
        cov=np.diag([2.0**2, 1.5**2, *[0.7**2] * 3]),
    )
    value, slopes = marginal_likelihood(model.analysed.marginal, [0.7])
    np.testing.assert_allclose(value, dense.laplace(), atol=1e-8)
    np.testing.assert_allclose(slopes, differences(model.analysed.marginal, [0.7]), rtol=1e-7)
