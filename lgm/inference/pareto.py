"""Pareto-smoothed importance sampling: how far a few weights can be trusted, and how to tame them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lgm.arrays import FloatArray


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
    """
    size = log_weights.size
    shifted = log_weights - np.max(log_weights)
    tail = int(min(np.ceil(0.2 * size), np.ceil(3.0 * np.sqrt(size))))
    order = np.argsort(shifted, kind="stable")
    cutoff = np.exp(shifted[order[-tail - 1]])
    excess = np.exp(shifted[order[-tail:]]) - cutoff
    excess = excess[excess > 0.0]
    if 1.0 - cutoff <= 1e-12:
        k = -np.inf  # equal weights: the tail has no spread at all
    elif excess.size < 5:
        k = np.inf  # a handful of points has all the weight, too few to tell the shape of a tail
    else:
        k, sigma = fit_generalised_pareto(excess)
        largest = order[-excess.size :]
        p = (np.arange(excess.size) + 0.5) / excess.size
        quantiles = -sigma * np.log1p(-p) if abs(k) < 1e-12 else sigma * np.expm1(-k * np.log1p(-p)) / k
        shifted = shifted.copy()
        shifted[largest] = np.log(np.minimum(cutoff + quantiles, 1.0))
    normalised = shifted - np.log(np.sum(np.exp(shifted)))
    return Smoothed(normalised, float(k), float(1.0 / np.sum(np.exp(2.0 * normalised))))


def fit_generalised_pareto(x: FloatArray) -> tuple[float, float]:
    """Shape k and scale sigma of positive excesses, by the empirical Bayes estimate of Zhang & Stephens (2009).

    As in Vehtari et al. (2024), k is shrunk to 0.5 as if ten further observations said so.

    Parameters
    ----------
    x : float array (n,)
        Ascending.
    """
    n = x.size
    m = 30 + int(np.sqrt(n))
    quartile = x[int(n / 4 + 0.5) - 1]
    b = 1.0 / x[-1] + (1.0 - np.sqrt(m / (np.arange(m) + 0.5))) / (3.0 * quartile)
    k = np.mean(np.log1p(-b[:, None] * x), axis=1)
    log_posterior = n * (np.log(-b / k) - k - 1.0)
    weights = np.exp(log_posterior - np.max(log_posterior))
    b_mean = float(np.sum(b * weights) / np.sum(weights))
    shape = float(np.mean(np.log1p(-b_mean * x)))
    return (n * shape + 10.0 * 0.5) / (n + 10.0), -shape / b_mean
