"""Cubic splines of one variable: ``bs="tp"``, ``"cr"`` and ``"ps"`` of order two, as they are in mgcv.

A smooth is ``f(x) = beta_0 + beta_1 x + Z(x) b`` with the penalty ``b'b``: penalised least squares with
``lambda b'b`` is the mixed model ``b ~ N(0, sd^2 I)`` with ``lambda = sigma^2 / sd^2`` (Wood 2017, sec. 5.8). This file
makes ``Z``; the null space ``{1, x}`` of the penalty belongs to the fixed effects.

Every basis here is a cubic spline, so that all of them are kept in one form, a matrix of B-spline coefficients in
``t = (x - min x) / (max x - min x)``. A basis is made in two steps:

1. ``_thin_plate``, ``_cubic_regression`` and ``_p_spline`` give any knots and coefficients for which the penalty is
   ``b'b``. This settles each column but for a linear function, and all of them but for a rotation.
2. ``_canonical`` settles both. It removes from each column its least-squares slope on x over the training rows, and
   rotates the columns so that they are uncorrelated over these rows and become smaller (wigglier) from left to right;
   from the right end inwards, the first value that reaches half the largest of its column is positive. So ``Z``
   depends on the functions and their penalty, not on the eigenvectors that a linear algebra library prefers. The
   model is the same, because b is iid and the coefficient of x is a fixed effect, which now is the average slope of f
   over the data; `Basis.scale` measures what is not linear in f. (Columns that vanish on all training rows, as those
   of a ps basis in a wide gap of x do, stay determined only but for a rotation among themselves.)

References
----------
Wood, S. N. (2003), Thin plate regression splines, JRSS B 65, 95-114; Wood, S. N. (2017), Generalized Additive Models,
2nd ed., secs. 5.3.1 (cr), 5.3.3 (ps), 5.5 (tp), 5.8 (mixed models).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline
from scipy.linalg import solve_triangular

from lgm.arrays import FloatArray
from lgm.errors import DataError
from lgm.smooths.basis import Polynomials, counted
from lgm.smooths.leading import leading

MAX_THIN_PLATE_KNOTS = 2000  # the order of the dense matrix whose eigenvectors tp takes (0.5 s); mgcv's number too


@dataclass(frozen=True, eq=False)
class Basis:
    """The penalised part of a univariate smooth, made by `build`: plain arrays and numbers, read-only.

    Parameters
    ----------
    kind, name : str
        ``"tp"``, ``"cr"`` or ``"ps"``; what messages call x.
    range : (float, float)
        Smallest and largest training value of x.
    knots : float array (q + 4,)
        Knots of the cubic B-splines, in ``t = (x - range[0]) / (range[1] - range[0])``.
    coefficients : float array (q, k - 2)
        B-spline coefficients of the columns of Z, in units for which the penalty is ``b'b`` (see `design`).
    centre : float array (k - 2,)
        Column means of Z over the training rows.
    scale : float
        ``c = exp(mean_i log sum_j (z_ij - centre_j)^2)`` over the training rows: the geometric mean of the prior
        variances of ``Z b``, ``b ~ N(0, I)`` (as Sorbye & Rue 2014 scale intrinsic priors). Rows with no variance (to
        rounding) are left out: they say nothing about a typical size, and one of them would make c zero. They occur
        when k is small: the only column for k = 3 crosses its mean.
    mean_t : float
        Mean of t over the training rows.
    """

    kind: str
    name: str
    range: tuple[float, float]
    knots: FloatArray
    coefficients: FloatArray
    centre: FloatArray
    scale: float
    mean_t: float

    @property
    def k(self) -> int:
        """Dimension of the basis with its null space, as mgcv counts it."""
        return int(self.coefficients.shape[1]) + 2

    @property
    def null(self) -> Polynomials:
        """The straight line."""
        low, high = self.range
        width = np.array([high - low if high > low else 1.0])
        return Polynomials(np.array([[1]]), np.array([low]), width, np.array([self.mean_t]))

    def design(self, x: npt.ArrayLike) -> FloatArray:
        """Columns of Z at x, in the units of the penalty and not centred.

        ``b'b`` is ``J(f) = int f''(x)^2 dx`` for tp and cr, and ``sum_j (beta_{j+2} - 2 beta_{j+1} + beta_j)^2`` for
        ps, where f has the B-spline coefficients beta. J has the units of f^2 / x^3, so with ``x' = a x`` the same f
        has ``Z' = a^1.5 Z``; for ps ``Z' = Z``. `evaluate` does not depend on units.

        Columns are zero at the smallest training x, have no slope on x over the training rows, and are linear beyond
        the outermost knots (those are the training range; for ps 0.1% of it more on each side).

        Returns
        -------
        Z : float array (n, k - 2); a DataError says which x are not finite.
        """
        low, high = self.range
        return _spline(self.knots, self.coefficients, (_finite_vector(x, self.name) - low) / (high - low))

    def evaluate(self, x: npt.ArrayLike) -> FloatArray:
        """Columns that the model uses, ``(Z - centre) / sqrt(scale)``, (n, k - 2).

        With ``b ~ N(0, sd^2 I)``, sd is the typical size of the term's contribution to the linear predictor, apart
        from its linear part. A penalty lambda on ``b'b`` of `design` is ``lambda / scale`` on that of these columns.

        Examples
        --------
        >>> x = np.linspace(0.0, 1.0, 50)
        >>> Z = build("cr", x, k=6).evaluate(x)
        >>> Z.shape, round(float(np.exp(np.mean(np.log(np.sum(Z**2, axis=1))))), 6)
        ((50, 4), 1.0)
        """
        Z: FloatArray = (self.design(x) - self.centre) / self.scale**0.5
        return Z

    def outside(self, x: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Mark the x beyond the training range, where the smooth extrapolates; bool array (n,)."""
        x = _finite_vector(x, self.name)
        return (x < self.range[0]) | (x > self.range[1])


