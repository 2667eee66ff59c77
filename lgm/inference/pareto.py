"""Pareto-smoothed importance sampling: how far a few weights can be trusted, and how to tame them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lgm.arrays import FloatArray

FEWEST = 5  # weights that tell the shape of a tail


class Smoothed(NamedTuple):
    """Normalised log weights after smoothing, and the shape of their tail.

    Parameters
    ----------
    log_weights : float array (S,)
        Sum of exponentials is one.
    k : float
        Shape of the generalised Pareto distribution fitted to the largest weights; below 0.5 their variance is finite,
        above ``min(1 - 1 / log10(S), 0.7)`` estimates should not be trusted. Infinite if fewer than five weights stand
        out.
    ess : float
        ``1 / sum w^2``.
    """

    log_weights: FloatArray
    k: float
    ess: float


def threshold(size: int) -> float:
    """Largest k for which estimates from ``size`` weights are reliable (Vehtari et al. 2024, eq. 13)."""
    return min(1.0 - 1.0 / np.log10(size), 0.7)


def smooth(log_weights: FloatArray) -> Smoothed:
    """Replace the largest weights by expected order statistics of a fitted generalised Pareto distribution.

    Vehtari, Simpson, Gelman, Yao & Gabry (2024), sec. 2.2: the tail is the largest ``min(S / 5, 3 sqrt(S))`` weights.
    Of these, the ones that are no larger than the next say nothing of its shape.
    """
    size = log_weights.size
    order = np.argsort(log_weights, kind="stable")
    ascending = np.exp(log_weights[order] - log_weights[order[-1]])
    longest = int(min(np.ceil(0.2 * size), np.ceil(3.0 * np.sqrt(size))))
    cutoff = ascending[-longest - 1]
    tail = int(np.sum(ascending > cutoff))
    k, found = np.inf, log_weights[order]  # a handful of points has all the weight, too few to tell a tail's shape
    if 1.0 - cutoff <= 1e-12 or (tail >= FEWEST and ascending[-tail] == 1.0):
        k = -np.inf  # equal weights: the tail has no spread at all
    elif tail >= FEWEST:
        k, found = _fitted(found, tail)
    found = found - found[-1]
    normalised = np.empty(size)
    normalised[order] = found - np.log(np.sum(np.exp(found)))
    return Smoothed(normalised, float(k), float(1.0 / np.sum(np.exp(2.0 * normalised))))


def _fitted(ascending: FloatArray, tail: int) -> tuple[float, FloatArray]:
    """ArviZ's k and ascending log weights for a tail of this length.

    It takes logarithms of inverse weights, and the length from their number S and efficiency, as ``floor(3 sqrt(S /
    r_eff))`` where ``S r_eff > 225``; weights of zero make S large enough, and change nothing else. Where most of the
    tail is zero beside the largest weight its numbers overflow: that handful again.
    """
    from arviz_stats.base.array import array_stats  # noqa: PLC0415, TID253 - late, so that `import lgm` stays fast

    padded = np.pad(-ascending, (max(5 * (tail + 1) - ascending.size, 0), 0), constant_values=np.inf)
    with np.errstate(all="ignore"):
        found, k = array_stats.psislw(padded, r_eff=9.0 * padded.size / (tail + 0.5) ** 2)
    found = np.sort(found[-ascending.size :])  # its own order of equal weights is any
    return (np.inf, ascending) if np.any(np.isnan(found)) else (k, found)
