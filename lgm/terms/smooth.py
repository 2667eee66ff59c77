"""Smooth functions: ``s(x, bs="tp", k=10)``, ``s(x, y)``, ``s(x, by=f)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.scope import Scope, option
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import standard_deviation
from lgm.precision.iid import Iid
from lgm.precision.parts import Parts
from lgm.precision.summed import Summed
from lgm.precision.template import Template
from lgm.smooths import build as bases
from lgm.smooths.basis import Basis, Polynomials, typical
from lgm.smooths.tensor import Tensor
from lgm.terms import by as copies
from lgm.terms import factor_smooth, field, knots, random, view
from lgm.terms.block import Block
from lgm.terms.by import By
from lgm.terms.clock import NUMBERS, Clock, clock_of_numbers, read_numbers
from lgm.terms.term import Encoded, Signature, Smooth, Term, Variable, arguments
from lgm.words import counted

SIGNATURE = Signature(("x",), options=("bs", "k", "m", "knots", "xt", "graph"), shown=("by",), many=True, copied=False)
KINDS = (*bases.KINDS, "re", "fs", "mrf")


@dataclass(frozen=True)
class SmoothTerm(Term):
    """A penalised smooth of one or more variables in its mixed-model form, or a copy of it for each level of a factor.

    What the penalty does not see is a fixed effect, such as the straight line ``s(x)[linear]`` (raw units of x), the
    rest is ``Z b`` with independent b; the columns of Z sum to zero over the rows of the data and are scaled so that sd
    is that of a typical contribution. With numbers after ``by=`` nothing is centred, and the fixed effects hold the
    numbers themselves, ``s(x, by=z)[constant]``. With a factor the copies are centred over all rows, so that its levels
    belong in the fixed part.
    """

    label: str
    pieces: tuple[Expression, ...]
    called: tuple[str, ...]  # what names of fixed effects call them
    basis: Basis | Tensor
    by: By
    ratios: FloatArray  # of each copy: what divided the prior variance beyond the basis's own scale
    z: sp.csc_array
    block: Block
    null_columns: dict[str, FloatArray]
    clocks: tuple[Clock, ...]  # of the variables

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The coefficients, of each copy."""
        r = self.block.n // self.by.count
        return tuple(
            Variable(name, np.arange(r) + i * r, f"{name}_basis", np.arange(1, r + 1))
            for i, name in enumerate(self.by.name())
        )

    @property
    def null(self) -> Mapping[str, FloatArray]:
        """What the penalty does not see."""
        return self.null_columns

    @property
    def centred(self) -> bool:
        """Over the rows of the data, unless numbers multiply it."""
        return not self.by.is_numeric

    @property
    def view(self) -> view.View:
        """A curve or a surface over the range of the data."""
        if len(self.pieces) == 1:
            return view.Curve(self.pieces[0], clock=self.clocks[0], by=self.by.view)
        if len(self.pieces) == 2:
            return view.Surface((self.pieces[0], self.pieces[1]), self.by.view, (self.clocks[0], self.clocks[1]))
        return view.Levels()

    @property
    def smooths(self) -> tuple[Smooth, ...]:
        """Each copy."""
        r, levels = self.block.n // self.by.count, self.by.view.levels if self.by.view else ()
        parts = (*["constant"] * self.by.is_numeric, *self.basis.null.names(self.called))
        return tuple(
            Smooth(
                name,
                np.arange(r) + i * r,
                tuple(self.by.name(part)[i] for part in parts),
                self.pieces,
                self.by.view,
                levels[i] if levels else None,
                of_margins=isinstance(self.basis, Tensor),
            )
            for i, name in enumerate(self.by.name())
        )

    @property
    def uncopied(self) -> str:
        """Curves of levels are centred one by one, which `by=` does."""
        return "its effects are coefficients of a basis that sums to zero over all rows, not over those of each copy"

    @property
    def size(self) -> str:
        """The basis in words."""
        if isinstance(self.basis, Tensor):
            words = " x ".join(f"{one.basis.kind} k={one.basis.k}" for one in self.basis.margins)
        else:
            words = f"{self.basis.kind} basis, k={self.basis.k}"
        return words if self.by.grouping is None else f"{words}, {counted(self.by.count, 'level')}"

    def encode(self, scope: Scope) -> Encoded:
        """The basis at other rows; beyond the range of the data it is continued, and a note says so."""
        x = values_of(self.pieces, scope, self.label, self.clocks)
        outside = int(np.count_nonzero(self.basis.outside(x)))
        note = f"{self.label}: {counted(outside, 'row')} outside the data's range{self._range()}: extrapolated"
        return Encoded(
            self._columns(x, scope),
            _null(self.basis.null, x, self.called, self.by, scope),
            notes=(note,) if outside else (),
        )

    def _range(self) -> str:
        bounds = getattr(self.basis, "range", None)
        return "" if bounds is None else f" {self.clocks[0].said(bounds[0])} to {self.clocks[0].said(bounds[1])}"

    def _columns(self, x: FloatArray, scope: Scope) -> sp.csc_array:
        codes, weights = self.by.rows(scope)
        shares = np.where(codes >= 0, self.ratios[codes], 1.0)
        return self.by.spread(self.basis.evaluate(x), codes, weights / np.sqrt(shares))

    def on_columns(self, names: Sequence[str], by: str) -> SmoothTerm:
        """The same term, its variables read from plain columns."""
        pieces = tuple(Expression.column(name) for name in names)
        return replace(self, pieces=pieces, by=self.by.on(by), clocks=(NUMBERS,) * len(names))


