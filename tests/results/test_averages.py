"""Means with a control variate against closed forms."""

import numpy as np
import pytest

from lgm.results.averages import Average


def _average(x: np.ndarray, c: np.ndarray, known: np.ndarray, block: int = 1000) -> np.ndarray:
    average = Average(known)
    for start in range(0, x.shape[1], block):
        average.add(x[:, start : start + block], c[:, start : start + block])
    return average.value()


def test_a_linear_function_has_no_noise_left() -> None:
    rng = np.random.default_rng(0)
    known = np.array([0.0, -3.0, 1e6])
    c = known[:, None] + rng.standard_normal((3, 50))
    np.testing.assert_allclose(_average(2.0 - 3.0 * c, c, known), 2.0 - 3.0 * known, rtol=1e-9, atol=1e-12)


def test_the_mean_of_a_lognormal() -> None:
    draws, sd = 4000, 0.5
    rng = np.random.default_rng(1)
    c = 1.0 + sd * rng.standard_normal((400, draws))
    found = _average(np.exp(c), c, np.full(400, 1.0))
    expected = np.exp(1.0 + sd**2 / 2)
    plain = expected * np.sqrt(np.expm1(sd**2))  # sd of one draw; what c explains of its variance is taken away
    left = plain * np.sqrt(1 - sd**2 / np.expm1(sd**2))
    assert np.sqrt(np.mean((found - expected) ** 2)) == pytest.approx(left / np.sqrt(draws), rel=0.2)


def test_blocks_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    c = rng.standard_normal((5, 100))
    x = np.exp(c)
    np.testing.assert_allclose(_average(x, c, np.zeros(5), 7), _average(x, c, np.zeros(5)), rtol=1e-12)


def test_what_does_not_vary() -> None:
    c, x = np.full((1, 10), 2.0), np.full((1, 10), 7.0)
    assert _average(x, c, np.array([2.0])) == 7.0


def test_a_share_stays_a_share_with_few_draws() -> None:
    c = np.array([[8.0, 9.0, -4.0, 7.0]])
    [found] = _average(1 / (1 + np.exp(-c)), c, np.array([30.0]))
    assert found <= 1.0