def build(
    kind: str,
    x: npt.ArrayLike,
    k: int = 10,
    *,
    name: str = "x",
    label: str = "",
    knots: npt.ArrayLike | None = None,
    times: FloatArray | None = None,
) -> Basis:
    """Make the spline basis of dimension k for the covariate x.

    Parameters
    ----------
    kind : {"tp", "cr", "ps"}
        Thin plate regression spline (m = 2), cubic regression spline, P-spline (cubic, second-order differences).
    x : float array (n,)
        Training values. Only the distinct values and their counts matter, not the order of the rows.
    k : int
        Dimension, null space included; at least 3 (ps: 4), at most the number of distinct values of x.
    name, label : str
        What messages call x, and the smooth: by default ``s(name)``.
    knots : float array (k,), optional
        Of cr, within the range of the data; by default quantiles of the distinct values.
    times : float array (n,), optional
        How many rows each value stands for.

    Returns
    -------
    Basis, the same to the last bit whenever x is the same.

    Raises
    ------
    DataError
        Unknown kind; x not a finite vector; k not a whole number, too small, or larger than the distinct values allow.

    Examples
    --------
    >>> basis = build("tp", np.linspace(1.0, 9.0, 30), k=8, name="dose")
    >>> basis.k, basis.range, basis.outside(np.array([0.0, 5.0])).tolist()
    (8, (1.0, 9.0), [True, False])
    """
    if kind not in _KINDS:
        raise DataError(f"s({name}): unknown bs={kind!r}; lgm has " + ", ".join(f"bs={each!r}" for each in _KINDS))
    make, smallest, length_power = _KINDS[kind]
    x = _finite_vector(x, name)
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
    length = high - low if high > low else 1.0
    t, counts = counted((x - low) / length, times)
    k = _dimension(k, smallest, t.size, kind, name, label or f"s({name})")
    given = None if knots is None else (_finite_vector(knots, name) - low) / length
    first = make(t, k) if given is None else _cubic_regression(t, k, np.sort(given))
    at, coefficients = _canonical(*first, t, counts)
    coefficients *= length**length_power  # from the penalty in t to the penalty in x
    z = _spline(at, coefficients, t)
    centre = counts @ z / counts.sum()
    scale = _geometric_mean(np.sum((z - centre) ** 2, axis=1), counts)
    for array in (at, coefficients, centre):
        array.setflags(write=False)
    return Basis(kind, name, (low, high), at, coefficients, centre, scale, float(counts @ t / counts.sum()))


