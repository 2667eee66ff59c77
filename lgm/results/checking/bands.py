"""Simultaneous bands for a distribution function and for a calibration curve."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

from lgm.arrays import FloatArray
from lgm.results.uniformity import band, critical, difference

BINS = 100  # most in which a distribution function is looked at


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


def uniform(places: FloatArray, probability: float) -> Pit:
    """Places (n,) on (0, 1) beside a uniform distribution; see `lgm.results.uniformity`."""
    most = int(min(places.size, BINS)) - 1
    x, low, high = band(places.size, most, critical(places.size, most, round(1.0 - probability, 12)))
    bins = np.minimum((places * (most + 1)).astype(np.int64), most)
    return Pit(
        *(np.append(each, end) for each, end in zip((x, difference(bins, most), low, high), (1, 0, 0, 0), strict=True))
    )


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
