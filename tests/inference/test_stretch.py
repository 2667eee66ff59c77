"""The coordinates of NUTS: densities and gradients against the working scale and central differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lgm
from lgm.inference import stretch
from lgm.inference.mode import find_mode
from lgm.posterior import density
from lgm.posterior.priors import starts


@pytest.fixture(scope="module")
def target() -> stretch.Stretched:
    model = lgm.model("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy"))
    post = model.analysed.posterior
    mode = find_mode(post, starts(model.design, model.prior.theta))
    with jax.enable_x64(True):
        theta = post.hyper.to_folded(post.hyper.natural(jnp.asarray(mode.x)))
        return stretch.around(post, mode, np.asarray(theta))


def test_equals_the_working_density_by_change_of_variables(target: stretch.Stretched) -> None:
    with jax.enable_x64(True):
        u = np.array([3.0, 1.5, 0.2, 3.3])
        value, grad = jax.jit(density.value_and_grad)(target.post, jnp.asarray(u))
        z, moved, moved_grad = stretch.from_working(target, u, float(value), np.asarray(grad))
        direct, direct_grad = jax.jit(stretch.value_and_grad)(target, jnp.asarray(z))
        theta = target.post.hyper.natural(jnp.asarray(u))
        np.testing.assert_allclose(target.natural(jnp.asarray(z)), theta, rtol=1e-12)
    assert float(direct) == pytest.approx(moved, rel=1e-12)
    np.testing.assert_allclose(direct_grad, moved_grad, rtol=1e-9)


def test_gradient_against_central_differences(target: stretch.Stretched) -> None:
    with jax.enable_x64(True):
        z = np.array([0.4, -1.1, 0.7, 0.3])
        density = jax.jit(stretch.log_density)
        grad = jax.jit(jax.grad(stretch.log_density, argnums=1))(target, jnp.asarray(z))
        h = np.cbrt(np.finfo(float).eps)
        steps = h * np.eye(4)
        numeric = [(density(target, z + e) - density(target, z - e)) / (2 * h) for e in steps]
    # error of central differences: h^2 times the third derivative, plus eps * |value| / h
    np.testing.assert_allclose(grad, numeric, atol=1e-6)


def test_the_sign_of_a_standard_deviation_does_not_matter(target: stretch.Stretched) -> None:
    """x and its mirror image at sd = 0 stand for one theta, with one density; that of sd = 0 is finite."""
    with jax.enable_x64(True):
        x = np.array([1.2, 0.8, 0.1, 1.5])
        mirrored, zero = x * [-1, -1, 1, -1], x * [0, 1, 1, 1]
        to_z = lambda x: jnp.asarray(np.linalg.solve(target.root, x - np.asarray(target.centre)))  # noqa: E731
        one, two = (stretch.log_density(target, to_z(each)) for each in (x, mirrored))
        at_zero, grad = stretch.value_and_grad(target, to_z(zero))
    assert float(one) == pytest.approx(float(two), rel=1e-12)
    assert np.isfinite(at_zero) and np.all(np.isfinite(grad)) and np.any(np.asarray(grad) != 0)


def test_undefined_is_minus_infinity_with_a_zero_gradient(target: stretch.Stretched) -> None:
    with jax.enable_x64(True):
        z = jnp.full(4, 1e6)
        value, grad = jax.jit(jax.value_and_grad(stretch.log_density, argnums=1))(target, z)
    assert float(value) == -np.inf
    assert np.asarray(grad).tolist() == [0.0] * 4