def clocks_of(pieces: Sequence[Expression], scope: Scope, label: str) -> tuple[Clock, ...]:
    """How each variable of a smooth is read at the rows of the data."""
    return tuple(clock_of_numbers(scope, piece, f"the variable of {label}") for piece in pieces)


def values_of(pieces: Sequence[Expression], scope: Scope, label: str, clocks: Sequence[Clock]) -> FloatArray:
    """The variables of a smooth, (n, d)."""
    role = f"the variable of {label}"
    return np.column_stack(
        [read_numbers(clock, scope, piece, role) for piece, clock in zip(pieces, clocks, strict=True)]
    )


def of(
    label: str, pieces: tuple[Expression, ...], basis: Basis | Tensor, by: By, scope: Scope, yardstick: float
) -> SmoothTerm:
    """The term of a basis, at the rows of the data."""
    clocks = clocks_of(pieces, scope, label)
    x = values_of(pieces, scope, label, clocks)
    codes, weights = by.rows(scope)
    ratios = np.ones(by.count)
    if by.piece is not None:
        times = np.ones(scope.n) if scope.times is None else scope.times
        sizes = np.sum(basis.evaluate(x) ** 2 / _precisions(basis), axis=1)
        usual = typical(sizes, times)
        own_rows = [codes == i for i in range(by.count)]
        ratios = np.array([typical((sizes * weights**2)[of], times[of]) / usual for of in own_rows])
    parts = basis.parts if isinstance(basis, Tensor) else ()
    own = basis.factors if isinstance(basis, Tensor) else np.array([basis.scale])
    names = [by.name(part) for part in parts] or [by.name()]
    parameters = tuple(standard_deviation(names[j][i], yardstick) for i in range(by.count) for j in range(len(names)))
    factors = np.concatenate([own * ratio for ratio in ratios])
    block = Block(_template(basis, by.count, x), parameters, factors=factors)
    called = tuple(piece.text for piece in pieces)
    term = SmoothTerm(label, pieces, called, basis, by, ratios, sp.csc_array((0, 0)), block, {}, clocks)
    return replace(term, z=term._columns(x, scope), null_columns=_null(basis.null, x, called, by, scope))


def _precisions(basis: Basis | Tensor) -> Any:
    return np.sum(basis.weights, axis=1) if isinstance(basis, Tensor) else 1.0


def _template(basis: Basis | Tensor, count: int, x: FloatArray) -> Template:
    if isinstance(basis, Tensor):
        return Summed(basis.weights, count)
    r = basis.evaluate(x[:1]).shape[1]
    return Iid(r) if count == 1 else Parts(np.repeat(np.arange(count), r), count * r)


