"""Thin plate regression splines of any number of variables and any order.

``f(x) = sum_i delta_i eta(|x - x_i|)`` + polynomials of degree below m, with ``T' delta = 0`` for the matrix T of
these polynomials at the points x_i, and the penalty ``delta' E delta``, ``E_ij = eta(|x_i - x_j|)``. It is the integral
of all squared derivatives of order m, which no rotation of the variables changes. Of the eigenvectors of E those of the
k largest absolute eigenvalues are kept (Wood 2003, JRSS B 65, 95-114).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from lgm.arrays import FloatArray, IntArray
from lgm.errors import DataError
from lgm.smooths.basis import Settled, mean_of, require_dimension, settle
from lgm.smooths.leading import leading

MOST_POINTS = 2000  # the order of the dense matrix whose eigenvectors are taken; mgcv's number too
DEFAULT_ABOVE = {1: 8, 2: 27}  # functions beyond the polynomials, by number of variables; mgcv's numbers
_AT_ONCE = 4_000_000  # distances held at once


def default_order(d: int) -> int:
    """Mgcv's m for d variables: the least whose functions are smooth to the eye, ``2 m > d + 1``.

    Examples
    --------
    >>> [default_order(d) for d in (1, 2, 3)]
    [2, 2, 3]
    """
    return (d + 3) // 2


def polynomials(d: int, m: int) -> IntArray:
    """Powers (M, d) of all products of d variables of degree below m, constants first.

    Examples
    --------
    >>> polynomials(2, 2).tolist()
    [[0, 0], [1, 0], [0, 1]]
    """
    every = [p for p in itertools.product(range(m), repeat=d) if sum(p) < m]
    return np.array(sorted(every, key=lambda p: (sum(p), [-q for q in p])), dtype=np.int64).reshape(-1, d)


@dataclass(frozen=True, eq=False)
class ThinPlate:
    """Functions ``sum_i delta_ij eta(|t - t_i|)`` of ``t = (x - centre) / width``.

    Parameters
    ----------
    points : float array (q, d)
        t_i.
    delta : float array (q, K)
    m : int
    centre : float array (d,)
    width : float
        One for all variables.
    """

    points: FloatArray
    delta: FloatArray
    m: int
    centre: FloatArray
    width: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values (n, K), some rows at a time."""
        t = (x - self.centre) / self.width
        step = max(_AT_ONCE // len(self.points), 1)
        pieces = [
            radial(cdist(t[i : i + step], self.points), self.m, x.shape[1], self.width) for i in range(0, len(t), step)
        ]
        return np.concatenate([np.zeros((0, self.delta.shape[1])), *(piece @ self.delta for piece in pieces)])


def radial(r: FloatArray, m: int, d: int, unit: float = 1.0) -> FloatArray:
    """``eta(r)``, the fundamental solution: ``r^3 / 12`` for m = 2, d = 1, and ``r^2 log r / (8 pi)`` for d = 2.

    Where a logarithm is in it, which eigenvectors of E are kept depends a little on the unit of distances; as in mgcv
    it is that of the data, while r is given in multiples of ``unit``.
    """
    power = 2 * m - d
    if d % 2:
        constant = math.gamma(d / 2 - m) / (2 ** (2 * m) * math.pi ** (d / 2) * math.factorial(m - 1))
        return np.asarray(constant * r**power)
    sign = (-1) ** (m + 1 + d // 2)
    constant = sign / (2 ** (2 * m - 1) * math.pi ** (d / 2) * math.factorial(m - 1) * math.factorial(m - d // 2))
    return np.asarray(constant * r**power * np.log(np.where(r > 0.0, unit * r, 1.0)))


def build(
    x: FloatArray,
    k: int | None,
    m: int | None,
    knots: FloatArray | None,
    label: str,
    times: FloatArray | None = None,
) -> Settled:
    """The basis of dimension k for the rows x (n, d).

    Parameters
    ----------
    x : float array (n, d)
    k : int, optional
        By default 10 for one variable, 30 for two, 100 beyond the polynomials for more.
    m : int, optional
        Order of the derivatives in the penalty.
    knots : float array (q, d), optional
        Points x_i; by default all distinct rows, or 2000 spread over them.
    label : str
        What messages call the smooth.
    times : float array (n,), optional
        How many rows of the data each stands for.

    Raises
    ------
    DataError
        If k or m are impossible.
    """
    d = x.shape[1]
    m = default_order(d) if m is None else m
    if 2 * m <= d or m > 4:
        least = d // 2 + 1
        raise DataError(f"{label}: m={m} is no order for {d} variable(s); accepted: {listed_orders(least)}")
    powers = polynomials(d, m)
    points = np.unique(x if knots is None else knots, axis=0)
    what = f"there are only {len(points)} distinct {'values' if d == 1 else 'rows'} of its variable{'s' * (d > 1)}"
    k = len(powers) + DEFAULT_ABOVE.get(d, 100) if k is None else k
    k = require_dimension(k, len(powers) + 1, len(points), "tp", label, what)
    width = float(np.max(np.ptp(x, axis=0))) or 1.0
    centre = mean_of(x, times)
    t = (_spread(points, max(MOST_POINTS, k)) - centre) / width
    delta = _delta(t, width, k, m, powers, label) * width ** (m - d / 2)  # from the penalty in t to the penalty in x
    functions = ThinPlate(t, delta, m, centre, width)
    return settle("tp", k, functions, np.eye(delta.shape[1]), x, powers[1:], times=times)


def listed_orders(least: int) -> str:
    """Orders that are accepted, in words."""
    return ", ".join(f"m={m}" for m in range(least, 5))


def _delta(t: FloatArray, width: float, k: int, m: int, powers: IntArray, label: str) -> FloatArray:
    """Coefficients (q, k - M) for which the penalty is ``b'b``."""
    null = np.prod(t[:, None, :] ** powers, axis=2)
    size = np.linalg.svd(null / np.linalg.norm(null, axis=0), compute_uv=False)
    if size[-1] < 1e-10 * size[0]:
        raise DataError(f"{label}: its variables are functions of each other at all points, so it is no smooth of both")
    values, vectors = leading(radial(cdist(t, t), m, t.shape[1], width), k)
    z_k = np.linalg.qr(vectors.T @ null, mode="complete").Q[:, len(powers) :]
    found, v = np.linalg.eigh(z_k.T @ (values[:, None] * z_k))
    found = np.maximum(found, found[-1] * k * np.finfo(np.float64).eps)
    return np.asarray(vectors @ z_k @ (v / np.sqrt(found)))


def _spread(points: FloatArray, most: int) -> FloatArray:
    """At most so many of some points, evenly spread in rank: of one variable by its order, of several along a curve.

    The curve visits the cells of a grid in Morton's order, so that points near each other on it are near each other.
    mgcv draws them at random.
    """
    if len(points) <= most:
        return points
    ranks = np.argsort(np.argsort(points, axis=0, kind="stable"), axis=0, kind="stable") * 1024 // len(points)
    d = points.shape[1]
    code = sum(((ranks[:, j] >> bit) & 1) << (bit * d + j) for j in range(d) for bit in range(10))
    order = np.argsort(code, kind="stable")
    return np.asarray(points[order[np.rint(np.linspace(0, len(points) - 1, most)).astype(np.int64)]])
