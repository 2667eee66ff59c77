"""P-splines of other degrees and orders."""

import numpy as np
import pytest
from scipy.interpolate import BSpline

from lgm.errors import DataError
from lgm.smooths import cubic, p_spline

RNG = np.random.default_rng(4)
X = np.sort(RNG.normal(5.0, 2.0, 50))


@pytest.mark.parametrize(("m", "k"), [((2, 2), 9), ((2, 1), 8), ((1, 2), 7), ((3, 3), 11), ((0, 1), 6)])
def test_the_penalty_is_that_of_differences(m: tuple[int, int], k: int) -> None:
    found = p_spline.build(X, k, m, None, "s(x)")
    degree, order = m[0] + 1, m[1]
    width = np.ptp(X)
    step = 1.002 * width / (k - degree)
    knots = X.min() - 0.001 * width + step * np.arange(-degree, k + 1.0)
    B = BSpline.design_matrix(X, knots, degree).toarray()
    columns = np.column_stack([np.ones(50), found.null(X[:, None]), found.evaluate(X) * found.scale**0.5])
    coefficients = np.linalg.lstsq(B, columns, rcond=None)[0]
    np.testing.assert_allclose(B @ coefficients, columns, atol=1e-9)
    d = np.diff(coefficients, order, axis=0)
    np.testing.assert_allclose(d.T @ d, np.diag([0.0] * order + [1.0] * (k - order)), atol=1e-7)


def test_the_usual_one_is_that_of_cubic() -> None:
    one, other = p_spline.build(X, 9, (2, 2), None, "s(x)"), cubic.build("ps", X, 9)
    np.testing.assert_allclose(one.evaluate(X), other.evaluate(X), atol=1e-11)
    assert one.scale == pytest.approx(other.scale)


def test_it_goes_on_as_straight_lines() -> None:
    found = p_spline.build(X, 9, (3, 3), np.array([X.min() - 1.0, X.max() + 2.0]), "s(x)")
    for far in (X.min() - 2.0 - np.arange(4.0), X.max() + 3.0 + np.arange(4.0)):
        np.testing.assert_allclose(np.diff(found.evaluate(far), 2, axis=0), 0.0, atol=1e-9)
        np.testing.assert_allclose(np.diff(found.null(far[:, None]), 2, axis=0), 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("m", "knots", "message"),
    [
        ((0, 3), None, "differences of order 3 of splines of degree 1; accepted: orders 1 to 2"),
        ((2, 2), [0.0, 1.0, 2.0], "3 knots; bs='ps' has even ones and takes the two ends"),
        ((2, 2), [4.0, 5.0], "the data run from .* beyond its knots"),
    ],
)
def test_impossible_ones(m: tuple[int, int], knots: list[float] | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        p_spline.build(X, 8, m, None if knots is None else np.array(knots), "s(x)")
