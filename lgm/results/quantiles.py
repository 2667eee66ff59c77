"""Ends of equal-tailed intervals, as `numpy.quantile` finds them, for many variables at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from scipy.special import ndtr, ndtri

from lgm.arrays import FloatArray

HALVINGS = 60  # of the range in which an end is


def ends(draws: FloatArray, probability: float) -> FloatArray:
    """Ends (2, m) of the equal-tailed intervals of m variables, from their draws (m, S)."""
    return _ends(np.sort(draws, axis=1), probability, draws.shape[1])  # faster than to partition at four places


def _ends(ordered: FloatArray, probability: float, draws: int) -> FloatArray:
    """From values in increasing order, of which those between the tails may be missing."""
    first, share = _place(draws, probability)
    second = min(first + 1, draws - 1)
    low, high = (tail[:, first] + share * (tail[:, second] - tail[:, first]) for tail in (ordered, ordered[:, ::-1]))
    return np.stack([low, high])


def weighted_ends(draws: FloatArray, weights: FloatArray, probability: float) -> FloatArray:
    """Ends (2, m) of the equal-tailed intervals of m variables, from draws (S, m) with weights (S,)."""
    order = np.argsort(draws, axis=0)
    ordered = np.take_along_axis(draws, order, axis=0)
    below = np.cumsum(weights[order], axis=0)
    below = (below - 0.5 * weights[order]) / below[-1]
    levels = [(1.0 - probability) / 2.0, (1.0 + probability) / 2.0]
    found = [np.interp(levels, *each) for each in zip(below.T, ordered.T, strict=True)]
    return np.array(found).reshape(-1, 2).T


def mixture_ends(means: FloatArray, sds: FloatArray, weights: FloatArray, probability: float) -> FloatArray:
    """Ends (2, m) of the equal-tailed intervals of m variables, each a mixture of S normal distributions.

    Examples
    --------
    >>> mean, sd = np.array([[0.0], [0.0]]), np.array([[1.0], [1.0]])
    >>> mixture_ends(mean, sd, np.array([0.5, 0.5]), 0.95).round(6).T.tolist()
    [[-1.959964, 1.959964]]
    """
    there = weights > 0.0
    means, sds, weights = means[there], sds[there], weights[there]
    found = []
    for level in ((1.0 - probability) / 2.0, (1.0 + probability) / 2.0):
        parts = means + ndtri(level) * sds  # the end is between those of the parts
        low, high = parts.min(axis=0), parts.max(axis=0)
        found.append(where(lambda t: weights @ ndtr((t - means) / sds), level, low, high))
    return np.stack(found)


def where(
    probability: Callable[[FloatArray], FloatArray],
    level: float,
    low: FloatArray,
    high: FloatArray,
    halvings: int = HALVINGS,
) -> FloatArray:
    """Where the probability below of each of m variables is this, between ends (m,), by bisection."""
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        below = probability(middle) < level
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)


def _place(draws: int, probability: float) -> tuple[int, float]:
    """An end lies between two order statistics: how many are beyond them, and how far it is from the first."""
    place = (1.0 - probability) / 2.0 * (draws - 1)
    return math.floor(place), place - math.floor(place)


def _tail(draws: int, probability: float) -> int:
    """How many values on either side have to be kept."""
    return min(_place(draws, probability)[0] + 2, (draws + 1) // 2)


class Tails:
    """The same ends, to the bit, from draws that come in blocks: only the smallest and the largest values are kept.

    Parameters
    ----------
    m : int
        Number of variables.
    draws : int
        How many draws of each will come.
    probability : float
        Of the interval.
    """

    def __init__(self, m: int, draws: int, probability: float) -> None:
        self._draws, self._probability, self._keep = draws, probability, _tail(draws, probability)
        self._buffer = np.empty((m, min(4 * self._keep, draws)))
        self._used = 0

    @staticmethod
    def bytes(draws: int, probability: float) -> int:
        """Memory for one variable."""
        return 8 * min(4 * _tail(draws, probability), draws)

    def add(self, values: FloatArray) -> None:
        """Take a block of draws (m, B)."""
        while values.shape[1]:
            if self._used == self._buffer.shape[1]:
                self._compress()
            taken = values[:, : self._buffer.shape[1] - self._used]
            self._buffer[:, self._used : self._used + taken.shape[1]] = taken
            self._used += taken.shape[1]
            values = values[:, taken.shape[1] :]

    def _compress(self) -> None:
        keep = self._keep
        self._buffer.sort(axis=1)
        self._buffer[:, keep : 2 * keep] = self._buffer[:, -keep:]
        self._used = 2 * keep

    def ends(self) -> FloatArray:
        """Ends (2, m), once all draws have come."""
        self._buffer[:, : self._used].sort(axis=1)
        return _ends(self._buffer[:, : self._used], self._probability, self._draws)


def spread(blocks: Iterable[FloatArray], m: int, draws: int, probability: float) -> tuple[FloatArray, FloatArray]:
    """Standard deviations (m,) and ends (2, m) of m variables, from all their draws in blocks (m, B)."""
    tails, shift, total, square = None, np.zeros((m, 1)), np.zeros(m), np.zeros(m)
    for block in blocks:
        if block.shape[1] == draws:
            return block.std(axis=1, ddof=1), ends(block, probability)
        if tails is None:
            tails, shift = Tails(m, draws, probability), block[:, :1].copy()  # against cancellation in the variance
        tails.add(block)
        total += (block - shift).sum(axis=1)
        square += np.square(block - shift).sum(axis=1)
    assert tails is not None
    return np.sqrt(np.maximum(square - total**2 / draws, 0.0) / (draws - 1)), tails.ends()
