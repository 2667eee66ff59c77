"""Splines on a circle: they close, and their penalties are what they are said to be."""

import numpy as np
import pytest

from lgm.errors import DataError
from lgm.smooths import cyclic

RNG = np.random.default_rng(3)
X = np.sort(RNG.uniform(2.0, 9.0, 60))


def _second(found, at, step):
    left, middle, right = (found.evaluate(at + sign * step) for sign in (-1.0, 0.0, 1.0))
    return (left - 2.0 * middle + right) / step[:, None] ** 2 * found.scale**0.5


@pytest.mark.parametrize("k", [4, 9])
def test_the_penalty_is_the_integral_of_the_squared_second_derivative(k: int) -> None:
    """Two Gauss nodes for each interval between knots, where f'' is linear."""
    found = cyclic.cubic(X, k, None, "s(x)")
    knots = np.quantile(X, np.linspace(0.0, 1.0, k))
    half, middle = np.repeat(np.diff(knots) / 2.0, 2), np.repeat((knots[1:] + knots[:-1]) / 2.0, 2)
    second = _second(found, middle + half * np.tile([-1.0, 1.0], k - 1) / 3.0**0.5, 0.4 * half)
    np.testing.assert_allclose(second.T @ (half[:, None] * second), np.eye(k - 2), atol=1e-9)


@pytest.mark.parametrize("build", ["cc", "cp"])
def test_the_curve_closes(build: str) -> None:
    make = cyclic.cubic if build == "cc" else lambda x, k, n, s: cyclic.p_spline(x, k, (2, 2), n, s)
    found = make(X, 8, np.array([1.0, 10.0]), "s(x)")
    turn = 9.0
    np.testing.assert_allclose(found.evaluate(X - turn), found.evaluate(X), atol=1e-12)
    np.testing.assert_allclose(found.evaluate(X + 3 * turn), found.evaluate(X), atol=1e-12)
    step = 1e-4 * np.ones(2)
    ends = np.array([1.0, 10.0])
    for one, other in (found.evaluate(ends), _second(found, ends, step)):
        np.testing.assert_allclose(one, other, atol=1e-5 * np.max(np.abs(one)))
    assert not found.outside(X * 100.0).any() and found.null.m == 0
    np.testing.assert_allclose(found.evaluate(X).mean(axis=0), 0.0, atol=1e-13)


@pytest.mark.parametrize("order", [1, 2])
def test_differences_around_the_circle(order: int) -> None:
    """The columns are B-splines whose coefficients have the cyclic differences d with d'd = b'b, the mean aside."""
    k = 7
    found = cyclic.p_spline(X, k, (2, order), np.array([1.0, 10.0]), "s(x)")
    grid = np.linspace(1.0, 10.0, 400)
    raw = found.functions(grid[:, None])
    z = np.column_stack([found.evaluate(grid) * found.scale**0.5, np.ones(grid.size)])
    coefficients, residual = np.linalg.lstsq(raw, z, rcond=None)[:2]
    assert np.all(residual < 1e-20)
    d = coefficients[:, :-1]
    for _ in range(order):
        d = np.roll(d, -1, axis=0) - d
    np.testing.assert_allclose(d.T @ d, np.eye(k - 1), atol=1e-10)
    np.testing.assert_allclose(raw.sum(axis=1), 1.0, atol=1e-13)


def test_ends_of_the_turn_and_all_knots() -> None:
    two = cyclic.cubic(X, 6, np.array([1.0, 10.0]), "s(x)")
    every = np.quantile(np.unique([*X, 1.0, 10.0]), np.linspace(0.0, 1.0, 6))
    np.testing.assert_allclose(cyclic.cubic(X, 6, every, "s(x)").evaluate(X), two.evaluate(X), atol=1e-12)


@pytest.mark.parametrize(
    ("k", "knots", "message"),
    [
        (6, [1.0, 2.0, 3.0], r"3 knots; bs='cc' takes k=6 of them, or the two ends"),
        (6, [3.0, 10.0], None),
        (3, None, "k=3 is too small"),
        (99, None, "k=99 but there are only 60 distinct values"),
        (4, [1.0, 5.0, 5.0, 10.0], "two of its knots are the same"),
        (4, [3.0, 5.0, 6.0, 10.0], "the data run from .* beyond one turn of the circle, 3 to 10"),
    ],
)
def test_impossible_circles(k: int, knots: list[float] | None, message: str | None) -> None:
    given = None if knots is None else np.array(knots)
    if message is None:  # the ends are those of the data and the knots together
        assert cyclic.cubic(X, k, given, "s(x)").k == k
        return
    with pytest.raises(DataError, match=message):
        cyclic.cubic(X, k, given, "s(x)")


def test_impossible_p_splines() -> None:
    with pytest.raises(DataError, match=r"3 knots; bs='cp' takes k \+ 1 = 7"):
        cyclic.p_spline(X, 6, (2, 2), np.array([1.0, 2.0, 10.0]), "s(x)")
    with pytest.raises(DataError, match="beyond one turn of the circle, 3 to 10"):
        cyclic.p_spline(X, 6, (2, 2), np.array([3.0, 10.0]), "s(x)")
    with pytest.raises(DataError, match="only one distinct value"):
        cyclic.p_spline(np.ones(9), 6, (2, 2), None, "s(x)")
