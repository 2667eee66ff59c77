"""Pareto-smoothed importance sampling: how far a few weights can be trusted, and how to tame them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lgm.arrays import FloatArray

FEWEST = 5  # weights that tell the shape of a tail
TINY = 1e-200  # beside the largest weight
COLUMNS = 2000  # at once


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
    found = log_weights[order] - log_weights[order[-1]]
    ascending = np.exp(found)
    longest = int(min(np.ceil(0.2 * size), np.ceil(3.0 * np.sqrt(size))))
    cutoff = ascending[-longest - 1]
    tail = int(np.sum(ascending > cutoff))
    k = np.inf  # a handful of points has all the weight, too few to tell a tail's shape
    if 1.0 - cutoff <= 1e-12 or (tail >= FEWEST and ascending[-tail] == 1.0):
        k = -np.inf  # equal weights: the tail has no spread at all
    elif tail >= FEWEST:
        with np.errstate(all="ignore"):  # where most of the tail is zero beside the largest weight: that handful again
            shape, above = _fitted((ascending[-tail:] - cutoff)[:, None])
            smoothed = np.minimum(np.log(above[:, 0] + cutoff), 0.0)
        if np.isfinite(shape[0]) and np.all(np.isfinite(smoothed)):
            k, found[-tail:] = shape[0], smoothed
    found = found - found[-1]
    normalised = np.empty(size)
    normalised[order] = found - np.log(np.sum(np.exp(found)))
    return Smoothed(normalised, float(k), float(1.0 / np.sum(np.exp(2.0 * normalised))))


def smooth_columns(log_weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`smooth` of each column (S, n), many at a time: normalised log weights (S, n) and k (n,).

    Columns with weights that are equal, or zero, where the tail begins go one by one.
    """
    size, n = log_weights.shape
    longest = int(min(np.ceil(0.2 * size), np.ceil(3.0 * np.sqrt(size))))
    out, k = np.empty(log_weights.shape), np.empty(n)
    for start in range(0, n, COLUMNS):
        some = log_weights[:, start : start + COLUMNS]
        order = np.argsort(some, axis=0, kind="stable")
        ascending = np.take_along_axis(some, order, axis=0)
        ascending = ascending - ascending[-1]
        weights = np.exp(ascending[-longest - 1 :])
        plain = (longest >= FEWEST) & (weights[0] > TINY) & (weights[0] < 1.0 - 1e-6)
        plain = plain & np.all(np.diff(weights, axis=0) > 0, axis=0)
        if plain.any():
            shape, tail = _fitted(weights[1:, plain] - weights[0, plain])
            found = ascending[:, plain]
            found[-longest:] = np.minimum(np.log(tail + weights[0, plain]), 0.0)
            found = found - np.log(np.sum(np.exp(found), axis=0))
            placed = np.empty_like(found)
            np.put_along_axis(placed, order[:, plain], found, axis=0)
            out[:, start + np.flatnonzero(plain)], k[start + np.flatnonzero(plain)] = placed, shape
        for i in start + np.flatnonzero(~plain):
            one = smooth(log_weights[:, i])
            out[:, i], k[i] = one.log_weights, one.k
    return out, k


def _fitted(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shapes (n,) of generalised Pareto distributions of ascending columns (M, n), and their order statistics (M, n).

    Zhang & Stephens (2009, Technometrics 51, 316-325), with the prior of k of Vehtari et al. (2024), as ArviZ.
    """
    m = len(x)
    grid = 30 + int(m**0.5)
    b = 1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    b = b[:, None] / (3.0 * x[int(m / 4 + 0.5) - 1]) + 1.0 / x[-1]  # (grid, n)
    k = np.array([np.mean(np.log1p(-each * x), axis=0) for each in b])
    height = m * (np.log(-b / k) - k - 1.0)
    share = np.exp(height - np.max(height, axis=0))
    share /= share.sum(axis=0)
    share[share < 10 * np.finfo(float).eps] = 0.0
    mean = np.sum(b * share, axis=0) / share.sum(axis=0)
    k = np.mean(np.log1p(-mean * x), axis=0)
    scale, k = -k / mean, (m * k + 5.0) / (m + 10.0)
    p = (np.arange(m) + 0.5)[:, None] / m
    return k, scale * np.expm1(-k * np.log1p(-p)) / k
