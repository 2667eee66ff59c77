"""Laplace's approximation by the kernel against that in JAX alone, for families that the kernel knows."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.families.poisson import Poisson
from lgm.posterior import density
from lgm.posterior.density import Marginal


@dataclass(frozen=True)
class Slow(Poisson):
    """The same, unknown to the kernel."""

    kernel = None


@pytest.fixture(scope="module")
def post() -> Marginal:
    rng = np.random.default_rng(0)
    g, t = np.repeat(np.arange(6), 5), np.tile(np.arange(10), 3)
    frame = pd.DataFrame({"g": g.astype(str), "t": t, "y": rng.poisson(np.exp(0.3 + rng.normal(size=6)[g]))})
    return lgm.model("y ~ (1|g) + rw2(t)", frame, family="poisson").analysed.marginal


def test_the_kernel_finds_what_jax_finds(post: Marginal) -> None:
    thetas = jnp.array([[0.7, 0.3], [1.5, 0.05], [0.0, 1.0]])
    slow = replace(post, data=replace(post.data, family=Slow()))
    both = jax.jit(jax.vmap(jax.value_and_grad(density.log_likelihood, 1), (None, 0)))
    values, slopes = both(post, thetas)
    wanted, wanted_slopes = both(slow, thetas)
    np.testing.assert_allclose(values, wanted, rtol=1e-12)
    np.testing.assert_allclose(slopes, wanted_slopes, rtol=1e-7, atol=1e-9)


def test_a_start_changes_the_effort_and_not_the_result(post: Marginal) -> None:
    theta = np.array([0.7, 0.3])
    near = density.started(post, theta)
    value = jax.jit(density.log_likelihood)
    for other in (theta, theta * 1.3, theta * 20.0):
        np.testing.assert_allclose(value(near, jnp.asarray(other)), value(post, jnp.asarray(other)), rtol=1e-12)

    def mode(at: float) -> np.ndarray:
        found = post.data._found(post.prior, post.analysis, jnp.asarray(theta * np.exp([at, 0.0])))
        return np.asarray(found.v)

    h = 1e-4
    np.testing.assert_allclose(near.data.start.v, mode(0.0), atol=1e-9)
    np.testing.assert_allclose(near.data.start.slopes[:, 0], (mode(h) - mode(-h)) / (2.0 * h), atol=1e-6)
    assert value._cache_size() == 1  # the same program for both
