"""P-splines of any degree and order of differences: ``bs="ps"`` with ``m=(degree - 1, order)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline

from lgm.arrays import FloatArray
from lgm.errors import DataError
from lgm.smooths.basis import Settled, require_dimension, root_inverse, settle


@dataclass(frozen=True, eq=False)
class BSplines:
    """B-splines of one variable, continued as straight lines beyond the range on which all of them act.

    Parameters
    ----------
    knots : float array (K + degree + 1,)
        In ``t = (x - low) / width``.
    degree : int
    low, width : float
    """

    knots: FloatArray
    degree: int
    low: float
    width: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values (n, K) at rows (n, 1)."""
        t = (x[:, 0] - self.low) / self.width
        spline = BSpline(self.knots, np.eye(self.knots.size - self.degree - 1), self.degree)
        inner = np.clip(t, self.knots[self.degree], self.knots[-self.degree - 1])
        values = np.asarray(spline(inner))
        beyond = np.flatnonzero(t != inner)
        values[beyond] += (t - inner)[beyond, None] * spline(inner[beyond], nu=1)
        return values


def build(
    x: FloatArray,
    k: int,
    m: tuple[int, int],
    knots: FloatArray | None,
    label: str,
    times: FloatArray | None = None,
) -> Settled:
    """The basis of dimension k, on even knots over the range of the data or one given by two knots.

    Parameters
    ----------
    x : float array (n,)
    k : int
    m : (int, int)
        Degree less one of the splines, and order of the differences, which is at most the degree plus one.
    knots : float array (2,), optional
        Ends of the range that the knots are spread over.
    label : str
    times : float array (n,), optional
        How many rows of the data each stands for.
    """
    degree, order = m[0] + 1, m[1]
    if not 1 <= order <= degree + 1:
        raise DataError(
            f"{label}: m=({m[0]}, {order}) has differences of order {order} of splines of degree {degree}; accepted: "
            f"orders 1 to {degree + 1}"
        )
    distinct = np.unique(x).size
    what = f"there are only {distinct} distinct values of its variable"
    k = require_dimension(k, max(m[0] + 2, order + 1), distinct, "ps", label, what)
    outer = np.array([x.min(), x.max()]) if knots is None else np.sort(knots)
    if outer.size != 2:
        raise DataError(f"{label}: {outer.size} knots; bs='ps' has even ones and takes the two ends of their range")
    if x.min() < outer[0] or x.max() > outer[1]:
        raise DataError(f"{label}: the data run from {x.min():g} to {x.max():g}, beyond its knots")
    low, width = float(outer[0]), float(outer[1] - outer[0])
    step = 1.002 / (k - degree)
    at = np.linspace(-0.001 - degree * step, 1.001 + degree * step, k + degree + 1)
    differences = np.diff(np.eye(k), order, axis=0)
    coefficients = root_inverse(differences.T @ differences, order)
    functions = BSplines(at, degree, low, width)
    powers, ends = np.arange(1, order)[:, None], (low - 0.001 * width, low + 1.001 * width)
    return settle("ps", k, functions, coefficients, x[:, None], powers, ends=ends, times=times)