def _finite_vector(x: npt.ArrayLike, name: str) -> FloatArray:
    """Return x as a float vector, or say which rows are not finite."""
    x = np.asarray(x, dtype=np.float64)
    if x.ndim == 2 and x.shape[1] == 1:
        x = x[:, 0]
    if x.ndim != 1:
        raise DataError(f"s({name}): {name} must be one column of numbers, got an array of shape {x.shape}")
    bad = np.flatnonzero(~np.isfinite(x))
    if bad.size:
        rows = ", ".join(map(str, bad[:5])) + (", ..." if bad.size > 5 else "")
        raise DataError(f"s({name}): {bad.size} of {x.size} values of {name} are missing or infinite (rows {rows})")
    return x


def _dimension(k: int, smallest: int, n_distinct: int, kind: str, name: str, label: str) -> int:
    """Return k, or say what is wrong with it."""
    try:
        k = operator.index(k)
    except TypeError:
        raise DataError(f"{label}: k must be a whole number, got {k!r}") from None
    if k < smallest:
        raise DataError(f"{label}: k={k} is too small; bs={kind!r} needs k={smallest} or more")
    if k > n_distinct:
        advice = f"pass k={n_distinct} or less" if n_distinct >= smallest else f"bs={kind!r} needs {smallest} or more"
        raise DataError(f"{label}: k={k} but {name} has only {n_distinct} distinct values; {advice}")
    return k


def _thin_plate(t: FloatArray, k: int) -> tuple[FloatArray, FloatArray]:
    """Thin plate regression spline in one dimension, order m = 2.

    ``f(t) = sum_i delta_i eta(|t - t_i|)`` + linear, ``eta(r) = r^3 / 12``, ``T' delta = 0`` with ``T = [1, t]``, and
    ``J(f) = delta' E delta`` with ``E_ij = eta(|t_i - t_j|)``. Of the eigenvectors of ``E = U D U'`` those of the k
    largest ``|D|`` are kept: ``delta = U_k Z_k gamma`` with ``T' U_k Z_k = 0`` and ``J = gamma' Z_k' D_k Z_k gamma``
    (Wood 2003, sec. 3). The slope of ``eta''`` jumps by one at zero, so f'' is the broken line, zero outside the
    data, whose slope jumps by delta. Of more than 2000 distinct values mgcv takes a random subset; here the subset is
    evenly spaced in rank from the smallest to the largest, so that nothing depends on a seed.
    """
    if t.size > (limit := max(MAX_THIN_PLATE_KNOTS, k)):
        t = t[np.rint(np.linspace(0, t.size - 1, limit)).astype(np.int64)]
    if k == t.size:  # nothing is truncated: all natural cubic splines on t, which cr writes without eigenvectors
        return _cubic_regression(t, k)
    values, vectors = leading(np.abs(t[:, None] - t) ** 3 / 12.0, k)
    null = np.column_stack([np.ones_like(t), t - t.mean()])
    z_k = np.linalg.qr(vectors.T @ null, mode="complete").Q[:, 2:]
    d, v = np.linalg.eigh(z_k.T @ (values[:, None] * z_k))
    d = np.maximum(d, d[-1] * k * np.finfo(np.float64).eps)  # values of x that all but coincide: f is zero to rounding
    delta = vectors @ z_k @ (v / np.sqrt(d))
    rises = np.cumsum(delta, axis=0)[:-1] * np.diff(t)[:, None]
    return _integrated_twice(t, np.pad(np.cumsum(rises, axis=0), ((1, 0), (0, 0))))


