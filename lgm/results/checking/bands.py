"""Simultaneous bands for a distribution function and for a calibration curve."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import bdtr, bdtrik

from lgm.arrays import FloatArray

POINTS = 100  # most at which a distribution function is looked at
SIMULATED = 4000  # uniform samples behind a band


class Pit(NamedTuple):
    """The distribution function of places, less the uniform one, with a band that holds it all with one probability.

    Parameters
    ----------
    x, difference, low, high : float arrays (K,)
    """

    x: FloatArray
    difference: FloatArray
    low: FloatArray
    high: FloatArray

    @property
    def outside(self) -> bool:
        """Whether it leaves the band anywhere."""
        slack = 1e-12
        return bool(np.any((self.difference < self.low - slack) | (self.difference > self.high + slack)))


def uniform(places: FloatArray, probability: float, seed: int) -> Pit:
    """Places (n,) beside a uniform distribution (Sailynoja, Burkner & Vehtari 2022).

    The band is of intervals of the binomial distribution at each of K points, all of one probability: such that the
    whole curve of n uniform numbers is within it with the probability that is asked for. That one is found by
    simulation (their algorithm 1).
    """
    n = places.size
    k = int(min(n, POINTS))
    x = np.arange(1, k + 1) / k
    share = _pointwise(n, x, probability, seed)
    low, high = (bdtrik(p, n, x[:-1]) for p in (0.5 * share, 1.0 - 0.5 * share))
    low, high = (np.append(np.ceil(np.maximum(ends, 0.0) - 1e-9), n) / n for ends in (low, high))
    found = np.searchsorted(np.sort(places), x, side="right") / n
    return Pit(x, found - x, low - x, high - x)


def _pointwise(n: int, x: FloatArray, probability: float, seed: int) -> float:
    """Probability outside of the interval at each point such that a curve leaves none of them."""
    rng, k = np.random.default_rng([seed, 10]), x.size
    counts = np.cumsum(rng.multinomial(n, np.full(k, 1.0 / k), size=SIMULATED), axis=1)[:, :-1]
    if not counts.size:
        return 1.0 - probability
    below = bdtr(counts.astype(float), n, x[:-1])
    before = np.where(counts > 0, bdtr(np.maximum(counts - 1, 0).astype(float), n, x[:-1]), 0.0)
    return float(np.quantile(2.0 * np.minimum(below, 1.0 - before).min(axis=1), 1.0 - probability))


class Calibration(NamedTuple):
    """Observed shares against predicted ones.

    Parameters
    ----------
    x : float array (n,)
        Predicted shares in ascending order.
    share : float array (n,)
        Observed ones, as an ascending function of these.
    low, high : float arrays (n,)
        Where such a function is, row by row, if the predictions are right.
    """

    x: FloatArray
    share: FloatArray
    low: FloatArray
    high: FloatArray


def calibration(
    y: FloatArray, predicted: FloatArray, new: FloatArray, weights: FloatArray, probability: float
) -> Calibration:
    """Shares y (n,) by isotonic regression on predictions, and the same of new ones (D, n); weights are their trials.

    References
    ----------
    Dimitriadis, Gneiting & Jordan (2021), Stable reliability diagrams for probabilistic classifiers. PNAS 118.
    """
    order = np.argsort(predicted, kind="stable")
    x, w = predicted[order], weights[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(x) > 0.0]))
    total = np.add.reduceat(w, starts)
    which = np.repeat(np.arange(starts.size), np.diff(np.append(starts, x.size)))

    def fitted(values: FloatArray) -> FloatArray:
        means = np.add.reduceat(w * values[order], starts) / total  # rows with one prediction have one share
        return np.asarray(isotonic_regression(means, weights=total).x)[which]

    bands = np.quantile([fitted(each) for each in new], [(1 - probability) / 2, (1 + probability) / 2], axis=0)
    return Calibration(x, fitted(y), *bands)
