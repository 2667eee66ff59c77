"""Draws at new times against the dense conditional Gaussian of the whole structure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from dense_model import ar1, rounding, rw_structure, seasonal_structure

from lgm.precision.ar import coefficients
from lgm.precision.continuation import Slopes, autoregressive, banded, brownian, markov, predicted
from lgm.precision.seasonal import seasonal

OLD = np.array([0.0, 1.0, 1.5, 4.0, 4.25, 9.0, 11.0])
NEW = {
    "between and beyond": np.array([-7.0, -1.0, 0.5, 2.0, 2.1, 3.9, 6.0, 9.5, 10.0, 12.0, 40.0]),
    "every gap": np.array([-0.5, 0.5, 1.25, 2.0, 4.1, 7.0, 10.0, 11.5]),
    "one": np.array([4.125]),
    "before": np.array([-3.0, -1.0]),
    "after": np.array([11.5, 12.0, 30.0]),
    "many in one gap": np.linspace(4.25, 9.0, 27)[1:-1],
}
news = pytest.mark.parametrize("new", NEW.values(), ids=NEW.keys())
Draws = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # of old effects, scales, normals


def _moments(draw: Draws, m: int) -> tuple[np.ndarray, np.ndarray]:
    """A draw is linear in effects and normals: the matrix of its mean, and its covariance, from unit vectors."""
    n = OLD.size
    mean = draw(np.eye(n), np.full(n, 1.7), np.zeros((n, m))).T
    root = draw(np.zeros((m, n)), np.full(m, 1.7), np.eye(m)).T
    return mean, root @ root.T


def _conditional(R: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The same from a precision over all times in order, and the relative error that dense algebra has."""
    whole = np.sort(np.concatenate([OLD, new]))
    at, old = np.searchsorted(whole, new), np.searchsorted(whole, OLD)
    inner = R[np.ix_(at, at)]
    return -np.linalg.solve(inner, R[np.ix_(at, old)]), 1.7**2 * np.linalg.inv(inner), rounding(new.size, inner)


def _agree(found: tuple[np.ndarray, np.ndarray], wanted: tuple[np.ndarray, np.ndarray, float]) -> None:
    mean, covariance, error = wanted
    np.testing.assert_allclose(found[0], mean, rtol=0, atol=error * np.abs(mean).max())
    np.testing.assert_allclose(found[1], covariance, rtol=0, atol=error * covariance.max())


@news
def test_a_walk_of_order_one(new: np.ndarray) -> None:
    found = _moments(lambda b, scale, z: markov(OLD, new, brownian(scale), b, z), new.size)
    _agree(found, _conditional(rw_structure(1, np.sort(np.concatenate([OLD, new]))), new))


@news
def test_a_walk_of_order_two(new: np.ndarray) -> None:
    found = _moments(Slopes.of(OLD, new).draw, new.size)
    _agree(found, _conditional(rw_structure(2, np.sort(np.concatenate([OLD, new]))), new))


