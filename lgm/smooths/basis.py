"""What every basis of a smooth provides, and how the columns of any penalised functions are settled.

A smooth is ``f = N beta + Z b``: functions N that its penalty does not see are fixed effects, and the penalty of the
rest is ``b'b``, so that ``b ~ N(0, sd^2 I)``. That leaves Z undetermined but for a rotation, and for functions of N
that may be added to its columns. `settle` removes from each column its least-squares fit on N and constants over the
rows of the data, and rotates the columns so that they are uncorrelated over these rows and become smaller from left to
right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.errors import DataError

POWERS = {1: "linear", 2: "quadratic", 3: "cubic"}
ROUNDING = 1e-12  # of the largest sd of a contribution: smaller ones are rounding error


class Functions(Protocol):
    """Some functions of d variables: rows (n, d) to values (n, K)."""

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values at rows of data."""


@dataclass(frozen=True, eq=False)
class Polynomials:
    """What a penalty does not see, constants aside: products of powers of the variables about their means.

    Parameters
    ----------
    powers : int array (m, d)
        Of each function.
    centre, width : float arrays (d,)
        Mean and range of each variable over the rows of the data.
    mean : float array (m,)
        Of each function over these rows.
    ends : (float, float), optional
        Of one variable: beyond them the functions go on as straight lines.
    """

    powers: IntArray
    centre: FloatArray
    width: FloatArray
    mean: FloatArray
    ends: tuple[float, float] | None = None

    @classmethod
    def of(
        cls,
        x: FloatArray,
        powers: npt.ArrayLike,
        ends: tuple[float, float] | None = None,
        times: FloatArray | None = None,
    ) -> Polynomials:
        """About the means of some rows (n, d), each of which may stand for several."""
        powers = np.asarray(powers, dtype=np.int64).reshape(-1, x.shape[1])
        width = np.ptp(x, axis=0)
        centre = mean_of(x, times)
        first = cls(powers, centre, np.where(width > 0.0, width, 1.0), np.zeros(len(powers)), ends)
        return replace(first, mean=mean_of(first(x), times))

    @property
    def m(self) -> int:
        """Number of functions."""
        return len(self.powers)

    def __call__(self, x: FloatArray) -> FloatArray:
        """Standardised, (n, m)."""
        t = (x - self.centre) / self.width
        if self.ends is None:
            return np.asarray(np.prod(t[:, None, :] ** self.powers, axis=2))
        powers = self.powers[:, 0]
        inner = np.clip(t, *((np.array(self.ends) - self.centre) / self.width))
        return np.asarray(inner**powers + powers * inner ** (powers - 1) * (t - inner))

    def named(self, x: FloatArray, variables: tuple[str, ...]) -> dict[str, FloatArray]:
        """Columns of fixed effects: a variable alone as it is, products about the means."""
        return {name: self._column(x, powers) for name, powers in zip(self.names(variables), self.powers, strict=True)}

    def about_means(self, x: FloatArray) -> FloatArray:
        """All of them less their means over the rows of the data, in the units of the variables, (n, m)."""
        return np.asarray(np.prod(self.width**self.powers, axis=1) * (self(x) - self.mean))

    def names(self, variables: tuple[str, ...]) -> tuple[str, ...]:
        """What they are called.

        Examples
        --------
        >>> x = np.zeros((1, 2))
        >>> Polynomials.of(x, [[1, 0], [0, 2], [1, 1]]).names(("u", "v"))
        ('u', 'v^2', 'u:v')
        >>> Polynomials.of(x[:, :1], [[1], [2]]).names(("u",))
        ('linear', 'quadratic')
        """
        if len(variables) == 1:
            return tuple(POWERS.get(power, f"power {power}") for power in self.powers[:, 0].tolist())
        return tuple(
            ":".join(f"{v}^{p}" if p > 1 else v for v, p in zip(variables, powers, strict=True) if p)
            for powers in self.powers.tolist()
        )

    def _column(self, x: FloatArray, powers: IntArray) -> FloatArray:
        if powers.sum() == 1:
            return np.asarray(x[:, int(np.argmax(powers))])
        one = replace(self, powers=powers[None])
        return np.asarray(one(x)[:, 0] * np.prod(self.width**powers))


class Basis(Protocol):
    """The penalised part of a smooth."""

    @property
    def kind(self) -> str:
        """As ``bs=`` names it."""

    @property
    def k(self) -> int:
        """Dimension, the null space and constants included."""

    @property
    def scale(self) -> float:
        """What divided the prior variance, so that it is one for a typical row."""

    @property
    def null(self) -> Polynomials:
        """What the penalty does not see."""

    def evaluate(self, x: FloatArray) -> FloatArray:
        """Columns of Z at rows (n, d), or (n,) of one variable; centred over the rows of the data."""

    def outside(self, x: FloatArray) -> BoolArray:
        """Rows where the smooth extrapolates."""


def rows(x: npt.ArrayLike) -> FloatArray:
    """Values of one variable (n,) or several (n, d), as (n, d)."""
    x = np.asarray(x, dtype=np.float64)
    return x.reshape(len(x), -1) if x.size else x.reshape(0, 1 if x.ndim == 1 else x.shape[1])


