"""Statistics of residuals that a fault of the model makes large, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtr

from lgm.arrays import FloatArray, IntArray

MOST_SORTED = 2000  # rows of which the distribution is looked at


@dataclass(frozen=True)
class Drawn:
    """Residuals by B draws.

    Parameters
    ----------
    scores : float array (n, B)
        Standard normal ones, independent if the model is right.
    zero : float array (n, B) or (n, 1)
        The probability of a response of zero.
    rank : float array (n, B) or (n, 1)
        Place of each row by its linear predictor, from -1 to 1.
    """

    scores: FloatArray
    zero: FloatArray
    rank: FloatArray


Statistic = Callable[[Drawn], FloatArray]  # one number (B,) for each draw


@dataclass(frozen=True)
class Question:
    """One thing that may be amiss.

    Parameters
    ----------
    check : str
        By which users ask for it.
    about : str
        Of what, where there may be several.
    statistic : callable
    expected : str
        What the statistic is, in words.
    low, high : str
        What is amiss where it is smaller, or larger, than in a right model; empty where that is no fault.
    advice : str
        What to try.
    """

    check: str
    about: str
    statistic: Statistic = field(repr=False)
    expected: str
    low: str
    high: str
    advice: str


def dispersion(drawn: Drawn) -> FloatArray:
    """Mean square; one on average."""
    return np.mean(np.square(drawn.scores), axis=0)


def zeros(drawn: Drawn) -> FloatArray:
    """Zeros over the number expected."""
    p = np.broadcast_to(drawn.zero, drawn.scores.shape)
    return (ndtr(drawn.scores) <= p).sum(axis=0) / p.sum(axis=0)


def outliers(drawn: Drawn) -> FloatArray:
    """The largest residual on either side."""
    return np.max(np.abs(drawn.scores), axis=0)


def distribution(drawn: Drawn) -> FloatArray:
    """Distance from the standard normal distribution, times n (Cramer & von Mises)."""
    n = len(drawn.scores)
    chosen = np.arange(n) if n <= MOST_SORTED else np.linspace(0, n - 1, MOST_SORTED).astype(int)
    u = np.sort(ndtr(drawn.scores[chosen]), axis=0)
    expected = (np.arange(len(u)) + 0.5) / len(u)
    return np.sum(np.square(u - expected[:, None]), axis=0) + 1.0 / (12.0 * len(u))


def spread(drawn: Drawn) -> FloatArray:
    """Correlation of the size of residuals with the rank of the linear predictor."""
    size = np.abs(drawn.scores)
    size = size - size.mean(axis=0)
    rank = drawn.rank - drawn.rank.mean(axis=0)
    return np.sum(size * rank, axis=0) / np.sqrt(np.sum(size**2, axis=0) * np.sum(rank**2, axis=0))


def curve(x: FloatArray) -> Statistic:
    """Mean square along bends of a variable (n,), over that of the rest: an F ratio."""
    basis = bends(x)
    return lambda drawn: _ratio(basis.T @ drawn.scores, drawn.scores)


def bends(x: FloatArray, count: int = 5) -> FloatArray:
    """Orthonormal columns (n, k) that are functions of x beyond a straight line: of cubic regression splines."""
    values = np.unique(x)
    count = min(count, values.size - 2)
    z = (x - x.mean()) / np.std(x)
    knots = np.quantile(z, np.linspace(0.0, 1.0, count + 2)) if values.size > count + 2 else np.unique(z)
    bent = cubes(z, np.unique(knots[1:-1]))
    basis, _ = np.linalg.qr(np.column_stack([np.ones(x.size), z, bent / np.std(bent, axis=0)]))
    return np.asarray(basis[:, 2:])


def cubes(z: FloatArray, knots: FloatArray) -> FloatArray:
    """``|z - k|^3`` for each of some knots."""
    return np.abs(z[:, None] - knots[None, :]) ** 3


def slopes(x: FloatArray, codes: IntArray) -> Statistic | None:
    """Mean square along the lines of x (n,) within each group, over that of the rest; None where x hardly varies."""
    n = int(codes.max()) + 1
    z = sp.csr_array((np.ones(codes.size), (codes, np.arange(codes.size))), shape=(n, codes.size))
    sizes = np.bincount(codes, minlength=n)
    away = x - ((z @ x) / sizes)[codes]
    squares = np.bincount(codes, away**2, n)
    fine = squares > 1e-12 * max(float(np.sum(squares)), 1e-300)
    if np.count_nonzero(fine) < 2 or codes.size - np.count_nonzero(fine) < 5:
        return None
    lines = (z * (away / np.sqrt(np.where(fine, squares, 1.0))[codes])[None, :]).tocsr()[np.flatnonzero(fine)]
    return lambda drawn: _ratio(lines @ drawn.scores, drawn.scores)


def _ratio(along: FloatArray, scores: FloatArray) -> FloatArray:
    """Mean square of k components over that of the n - k others."""
    inside, everything = np.sum(along**2, axis=0), np.sum(scores**2, axis=0)
    k, n = along.shape[0], scores.shape[0]
    return (inside / k) / ((everything - inside) / (n - k))


def neighbours_in_order(order: FloatArray, within: IntArray | None) -> tuple[IntArray, IntArray] | None:
    """Pairs of rows that follow each other, within groups where these are given; None where there are too few."""
    group = np.zeros(order.size, dtype=np.int64) if within is None else within
    sequence = np.lexsort((order, group))
    follows = group[sequence][1:] == group[sequence][:-1]
    first, second = sequence[:-1][follows], sequence[1:][follows]
    return (first, second) if first.size >= 10 else None


def autocorrelation(order: FloatArray, within: IntArray | None) -> Statistic | None:
    """Correlation of residuals that follow each other; those at one time and in one group count as their mean."""
    group = np.zeros(order.size, dtype=np.int64) if within is None else within
    keys, cell = np.unique(
        np.column_stack([group, np.unique(order, return_inverse=True)[1]]), axis=0, return_inverse=True
    )
    cell = cell.reshape(-1)
    pairs = neighbours_in_order(keys[:, 1].astype(float), keys[:, 0])
    if pairs is None:
        return None
    sums = sp.csr_array((np.ones(cell.size), (cell, np.arange(cell.size))), shape=(len(keys), cell.size))
    roots = np.sqrt(np.bincount(cell))[:, None]
    first, second = pairs

    def statistic(drawn: Drawn) -> FloatArray:
        values = (sums @ drawn.scores) / roots
        return np.mean(values[first] * values[second], axis=0) / np.mean(values**2, axis=0)

    return statistic


def moran(codes: IntArray, adjacency: sp.csr_array) -> Statistic:
    """Moran's I of the regions' mean residuals, each scaled to the same variance; regions without rows do not count."""
    used, cell = np.unique(codes, return_inverse=True)
    w = sp.csr_array(adjacency)[used][:, used]
    sums = sp.csr_array((np.ones(cell.size), (cell, np.arange(cell.size))), shape=(used.size, cell.size))
    roots, total = np.sqrt(np.bincount(cell))[:, None], float(w.sum())

    def statistic(drawn: Drawn) -> FloatArray:
        values = (sums @ drawn.scores) / roots
        return used.size / total * np.sum(values * (w @ values), axis=0) / np.sum(values**2, axis=0)

    return statistic