@pytest.mark.parametrize("rho", [0.9, 0.0, -0.6])
def test_an_autoregression(rho: float) -> None:
    old, new = np.array([0, 1, 3, 4, 9, 11, 12]), np.array([-7, -1, 2, 5, 6, 8, 10, 13, 40])
    C = ar1(np.concatenate([old, new]), 1.7, rho)
    pull = np.linalg.solve(C[:7, :7], C[:7, 7:]).T
    mean, covariance = _moments(
        lambda b, sd, z: markov(old * 1.0, new * 1.0, autoregressive(sd, np.full(len(b), rho)), b, z), new.size
    )
    np.testing.assert_allclose(mean, pull, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(covariance, C[7:, 7:] - pull @ C[:7, 7:], rtol=1e-12, atol=1e-13)


def test_an_autoregression_between_its_steps() -> None:
    """The power of a positive rho; where rho is negative there is none, and the effect is independent."""
    new = np.array([-0.5, 2.5, 2.75])
    old = np.arange(OLD.size) * 1.0
    lag = np.abs(np.subtract.outer(np.append(old, new), np.append(old, new)))
    C = 1.7**2 * 0.8**lag
    pull = np.linalg.solve(C[:7, :7], C[:7, 7:]).T
    mean, covariance = _moments(
        lambda b, sd, z: markov(old, new, autoregressive(sd, np.full(len(b), 0.8)), b, z), new.size
    )
    np.testing.assert_allclose(mean, pull, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(covariance, C[7:, 7:] - pull @ C[:7, 7:], rtol=1e-12, atol=1e-13)
    mean, covariance = _moments(
        lambda b, sd, z: markov(old, new, autoregressive(sd, np.full(len(b), -0.8)), b, z), new.size
    )
    assert np.all(mean == 0)
    np.testing.assert_allclose(covariance, 1.7**2 * np.eye(3), rtol=1e-14)


@pytest.mark.parametrize(("before", "after"), [(0, 1), (0, 6), (3, 0), (4, 5)])
def test_an_autoregression_of_order_three(before: int, after: int) -> None:
    """Its correlations are the powers of the companion matrix, here of the filter ``1 / phi(B)`` run for long."""
    phi, n = np.array(coefficients([0.7, -0.4, 0.3])[-1]), 5
    response = np.zeros(2000)
    response[0] = 1.0
    for k in range(1, 2000):
        response[k] = phi[: min(k, 3)] @ response[max(k - 3, 0) : k][::-1]
    r = np.array([response[h:] @ response[: 2000 - h] for h in range(n + before + after)])
    C = 1.7**2 * (r / r[0])[np.abs(np.subtract.outer(np.arange(r.size), np.arange(r.size)))]
    old = before + np.arange(n)
    new = np.setdiff1d(np.arange(r.size), old)
    pull = np.linalg.solve(C[np.ix_(old, old)], C[np.ix_(old, new)]).T
    error = np.sqrt((1 - 0.7**2) * (1 - 0.4**2) * (1 - 0.3**2))

    def draw(b: np.ndarray, z: np.ndarray) -> np.ndarray:
        shares = [np.full(len(b), each) for each in phi]
        return predicted(shares, np.full(len(b), 1.7 * error), b, z, before)

    root = draw(np.zeros((new.size, n)), np.eye(new.size)).T
    np.testing.assert_allclose(draw(np.eye(n), np.zeros((n, new.size))).T, pull, rtol=0, atol=1e-12)
    np.testing.assert_allclose(root @ root.T, C[np.ix_(new, new)] - pull @ C[np.ix_(old, new)], rtol=0, atol=1e-12)


def test_an_autoregression_that_hardly_forgets() -> None:
    """``1 - rho^2`` keeps its digits: to first order, a Brownian bridge of variance ``-2 log rho``."""
    rho, z = np.array([1.0 - 1e-13]), np.ones((1, 1))
    found = markov(np.array([0.0, 3.0]), np.array([1.0]), autoregressive(np.ones(1), rho), np.zeros((1, 2)), z)
    np.testing.assert_allclose(found, np.sqrt(-2.0 * np.log(rho) * 2 / 3)[:, None], rtol=1e-9)


@pytest.mark.parametrize("close", [1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("at", [5.0, 6.0, 13.0, -2.0])
def test_nearly_equal_new_times_have_nearly_equal_effects(at: float, close: float) -> None:
    """And the second one changes the first by nothing, although the precision of the two has no digit left."""
    rng = np.random.default_rng(0)
    b, scale = rng.normal(size=(50, OLD.size)), np.ones(50)
    alone = Slopes.of(OLD, np.array([at])).draw(b, scale, np.zeros((50, 1)))
    for new in (np.array([at, at + close]), np.array([at - close, at])):
        mean = Slopes.of(OLD, new).draw(b, scale, np.zeros((50, 2)))
        np.testing.assert_allclose(mean, np.repeat(alone, 2, axis=1), rtol=0, atol=100 * close)
        drawn = Slopes.of(OLD, new).draw(b, scale, rng.normal(size=(50, 2)))
        np.testing.assert_allclose(drawn[:, 0], drawn[:, 1], rtol=0, atol=200 * close)


@pytest.mark.parametrize("old_time", [1.5, 4.0, 11.0, 0.0])
@pytest.mark.parametrize("close", [1e-9, -1e-9])
def test_a_new_time_beside_an_old_one_has_its_effect(old_time: float, close: float) -> None:
    rng = np.random.default_rng(1)
    b = rng.normal(size=(50, OLD.size))
    drawn = Slopes.of(OLD, np.array([old_time + close])).draw(b, np.ones(50), rng.normal(size=(50, 1)))
    np.testing.assert_allclose(drawn[:, 0], b[:, OLD == old_time][:, 0], rtol=0, atol=1e-7)


def test_a_structure_with_few_diagonals() -> None:
    n, old = 17, np.arange(4, 12)
    new, structure = np.setdiff1d(np.arange(n), old), seasonal(n, 4)
    R = seasonal_structure(n, 4)
    inner, cross = R[np.ix_(new, new)], R[np.ix_(new, old)]
    args = structure.pattern, structure.entries, old, new
    mean = banded(*args, np.eye(8), np.full(8, 1.7), np.zeros((8, new.size))).T
    root = banded(*args, np.zeros((new.size, 8)), np.full(new.size, 1.7), np.eye(new.size)).T
    error = rounding(new.size, inner)
    np.testing.assert_allclose(mean, -np.linalg.solve(inner, cross), rtol=0, atol=error)
    np.testing.assert_allclose(root @ root.T, 1.7**2 * np.linalg.inv(inner), rtol=0, atol=error * 100)


def test_each_draw_has_its_own_scale() -> None:
    rng = np.random.default_rng(2)
    b, scale, new = rng.normal(size=(3, OLD.size)), np.array([0.5, 1.0, 4.0]), NEW["between and beyond"]
    z = rng.normal(size=(3, new.size))
    for draw in (lambda b, s, z: markov(OLD, new, brownian(s), b, z), Slopes.of(OLD, new).draw):
        whole = draw(b, scale, z)
        for s in range(3):
            part = slice(s, s + 1)
            np.testing.assert_allclose(whole[part], draw(b[part], scale[part], z[part]), rtol=1e-14)


def test_old_effects_and_normals_stay_as_they_are() -> None:
    b, z, new = np.ones((4, OLD.size)), np.ones((4, 1)), NEW["one"]
    Slopes.of(OLD, new).draw(b, np.ones(4), z)
    markov(OLD, new, brownian(np.ones(4)), b, z)
    assert np.all(b == 1) and np.all(z == 1)
