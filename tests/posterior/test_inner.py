"""The density of effects at one theta: its slope and curvature by JAX, its value by its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import constraints, unbordered
from oracles.small import walk

from lgm.inference.compile import jit
from lgm.posterior.inner import derivatives

SD = 0.7


@pytest.fixture(scope="module")
def found():
    """At a random v within the constraint: J, its gradient and Hessian by JAX, and Newton's system and step."""
    model, dense = walk()
    post = model.analysed.marginal

    def all_of_it(post, v):
        inner, _ = post.data.at(post.prior, post.analysis, jnp.array([SD]))

        def joint(v):
            return inner.joint(v[:, None])[0]

        point = inner.point(v)
        return joint(v), jax.grad(joint)(v), jax.hessian(joint)(v), point, inner.step(point), inner.scale

    rows = constraints(post)
    v = np.random.default_rng(1).normal(size=post.dim)
    v = v - rows @ np.linalg.lstsq(rows, v, rcond=None)[0]
    with jax.enable_x64(True):
        return model, dense(SD), v, jax.tree.map(np.asarray, jit(all_of_it)(post, v))


def test_the_density_is_the_joint_one(found):
    """Up to a constant, at the effects that v stands for."""
    model, dense, v, (value, *_, scale) = found
    free = dense.A[:, 2:]

    def reference(v):
        u = model.analysed.natural(scale * v)
        return dense.joint(np.concatenate([u[:2], free.T @ u[2:]]))

    post = model.analysed.marginal
    with jax.enable_x64(True):
        inner, _ = post.data.at(post.prior, post.analysis, jnp.array([SD]))
        others = np.asarray(inner.joint(jnp.asarray(np.stack([0.3 * v, -v], axis=1))))
    for factor, other in zip((0.3, -1.0), others, strict=True):
        assert other - value == pytest.approx(reference(factor * v) - reference(v), rel=1e-9)


def test_slope_and_curvature(found):
    """Curvatures have a border, which the density has not."""
    model, _, _, (_, gradient, hessian, point, _, _) = found
    post = model.analysed.marginal
    np.testing.assert_allclose(point.slope, gradient, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(unbordered(post, point.values), -hessian, rtol=1e-9, atol=1e-10)


def test_a_step_is_newtons_within_the_constraint(found):
    model, _, _, (_, gradient, hessian, _, step, _) = found
    post = model.analysed.marginal
    rows = constraints(post)
    left = np.block([[-hessian, rows], [rows.T, np.zeros((rows.shape[1],) * 2)]])
    expected = np.linalg.solve(left, np.concatenate([gradient, np.zeros(rows.shape[1])]))[: step.size]
    np.testing.assert_allclose(step, expected, rtol=1e-8, atol=1e-10)


def test_derivatives_of_an_elementwise_function():
    x = np.array([-1.0, 0.5, 2.0])
    with jax.enable_x64(True):
        found = derivatives(lambda x: x**4, jnp.asarray(x), 4)
    np.testing.assert_allclose(found, [4 * x**3, 12 * x**2, 24 * x, np.full(3, 24.0)])
