"""The spine with its leaves integrated out, against the joint density on a grid by brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.special import log_expit, logsumexp

import lgm
from lgm.inference.compile import jit
from lgm.inference.ladder import with_rung
from lgm.posterior import density

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