@dataclass(frozen=True, eq=False)
class Settled:
    """Columns ``(F(x) T - [1, N(x)] shift) / sqrt(scale)`` of functions F.

    Parameters
    ----------
    kind : str
    k : int
    functions : Functions
    transform : float array (K, r)
        T.
    null : Polynomials
        N.
    shift : float array (1 + m, r)
    scale : float
        Geometric mean, over the rows of the data, of the prior variances of the undivided columns at sd one.
    low, high : float arrays (d,)
        Range of the data, or beyond it where nothing is extrapolated.
    """

    kind: str
    k: int
    functions: Functions
    transform: FloatArray
    null: Polynomials
    shift: FloatArray
    scale: float
    low: FloatArray
    high: FloatArray

    def evaluate(self, x: FloatArray) -> FloatArray:
        """See `Basis`."""
        x = rows(x)
        return np.asarray(
            (self.functions(x) @ self.transform - _with_constant(self.null(x)) @ self.shift) / self.scale**0.5
        )

    def outside(self, x: FloatArray) -> BoolArray:
        """See `Basis`."""
        x = rows(x)
        return np.any((x < self.low) | (x > self.high), axis=1)


def settle(
    kind: str,
    k: int,
    functions: Functions,
    coefficients: FloatArray,
    x: FloatArray,
    powers: npt.ArrayLike,
    *,
    rotate: bool = True,
    everywhere: bool = False,
    ends: tuple[float, float] | None = None,
    times: FloatArray | None = None,
) -> Settled:
    """Settle the columns ``F(x) C``, whose penalty is ``b'b``.

    Parameters
    ----------
    kind, k, functions
        See `Settled`.
    coefficients : float array (K, r)
        C.
    x : float array (n, d)
        Rows of the data.
    powers : int array (m, d)
        Of the polynomials that the penalty does not see, constants aside.
    rotate : bool
        Whether the columns may be rotated: not if their coefficients differ in prior variance.
    everywhere : bool
        Whether nothing is extrapolation, as on a circle.
    ends : (float, float), optional
        See `Polynomials`.
    times : float array (n,), optional
        How many rows of the data each stands for.
    """
    points, counts = counted(x, times)
    weights = counts / counts.sum()
    null = Polynomials.of(x, powers, ends, times)
    z = functions(points) @ coefficients
    n = _with_constant(null(points))
    root = np.sqrt(weights)[:, None]
    shift = np.linalg.lstsq(root * n, root * z, rcond=None)[0]
    z = z - n @ shift
    turn = np.eye(z.shape[1])
    if rotate:
        turn = np.linalg.svd(np.linalg.qr(root * z, mode="r"))[2].T
        turn = turn * _signs(z @ turn)
        z = z @ turn
    edge = np.inf if everywhere else 0.0
    return Settled(
        kind,
        k,
        functions,
        coefficients @ turn,
        null,
        shift @ turn,
        typical(np.sum(z**2, axis=1), counts),
        x.min(axis=0) - edge,
        x.max(axis=0) + edge,
    )


def counted(x: FloatArray, times: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Distinct values or rows, and how many of the data they are, where each given one stands for so many.

    Examples
    --------
    >>> [part.tolist() for part in counted(np.array([2.0, 1.0, 2.0]), np.array([3.0, 1.0, 2.0]))]
    [[1.0, 2.0], [1.0, 5.0]]
    """
    points, which = np.unique(x, axis=0, return_inverse=True)
    return points, np.bincount(which.ravel(), times).astype(float)


def mean_of(columns: FloatArray, times: FloatArray | None = None) -> FloatArray:
    """Mean of each column over rows (n, m), each of which may stand for several."""
    return np.asarray(columns.mean(axis=0) if times is None else times @ columns / times.sum())


def typical(variances: FloatArray, counts: npt.ArrayLike | None = None) -> float:
    """Geometric mean over rows, without those whose sd is rounding error beside the largest."""
    used = variances > ROUNDING**2 * variances.max(initial=0.0)
    if not used.any():
        return 1.0
    weights = None if counts is None else np.asarray(counts)[used]
    return float(np.exp(np.average(np.log(variances[used]), weights=weights)))


def _with_constant(columns: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(columns)), columns])


def _signs(z: FloatArray) -> FloatArray:
    """Signs by which the last value that reaches half the largest of its column becomes positive."""
    large = np.abs(z) >= 0.5 * np.max(np.abs(z), axis=0)
    last = len(z) - 1 - np.argmax(large[::-1], axis=0)
    return np.where(z[last, np.arange(z.shape[1])] < 0.0, -1.0, 1.0)


def root_inverse(penalty: FloatArray, nullity: int) -> FloatArray:
    """Coefficients (K, K - nullity) for which a penalty matrix becomes ``b'b``; its rank is known, never measured."""
    values, vectors = np.linalg.eigh(penalty)
    return np.asarray(vectors[:, nullity:] / np.sqrt(values[nullity:]))


def require_dimension(k: int, smallest: int, largest: int, kind: str, label: str, what: str) -> int:
    """The dimension k of a basis, if it is possible.

    Raises
    ------
    DataError
        Which says why not.
    """
    if k < smallest:
        raise DataError(f"{label}: k={k} is too small; bs={kind!r} needs k={smallest} or more")
    if k > largest:
        advice = f"pass k={largest} or less" if largest >= smallest else f"bs={kind!r} needs {smallest} or more"
        raise DataError(f"{label}: k={k} but {what}; {advice}")
    return k
