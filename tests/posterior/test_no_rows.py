"""The prior as a posterior of no rows: moments against their definitions."""

import jax
import numpy as np
import pandas as pd
import pytest

import lgm
from lgm import priors
from lgm.posterior import density
from lgm.posterior.no_rows import without_rows

SD_GROUP, SD_WALK, LEVEL, SLOPE = 1.7, 0.6, (2.0, 3.0), (-1.0, 0.5)


@pytest.fixture(scope="module", params=["gaussian", "poisson"])
def model(request):
    rng = np.random.default_rng(3)
    n = 30
    frame = pd.DataFrame({"x": rng.normal(4, 1, n), "g": rng.integers(0, 4, n), "t": rng.permutation(np.arange(n) % 7)})
    frame["y"] = rng.poisson(3.0, n)
    given = {"Intercept": priors.normal(*LEVEL), "x": priors.normal(*SLOPE)}
    return lgm.model("y ~ x + (1|g) + rw1(t)", frame, request.param, priors=given)


def moments(model):
    """Mean and covariance of all effects: draws are linear in their normals."""
    prior = without_rows(model.analysed.marginal)
    theta = np.array([SD_GROUP, SD_WALK, 0.8])[: prior.hyper.size]
    with jax.enable_x64(True):
        found = density.effects(prior, theta, np.eye(prior.n_normals))
    mean = model.analysed.natural(np.asarray(found.mean)[None])[0]
    root = model.analysed.natural(np.asarray(found.draws).T) - mean
    return prior, theta, mean, root.T @ root


def expected(model):
    """Of the intercept and slope as a user gives them, of four groups, and of a walk whose effects sum to zero."""
    walk = np.linalg.pinv(np.diff(np.eye(7), axis=0).T @ np.diff(np.eye(7), axis=0))
    walk *= SD_WALK**2 / np.exp(np.mean(np.log(np.diag(walk))))
    cov = np.zeros((13, 13))
    cov[:2, :2] = np.diag([LEVEL[1] ** 2, SLOPE[1] ** 2])
    cov[2:6, 2:6], cov[6:, 6:] = SD_GROUP**2 * np.eye(4), walk
    return np.array([LEVEL[0], SLOPE[0], *np.zeros(11)]), cov


def test_moments(model):
    _, _, mean, cov = moments(model)
    wanted_mean, wanted_cov = expected(model)
    np.testing.assert_allclose(mean, wanted_mean, atol=1e-10)
    np.testing.assert_allclose(cov, wanted_cov, atol=1e-10)


def test_variances_and_the_likelihood_of_nothing(model):
    prior, theta, _, cov = moments(model)
    with jax.enable_x64(True):
        printed, functionals = density.variances(prior, theta, np.eye(prior.dim)[:, 2:4])
        assert float(density.log_likelihood(prior, theta)) == 0.0
    np.testing.assert_allclose(printed, np.diag(cov)[2:], rtol=1e-10)
    np.testing.assert_allclose(functionals, np.diag(cov)[2:4], rtol=1e-10)


def test_engines_find_the_prior_where_no_row_speaks(model):
    """Its mode of the effects is their mean."""
    prior, theta, mean, _ = moments(model)
    with jax.enable_x64(True):
        mode = prior.data.mode(prior.prior, prior.analysis, theta) * prior.prior.whiten(theta).scale
    np.testing.assert_allclose(model.analysed.natural(np.asarray(mode)[None])[0], mean, atol=1e-10)
