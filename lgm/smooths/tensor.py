"""Tensor products of smooths of one variable each: ``te``, ``ti`` and ``t2``.

A margin has k functions. In the coordinates of their values at k points, even ones over the range of the data or the
knots of a cubic spline, it has the penalty S and the eigenvectors U, ``S U = U D``. The products of the columns of U
for all margins then have, for the sum of penalties of `te`, ``lambda_1 S_1 (x) I + lambda_2 I (x) S_2``, the diagonal
penalty ``lambda_1 d_1i + lambda_2 d_2j``: effects are independent with precision ``d_1i / sd_1^2 + d_2j / sd_2^2``,
and nothing is ever factored. Products of null spaces are fixed effects (Wood 2006, Biometrics 62, 1025-1036).

`ti` does the same to margins whose functions sum to zero over the data, so that main effects are left out. `t2` gives
each product of a range with ranges or null spaces one sd of its own (Wood, Scheipl & Faraway 2013, Stat. Comput. 23,
341-360); the basis of a null space, on which it depends, is one and the standardised polynomials.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.smooths.basis import Basis, Polynomials, Settled, rows, settle, typical
from lgm.smooths.cyclic import Periodic

MOST_COLUMNS = 2000  # products; they are columns that every row stores


@dataclass(frozen=True, eq=False)
class Margin:
    """Functions of one variable in eigenvectors of their penalty: first those that it does not see.

    Parameters
    ----------
    basis : Basis
    constant : bool
        Whether the constant is among the functions.
    centre : float array (m,)
        Taken off the polynomials.
    turn : float array (k, k)
        From the constant, polynomials and columns of the basis to the eigenvectors.
    eigenvalues : float array (k,)
        The largest is one.
    """

    basis: Basis
    constant: bool
    centre: FloatArray
    turn: FloatArray
    eigenvalues: FloatArray

    @property
    def k(self) -> int:
        """Number of functions."""
        return self.eigenvalues.size

    @property
    def nullity(self) -> int:
        """Number of those that the penalty does not see."""
        return self.centre.size + self.constant

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values (n, k) at rows (n,)."""
        return np.asarray(_plain(self.basis, x, self.centre, self.constant) @ self.turn)


def _plain(basis: Basis, x: FloatArray, centre: FloatArray, constant: bool) -> FloatArray:
    columns = [basis.null(rows(x)) - centre, basis.evaluate(x)]
    return np.column_stack([np.ones(len(x)), *columns] if constant else columns)


def _average(columns: FloatArray, times: FloatArray | None) -> FloatArray:
    """Over rows (n, m), of which there may be several of each; of no columns none."""
    return np.asarray(columns.mean(axis=0) if times is None else times @ columns / times.sum())


def margin(
    basis: Basis,
    x: FloatArray,
    knots: FloatArray | None,
    *,
    constant: bool,
    of_values: bool = True,
    times: FloatArray | None = None,
) -> Margin:
    """A margin of `te`, or with ``constant=False`` one of `ti`.

    Parameters
    ----------
    basis : Basis
    x : float array (n,)
        The data.
    knots : float array, optional
        Where the values of its functions are its coordinates; by default as many even points as there are functions.
    constant : bool
    of_values : bool
        Whether values at even points are the coordinates of periodic functions too, if they tell them apart, and not
        the coefficients of their splines.
    times : float array (n,), optional
        How many rows of the data each stands for.
    """
    centre = np.zeros(basis.null.m) if constant else _average(basis.null(rows(x)), times)
    here = basis.evaluate(x).shape[1]
    k = here + centre.size + constant
    if knots is None:
        to_values = _plain(basis, np.linspace(x.min(), x.max(), k), centre, constant)
        known = not _on_a_circle(basis) or (of_values and _tells_apart(to_values))
        whole = None if known else _splines(basis)
    else:
        whole = _plain(basis, knots, np.zeros(centre.size), True)
    if whole is not None and constant:
        to_values = whole
    elif (
        whole is not None
    ):  # the coordinates are an orthonormal basis of those whose functions sum to zero over the data
        means = _average(_plain(basis, x, np.zeros(centre.size), True), times)
        sums = np.linalg.solve(whole.T, means)
        free = np.linalg.qr(sums[:, None], mode="complete").Q[:, 1:]
        to_values = free.T @ (whole[:, 1:] - np.outer(whole[:, 0], np.append(centre, np.zeros(here))))
    nullity = centre.size + constant
    # The null space is where the coefficients of the basis are zero; what is orthogonal to it is the range.
    q = np.linalg.qr(to_values[:, :nullity], mode="complete").Q if nullity else np.eye(k)
    seen = np.linalg.inv(to_values)[nullity:]
    values, vectors = np.linalg.eigh(q[:, nullity:].T @ seen.T @ seen @ q[:, nullity:])
    u = np.column_stack([q[:, :nullity], q[:, nullity:] @ vectors])
    eigenvalues = np.concatenate([np.zeros(nullity), values / values[-1]])
    return Margin(basis, constant, centre, np.linalg.solve(to_values, u), eigenvalues)


def _tells_apart(values: FloatArray) -> bool:
    """Whether functions differ at some points beyond rounding; the bound is mgcv's."""
    sizes = np.linalg.svd(values, compute_uv=False)
    return bool(sizes[-1] >= np.finfo(np.float64).eps ** 0.66 * sizes[0])


def _on_a_circle(basis: Basis) -> bool:
    return isinstance(basis, Settled) and isinstance(basis.functions, Periodic)


def _splines(basis: Basis) -> FloatArray:
    """Coefficients of B-splines, whose sum is one, of the constant and of the columns of a periodic basis."""
    assert isinstance(basis, Settled)
    columns = (basis.transform - basis.shift) / basis.scale**0.5
    return np.column_stack([np.ones(len(columns)), columns])


