"""A smooth of its own for each level of a factor, all of one wiggliness: ``s(x, g, bs="fs")``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.scope import Scope
from lgm.data.table import is_number
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.parameter import standard_deviation
from lgm.precision.parts import Parts
from lgm.smooths import build as bases
from lgm.smooths.basis import Basis, rows
from lgm.terms import view
from lgm.terms.block import Block
from lgm.terms.levels import Grouping
from lgm.terms.term import Encoded, Novel, Smooth, Term, Variable
from lgm.words import counted, listed


@dataclass(frozen=True)
class FactorSmoothTerm(Term):
    """Curves of the levels of a factor, drawn from one population: nothing is fixed, and nothing is centred.

    Each has the columns of the basis with the one ``sd(s(x, g))``, a constant with ``sd(s(x, g)[constant])`` and, as
    the basis's penalty does not see it, a standardised straight line with ``sd(s(x, g)[linear])``. mgcv penalises two
    directions of the span of constants and lines too, but which two depends on how its basis is computed.
    """

    label: str
    pieces: tuple[Expression, ...]
    grouping: Grouping
    basis: Basis
    lines: FloatArray  # (m, m): from the polynomials less their means to orthonormal ones
    z: sp.csc_array
    block: Block

    @property
    def group(self) -> str:
        """The factor."""
        return self.grouping.factors[0].text

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Each coefficient of the curves, by level."""
        r, levels = self._width, self.grouping
        wiggly = r - 1 - self.basis.null.m
        names = [*map(str, range(1, wiggly + 1)), "constant", *_names(self.basis, self.pieces)]
        return tuple(
            Variable(f"{self.label}[{name}]", np.arange(levels.n) * r + i, self.group, levels.labels)
            for i, name in enumerate(names)
        )

    @property
    def _width(self) -> int:
        return self.block.n // self.grouping.n

    @property
    def view(self) -> view.View:
        """A curve for each level."""
        by = view.By(self.grouping.factors[0], tuple(self.grouping.levels[0].values))
        return view.Curve(self.pieces[0], by=by) if len(self.pieces) == 1 else view.Levels()

    @property
    def smooths(self) -> tuple[Smooth, ...]:
        """Itself."""
        return (Smooth(self.label, np.arange(self.block.n), (), (*self.pieces, self.grouping.factors[0])),)

    @property
    def size(self) -> str:
        """The basis in words."""
        return f"{self.basis.kind} basis, k={self.basis.k}, for each of {self.grouping.n} levels"

    def encode(self, scope: Scope) -> Encoded:
        """The curves at other rows; new levels get curves of their own."""
        x = _values(self.pieces, scope, self.label)
        columns = _columns(self.basis, self.lines, x)
        known, new, labels = self.grouping.codes(scope)
        outside = int(np.count_nonzero(self.basis.outside(x)))
        note = f"{self.label}: {counted(outside, 'row')} outside the data's range: extrapolated"
        encoded = Encoded(_spread(columns, known, self.grouping.n), notes=(note,) if outside else ())
        if not labels.size:
            return encoded
        what = f"{counted(len(labels), 'new level')} of {self.group} ({listed(labels.tolist(), 5)})"
        return replace(encoded, novel=Novel(what, _spread(columns, new, len(labels)), self._drawn, population=True))

    def _drawn(self, theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
        part = _part(self._width, self.basis.null.m)
        white = normals.reshape(len(normals), -1, self._width)
        return np.asarray(white * theta["sd"][:, None, part]).reshape(normals.shape)

    def on_columns(self, names: Sequence[str], by: str) -> FactorSmoothTerm:
        """The same term, its variables read from plain columns."""
        grouping = replace(self.grouping, factors=(Expression.column(by),))
        return replace(self, pieces=tuple(Expression.column(name) for name in names), grouping=grouping)


def _values(pieces: Sequence[Expression], scope: Scope, label: str) -> FloatArray:
    return np.column_stack([scope.numbers(piece, f"the variable of {label}") for piece in pieces])


def _columns(basis: Basis, lines: FloatArray, x: FloatArray) -> FloatArray:
    straight = (basis.null(rows(x)) - basis.null.mean) @ lines
    return np.column_stack([basis.evaluate(x), np.ones(len(x)), straight])


def _part(width: int, m: int) -> IntArray:
    """Which sd each coefficient of a curve has."""
    return np.concatenate([np.zeros(width - m - 1, dtype=np.int64), 1 + np.arange(m + 1)])


def _spread(columns: FloatArray, codes: IntArray, n: int) -> sp.csc_array:
    r = columns.shape[1]
    own = np.flatnonzero(codes >= 0)
    where = codes[own, None] * r + np.arange(r)
    entries = (columns[own].ravel(), (np.repeat(own, r), where.ravel()))
    return sp.csc_array(entries, shape=(len(columns), n * r))


def build(
    pieces: tuple[Expression, ...], base: str, k: int | None, m: Any, scope: Scope, label: str, yardstick: float
) -> FactorSmoothTerm:
    """Read ``s(x, g, bs="fs")`` against the data.

    Raises
    ------
    DataError
        If not exactly one of the variables is a factor.
    """
    numeric = [is_number(scope.column(piece, f"the variable of {label}")) for piece in pieces]
    numbers = tuple(piece for piece, is_one in zip(pieces, numeric, strict=True) if is_one)
    factors = tuple(piece for piece, is_one in zip(pieces, numeric, strict=True) if not is_one)
    if len(factors) != 1 or not numbers:
        found = f"{listed([p.text for p in factors])} of its variables" if factors else "none of its variables"
        verb = "are factors" if len(factors) > 1 else "is a factor"
        raise DataError(
            f"{label}: bs='fs' has a curve for each level of one factor, and {found} {verb}. Accepted: "
            "s(x, g, bs='fs') with numbers x and a factor g; astype(str) makes text of numbers that stand for levels."
        )
    x = _values(numbers, scope, label)
    times = np.ones(scope.n) if scope.times is None else scope.times
    basis = bases.build(base, x, k, m, None, label, numbers[0].text, scope.times)
    grouping, codes = Grouping.over(factors, scope)
    if grouping.n == 1:
        raise DataError(
            f"{label}: `{factors[0].text}` has one level ({grouping.labels[0]}); an sd of curves needs at least two. "
            f"Accepted: s({numbers[0].text})."
        )
    about = basis.null(rows(x)) - basis.null.mean
    lines = np.linalg.inv(np.linalg.qr(about * np.sqrt(times / times.sum())[:, None], mode="r"))
    columns = _columns(basis, lines, x)
    part = _part(columns.shape[1], basis.null.m)
    names = [label, f"{label}[constant]", *(f"{label}[{name}]" for name in _names(basis, numbers))]
    parameters = tuple(standard_deviation(name, yardstick) for name in names)
    template = Parts(np.tile(part, grouping.n), grouping.n * part.size)
    block = Block(template, parameters, factors=np.array([basis.scale, *np.ones(part.max())]))
    return FactorSmoothTerm(label, numbers, grouping, basis, lines, _spread(columns, codes, grouping.n), block)


def _names(basis: Basis, numbers: Sequence[Expression]) -> tuple[str, ...]:
    return basis.null.names(tuple(piece.text for piece in numbers))
