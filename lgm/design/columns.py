"""What fixed columns are as a whole, however many rows they have."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray

# A column whose squared residual on the others is this small, relative to its own square, adds nothing that survives
# double precision: rounding in the Gram matrix leaves about 1e-15.
COLLINEAR = 1e-12


@dataclass(frozen=True)
class Interactions:
    """Columns that are an indicator times numbers, such as ``x:f[b]`` beside ``f[b]``.

    The coefficient of ``f[b]`` is a difference at ``x = 0``, wherever that is. At the mean of x it is
    ``beta_f[b] + mean beta_x:f[b]``.

    Parameters
    ----------
    indicator, product : int arrays
        Pairs of columns.
    mean : float array
        Of the numbers, over the rows of the indicator.
    spread : float array
        Root mean square over all rows of the product where the numbers are centred; zero if they do not vary.
    """

    indicator: IntArray
    product: IntArray
    mean: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, x: sp.csc_array) -> Interactions:
        """Columns that are stored in the same rows, but not in all rows, where the first of them has one size."""
        n, p = x.shape
        x = x if x.has_sorted_indices else x.sorted_indices()
        first: dict[bytes, int] = {}
        found: list[tuple[int, int, float, float]] = []
        for j in range(p):
            part = slice(x.indptr[j], x.indptr[j + 1])
            if not 0 < part.stop - part.start < n:
                continue
            i = first.setdefault(x.indices[part].tobytes(), j)
            one, values = x.data[x.indptr[i] : x.indptr[i + 1]], x.data[part]
            if i == j or np.ptp(np.abs(one)) > 0.0 or one[0] == 0.0:
                continue
            mean = float(one @ values / (one @ one))
            rest = values - mean * one
            varies = np.max(np.abs(rest)) > COLLINEAR * np.max(np.abs(values))
            found.append((i, j, mean, float(np.sqrt(rest @ rest / n)) if varies else 0.0))
        indicator, product, means, spreads = np.array(found).reshape(-1, 4).T
        return cls(indicator.astype(np.int64), product.astype(np.int64), means, spreads)


@dataclass(frozen=True, eq=False)
class Columns:
    """All that priors and checks ask of fixed columns.

    Parameters
    ----------
    n : int
        Number of rows.
    stored : int array (p,)
        Entries of each column that are stored: fewer than n where factors make structural zeros.
    low, high : float arrays (p,)
        Least and largest of these.
    mean, sd : float arrays (p,)
        Over all rows; where a column does not vary, the root mean square.
    level, scatter : float arrays (p,)
        Mean and standard deviation of the stored entries.
    length : float array (p,)
        Root of the sum of squares.
    pairs : Interactions
    """

    n: int
    stored: IntArray
    low: FloatArray
    high: FloatArray
    mean: FloatArray
    sd: FloatArray
    level: FloatArray
    scatter: FloatArray
    length: FloatArray
    pairs: Interactions

    @property
    def p(self) -> int:
        """Number of columns."""
        return int(self.stored.size)

    @property
    def size(self) -> FloatArray:
        """Largest absolute value of each column."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    @classmethod
    def of(cls, x: sp.csc_array) -> Columns:
        """Of columns that are at hand (n, p).

        Examples
        --------
        >>> found = Columns.of(sp.csc_array([[1.0, 2.0], [1.0, 0.0], [1.0, 4.0]]))
        >>> found.stored.tolist(), found.mean.tolist(), found.level.tolist()
        ([3, 2], [1.0, 2.0], [1.0, 3.0])
        """
        n, p = x.shape
        mean = column_means(x)
        low, high, sd, level, scatter, length = np.zeros((6, p))
        for j, (start, stop) in enumerate(itertools.pairwise(x.indptr)):
            values = x.data[start:stop]
            if not values.size:
                continue
            low[j], high[j] = values.min(), values.max()
            size = max(abs(low[j]), abs(high[j]))
            square = float(np.sum(values**2))
            length[j], gaps = np.sqrt(square), 1 - values.size / n
            if low[j] == high[j]:
                level[j] = low[j]
            else:
                level[j], scatter[j] = values.mean(), values.std()
            if gaps == 0.0 and high[j] - low[j] > COLLINEAR * size:
                sd[j] = scatter[j]
            else:
                about = square if gaps == 0.0 else float(np.sum((values - mean[j]) ** 2))
                sd[j] = np.sqrt(about / n + gaps * mean[j] ** 2)
        stored = np.diff(x.indptr).astype(np.int64)
        return cls(n, stored, low, high, mean, sd, level, scatter, length, Interactions.of(x))


def column_means(x: sp.csc_array) -> FloatArray:
    """Mean of each column."""
    return np.array([np.sum(x.data[a:b]) for a, b in itertools.pairwise(x.indptr)], dtype=float) / max(x.shape[0], 1)
