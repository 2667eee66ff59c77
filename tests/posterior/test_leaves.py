"""Leaves integrated out: against quadrature on fine grids, and against the joint density by brute force."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.special import log_expit, logsumexp

import lgm
from lgm.inference.compile import jit
from lgm.inference.ladder import with_rung
from lgm.posterior import density
from lgm.posterior.laplace import LaplaceData
from lgm.posterior.leaves import Given, Leaves, averaged, ends, nodes

T = np.linspace(-9.0, 9.0, 2001)


@pytest.fixture(scope="module")
def model():
    """Forty groups of three binary outcomes with a large sd: densities of leaves far from normal."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(40), 3)
    y = rng.binomial(1, 1 / (1 + np.exp(2.0 - 3.0 * rng.standard_normal(40)[g])))
    prior = {"Intercept": lgm.priors.normal(0, 5)}
    return lgm.model("y ~ 1 + (1|g)", pd.DataFrame({"y": y, "g": g}), "bernoulli", priors=prior)


def by_grid(model, sd):
    """``log p(y | sd)``, moments of the intercept, and those of the first group's effect, on a grid of the two."""
    successes = np.bincount(model.design.scope.frame["g"], model.design.y)
    b = np.linspace(-14.0, 8.0, 1001)
    eta = b[:, None] + sd * T
    prior = -0.5 * T**2 - 0.5 * np.log(2 * np.pi) + np.log(T[1] - T[0])
    heights = [k * log_expit(eta) + (3 - k) * log_expit(-eta) + prior for k in range(4)]
    each = [logsumexp(height, axis=1) for height in heights]
    total = sum(each[int(k)] for k in successes) - 0.5 * (b / 5) ** 2 - 0.5 * np.log(50 * np.pi)
    value = logsumexp(total) + np.log(b[1] - b[0])
    w = np.exp(total - logsumexp(total))
    inside = np.exp(heights[int(successes[0])] - each[int(successes[0])][:, None])
    mean = w @ b
    leaf = w @ (inside @ (sd * T))
    return value, (mean, np.sqrt(w @ (b - mean) ** 2)), (leaf, np.sqrt(w @ (inside @ (sd * T) ** 2) - leaf**2))


PAIRS = 256


@jit
def _effects(post, theta, z):
    return density.log_likelihood_and_effects(post, theta, z)


@jit
def _variances(post, theta, z, functionals):
    points = post.data.points(*post.data.at(post.prior, post.analysis, theta), z)
    return points.log_weights, density.variances(post, theta, functionals, None, z)


@pytest.mark.parametrize("sd", [0.5, 3.0])
def test_density_and_effects_are_those_of_a_grid(model, sd):
    """Tolerances are four Monte Carlo errors, that of the density as the weights' own spread says."""
    post = with_rung(model.analysed.marginal, "leaves", 8)
    value, fixed, leaf = by_grid(model, sd)
    with jax.enable_x64(True):
        z = jax.random.normal(jax.random.key(3), (post.n_normals, PAIRS))
        found, effects = jax.tree.map(np.asarray, _effects(post, jnp.array([sd]), z))
        log_weights, spread = jax.tree.map(np.asarray, _variances(post, jnp.array([sd]), z, np.eye(post.dim)[:, :1]))
    pairs = np.mean(np.exp(np.split(log_weights, 2)), axis=0)
    error = np.std(pairs) / np.mean(pairs) / np.sqrt(PAIRS)
    assert abs(found - value) < 4 * error < 0.05
    mean, drawn = model.analysed.natural(effects.mean), model.analysed.natural(effects.draws.T)
    assert abs(mean[0] - fixed[0]) < 0.03 * fixed[1] and abs(mean[1] - leaf[0]) < 0.03 * leaf[1]
    of_variance = 4 / np.sqrt(2 * PAIRS)
    assert np.sqrt(spread[1][0]) == pytest.approx(fixed[1], rel=of_variance)
    assert np.sqrt(spread[0][0]) == pytest.approx(leaf[1], rel=of_variance)
    for column, (centre, scale) in enumerate((fixed, leaf)):
        assert abs(drawn[:, column].mean() - centre) < 4 * scale / np.sqrt(PAIRS)
        assert drawn[:, column].std() == pytest.approx(scale, rel=of_variance)


def test_the_plain_approximation_fails_where_leaves_do_not(model):
    value, fixed, _ = by_grid(model, 3.0)
    post = with_rung(model.analysed.marginal, "laplace", 1)
    with jax.enable_x64(True):
        nothing = jnp.zeros((post.n_normals, 1))
        found, effects = jax.tree.map(np.asarray, _effects(post, jnp.array([3.0]), nothing))
    assert found < value - 1.0
    assert model.analysed.natural(np.asarray(effects.mean))[0] > fixed[0] + 0.8 * fixed[1]


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
