"""Smooth functions on a circle: ``bs="cc"``, cubic splines, and ``bs="cp"``, P-splines; constants are unpenalised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline, make_interp_spline

from lgm.arrays import FloatArray
from lgm.errors import DataError
from lgm.smooths.basis import Settled, require_dimension, root_inverse, settle


@dataclass(frozen=True, eq=False)
class Periodic:
    """Splines that repeat: B-splines in ``t = (x - low) / (high - low)``, taken modulo one.

    Parameters
    ----------
    low, high : float
        Ends of one turn, which are one point of the circle.
    knots : float array
        In t.
    coefficients : float array (q, K)
    degree : int
    """

    low: float
    high: float
    knots: FloatArray
    coefficients: FloatArray
    degree: int

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values (n, K) at rows (n, 1)."""
        t = (x[:, 0] - self.low) / (self.high - self.low)
        inside = (t >= 0.0) & (t <= 1.0)
        return np.asarray(BSpline(self.knots, self.coefficients, self.degree)(np.where(inside, t, t % 1.0)))


def cubic(x: FloatArray, k: int, knots: FloatArray | None, label: str, times: FloatArray | None = None) -> Settled:
    """Periodic cubic splines with k knots of which the last is the first again; the penalty is the integral of f''^2.

    In values at the knots it is ``f' D' B^-1 D f`` with ``B gamma = D f`` for the second derivatives gamma, as for a
    cubic regression spline, all around the circle (Wood 2017, sec. 5.3.2).

    Parameters
    ----------
    x : float array (n,)
    k : int
    knots : float array, optional
        All k, or the two ends of one turn; the others then are quantiles of the distinct values, ends included.
    label : str
    times : float array (n,), optional
        How many rows of the data each stands for.
    """
    distinct = np.unique(x if knots is None else np.append(knots, x))
    what = f"there are only {distinct.size} distinct values of its variable"
    k = require_dimension(k, 4, distinct.size, "cc", label, what)
    if knots is None or knots.size == 2:
        placed = np.quantile(distinct, np.linspace(0.0, 1.0, k))
    elif knots.size == k:
        placed = np.sort(knots)
    else:
        raise DataError(f"{label}: {knots.size} knots; bs='cc' takes k={k} of them, or the two ends of one turn")
    low, high = float(placed[0]), float(placed[-1])
    _require_inside(x, low, high, label)
    t = (placed - low) / (high - low)
    if np.any(np.diff(t) <= 0.0):
        raise DataError(f"{label}: two of its knots are the same")
    values = np.vstack([np.eye(k - 1), np.eye(1, k - 1)])
    spline = make_interp_spline(t, values, k=3, bc_type="periodic")
    h = np.diff(t)
    before, after = np.roll(h, 1), h
    own = np.arange(k - 1)
    following = np.roll(own, -1)
    b, d = np.diag((before + after) / 3.0), np.diag(-(1.0 / before + 1.0 / after))
    for matrix, entries in ((b, h / 6.0), (d, 1.0 / h)):
        np.add.at(matrix, (own, following), entries)
        np.add.at(matrix, (following, own), entries)
    penalty = d.T @ np.linalg.solve(b, d)
    coefficients = root_inverse((penalty + penalty.T) / 2.0, 1) * (high - low) ** 1.5
    functions = Periodic(low, high, spline.t, spline.c, 3)
    return settle("cc", k, functions, coefficients, x[:, None], np.zeros((0, 1)), everywhere=True, times=times)


def p_spline(
    x: FloatArray,
    k: int,
    m: tuple[int, int],
    knots: FloatArray | None,
    label: str,
    times: FloatArray | None = None,
) -> Settled:
    """Periodic B-splines on k + 1 even knots, with a penalty on differences of coefficients all around the circle.

    Parameters
    ----------
    x : float array (n,)
    k : int
    m : (int, int)
        Degree less one of the splines, and order of the differences.
    knots : float array, optional
        The two ends of one turn, by default those of the data; or all k + 1.
    label : str
    times : float array (n,), optional
        How many rows of the data each stands for.
    """
    degree, order = m[0] + 1, m[1]
    rows = x.size if times is None else int(times.sum())
    k = require_dimension(k, max(degree + 1, order + 2), rows, "cp", label, f"there are only {rows} rows")
    if knots is not None and knots.size not in (2, k + 1):
        raise DataError(f"{label}: {knots.size} knots; bs='cp' takes k + 1 = {k + 1}, or the two ends of one turn")
    low, high = (float(np.min(x if knots is None else knots)), float(np.max(x if knots is None else knots)))
    if not low < high:
        raise DataError(f"{label}: its variable has only one distinct value")
    _require_inside(x, low, high, label)
    inner = np.linspace(0.0, 1.0, k + 1) if knots is None or knots.size == 2 else (np.sort(knots) - low) / (high - low)
    around = np.concatenate([inner[-degree - 1 : -1] - 1.0, inner, inner[1 : degree + 1] + 1.0])
    wrapped = np.eye(k)[np.arange(k + degree) % k]
    differences = np.eye(k)
    for _ in range(order):
        differences = np.roll(differences, -1, axis=0) - differences
    coefficients = root_inverse(differences.T @ differences, 1)
    functions = Periodic(low, high, around, wrapped, degree)
    return settle("cp", k, functions, coefficients, x[:, None], np.zeros((0, 1)), everywhere=True, times=times)


def _require_inside(x: FloatArray, low: float, high: float, label: str) -> None:
    if x.min() < low or x.max() > high:
        raise DataError(
            f"{label}: the data run from {x.min():g} to {x.max():g}, beyond one turn of the circle, {low:g} to {high:g}"
        )
