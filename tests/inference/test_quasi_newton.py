"""Climbs from a guess of the curvature."""

from collections.abc import Callable

import numpy as np
import pytest

from lgm.arrays import FloatArray
from lgm.inference.quasi_newton import climb
from lgm.inference.search import Search, Top

FREE = np.full(2, -np.inf)


def ones(x: FloatArray, grad: FloatArray) -> FloatArray:
    return np.ones(x.size)


def counted(target: Callable[[FloatArray], tuple[float, FloatArray]], unit: FloatArray) -> tuple[Search, list]:
    points: list[FloatArray] = []

    def at(x: FloatArray) -> tuple[float, FloatArray]:
        if not any(np.array_equal(x, point) for point in points):
            points.append(x)
        return target(x)

    return Search(at, unit), points


def quadratic(x: FloatArray) -> tuple[float, FloatArray]:
    precision, away = np.array([[2.0, 0.5], [0.5, 1.0]]), x - [1.0, -2.0]
    return -0.5 * float(away @ precision @ away), -precision @ away


def test_a_top_inside_and_one_at_a_lower_end() -> None:
    search, _ = counted(quadratic, np.array([1.0, 2.0]))
    np.testing.assert_allclose(climb(search, np.array([5.0, 5.0]), FREE, ones), [1.0, -2.0], atol=1e-3)
    low = climb(search, np.array([5.0, 5.0]), np.array([-np.inf, 0.0]), ones)
    np.testing.assert_allclose(low, [0.5, 0.0], atol=1e-3)
    assert low[1] == 0.0


def test_the_right_curvature_needs_one_step() -> None:
    def target(x: FloatArray) -> tuple[float, FloatArray]:
        return -0.5 * float(x @ (x * [4.0, 0.01])), -x * [4.0, 0.01]

    search, points = counted(target, np.array([1.0, 30.0]))
    found = climb(search, np.array([0.8, -20.0]), FREE, lambda x, grad: np.array([4.0, 0.01]))
    np.testing.assert_allclose(found, 0.0, atol=1e-12)
    assert len(points) == 2


@pytest.mark.parametrize("start", [[-1.2, 1.0], [2.0, 2.0]])
def test_a_curved_ridge(start: list[float]) -> None:
    """Rosenbrock's function, which curves up in places."""

    def target(x: FloatArray) -> tuple[float, FloatArray]:
        off = x[1] - x[0] ** 2
        return -100.0 * off**2 - (1.0 - x[0]) ** 2, np.array([400.0 * off * x[0] + 2.0 * (1.0 - x[0]), -200.0 * off])

    search, points = counted(target, np.ones(2))
    np.testing.assert_allclose(climb(search, np.array(start), FREE, ones), 1.0, atol=1e-3)
    assert len(points) < 70


def test_where_there_is_no_density() -> None:
    """Beyond 1.5 there is none, and a first step leads there."""

    def target(x: FloatArray) -> tuple[float, FloatArray]:
        if x[0] >= 1.5:
            return -np.inf, np.zeros(1)
        return float(np.log(1.5 - x[0]) + 4.0 * x[0]), 4.0 - 1.0 / (1.5 - x)

    search, _ = counted(target, np.ones(1))
    np.testing.assert_allclose(climb(search, np.array([0.6]), FREE[:1], ones), [1.25], atol=1e-4)


def test_a_climb_ends_on_the_slope_of_a_top_that_is_known() -> None:
    search, points = counted(lambda x: (float(-np.cos(x[0])), np.sin(x)), np.ones(1))  # tops at pi and 3 pi
    whole = np.array([np.pi])
    assert climb(search, np.array([2.7]), FREE[:1], ones, [Top(whole, np.full(1, 2.0))]) is whole
    assert len(points) == 2
    other = climb(search, np.array([3.0 * np.pi - 1.0]), FREE[:1], ones, [Top(whole, np.full(1, 2.0))])
    np.testing.assert_allclose(other, [3.0 * np.pi], atol=1e-3)


def test_a_lower_end_without_a_slope_is_not_jumped_to() -> None:
    """As an sd of zero is: all values beside it are higher, and a first step would lead beyond it."""

    def target(x: FloatArray) -> tuple[float, FloatArray]:
        off = x**2 - 0.04
        return -float(off[0] ** 2), -4.0 * off * x

    search, points = counted(target, np.ones(1))
    found = climb(search, np.array([0.6]), np.zeros(1), lambda x, grad: np.full(1, 1e-6))
    assert points[1][0] == pytest.approx(0.06)
    np.testing.assert_allclose(found, [0.2], atol=1e-3)
