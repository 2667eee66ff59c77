"""Bent coordinates: their derivatives, and the mode and curvature of a density in them."""

import numpy as np
import pytest
from scipy.optimize import minimize

from lgm.inference import bend
from lgm.inference.folded import FoldedMode

BENT = bend.Bend(np.array([2.0, 1.0, 0.3]), np.array([True, False, True]))


def test_there_and_back() -> None:
    y = np.array([[0.0, -3.0, 1e-9], [5.0, 2.0, 1e6]])
    np.testing.assert_allclose(BENT.to_folded(BENT.from_folded(y)), y, rtol=1e-14)


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
    found = bend.around(mode, (True, False))
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
    found = bend.around(mode, (True,))
    assert found.x[0] == 0.0
    # precision of sd = scale sinh x at zero: (scale / 0.5)^2, less one for log cosh x
    assert found.root[0, 0] == pytest.approx((bend.SCALE**2 - 1.0) ** -0.5)
