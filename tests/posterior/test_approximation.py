"""Laplace's approximation and its gradient against dense algebra, with a constraint; the kernel against JAX."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from oracles.small import walk

import lgm
from lgm.families.poisson import Poisson
from lgm.inference.compile import jit
from lgm.posterior import density
from lgm.posterior.approximation import approximate, moments

_value_and_grad = jit(density.value_and_grad)
_moments = jit(moments)
_gradient = jit(jax.grad(density.log_likelihood, argnums=1))


@pytest.fixture(scope="module")
def constrained():
    return walk()


@pytest.mark.parametrize("sd", [0.0, 0.3, 2.0])
def test_value_under_a_constraint(constrained, sd):
    """An sd of zero is an ordinary point, close to a small one."""
    model, dense = constrained
    value = dense(max(sd, 1e-5)).laplace()
    assert model.log_likelihood({"sd(rw1(t))": sd}) == pytest.approx(value, rel=1e-9, abs=1e-8)


def test_gradient_is_that_of_the_value(constrained):
    model, _ = constrained
    post, sd, step = model.analysed.marginal, 0.7, 1e-3
    with jax.enable_x64(True):
        found = float(_gradient(post, jnp.array([sd]))[0])
    near = [model.log_likelihood({"sd(rw1(t))": sd + k * step}) for k in (-2, -1, 1, 2)]
    assert found == pytest.approx(np.dot([1 / 12, -2 / 3, 2 / 3, -1 / 12], near) / step, rel=1e-7)


def test_where_nothing_is_defined(constrained):
    model, _ = constrained
    with jax.enable_x64(True):
        value, grad = map(np.asarray, _value_and_grad(model.analysed.marginal, jnp.array([jnp.nan])))
    assert value == -np.inf and np.all(grad == 0.0)


def test_a_batch_is_its_elements(constrained):
    model, _ = constrained
    post, sds = model.analysed.marginal, np.array([[0.2], [0.9], [3.0]])
    with jax.enable_x64(True):
        together = np.asarray(jax.jit(jax.vmap(density.log_likelihood, (None, 0)))(post, sds))
    alone = [model.log_likelihood({"sd(rw1(t))": float(sd[0])}) for sd in sds]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@dataclass(frozen=True)
class Slow(Poisson):
    """The same, unknown to the kernel."""

    kernel = None


@pytest.fixture(scope="module")
def post():
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(6), 5)
    frame = pd.DataFrame({"g": g.astype(str), "y": rng.poisson(np.exp(0.3 + rng.normal(size=6)[g]))})
    return lgm.model("y ~ (1|g)", frame, family="poisson").analysed.marginal


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_the_kernel_finds_what_jax_finds(post):
    thetas = np.array([[0.7], [1.5], [0.0]])
    slow = replace(post, data=replace(post.data, observed=replace(post.data.observed, family=Slow())))
    both = jax.jit(jax.vmap(jax.value_and_grad(density.log_likelihood, 1), (None, 0)))
    values, slopes = both(post, thetas)
    wanted, wanted_slopes = both(slow, thetas)
    np.testing.assert_allclose(values, wanted, rtol=1e-12)
    np.testing.assert_allclose(slopes, wanted_slopes, rtol=1e-7, atol=1e-9)


@pytest.mark.usefixtures("x64")
def test_a_start_changes_the_effort_and_not_the_result(post):
    theta = np.array([0.7])
    near = density.started(post, theta)
    value = jax.jit(density.log_likelihood)
    for other in (theta, theta * 1.3, theta * 20.0):
        np.testing.assert_allclose(value(near, other), value(post, other), rtol=1e-12)

    find = jax.jit(lambda post, theta: approximate(*post.data.at(post.prior, post.analysis, theta))[0])

    def mode(at):
        return np.asarray(find(post, theta * np.exp(at)))

    h, start = 1e-4, near.data.start  # type: ignore[attr-defined]
    np.testing.assert_allclose(start.v, mode(0.0), atol=1e-9)
    np.testing.assert_allclose(start.slopes[:, 0], (mode(h) - mode(-h)) / (2.0 * h), atol=1e-6)
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(one)] for one in (near, post)]
    assert shapes[0] == shapes[1]  # so that compiled functions serve both


@pytest.mark.usefixtures("x64")
def test_moments_by_the_kernel_and_by_jax(constrained):
    """Both by dense algebra: the variances of eta, and the first-order change of the mean."""
    model, dense = constrained
    sd, post = 0.7, model.analysed.marginal
    reference = dense(sd)
    u = reference.mode()
    s = np.linalg.inv(reference.precision(u))
    spread = np.einsum("ij,jk,ik->i", reference.A, s, reference.A)
    shift = s @ reference.A.T @ (-0.5 * np.exp(reference.A @ u) * spread)
    slow = replace(post, data=replace(post.data, observed=replace(post.data.observed, family=Slow())))
    for each in (post, slow):
        inner, start = each.data.at(each.prior, each.analysis, jnp.array([sd]))
        found = _moments(inner, start)
        np.testing.assert_allclose(found.spread, spread, rtol=1e-7)
        moved = model.analysed.natural(np.asarray(inner.scale * found.shift)) - model.analysed.natural(
            np.zeros(each.dim)
        )
        np.testing.assert_allclose(moved[:2], shift[:2], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(moved[2:], reference.A[:, 2:] @ shift[2:], rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("x64")
def test_an_offset_moves_mode_and_value(post):
    """The derivatives by the kernel and by JAX, and by theta at the same time."""
    along = np.cos(np.arange(post.data.observed.y.size))

    def at(t, family):
        observed = replace(post.data.observed, family=family, offset=post.data.observed.offset + t * along)
        data = replace(post.data, observed=observed)
        return approximate(*data.at(post.prior, post.analysis, jnp.array([0.7 + t])))

    def moved(family):
        return jax.jit(lambda t: jax.jvp(lambda t: at(t, family), (t,), (1.0,)))(0.0)

    (_, value), (dv, slope) = moved(Poisson())
    (_, wanted), (dv_wanted, slope_wanted) = moved(Slow())
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    np.testing.assert_allclose([slope, *dv], [slope_wanted, *dv_wanted], rtol=1e-7, atol=1e-8)
