"""Weighted points of effects: unbiased, and draws of the posterior, against the integral over a grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.small import three, walk

from lgm.inference.compile import jit
from lgm.inference.ladder import with_rung
from lgm.posterior import density

_effects = jit(density.log_likelihood_and_effects)
_second = jit(lambda post, theta, z: post.data.accuracy(post.prior, post.analysis, theta, np.eye(post.dim), z).second)


@pytest.fixture(scope="module")
def constrained():
    return walk()


@pytest.fixture(scope="module", name="three")
def _three():
    return three()


@pytest.mark.parametrize("sd", [0.5, 1.5])
def test_weights_are_an_unbiased_estimate(three, sd):
    """To four Monte Carlo errors, far less than what they correct."""
    model, dense = three
    post = with_rung(model.analysed.marginal, "weighted", 8)
    reference, plain = dense(sd).integral(reach=13.0, nodes=71), dense(sd).laplace()
    with jax.enable_x64(True):
        gains = []
        for seed in range(20):
            z = jax.random.normal(jax.random.key(seed), (post.n_normals, 256))
            value, effects = _effects(post, jnp.array([sd]), z)
            gains.append(float(value))
    ratio = np.exp(np.array(gains) - reference)
    error = ratio.std(ddof=1) / np.sqrt(ratio.size)
    assert abs(ratio.mean() - 1.0) < 4 * error
    assert error < 0.01 < abs(plain - reference)


def test_effects_are_those_of_the_posterior(three):
    """Means of weighted points, and of draws, against the integral over a grid."""
    model, dense = three
    sd, reference = 1.5, dense(1.5)
    z = np.linspace(-9.0, 9.0, 61)
    u = reference.mode()
    root = np.linalg.inv(np.linalg.cholesky(reference.precision(u))).T
    grid = u[:, None] + root @ np.stack(np.meshgrid(z, z, z, indexing="ij")).reshape(3, -1)
    w = np.exp(reference.joint(grid) - reference.joint(u))
    mean = grid @ w / w.sum()
    spread = np.sqrt((grid - mean[:, None]) ** 2 @ w / w.sum())
    post = with_rung(model.analysed.marginal, "weighted", 8)
    means, draws = [], []
    with jax.enable_x64(True):
        for seed in range(20):
            normals = jax.random.normal(jax.random.key(seed), (post.n_normals, 256))
            _, effects = _effects(post, jnp.array([sd]), normals)
            means.append(model.analysed.natural(np.asarray(effects.mean)))
            draws.append(model.analysed.natural(np.asarray(effects.draws).T))
    error = np.std(means, axis=0, ddof=1) / np.sqrt(20)
    assert np.all(np.abs(np.mean(means, axis=0) - mean) < 4 * error + 1e-3 * spread)
    drawn = np.concatenate(draws)
    assert np.all(np.abs(drawn.mean(axis=0) - mean) < 4 * spread / np.sqrt(len(drawn) / 2))  # weights cost some
    np.testing.assert_allclose(drawn.std(axis=0), spread, rtol=4 / np.sqrt(len(drawn)))
    assert np.any(np.abs(u - mean) > 0.1 * spread)  # which the mode is not


def test_the_second_order_term(constrained):
    """The formula of Shun & McCullagh by dense algebra; its sum over pairs of rows is an average over draws."""
    model, dense = constrained
    sd, m = 0.7, 6000
    reference = dense(sd)
    u, a = reference.mode(), reference.A
    s = a @ np.linalg.inv(reference.precision(u)) @ a.T
    third = -np.exp(a @ u)  # and so is the fourth
    push = 0.5 * a.T @ (third * np.diag(s))
    known = np.sum(third * np.diag(s) ** 2) / 8 + 0.5 * push @ np.linalg.solve(reference.precision(u), push)
    rng = np.random.default_rng(5)
    x, y, z = np.linalg.cholesky(s + 1e-14 * np.eye(7)) @ rng.standard_normal((3, 7, m // 3))
    error = np.std((third @ (x * y * z)) ** 2) / np.sqrt(m // 3) / 12
    post = with_rung(model.analysed.marginal, "weighted", 8)
    with jax.enable_x64(True):
        normals = jax.random.normal(jax.random.key(1), (post.n_normals, m))
        second = float(_second(post, jnp.array([sd]), normals))
    assert abs(second - known - third @ s**3 @ third / 12) < 4 * error < 0.5 * abs(second)