def natural(basis: Basis, x: FloatArray, knots: FloatArray | None, times: FloatArray | None = None) -> Margin:
    """A margin of `t2`: one, polynomials that are orthonormal over the data, and a range of independent coefficients.

    The entries of the columns of the range have the mean square one over the data.
    """
    whole = margin(basis, x, knots, constant=True, of_values=False)
    n, inner, outer = basis.null(rows(x)), slice(1, whole.nullity), slice(whole.nullity, None)
    share = (np.ones(len(n)) if times is None else times)[:, None]
    share = share / share.sum()
    centre = np.sum(share * n, axis=0)
    turn = np.zeros_like(whole.turn)
    turn[0, 0] = 1.0
    turn[inner, inner] = np.linalg.inv(np.linalg.qr((n - centre) * np.sqrt(share), mode="r"))
    turn[0, outer] = whole.turn[0, outer] + centre @ whole.turn[inner, outer]  # of polynomials less their means
    turn[1:, outer] = whole.turn[1:, outer]
    turn[:, outer] /= np.sqrt(whole.eigenvalues[outer])
    square = (_plain(basis, x, centre, constant=True) @ turn[:, outer]) ** 2
    turn[:, outer] /= np.sqrt(np.sum(share * square) / square.shape[1])
    return Margin(basis, True, centre, turn, (whole.eigenvalues > 0.0).astype(float))


@dataclass(frozen=True, eq=False)
class Products:
    """Products of functions of the margins, one function of each.

    Parameters
    ----------
    margins : tuple of Margin
    chosen : int array (K, d)
        Which function of each margin.
    """

    margins: tuple[Margin, ...]
    chosen: IntArray

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values (n, K) at rows (n, d)."""
        out = np.ones((len(x), len(self.chosen)))
        for j, one in enumerate(self.margins):
            out *= one(x[:, j])[:, self.chosen[:, j]]
        return out


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor product in the form of a mixed model.

    Parameters
    ----------
    columns : Settled
        Products outside the null space, undivided.
    weights : float array (K, J)
        Effect i has the precision ``sum_j weights_ij / sd_j^2``.
    parts : tuple of str
        What each sd is of.
    factors : float array (J,)
        What multiplied the penalties, so that sd j is that of a typical contribution where the others are infinite.
    """

    columns: Settled
    weights: FloatArray
    parts: tuple[str, ...]
    factors: FloatArray
    margins: tuple[Margin, ...]

    @property
    def null(self) -> Polynomials:
        """Products of null spaces."""
        return self.columns.null

    @property
    def k(self) -> int:
        """Dimension, the null space and constants included."""
        return self.columns.k

    def evaluate(self, x: FloatArray) -> FloatArray:
        """Columns of Z at rows (n, d)."""
        return self.columns.evaluate(x) * self.columns.scale**0.5

    def outside(self, x: FloatArray) -> BoolArray:
        """Rows beyond the range of some variable."""
        return np.any([one.basis.outside(x[:, j]) for j, one in enumerate(self.margins)], axis=0)


def sum_of_penalties(
    kind: str,
    margins: Sequence[Margin],
    x: FloatArray,
    variables: Sequence[str],
    times: FloatArray | None = None,
) -> Tensor:
    """`te`, or `ti` where the margins have no constants: a penalty, and an sd, for each variable."""
    chosen = _all(margins)
    weights = np.column_stack([one.eigenvalues[chosen[:, j]] for j, one in enumerate(margins)])
    penalised = np.any(chosen >= [one.nullity for one in margins], axis=1)
    return _tensor(kind, margins, x, chosen[penalised], weights[penalised], tuple(variables), times)


def by_parts(
    margins: Sequence[Margin], x: FloatArray, variables: Sequence[str], times: FloatArray | None = None
) -> Tensor:
    """`t2`: an sd for each product of ranges and null spaces, ``[x:z]`` of both ranges and ``[x]`` of that of x."""
    chosen = _all(margins)
    ranges = chosen >= [one.nullity for one in margins]
    patterns = sorted(
        {tuple(row) for row in ranges.tolist() if any(row)}, key=lambda row: (-sum(row), [not r for r in row])
    )
    weights = np.column_stack([np.all(ranges == row, axis=1) for row in patterns]).astype(float)
    parts = tuple(":".join(itertools.compress(variables, row)) for row in patterns)
    penalised = ranges.any(axis=1)
    return _tensor("t2", margins, x, chosen[penalised], weights[penalised], parts, times)


def _all(margins: Sequence[Margin]) -> IntArray:
    return np.array(list(itertools.product(*(range(one.k) for one in margins))), dtype=np.int64)


def _tensor(
    kind: str,
    margins: Sequence[Margin],
    x: FloatArray,
    chosen: IntArray,
    weights: FloatArray,
    parts: tuple[str, ...],
    times: FloatArray | None,
) -> Tensor:
    powers = np.array([p for p in itertools.product(*map(_powers, margins)) if any(p)]).reshape(-1, len(margins))
    powers = powers[np.lexsort((*(-powers.T[::-1]), powers.sum(axis=1)))] if len(powers) else powers
    functions = Products(tuple(margins), chosen)
    k = int(np.prod([one.k for one in margins]))
    columns = settle(kind, k, functions, np.eye(len(chosen)), x, powers, rotate=False, times=times)
    z = columns.evaluate(x) * columns.scale**0.5
    factors = np.array([typical(z[:, w > 0.0] ** 2 @ (1.0 / w[w > 0.0]), times) for w in weights.T])
    return Tensor(columns, weights * factors, parts, factors, tuple(margins))


def _powers(one: Margin) -> list[int]:
    return [0] * one.constant + one.basis.null.powers[:, 0].tolist()
