"""Patterns of residuals (n,) that pictures show: a smooth line, quantiles, autocorrelations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import betaincinv, ndtri

from lgm.arrays import FloatArray, IntArray
from lgm.results.checking.faults import cubes

GRID = 100
KNOTS = 5


class Quantiles(NamedTuple):
    """Ordered values beside those of a normal sample.

    Parameters
    ----------
    normal, values : float arrays (n,)
        In ascending order.
    low, high : float arrays (n,)
        Interval of each value of a normal sample.
    """

    normal: FloatArray
    values: FloatArray
    low: FloatArray
    high: FloatArray


def quantiles(values: FloatArray, probability: float) -> Quantiles:
    """Of values whose scale is known to be one, if the model is right."""
    n = values.size
    i = np.arange(1, n + 1)
    low, high = (ndtri(betaincinv(i, n + 1 - i, p)) for p in ((1 - probability) / 2, (1 + probability) / 2))
    return Quantiles(ndtri((i - 0.5) / n), np.sort(values), low, high)


class Trend(NamedTuple):
    """A smooth line with standard errors.

    Parameters
    ----------
    x, mean, se : float arrays (m,)
    """

    x: FloatArray
    mean: FloatArray
    se: FloatArray


def trend(x: FloatArray, values: FloatArray) -> Trend | None:
    """The mean of values as a cubic regression spline of x, by least squares; None where x has too few values."""
    distinct = np.unique(x)
    if distinct.size < 4 or x.size < 20:
        return None
    centre, scale = x.mean(), np.std(x)
    knots = np.quantile((x - centre) / scale, np.linspace(0.0, 1.0, min(KNOTS, distinct.size - 2) + 2)[1:-1])
    knots = np.unique(knots)

    def columns(at: FloatArray) -> FloatArray:
        z = (at - centre) / scale
        return np.column_stack([np.ones(z.size), z, cubes(z, knots)])

    grid = np.linspace(distinct[0], distinct[-1], GRID)
    q, r = np.linalg.qr(columns(x))
    at = np.linalg.solve(r.T, columns(grid).T).T
    along = q.T @ values
    left = values - q @ along
    sd = float(np.sqrt(left @ left / max(x.size - q.shape[1], 1)))
    return Trend(grid, at @ along, sd * np.sqrt(np.sum(at**2, axis=1)))


def autocorrelations(values: FloatArray, order: FloatArray, within: IntArray | None) -> pd.DataFrame:
    """Correlations of values that are so many places apart, ``lag`` by lag, and how many pairs there are.

    Values at one time, and in one group, count as their mean.
    """
    group = np.zeros(order.size, dtype=np.int64) if within is None else within
    cells = pd.Series(values).groupby([group, order])
    sums, sizes = cells.sum(), cells.size()
    scaled = (sums / np.sqrt(sizes)).to_numpy()
    scaled = scaled - scaled.mean()
    groups = sums.index.get_level_values(0).to_numpy()
    longest = int(pd.Series(groups).value_counts().max())
    most = int(np.clip(10.0 * np.log10(longest), 1, max(longest - 1, 1)))
    rows = []
    for lag in range(1, most + 1):
        same = groups[lag:] == groups[:-lag]
        if np.count_nonzero(same) >= 5:
            products = (scaled[lag:] * scaled[:-lag])[same]
            rows.append((lag, float(np.mean(products) / np.mean(scaled**2)), int(same.sum())))
    return pd.DataFrame(rows, columns=["lag", "correlation", "pairs"]).set_index("lag")
