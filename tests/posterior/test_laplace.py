"""The data side of other responses: which mean each approximation gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from oracles.small import walk

import lgm
from lgm.inference.compile import jit
from lgm.inference.ladder import with_rung
from lgm.posterior import density
from lgm.posterior.laplace import LaplaceData

_effects = jit(density.log_likelihood_and_effects)


@pytest.fixture(scope="module")
def constrained():
    return walk()


def test_conditional_mean_and_its_shift(constrained):
    """The mode, and the first-order mean, by dense algebra."""
    model, dense = constrained
    sd = 0.7
    reference = dense(sd)
    u = reference.mode()
    s = np.linalg.inv(reference.precision(u))
    mu = np.exp(reference.A @ u)
    shift = s @ reference.A.T @ (-0.5 * mu * np.einsum("ij,jk,ik->i", reference.A, s, reference.A))
    free = reference.A[:, 2:]
    for rung, wanted in (("laplace", u), ("shifted", u + shift)):
        post = with_rung(model.analysed.marginal, rung, 1)
        with jax.enable_x64(True):
            _, effects = _effects(post, jnp.array([sd]), jnp.zeros((post.n_normals, 1)))
        found = model.analysed.natural(np.asarray(effects.mean))
        np.testing.assert_allclose(found[:2], wanted[:2], atol=1e-7)
        np.testing.assert_allclose(found[2:], free @ wanted[2:], atol=1e-7)


@pytest.mark.parametrize("rung", ["weighted", "leaves"])
def test_the_odd_part_of_weights(rung):
    """Its moments with normal draws are those of many, to five Monte Carlo errors, and it is most of what is odd."""
    rng = np.random.default_rng(5)
    g, h, x = np.repeat(np.arange(4), 6), np.tile(np.arange(3), 8), rng.standard_normal(24)
    data = pd.DataFrame({"y": rng.poisson(np.exp(0.5 + 0.5 * rng.standard_normal(3)[h])), "x": x, "g": g, "h": h})
    model = lgm.model("y ~ x + (1|g) + (1|h)", data, "poisson")
    post, basis = with_rung(model.analysed.marginal, rung, 8), np.array([[1.0, 0.7], [0.0, 1.0]])
    theta, data_side = np.full(post.hyper.size, 0.3), post.data
    assert isinstance(data_side, LaplaceData)
    averages, alike = [], []
    with jax.enable_x64(True):
        found_at = data_side.found_at(post.prior, post.analysis, theta)
        run = jax.jit(lambda z: data_side.fixed_points(post.prior, post.analysis, theta, found_at, basis, z))
        for seed in range(20):
            found = run(jax.random.normal(jax.random.key(seed), (post.n_normals, 1000)))
            odd, drawn = np.asarray(found.odd.values), basis @ np.asarray(found.drawn)
            variance = np.diag(basis @ np.asarray(found.cov) @ basis.T)[:, None]
            averages.append(
                np.concatenate([np.asarray(found.odd.found), (drawn**3 - 3.0 * variance * drawn) @ odd / odd.size])
            )
            half = np.asarray(found.log_weights).reshape(2, -1)
            alike.append(np.corrcoef(odd, half[0] - half[1])[0, 1])
        known, cubes = (np.asarray(each) for each in (found.odd.known, found.odd.cubes))
    error = np.std(averages, axis=0, ddof=1) / np.sqrt(20)
    np.testing.assert_array_less(np.abs(np.mean(averages, axis=0) - np.concatenate([known, cubes])), 5.0 * error)
    assert abs(cubes[0]) > 5.0 * error[-2]
    assert min(alike) > 0.9


BATCHES = 300


def test_draws_of_costly_points_are_as_good_as_a_quarter_as_many():
    """By second moments over batches of 64, less four Monte Carlo errors of a variance over them."""
    rng = np.random.default_rng(3)
    g, h = rng.integers(0, 40, 160), rng.integers(0, 5, 160)
    rate = np.exp(0.5 + 0.5 * rng.standard_normal(40)[g] + 0.4 * rng.standard_normal(5)[h])
    data = pd.DataFrame({"y": rng.poisson(rate), "g": g, "h": h})
    post = with_rung(lgm.model("y ~ 1 + (1|g) + (1|h)", data, "poisson").analysed.marginal, "transport", 2)
    theta = np.array([0.5, 0.4])
    with jax.enable_x64(True):
        z = jax.random.normal(jax.random.key(7), (BATCHES, post.n_normals, 64))
        draws = np.asarray(jax.jit(lambda z: jax.lax.map(lambda e: density.effects(post, theta, e).draws, z))(z))
    square = (draws - draws.mean(axis=(0, 2), keepdims=True)) ** 2
    worth = np.var(square, axis=(0, 2)) / np.var(square.mean(axis=2), axis=0)
    assert np.median(worth) > 16 * (1 - 4 * np.sqrt(2 / BATCHES))
