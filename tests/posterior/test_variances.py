"""Variances of sums and functionals of normal effects under a constraint, against dense algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from dense_model import constraints, unbordered
from scipy.linalg import null_space

import lgm
from lgm.posterior.functionals import Sums
from lgm.posterior.gaussian import GaussianData
from lgm.posterior.variances import means_and_variances, normal_variances


def test_against_dense_algebra():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"y": rng.normal(size=8), "x": rng.normal(size=8), "t": np.arange(8.0)})
    model = lgm.model("y ~ x + rw1(t)", data)
    post = model.analysed.marginal
    theta = np.array([0.8, 0.5])
    d, pattern = post.dim, post.analysis.pattern
    functionals = rng.normal(size=(d, 3))
    index = np.array([[2, 3], [4, 5]])  # neighbours in time
    pairs = pattern.positions(*np.broadcast_arrays(index[:, :, None], index[:, None, :]))
    sums = Sums(index, np.array([[1.0, 2.0], [0.5, -1.0]]), pairs, np.arange(2))
    assert isinstance(post.data, GaussianData)
    with jax.enable_x64(True):
        system = post.data.system(post.prior, post.analysis, jnp.asarray(theta))
        values, scale = np.asarray(system.values), np.asarray(system.scale)
        found = normal_variances(post.prior, post.analysis, values, scale, functionals, (sums,))
        rhs = np.asarray(system.rhs)
        mean, *same = means_and_variances(post.prior, post.analysis, values, scale, rhs, functionals, (sums,))
    whole, free = unbordered(post, values), null_space(constraints(post).T)
    covariance = scale[:, None] * (free @ np.linalg.inv(free.T @ whole @ free) @ free.T) * scale
    weights = np.zeros((2, d))
    weights[[0, 0, 1, 1], index.ravel()] = np.asarray(sums.weights).ravel()
    np.testing.assert_allclose(found[0], np.diag(weights @ covariance @ weights.T), rtol=1e-9)
    np.testing.assert_allclose(found[1], np.diag(functionals.T @ covariance @ functionals), rtol=1e-9)
    for one, two in zip(found, same, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)
    # relative to the reference the intercept is zero
    np.testing.assert_allclose(mean, covariance @ (rhs[:d, 0] / scale), rtol=1e-9, atol=1e-14)
