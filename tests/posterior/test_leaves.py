"""Leaves integrated out, against quadrature on fine grids."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.special import logsumexp

import lgm
from lgm.posterior.laplace import LaplaceData
from lgm.posterior.leaves import Given, Leaves, averaged, ends, nodes


@pytest.fixture(scope="module")
def alone():
    """Two leaves of binary rows and a row without one."""
    leaves = Leaves(np.array([1, 2]), np.array([5, 6]), np.array([0, 0, 0, 1, 1, 2]), np.array([1.0, 1, 2, 1, -1, 0]))
    y, eta = np.array([0.0, 0, 0, 1, 0, 1]), np.array([-1.0, -0.5, -2, 0.3, 1, 0.7])
    given = Given(eta[:, None], 2.5 * leaves.entry, np.array([1.0, 0.7]))
    return leaves, given, y


def loglik(y, eta):
    return y * eta - jax.nn.softplus(eta)


def reference(alone):
    """Fine grids of both leaves: log integral, mean, variance, and the means of slopes and curvatures by row."""
    leaves, given, y = alone
    t = np.linspace(-14.0, 14.0, 20001)
    out = []
    for g in range(2):
        rows = leaves.row == g
        eta = given.eta[rows] + given.push[rows, None] * t
        likelihood = y[rows, None] * eta - np.logaddexp(0.0, eta)
        base = (y[rows] * given.eta[rows, 0] - np.logaddexp(0.0, given.eta[rows, 0])).sum()
        height = likelihood.sum(axis=0) - base - 0.5 * given.precision[g] * t**2
        w = np.exp(height - logsumexp(height))
        mu = 1 / (1 + np.exp(-eta))
        mean = w @ t
        slopes, curvatures = (y[rows, None] - mu) @ w, (mu * (1 - mu)) @ w
        out.append((logsumexp(height) + np.log(t[1] - t[0]), mean, w @ (t - mean) ** 2, slopes, curvatures))
    return [np.array(part) if k < 3 else np.concatenate(part) for k, part in enumerate(zip(*out, strict=True))]


def test_integrals_moments_and_averages(alone):
    """21 nodes over a fall of 16 leave some 1e-5 (for sds up to 4)."""
    leaves, given, y = alone
    integral, mean, variance, slopes, curvatures = reference(alone)
    with jax.enable_x64(True):
        own = partial(loglik, jnp.asarray(y))
        low, high = ends(leaves, own, given, jnp.zeros(2))
        found = nodes(leaves, own, given, low[:, None], (high - low)[:, None] / 20)
        slope, curvature = averaged(leaves, own, given, found)
        np.testing.assert_allclose(found.log_integral[:, 0], integral, atol=3e-5)
        np.testing.assert_allclose([part[:, 0] for part in found.moments()], [mean, variance], atol=2e-4)
    np.testing.assert_allclose(slope[:5], slopes, atol=1e-4)
    np.testing.assert_allclose(curvature[:5], curvatures, atol=1e-4)
    mu = 1 / (1 + np.exp(-0.7))
    np.testing.assert_allclose([slope[5], curvature[5]], [1 - mu, mu * (1 - mu)], rtol=1e-12)


def test_ends_are_where_the_density_has_fallen(alone):
    leaves, given, y = alone
    with jax.enable_x64(True):
        own = partial(loglik, jnp.asarray(y))
        low, high = ends(leaves, own, given, jnp.zeros(2))
        found = nodes(leaves, own, given, low[:, None], (high - low)[:, None] / 20)
        height = np.asarray(found.height[:, :, 0])
    fallen = height.max(axis=0) - height[[0, -1]]
    assert np.all((fallen > 14.0) & (fallen < 17.0))


def test_draws_have_the_distribution_of_the_leaf(alone):
    """Kolmogorov's distance of n stratified draws is 1/n; the cubic adds little."""
    leaves, given, y = alone
    n = 4000
    with jax.enable_x64(True):
        own = partial(loglik, jnp.asarray(y))
        low, high = ends(leaves, own, given, jnp.zeros(2))
        found = nodes(leaves, own, given, low[:, None], (high - low)[:, None] / 20)
        uniform = (jnp.arange(n) + 0.5) / n
        drawn = np.asarray(found.take(jnp.zeros(n, int)).draw(jnp.stack([uniform, uniform])))
    t = np.linspace(-14.0, 14.0, 20001)
    for g in range(2):
        rows = leaves.row == g
        eta = given.eta[rows] + given.push[rows, None] * t
        height = (y[rows, None] * eta - np.logaddexp(0.0, eta)).sum(axis=0) - 0.5 * given.precision[g] * t**2
        cdf = np.cumsum(np.exp(height - logsumexp(height)))
        np.testing.assert_allclose(np.interp(drawn[g], t, cdf), uniform, atol=2e-3)


def test_the_largest_block_of_which_each_row_has_one_effect():
    rng = np.random.default_rng(2)
    n = 60
    frame = pd.DataFrame(
        {
            "y": rng.poisson(2.0, n),
            "x": rng.normal(size=n),
            "t": np.arange(n),
            "g": rng.integers(0, 5, n),
            "h": rng.integers(0, 9, n),
        }
    )
    built = lgm.model("y ~ x + (1|g) + (0 + x|h) + (x||t) + rw1(t)", frame, "poisson")
    data = built.analysed.marginal.data
    assert isinstance(data, LaplaceData)
    leaves = data.leaves
    assert leaves is not None
    slices = dict(zip([term.label for term in built.design.terms], built.design.predictor.term_slices(), strict=True))
    assert leaves.size == 9  # (x||t) has two effects in a row, a walk is not independent
    label = next(label for label in slices if "h" in label)
    np.testing.assert_array_equal(leaves.columns, built.design.p + np.arange(slices[label].start, slices[label].stop))
    np.testing.assert_allclose(leaves.entry, frame["x"])


def test_no_leaves():
    a = sp.csr_array(np.ones((3, 1)))
    assert Leaves.of(a, [], 1, np.zeros(1, int)) is None
