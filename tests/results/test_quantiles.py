"""Ends of intervals and standard deviations against NumPy's, however the draws are divided."""

import numpy as np
import pytest

from lgm.results.quantiles import Tails, ends, spread, weighted_ends

SIZES = [(50, 400, 0.95), (4, 4000, 0.95), (7, 4, 0.95), (5, 1000, 0.5), (3, 2, 0.95), (9, 5, 0.1), (2, 6, 0.001)]


@pytest.mark.parametrize(("m", "draws", "probability"), SIZES)
def test_ends(m: int, draws: int, probability: float) -> None:
    x = np.random.default_rng(1).standard_normal((m, draws))
    x[0] = np.round(x[0])  # ties
    expected = np.quantile(x, [(1 - probability) / 2, (1 + probability) / 2], axis=1)
    whole = ends(x, probability)
    np.testing.assert_allclose(whole, expected, rtol=0, atol=1e-14 * np.abs(x).max() * draws)
    for step in (1, 37, draws):
        tails = Tails(m, draws, probability)
        for start in range(0, draws, step):
            tails.add(x[:, start : start + step])
        np.testing.assert_array_equal(tails.ends(), whole)


def test_memory_is_bounded_by_the_tails() -> None:
    tails = Tails(3, 100_000, 0.98)
    assert tails._buffer.nbytes == 3 * Tails.bytes(100_000, 0.98) < 3 * 8 * 100_000 / 20


@pytest.mark.parametrize("step", [7, 600])
def test_spread(step: int) -> None:
    x = 1e6 + np.random.default_rng(2).standard_normal((5, 600))
    sd, found = spread((x[:, start : start + step] for start in range(0, 600, step)), 5, 600, 0.9)
    np.testing.assert_allclose(sd, x.std(axis=1, ddof=1), rtol=1e-9)
    np.testing.assert_array_equal(found, ends(x, 0.9))


def test_weights() -> None:
    x = np.random.default_rng(3).standard_normal((90, 4))
    expected = np.quantile(x, [0.1, 0.9], axis=0, method="hazen")
    np.testing.assert_allclose(weighted_ends(x, np.full(90, 0.3), 0.8), expected, rtol=1e-12)
    half = np.where(np.arange(90) < 45, 1.0, 0.0)  # what has no weight is not there
    np.testing.assert_allclose(weighted_ends(x, half, 0.8), weighted_ends(x[:45], np.ones(45), 0.8), atol=0.2)
    assert np.all(np.isin(np.argsort(weighted_ends(x, half, 0.8), axis=0)[0], 0))
