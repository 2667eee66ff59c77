"""Whether numbers are uniform: their distribution function beside a simultaneous band (Sailynoja et al. 2022).

Of n numbers that are uniform on (0, 1), or on k + 1 whole numbers, those below i / (k + 1) are ``Binomial(n, i / (k +
1))``. A band of intervals of this distribution, all of one tail probability, holds the whole distribution function with
a probability that is found by simulation.

If draws come from the posterior, the rank of a true value among k independent ones is uniform on 0, ..., k (Talts et
al. 2018); so is, on (0, 1), the place of a response among its predictions if the model is right.

References
----------
Sailynoja, Burkner & Vehtari (2022), Graphical test for discrete uniformity and its applications in goodness-of-fit
evaluation and multiple sample comparison. Statistics and Computing 32, 32.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import scipy  # of which parts that are slow to read come when first needed
from scipy.special import bdtr

from lgm.arrays import FloatArray, IntArray

SIMULATIONS = 100_000  # of n uniform numbers
_AT_ONCE = 1000
_REACH = 8.0  # sds of a count within which tail probabilities are told apart


def tails(table: pd.DataFrame, most: int) -> pd.Series:
    """The smallest two-sided tail probability of the distribution function of each column of ranks from 0 to most."""
    counts = np.array([np.bincount(table[name], minlength=most + 1) for name in table]).reshape(-1, most + 1)
    return pd.Series(_least(counts, *_pointwise(len(table), most)), table.columns)


@cache
def critical(n: int, most: int, level: float) -> float:
    """The tail probability at which pointwise bands hold a whole distribution function with probability 1 - level.

    Simulated, as in algorithm 1 of Sailynoja et al. (2022): the quantile of `tails` of uniform numbers in ``most + 1``
    bins.
    """
    rng, uniform = np.random.default_rng(1), np.full(most + 1, 1.0 / (most + 1))
    known = _pointwise(n, most)
    parts = [_least(rng.multinomial(n, uniform, _AT_ONCE), *known) for _ in range(SIMULATIONS // _AT_ONCE)]
    return float(np.quantile(np.concatenate(parts), level))


def band(n: int, most: int, tail: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Ends of the bins but the last, and both ends of the band of this tail probability, less the uniform function."""
    p = np.arange(1, most + 1) / (most + 1)
    low, high = (scipy.stats.binom.ppf(q, n, p) / n - p for q in (tail / 2, 1 - tail / 2))
    return p, low, high


def difference(bins: IntArray, most: int) -> FloatArray:
    """Empirical distribution function of ranks, or of bins, at the points of `band`, less the uniform one."""
    below = np.cumsum(np.bincount(bins, minlength=most + 1))[:-1] / bins.size
    return below - np.arange(1, most + 1) / (most + 1)


def _pointwise(n: int, most: int) -> tuple[FloatArray, IntArray]:
    """Two-sided tail probabilities (w, most) of counts below each bin but the first, and where they begin (most,)."""
    p = np.arange(1, most + 1) / (most + 1)
    width = min(n, int(2 * _REACH * np.sqrt(n) / 2) + 2 * int(_REACH))
    start = np.clip(np.round(n * p - width / 2), 0, n - width).astype(np.int64)
    counts = start + np.arange(width + 1)[:, None]
    before = np.where(counts > 0, bdtr(np.maximum(counts - 1.0, 0.0), n, p), 0.0)
    return np.asarray(2.0 * np.minimum(bdtr(counts.astype(float), n, p), 1.0 - before)), start


def _least(counts: IntArray, known: FloatArray, start: IntArray) -> FloatArray:
    below = np.clip(np.cumsum(counts, axis=-1)[..., :-1] - start, 0, len(known) - 1)
    return np.asarray(known[below, np.arange(known.shape[1])].min(axis=-1))