def _cubic_regression(t: FloatArray, k: int, knots: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Natural cubic spline with k knots, by default at the type-7 quantiles of the distinct values.

    In values at the knots, ``J(f) = f' D' B^-1 D f`` with ``B gamma = D f``, where gamma are the second derivatives at
    the inner knots (zero at the outer ones), ``B_ii = (h_{i-1} + h_i) / 3`` and ``B_{i,i+1} = h_i / 6`` (Wood 2017,
    sec. 5.3.1, table 5.1). So J is ``gamma' B gamma``, which is ``b'b`` for ``gamma = L^-T b``, ``B = L L'``: the same
    splines and penalty, without a nearly singular D.
    """
    knots = np.quantile(t, np.linspace(0.0, 1.0, k)) if knots is None else knots
    h = np.diff(knots)
    b = np.diag((h[:-1] + h[1:]) / 3.0) + np.diag(h[1:-1] / 6.0, 1) + np.diag(h[1:-1] / 6.0, -1)
    gamma = solve_triangular(np.linalg.cholesky(b).T, np.eye(k - 2))
    return _integrated_twice(knots, np.pad(gamma, ((1, 1), (0, 0))))


def _p_spline(t: FloatArray, k: int) -> tuple[FloatArray, FloatArray]:
    """Cubic B-splines on even knots with a second-order difference penalty.

    The range of the data is widened by 0.001 of itself on each side and cut into ``k - 3`` equal intervals by ``k - 2``
    knots, with three more on either side (Eilers & Marx 1996; mgcv's default placement). The coefficients
    ``beta_i = sum_j (i - j - 1)_+ b_j`` have the second differences b and the penalty ``b'b``.
    """
    low, high = -0.001, 1.001
    step = (high - low) / (k - 3)
    knots = np.linspace(low - 3 * step, high + 3 * step, k + 4)
    distance = np.arange(k)[:, None] - np.arange(k - 2) - 1
    return knots, np.maximum(distance, 0).astype(np.float64)


_KINDS: dict[str, tuple[Callable[[FloatArray, int], tuple[FloatArray, FloatArray]], int, float]] = {
    "tp": (_thin_plate, 3, 1.5),
    "cr": (_cubic_regression, 3, 1.5),
    "ps": (_p_spline, 4, 0.0),
}  # first step, smallest k, and the power of the length of the range by which the columns of Z grow


def _integrated_twice(knots: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """B-spline form of the f whose f'' is the broken line through `second` (K, m), with f = f' = 0 at the left end.

    Integrating B-splines of degree d with coefficients c gives ``sum_{l < i} c_l (t_{l+d+1} - t_l) / (d + 1)`` as
    coefficients of degree d + 1, on knots with both ends once more (de Boor 2001, ch. X).
    """
    coefficients, full = second, np.pad(knots, 1, mode="edge")
    for degree in (1, 2):
        widths = (full[degree + 1 :] - full[: -degree - 1]) / (degree + 1)
        coefficients = np.pad(np.cumsum(coefficients * widths[:, None], axis=0), ((1, 0), (0, 0)))
        full = np.pad(full, 1, mode="edge")
    return full, coefficients


def _canonical(
    knots: FloatArray, coefficients: FloatArray, t: FloatArray, counts: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Second step of the module docstring: remove the slope, rotate, fix the signs; zero at ``t = 0``."""
    weights = counts / counts.sum()
    z = _spline(knots, coefficients, t)
    line = t - weights @ t
    slope = (weights * line) @ z / (weights @ line**2)
    z -= np.outer(line, slope)
    z -= weights @ z
    rotation = np.linalg.svd(np.linalg.qr(np.sqrt(weights)[:, None] * z, mode="r"))[2].T
    z = z @ rotation
    large = np.abs(z) >= 0.5 * np.max(np.abs(z), axis=0)
    last = t.size - 1 - np.argmax(large[::-1], axis=0)
    rotation *= np.where(z[last, np.arange(z.shape[1])] < 0.0, -1.0, 1.0)
    greville = (knots[1:-3] + knots[2:-2] + knots[3:-1]) / 3.0  # B-spline coefficients of the function t
    coefficients = (coefficients - np.outer(greville, slope)) @ rotation
    return knots, coefficients - _spline(knots, coefficients, np.zeros(1))


def _spline(knots: FloatArray, coefficients: FloatArray, t: FloatArray) -> FloatArray:
    """Cubic spline at t, (n, m); linear beyond the outermost knots on which all four B-splines act."""
    inner = np.clip(t, knots[3], knots[-4])
    spline = BSpline(knots, coefficients, 3)
    values: FloatArray = spline(inner)
    beyond = np.flatnonzero(t != inner)
    values[beyond] += (t - inner)[beyond, None] * spline(inner[beyond], nu=1)
    return values


def _geometric_mean(variances: FloatArray, counts: FloatArray) -> float:
    """Geometric mean over the rows, except those whose sd is below 1e-12 of the largest, which is rounding error."""
    used = variances > 1e-24 * variances.max()
    return float(np.exp(np.average(np.log(variances[used]), weights=counts[used])))
