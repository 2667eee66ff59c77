"""Bent and whitened coordinates: their derivatives, densities in them, the mode and curvature of a density there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

import lgm
from lgm.inference import coordinates
from lgm.inference.coordinates import Bend, Whitened, Working
from lgm.inference.mode import FoldedMode, find_mode
from lgm.posterior.priors import starts

# Bent -----------------------------------------------------------------------------------------------------------------

BENT = Bend(np.array([2.0, 1.0, 0.3]), (True, False, True))


def test_there_and_back() -> None:
    y = np.array([[0.0, -3.0, 1e-9], [5.0, 2.0, 1e6]])
    np.testing.assert_allclose(BENT.to_folded(BENT.from_folded(y)), y, rtol=1e-14)


def test_there_and_back_from_the_working_scale() -> None:
    u = np.array([[-20.0, -3.0, 1.0], [5.0, 2.0, 14.0]])
    np.testing.assert_allclose(BENT.to_working(BENT.from_working(u)), u, rtol=1e-14, atol=1e-14)
    folded = np.where(BENT.bent, np.exp(u), u)
    np.testing.assert_allclose(BENT.to_folded(BENT.from_working(u)), folded, rtol=1e-14)


def test_traced_and_with_numpy_alike() -> None:
    """Coordinates that are not bent may be far off, where sinh overflows: neither values nor gradients notice."""
    x = np.array([0.7, -2e3, 1.9])
    with jax.enable_x64(True):
        for method in (Bend.to_folded, Bend.slope, Bend.log_jacobian):
            traced = jax.jit(method)(BENT, jnp.asarray(x))
            np.testing.assert_allclose(traced, method(BENT, x), rtol=1e-14)
        slopes = jax.jacfwd(BENT.to_folded)(jnp.asarray(x))
        grad = jax.grad(lambda x: jnp.sum(BENT.to_folded(x)))(jnp.asarray(x))
    np.testing.assert_allclose(slopes, np.diag(BENT.slope(x)), rtol=1e-14)
    np.testing.assert_allclose(grad, BENT.slope(x), rtol=1e-14)


def test_jacobian_is_that_of_differences() -> None:
    x, h = np.array([0.7, -0.2, 1.9]), np.cbrt(np.finfo(float).eps)
    slopes = (BENT.to_folded(x + h) - BENT.to_folded(x - h)) / (2 * h)
    np.testing.assert_allclose(BENT.slope(x), slopes, rtol=10 * h**2)
    assert BENT.log_jacobian(x) == pytest.approx(np.sum(np.log(slopes)), abs=10 * h**2)


def test_small_standard_deviations_keep_their_scale() -> None:
    """Linear where a standard deviation may be zero, logarithmic beyond."""
    near, far = np.array([1e-3, 1.0, 1e-3]), np.array([1e5, 1.0, 1e5])
    np.testing.assert_allclose(BENT.from_folded(near)[[0, 2]], near[[0, 2]] / BENT.scale[[0, 2]], rtol=1e-5)
    gap = BENT.from_folded(10 * far) - BENT.from_folded(far)
    np.testing.assert_allclose(gap[[0, 2]], np.log(10), rtol=1e-9)


def test_mode_of_a_gaussian_far_from_zero() -> None:
    """Where the width is small beside the value, one Newton step finds the mode of the bent density."""
    covariance = np.array([[0.04, 0.01], [0.01, 0.09]])
    centre = np.array([3.0, -1.0])
    mode = FoldedMode(centre, centre, np.linalg.cholesky(covariance), 0.0, np.zeros(2, dtype=bool))
    found = coordinates.bent(mode, (True, False))
    precision = np.linalg.inv(covariance)

    def negative(x: np.ndarray) -> float:
        away = found.bend.to_folded(x) - centre
        return 0.5 * away @ precision @ away - found.bend.log_jacobian(x)

    exact = minimize(negative, found.x, method="BFGS", options={"gtol": 1e-9}).x
    width = np.sqrt(np.sum(found.root**2, axis=1))
    # what one step leaves is quadratic in the first: (0.2 / 3)^2 of a width, times a constant of order one
    np.testing.assert_allclose(found.x, exact, atol=0.02 * width.max())
    h = 1e-4
    steps = h * np.eye(2)
    hessian = [
        [
            (negative(exact + a + b) - negative(exact + a - b) - negative(exact - a + b) + negative(exact - a - b))
            / (4 * h**2)
            for b in steps
        ]
        for a in steps
    ]
    np.testing.assert_allclose(found.root @ found.root.T, np.linalg.inv(hessian), rtol=0.15)


def test_a_mode_at_zero_stays_there() -> None:
    mode = FoldedMode(np.zeros(1), np.zeros(1), np.array([[0.5]]), 0.0, np.array([True]))
    found = coordinates.bent(mode, (True,))
    assert found.x[0] == 0.0
    # precision of sd = scale sinh x at zero: (scale / 0.5)^2, less one for log cosh x
    assert found.root[0, 0] == pytest.approx((coordinates.SCALE**2 - 1.0) ** -0.5)


# Whitened -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def target() -> Whitened:
    model = lgm.model("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy"))
    post = model.analysed.marginal
    mode = find_mode(post, starts(model.design, model.chosen_priors.theta))
    with jax.enable_x64(True):
        theta = post.hyper.to_folded(post.hyper.natural(jnp.asarray(mode.x)))
        return coordinates.whitened(post, mode, np.asarray(theta))


def test_equals_the_working_density_by_change_of_variables(target: Whitened) -> None:
    with jax.enable_x64(True):
        points = np.array([[3.0, 1.5, 0.2, 3.3], [2.5, 1.9, -0.4, 3.0]])
        value_and_grad = jax.jit(coordinates.value_and_grad)
        found = [value_and_grad(Working(target.post), jnp.asarray(u)) for u in points]
        moved = target.from_working(points, *map(np.array, zip(*found, strict=True)))
        for u, z, value, grad in zip(points, *moved, strict=True):
            direct, direct_grad = value_and_grad(target, jnp.asarray(z))
            theta = target.post.hyper.natural(jnp.asarray(u))
            np.testing.assert_allclose(target.natural(jnp.asarray(z)), theta, rtol=1e-12)
            assert float(direct) == pytest.approx(value, rel=1e-12)
            np.testing.assert_allclose(direct_grad, grad, rtol=1e-9)


def test_gradient_against_central_differences(target: Whitened) -> None:
    with jax.enable_x64(True):
        z = np.array([0.4, -1.1, 0.7, 0.3])
        density = jax.jit(coordinates.log_density)
        grad = jax.jit(jax.grad(coordinates.log_density, argnums=1))(target, jnp.asarray(z))
        h = np.cbrt(np.finfo(float).eps)
        steps = h * np.eye(4)
        numeric = [(density(target, z + e) - density(target, z - e)) / (2 * h) for e in steps]
    # error of central differences: h^2 times the third derivative, plus eps * |value| / h
    np.testing.assert_allclose(grad, numeric, atol=1e-6)


def test_the_sign_of_a_standard_deviation_does_not_matter(target: Whitened) -> None:
    """x and its mirror image at sd = 0 stand for one theta, with one density; that of sd = 0 is finite."""
    with jax.enable_x64(True):
        x = np.array([1.2, 0.8, 0.1, 1.5])
        mirrored, zero = x * [-1, -1, 1, -1], x * [0, 1, 1, 1]
        to_z = lambda x: jnp.asarray(np.linalg.solve(target.root, x - target.centre))  # noqa: E731
        density, both = jax.jit(coordinates.log_density), jax.jit(coordinates.value_and_grad)
        one, two = (density(target, to_z(each)) for each in (x, mirrored))
        at_zero, grad = both(target, to_z(zero))
    assert float(one) == pytest.approx(float(two), rel=1e-12)
    assert np.isfinite(at_zero) and np.all(np.isfinite(grad)) and np.any(np.asarray(grad) != 0)


def test_undefined_is_minus_infinity_with_a_zero_gradient(target: Whitened) -> None:
    with jax.enable_x64(True):
        z = jnp.full(4, 1e6)
        value, grad = jax.jit(jax.value_and_grad(coordinates.log_density, argnums=1))(target, z)
    assert float(value) == -np.inf
    assert np.asarray(grad).tolist() == [0.0] * 4
