"""Climbing a density."""

from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import pytest

from lgm.inference.search import Search, Top, inverse_root, no_gain


def quadratic(centre: np.ndarray, precision: np.ndarray) -> Search:
    def target(x: np.ndarray) -> tuple[float, np.ndarray]:
        return -0.5 * float((x - centre) @ precision @ (x - centre)), -precision @ (x - centre)

    return Search(target, np.array([1.0, 2.0]))


PRECISION = np.array([[2.0, 0.5], [0.5, 1.0]])


def test_a_climb_ends_at_the_mode_or_at_a_lower_end() -> None:
    search = quadratic(np.array([1.0, -2.0]), PRECISION)
    free = search.climb(np.array([5.0, 5.0]), np.full(2, -np.inf))
    np.testing.assert_allclose(free, [1.0, -2.0], atol=1e-6)
    bound = search.climb(np.array([5.0, 5.0]), np.array([-np.inf, 0.0]))
    np.testing.assert_allclose(bound, [1.0 - 0.5 * 2.0 / 2.0, 0.0], atol=1e-6)


def counted(search: Search) -> tuple[Search, list[np.ndarray]]:
    """The same, and the points that it is asked for."""
    points: list[np.ndarray] = []

    def target(x: np.ndarray) -> tuple[float, np.ndarray]:
        points.append(x)
        return search.target(x)

    return search._replace(target=target), points


def test_a_climb_ends_on_the_slope_of_a_top_that_is_known() -> None:
    """But not at one that is near and lower, or beyond a valley."""
    search = Search(lambda x: (float(-np.cos(x[0])), np.sin(x)), np.ones(1))  # tops at pi and 3 pi
    whole, free = np.array([np.pi]), np.full(1, -np.inf)
    seen, points = counted(search)
    assert seen.climb(np.array([2.5]), free, known=[Top(whole, np.full(1, 2.0))]) is whole
    assert all(np.array_equal(x, whole) or x[0] == 2.5 for x in points)
    beyond = search.climb(np.array([3.0 * np.pi - 1.0]), free, known=[Top(whole, np.full(1, 100.0))])
    np.testing.assert_allclose(beyond, [3.0 * np.pi], rtol=1e-6)
    lower = search.climb(np.array([2.5]), free, known=[Top(np.array([2.0]), np.ones(1))])
    np.testing.assert_allclose(lower, whole, rtol=1e-6)


def test_rough_steps_lead_to_the_same_top_from_half_of_the_gradients() -> None:
    """Where the curvature changes, so that differences to one side are off."""
    centre = np.array([0.7, -0.2])

    def target(x: np.ndarray) -> tuple[float, np.ndarray]:
        z = x - centre
        return -float(np.sum(np.cosh(z) + z**2)), -np.sinh(z) - 2.0 * z

    both = np.arange(2)
    seen, points = counted(Search(target, np.ones(2)))
    found = seen.ascend(np.zeros(2), both, roughly=True)
    np.testing.assert_allclose(found.x, centre, atol=3e-5)  # what gains no more than rounding is left
    rough = len(points)
    points.clear()
    np.testing.assert_allclose(seen.ascend(np.zeros(2), both).x, centre, atol=3e-5)
    assert rough < len(points)


def test_newton_takes_its_last_step_where_values_say_nothing() -> None:
    """Above a large constant: digits of the value are lost, those of the slope are not."""
    search, points = counted(Search(lambda x: (1e6 - 0.5 * float(x[0] ** 2), -x), np.ones(1)))
    found = search.ascend(np.array([1e-5]), np.array([0]))
    assert abs(found.x[0]) < 1e-10 and found.at[0] == 1e-5 and len(points) == 4
    np.testing.assert_allclose(search.hessian(found.at, np.array([0])), [[-1.0]], rtol=1e-8)


def test_newton_in_some_coordinates() -> None:
    search = quadratic(np.array([1.0, -2.0]), PRECISION)
    x = search.newton(np.array([4.0, 1.0]), np.array([0]))
    np.testing.assert_allclose(x, [1.0 - 0.5 * 3.0 / 2.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(search.hessian(x, np.arange(2)), -PRECISION, rtol=1e-8)


def test_newton_finds_a_new_hessian_where_the_last_one_foretells_badly() -> None:
    """``log x - x``, which the Hessian far off does not describe, against a parabola."""

    def bent(x: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.log(x[0]) - x[0]), 1.0 / x - 1.0

    def straight(x: np.ndarray) -> tuple[float, np.ndarray]:
        return -0.5 * float((x[0] - 1.0) ** 2), 1.0 - x

    def hessians(target: Callable[[np.ndarray], tuple[float, np.ndarray]]) -> int:
        search = Search(target, np.ones(1))
        with patch.object(Search, "hessian", autospec=True, side_effect=Search.hessian) as found:
            np.testing.assert_allclose(search.newton(np.array([0.2]), np.array([0])), [1.0], rtol=1e-6)
        return found.call_count

    assert hessians(straight) == 1
    assert 2 < hessians(bent) < 7


@pytest.mark.parametrize("slack", [0.0, 0.1])
def test_what_is_as_high_at_zero_is_put_there(slack: float) -> None:
    search = quadratic(np.array([0.0, 0.2]), np.eye(2))
    x = search.at_zero(np.array([1e-5, 0.2]), np.array([True, True]), lambda i: [np.array([i])], slack)
    assert x.tolist() == [0.0, 0.2 if slack == 0.0 else 0.0]


def test_where_zero_has_no_density_a_small_value_takes_its_place() -> None:
    def target(x: np.ndarray) -> tuple[float, np.ndarray]:
        return (0.0 if x[0] > 0 else -np.inf), np.zeros(1)

    x = Search(target, np.array([10.0])).at_zero(np.array([3.0]), np.array([True]), lambda i: [np.array([i])])
    assert x.tolist() == [0.1]


def test_a_root_of_the_inverse_curvature() -> None:
    root = inverse_root(-PRECISION, np.array([1.0, 3.0]))
    np.testing.assert_allclose(root @ root.T, np.linalg.inv(PRECISION), rtol=1e-12)
    flat = inverse_root(np.diag([-1.0, 0.0]), np.ones(2))
    np.testing.assert_allclose(np.sort(np.diag(flat @ flat.T)), [1.0, 100.0])


def test_rounding_grows_with_the_value() -> None:
    assert no_gain(-5.0) == 1e-9 and no_gain(-1e6) == pytest.approx(1e-6)
