"""Ranks that are uniform stay in the band as often as is said, and others leave it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from lgm.results import uniformity

N, MOST = 60, 20


def test_tails_by_definition() -> None:
    ranks = np.random.default_rng(2).integers(0, MOST + 1, N)
    found = uniformity.tails(pd.DataFrame({"a": ranks}), MOST)["a"]
    each = []
    for i in range(1, MOST + 1):
        below = np.sum(ranks < i)
        p = i / (MOST + 1)
        each.append(2 * min(binom.cdf(below, N, p), binom.sf(below - 1, N, p)))
    assert found == pytest.approx(min(each), rel=1e-12)


def test_the_band_holds_uniform_ranks_as_often_as_it_says() -> None:
    gamma = uniformity.critical(N, MOST, 0.05)
    p, low, high = uniformity.band(N, MOST, gamma)
    rng = np.random.default_rng(3)
    drawn = [uniformity.difference(rng.integers(0, MOST + 1, N), MOST) for _ in range(4000)]
    outside = np.mean([np.any((each < low - 1e-12) | (each > high + 1e-12)) for each in drawn])
    assert p[0] == pytest.approx(1 / (MOST + 1))
    assert outside < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)
    assert outside > 0.02  # counts are whole numbers, so that the level is not met to the digit


def test_shifted_ranks_leave_it() -> None:
    ranks = np.minimum(np.random.default_rng(4).integers(0, MOST + 1, N), 12)
    table = pd.DataFrame({"right": np.arange(N) % (MOST + 1), "wrong": ranks})
    outside = uniformity.tails(table, MOST) < uniformity.critical(N, MOST, 0.01)
    assert outside.to_dict() == {"right": False, "wrong": True}
