"""Copies of a term that is one process: ``rw1(t, replicate=g)``, ``icar(region, graph, group=ar1(year))``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.data.scope import Scope
from lgm.errors import DataError, LgmError
from lgm.formula.sides import Call, Keyword
from lgm.precision.kronecker import Kronecker, constraint_of
from lgm.precision.template import Kinds
from lgm.terms.block import Block
from lgm.terms.clock import NUMBERS
from lgm.terms.extension import Extension
from lgm.terms.independent import IndependentTerm
from lgm.terms.term import COPYING, Column, Encoded, Novel, Signature, Term, Variable
from lgm.terms.view import By, Curve, Field, Fields, Levels, Map, Maps, View

_GROUP = "the dependence of copies as a term, such as group=ar1(year), group=rw1(year) or group=icar(region, graph)"


@dataclass(frozen=True)
class CopiesTerm(Term):
    """The effects of a term once for each place of another, the outer one, with the precision ``A (x) B``.

    With ``replicate=g`` the copies are independent and share their hyperparameters. With ``group=`` they depend on each
    other as the outer term says (Knorr-Held 2000), which has a standard deviation of one.

    Copies lose what the term's constraints take out of each: they sum to zero one by one. The fixed effects that a term
    has for its null space, such as the straight line of ``rw2(t)``, are there once for each independent copy, centred
    as its effects are; levels are not, for which ``g`` or ``(1|g)`` is added. Dependent copies are interactions and
    have none: what is taken out of them is up to main effects.
    """

    label: str
    outer: Term
    inner: Term
    z: sp.csc_array
    block: Block
    template: Kronecker
    lines: dict[str, Column]
    centres: dict[str, float]  # of the inner term's null-space columns

    @property
    def independent(self) -> bool:
        """Whether copies are."""
        return isinstance(self.outer, IndependentTerm)

    @property
    def levels(self) -> list[str]:
        """What the copies are called."""
        return [_text(level) for level in self.outer.variables[0].labels.tolist()]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All effects, with labels ``level:place``."""
        [a], [b] = self.outer.variables, self.inner.variables
        places = [_text(place) for place in b.labels.tolist()]
        labels = np.array([f"{level}:{place}" for level in self.levels for place in places], dtype=object)
        index = np.add.outer(np.arange(self.outer.block.n) * self.inner.block.n, b.index).ravel()
        return (Variable(self.label, index, f"{a.dim}:{b.dim}", labels),)

    @property
    def null(self) -> Mapping[str, Column]:
        """The null-space columns of each independent copy."""
        return self.lines

    @property
    def centred(self) -> bool:
        """If the effects of each copy are, or those of each place over the copies."""
        return self.inner.centred or self.outer.centred

    @property
    def view(self) -> View:
        """Of what is a curve, a map or a field, one for each copy; curves of those that have rows."""
        one = self.inner.view
        if isinstance(one, Field):
            return Fields(one, tuple(self.levels), _code(self.outer.z))
        if isinstance(one, Map):
            return Maps(one.graph, tuple(self.levels))
        piece, clock = getattr(self.outer, "piece", None), getattr(self.outer, "clock", NUMBERS)
        if not isinstance(one, Curve) or piece is None or clock != NUMBERS:
            return Levels()
        seen = np.unique(_code(self.outer.z))
        levels = self.outer.variables[0].labels[seen].tolist()
        return replace(one, by=By(piece, tuple(int(v) if isinstance(v, float) and v % 1 == 0 else v for v in levels)))

    def on_columns(self, names: Sequence[str], by: str) -> CopiesTerm:
        """The same copies, their variables read from plain columns."""
        return replace(self, inner=self.inner.on_columns(names, by), outer=self.outer.on_columns([by], by))

    @property
    def size(self) -> str:
        """The sizes of both factors in words."""
        return f"{self.outer.size} of {self.outer.variables[0].dim}, each with {self.inner.size}"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows.

        At new places of known copies the term is continued. New copies are drawn from their population where copies are
        independent, else as the outer term continues.

        Raises
        ------
        DataError
            For a new copy with fixed effects of its own, of which nothing is known.
        """
        places, levels = self.inner.encode(scope), self.outer.encode(scope)
        if levels.novel is not None and self.lines:
            raise DataError(
                f"{self.label}: new_data has {levels.novel.what}. Each has fixed effects of its own, such as "
                f"`{next(iter(self.lines))}`, so nothing is known of others. Accepted: levels of the fit."
            )
        copy = _code(levels.z)
        null = _of_copies(places.null, self.centres, copy, self.levels) if self.independent else {}
        z = _spread(places.z, copy, self.outer.block.n)
        return Encoded(z, null, self._novel(places, levels, copy), (*places.notes, *levels.notes))

    def _novel(self, places: Encoded, levels: Encoded, copy: IntArray) -> Novel | None:
        """New places of known copies, then new copies."""
        continued = self._continued(places, copy)
        both = Extension(
            self.template,
            self.outer.block,
            self.inner.block,
            places.novel,
            levels.novel,
            continued,
            self.independent,
        )
        if not both.size:
            return None
        at = np.full(self.outer.block.n + 1, -1)
        at[continued] = np.arange(continued.size)
        columns = [] if places.novel is None else [_spread(places.novel.z, at[copy], continued.size)]
        what = [] if places.novel is None or not both.known else [places.novel.what]
        drawn: bool | BoolArray = False
        if levels.novel is not None:
            everywhere = places.z if places.novel is None else sp.hstack([places.z, places.novel.z])
            columns.append(_spread(sp.csc_array(everywhere), _code(levels.novel.z), both.copies))
            what = [levels.novel.what] if levels.novel.population else [*what, levels.novel.what]
            drawn = (np.arange(both.size) >= both.known) & levels.novel.population
        needs = [each is not None and each.mean_needs_theta for each in (places.novel, levels.novel)]
        z = sp.csc_array(sp.hstack(columns, format="csc"))
        return Novel(" and ".join(what), z, both.draw, drawn, any(needs), sum(both.normals))

    def _continued(self, places: Encoded, copy: IntArray) -> IntArray:
        """Known copies that need new places: of dependent ones all, as these are drawn together."""
        if places.novel is None:
            return np.zeros(0, dtype=np.int64)
        if not self.independent:
            return np.arange(self.outer.block.n)
        there = np.diff(sp.csr_array(places.novel.z).indptr) > 0
        return np.unique(copy[there & (copy >= 0)])


def _text(label: Any) -> str:
    """A level or place as part of a label; whole numbers without decimals, days without hours."""
    whole = isinstance(label, float) and label % 1.0 == 0.0
    return str(int(label) if whole else label).removesuffix(" 00:00:00")


def _code(z: sp.csc_array) -> IntArray:
    """The column in which each row of indicators has its one; -1 where there is none."""
    entries = sp.coo_array(z)
    out = np.full(z.shape[0], -1, dtype=np.int64)
    out[entries.row] = entries.col
    return out


def _spread(columns: sp.csc_array, copy: IntArray, copies: int) -> sp.csc_array:
    """The columns of a term once for each copy; a row has those of its own, and none if it has no copy."""
    entries, m = sp.coo_array(columns), columns.shape[1]
    kept = copy[entries.row] >= 0
    row, col, data = entries.row[kept], entries.col[kept], entries.data[kept]
    return sp.csc_array((data, (row, copy[row] * m + col)), shape=(columns.shape[0], copies * m))


def _of_copies(
    null: Mapping[str, Column], centres: Mapping[str, float], copy: IntArray, levels: list[str]
) -> dict[str, Column]:
    """Null-space columns such as ``rw2(t, replicate=g)[linear|a]``, one for each copy."""
    found: dict[str, Column] = {}
    for name, values in null.items():
        for level, rows in zip(levels, _rows_of(copy, len(levels)), strict=True):
            own = (values[rows] - centres[name], (rows, np.zeros_like(rows)))
            found[f"{name[:-1]}|{level}]"] = sp.csc_array(own, shape=(copy.size, 1))
    return found


def _rows_of(copy: IntArray, copies: int) -> list[IntArray]:
    """The rows of each copy."""
    order = np.argsort(copy, kind="stable")
    ends = np.searchsorted(copy[order], np.arange(copies + 1))
    return [order[start:stop] for start, stop in zip(ends[:-1], ends[1:], strict=True)]


def asked(call: Call, scope: Scope) -> Keyword | None:
    """The argument that asks for copies, if there is one.

    Raises
    ------
    FormulaError
        If both do, or ``group=`` does not say how copies depend on each other.
    """
    replicate, group = call.keyword("replicate"), call.keyword("group")
    if replicate and group:
        message = f"{call.name}() has replicate= and group=."
        accepted = "one of them; replicate=g is group=iid(g)."
        raise scope.formula.error(message, group.span, accepted)
    if group and group.call is None:
        text = group.value.text
        message = f"group={text} does not say how the copies that it makes depend on each other."
        accepted = f"{_GROUP}; independent copies are replicate={text if group.value.is_name else 'g'}."
        raise scope.formula.error(message, group.span, accepted)
    return replicate or group


def require_places(signature: Signature, scope: Scope, by: Keyword) -> None:
    """Refuse a term after ``group=`` that has no variable of its own, whose values are the copies.

    Raises
    ------
    FormulaError
    """
    if not signature.variables:
        raise _no_outer(scope, by, "its effects are coefficients, not those of one process")


def _no_outer(scope: Scope, by: Keyword, reason: str) -> LgmError:
    message = f"{by.name}={by.value.text} cannot say how copies depend on each other: {reason}."
    return scope.formula.error(message, by.span, _GROUP)


def without(call: Call) -> Call:
    """The call of the term that is copied."""
    return replace(call, keywords=tuple(keyword for keyword in call.keywords if keyword.name not in COPYING))


def label_of(inner: str, by: Keyword, outer: str) -> str:
    """Such as ``rw1(t, replicate=g)``."""
    return f"{inner[:-1]}, {by.name}={outer})"


def build(scope: Scope, label: str, inner: Term, outer: Term, by: Keyword) -> CopiesTerm:
    """Copies of a term that has been read, one for each place of another.

    Raises
    ------
    FormulaError
        If one of the terms cannot be a factor of a product.
    """
    _require_factors(scope, label, inner, outer, by)
    copy = _code(outer.z)
    inner = inner.in_copies(copy)
    a, b = outer.block, inner.block
    template = Kronecker.of(a.template, b.template, (_kinds(a), _kinds(b)), (a.constraint, b.constraint))
    block = Block(
        template=template,
        parameters=(*b.parameters, *(parameter for parameter in a.parameters if parameter.kind != "sd")),
        constraint=constraint_of(a.constraint, b.constraint, a.n, b.n),
        factors=_factors(a.factors, b.factors),
    )
    centres = {name: _centre(inner, values) for name, values in inner.null.items()}
    built = CopiesTerm(label, outer, inner, _spread(inner.z, copy, a.n), block, template, {}, centres)
    return replace(built, lines=_of_copies(inner.null, centres, copy, built.levels)) if built.independent else built


def _require_factors(scope: Scope, label: str, inner: Term, outer: Term, by: Keyword) -> None:
    if inner.uncopied:
        reason = f"{label} cannot be copied: {inner.uncopied}."
        raise scope.formula.error(
            reason, by.span, "replicate= and group= for terms that are one process in time or space."
        )
    reason = outer.uncopied
    if not reason and not _of_indicators(outer.z):
        reason = "rows are between its places"
    if not reason and _kinds(outer.block)[0] != ("sd", 1):
        reason = "it has not one standard deviation"
    if reason:
        raise _no_outer(scope, by, reason)


def _of_indicators(z: sp.csc_array) -> bool:
    return bool(np.all(z.data == 1.0) and np.all(np.diff(sp.csr_array(z).indptr) == 1))


def _kinds(block: Block) -> Kinds:
    counts: Counter[str] = Counter()
    for parameter in block.parameters:
        counts[parameter.kind] += len(parameter.names)
    return tuple(sorted(counts.items(), key=lambda item: item[0] != "sd"))


def _factors(a: FloatArray | None, b: FloatArray | None) -> FloatArray | None:
    """Of the components of a product."""
    return b if a is None else a if b is None else np.multiply.outer(a, b).ravel()


def _centre(inner: Term, values: Column) -> float:
    """The mean of a null-space column over the places of a term whose effects sum to zero over them."""
    if not inner.centred or not _of_indicators(inner.z):
        return 0.0
    return float(values[np.unique(_code(inner.z), return_index=True)[1]].mean())