def _null(null: Polynomials, x: FloatArray, called: tuple[str, ...], by: By, scope: Scope) -> dict[str, FloatArray]:
    """Fixed effects: of each copy the polynomials, and the numbers of ``by=`` themselves."""
    named = null.named(x, called)
    if by.piece is None:
        return {name: values for part, values in named.items() for name in by.name(part)}
    codes, weights = by.rows(scope)
    if by.grouping is None:
        found = {"constant": weights, **{part: values * weights for part, values in named.items()}}
        return {name: values for part, values in found.items() for name in by.name(part)}
    about = null.about_means(x).T  # as the columns of Z, which are centred over all rows
    return {
        name: values * (codes == i)
        for part, values in zip(named, about, strict=True)
        for i, name in enumerate(by.name(part))
    }


def build(call: Call, scope: Scope, label: str, yardstick: float) -> Term:
    """Read ``s(x, ..., bs=..., k=..., by=...)`` against the data.

    Raises
    ------
    FormulaError, DataError
        For options that a basis does not have, or that the data do not bear.
    """
    given = arguments(call, scope, SIGNATURE)
    kind = option(scope, given["bs"], "bs", KINDS) if "bs" in given else "tp"
    pieces = variables(given, SIGNATURE, scope)
    _refuse_strangers(kind, given, scope)
    k = whole(scope, given["k"], "k", "the dimension of the basis, such as k=10.") if "k" in given else None
    if kind in ("re", "mrf"):
        scope.require_rows(f"{label}, with bs={kind!r},")
    if kind == "re":
        return random.build(pieces, scope, label, yardstick)
    if kind == "mrf":
        return field.build(pieces, given, k, scope, label, yardstick)
    m = scope.value(given["m"]) if "m" in given else None
    if kind == "fs":
        base = option(scope, given["xt"], "xt", bases.MARGINS) if "xt" in given else "tp"
        return factor_smooth.build(pieces, base, k, m, scope, label, yardstick)
    x = values_of(pieces, scope, label, clocks_of(pieces, scope, label))
    at = knots.of_smooth(given["knots"], pieces, scope) if "knots" in given else None
    basis = bases.build(kind, x, k, m, at, label_of(pieces), pieces[0].text, scope.times)
    return of(label, pieces, basis, copies.read(given.get("by"), scope, label), scope, yardstick)


def variables(given: Mapping[str, Expression], signature: Signature, scope: Scope) -> tuple[Expression, ...]:
    """The variables among the arguments of a call, each of which may stand once."""
    found = [value for name, value in given.items() if name not in (*signature.options, *signature.shown)]
    twice = [piece for i, piece in enumerate(found) if piece.text in [other.text for other in found[:i]]]
    if twice:
        message = f"The variable `{twice[0].text}` stands twice."
        raise scope.formula.error(message, twice[0].span, "variables that are not the same.")
    return tuple(found)


_OWN = {"xt": ("fs",), "graph": ("mrf",), "m": (*bases.KINDS, "fs"), "knots": bases.KINDS, "by": bases.KINDS}
_OWN["k"] = (*bases.KINDS, "fs", "mrf")


def _refuse_strangers(kind: str, given: Mapping[str, Expression], scope: Scope) -> None:
    for name, kinds in _OWN.items():
        if name in given and kind not in kinds:
            accepted = ", ".join(f"bs={each!r}" for each in kinds)
            raise scope.formula.error(f"bs={kind!r} takes no {name}=.", given[name].span, f"{name}= with {accepted}.")


def label_of(pieces: Sequence[Expression]) -> str:
    """What messages of a basis call it."""
    return f"s({', '.join(piece.text for piece in pieces)})"


def whole(scope: Scope, piece: Expression, name: str, accepted: str) -> int | None:
    """A whole number of an argument; -1 is mgcv's spelling of its default."""
    return whole_number(scope.value(piece), piece, name, accepted, scope)


def whole_number(value: Any, piece: Expression, name: str, accepted: str, scope: Scope) -> int | None:
    """The same, of a value."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise scope.formula.error(f"{name}={piece.text} is not a whole number.", piece.span, accepted)
    return None if value == -1 else int(value)
