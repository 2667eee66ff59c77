"""Whether ranks of true values among posterior draws are uniform, quantity by quantity.

If draws come from the posterior, the rank of a true value among L independent ones is uniform on 0, ..., L (Talts et
al. 2018). The empirical distribution function of the ranks of N data sets must stay in a simultaneous band (Saeilynoja,
Buerkner & Vehtari 2022): under uniform ranks the number of those below i is ``Binomial(N, i / (L + 1))``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from scipy.stats import binom

from lgm.arrays import FloatArray, IntArray

SIMULATIONS = 100_000  # of N uniform ranks
_AT_ONCE = 1000


def tails(table: pd.DataFrame, most: int) -> pd.Series:
    """The smallest two-sided tail probability of the distribution function of each column of ranks from 0 to most."""
    counts = np.array([np.bincount(table[name], minlength=most + 1) for name in table]).reshape(-1, most + 1)
    return pd.Series(_least(counts, _pointwise(len(table), most)), table.columns)


@cache
def critical(replications: int, most: int, level: float) -> float:
    """The tail probability at which pointwise bands hold a whole distribution function with probability 1 - level.

    Simulated, as in algorithm 1 of Saeilynoja et al. (2022): the quantile of `tails` under uniform ranks.
    """
    rng, uniform = np.random.default_rng(1), np.full(most + 1, 1.0 / (most + 1))
    known = _pointwise(replications, most)
    parts = [_least(rng.multinomial(replications, uniform, _AT_ONCE), known) for _ in range(SIMULATIONS // _AT_ONCE)]
    return float(np.quantile(np.concatenate(parts), level))


def band(replications: int, most: int, tail: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fractional ranks, and both ends of the band of this tail probability, less the uniform distribution function."""
    p = np.arange(1, most + 1) / (most + 1)
    low, high = (binom.ppf(q, replications, p) / replications - p for q in (tail / 2, 1 - tail / 2))
    return p, low, high


def difference(ranks: IntArray, most: int) -> FloatArray:
    """Empirical distribution function of ranks at the points of `band`, less the uniform one."""
    below = np.cumsum(np.bincount(ranks, minlength=most + 1))[:-1] / ranks.size
    return below - np.arange(1, most + 1) / (most + 1)


def _pointwise(n: int, most: int) -> FloatArray:
    """Two-sided tail probability of each count (n + 1) below each rank but the first (most,)."""
    p, counts = np.arange(1, most + 1) / (most + 1), np.arange(n + 1)[:, None]
    return np.asarray(2.0 * np.minimum(binom.cdf(counts, n, p), binom.sf(counts - 1, n, p)))


def _least(counts: IntArray, known: FloatArray) -> FloatArray:
    below = np.cumsum(counts, axis=-1)[..., :-1]
    return np.asarray(known[below, np.arange(known.shape[1])].min(axis=-1))
