"""Group effects: ``(1|g)``, ``(x|g)``, ``(x||g)``, nested and crossed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from formulaic import Formula as Formulaic
from formulaic import ModelSpec

from lgm.errors import DataError
from lgm.formula import Bar
from lgm.pattern import FloatArray, IntArray
from lgm.precision.correlated import Correlated
from lgm.precision.iid import Iid
from lgm.priors import lkj
from lgm.scope import Scope
from lgm.terms.block import Block, Parameter
from lgm.terms.fixed import materialise
from lgm.terms.term import Encoded, Novel, Variable, sd_parameter
from lgm.tokens import Piece

DEFAULT_LKJ = 2.0


@dataclass(frozen=True)
class Grouping:
    """The levels of ``g`` or ``a:b``: observed values, or combinations of values, in sorted order."""

    factors: tuple[Piece, ...]
    values: tuple[pd.Index, ...]  # of each factor
    keys: pd.Index  # observed combinations, as one integer each
    labels: np.ndarray[Any, Any]

    @classmethod
    def of(cls, bar: Bar, scope: Scope) -> Grouping:
        """Read the levels from the data."""
        factors = bar.group
        values, codes = [], []
        for factor in factors:
            column = scope.column(factor, "the grouping factor")
            categories = _levels(column)
            values.append(categories)
            codes.append(categories.get_indexer(_plain(column)))
        combined = _combine(codes, values)
        keys = pd.Index(np.unique(combined))
        labels = _labels(keys, values)
        return cls(factors, tuple(values), keys, labels)

    def codes(self, scope: Scope) -> tuple[IntArray, list[str]]:
        """Position of each row's level, -1 if the fit does not have it, and the labels of unknown levels by row."""
        columns = [_plain(scope.column(factor, "the grouping factor")) for factor in self.factors]
        parts = [values.get_indexer(column) for values, column in zip(self.values, columns, strict=True)]
        known = np.all([part >= 0 for part in parts], axis=0)
        combined = np.where(known, _combine(parts, self.values), -1)
        codes = np.where(known, self.keys.get_indexer(combined), -1)
        names = [":".join(str(c.iloc[i]) for c in columns) for i in range(scope.n)] if np.any(codes < 0) else []
        return codes.astype(np.int64), names

    @property
    def n(self) -> int:
        """Number of levels."""
        return len(self.keys)


def _plain(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(column.cat.categories.dtype)
    return column


def _levels(column: pd.Series) -> pd.Index:
    """Observed values: in the order of the categories if there are any, else sorted where they can be."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories().cat.categories
    unique = pd.Index(column.unique())
    try:
        return unique.sort_values()
    except TypeError:  # values of several types: their order of appearance
        return unique


def _combine(codes: list[Any], values: tuple[pd.Index, ...] | list[pd.Index]) -> IntArray:
    combined = np.zeros(len(codes[0]), dtype=np.int64)
    for code, index in zip(codes, values, strict=True):
        combined = combined * len(index) + code
    return combined


def _labels(keys: pd.Index, values: list[pd.Index]) -> np.ndarray[Any, Any]:
    if len(values) == 1:
        return np.asarray(values[0])
    rest, parts = np.asarray(keys), []
    for index in reversed(values):
        rest, code = np.divmod(rest, len(index))
        parts.append(np.asarray(index)[code].astype(str))
    return np.array([":".join(p) for p in zip(*reversed(parts), strict=True)], dtype=object)


@dataclass(frozen=True)
class GroupTerm:
    """Effects that vary by level of a group, correlated within a level or independent."""

    label: str
    bar: Bar
    grouping: Grouping
    spec: ModelSpec
    names: tuple[str, ...]
    z: sp.csc_array
    block: Block
    kind: str = "group"

    @property
    def null(self) -> dict[str, FloatArray]:
        """None: the effects are proper."""
        return {}

    @property
    def variables(self) -> tuple[Variable, ...]:
        """One per varying effect."""
        group, q = self.bar.group_name, len(self.names)
        levels = np.arange(self.grouping.n)
        return tuple(
            Variable(f"{name}|{group}", levels * q + k, group, self.grouping.labels)
            for k, name in enumerate(self.names)
        )

    @property
    def size(self) -> str:
        """Number of levels."""
        return f"{self.grouping.n} levels"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; unknown levels get effects of their own."""
        columns = materialise(self.spec, scope, self.bar.effects.span)[1]
        codes, names = self.grouping.codes(scope)
        z = _spread(columns, codes, self.grouping.n)
        unknown = codes < 0
        if not np.any(unknown):
            return Encoded(z)
        labels, new_codes = np.unique([names[i] for i in np.flatnonzero(unknown)], return_inverse=True)
        placed = np.full(codes.size, -1, dtype=np.int64)
        placed[unknown] = new_codes
        shown = ", ".join(labels[:5]) + (", ..." if len(labels) > 5 else "")
        what = f"{len(labels)} new level(s) of {self.bar.group_name} ({shown})"
        return Encoded(z, novel=Novel(what, _spread(columns, placed, len(labels)), self._draw, population=True))

    def _draw(
        self, sd: FloatArray, shape: FloatArray, b: FloatArray, normals: FloatArray, factor: FloatArray
    ) -> FloatArray:
        q = len(self.names)
        white = normals.reshape(len(sd), -1, q)
        if shape.shape[1]:
            corr = np.broadcast_to(np.eye(q), (len(sd), q, q)).copy()
            rows, cols = np.tril_indices(q, -1)
            corr[:, rows, cols] = corr[:, cols, rows] = shape
            white = np.einsum("sij,slj->sli", np.linalg.cholesky(corr), white)
        return (white * sd[:, None, :]).reshape(len(sd), -1)


def _spread(columns: sp.csc_array, codes: IntArray, n: int) -> sp.csc_array:
    """Put effect column k of a row into column ``level * q + k``; the stored places of ``columns`` are kept."""
    q = columns.shape[1]
    entries = sp.coo_array(columns)
    keep = codes[entries.row] >= 0
    where = codes[entries.row[keep]] * q + entries.col[keep]
    return sp.csc_array((entries.data[keep], (entries.row[keep], where)), shape=(codes.size, n * q))


def build(bar: Bar, scope: Scope) -> GroupTerm:
    """Read one bar against the data.

    Raises
    ------
    FormulaError
        If the left side cannot be evaluated.
    DataError
        If the group has a single level, or the left side is empty.
    """
    grouping = Grouping.of(bar, scope)
    group = bar.group_name
    if grouping.n == 1:
        raise DataError(
            f"the group `{group}` in {bar.text} has one level ({grouping.labels[0]}): a variance between levels "
            f"needs at least two. Remove the term, or use another grouping."
        )
    spec, columns, names = materialise(Formulaic(bar.effects.text), scope, bar.effects.span)
    q = len(names)
    if q == 0:
        raise DataError(
            f"{bar.text} has no effect left of its bar; accepted: (1 | {group}), (x | {group}), (0 + x | {group})"
        )
    scales = _value_scales(columns, scope.n)
    parameters: list[Parameter] = [
        sd_parameter(f"sd({name}|{group})", scope.sd_y / s) for name, s in zip(names, scales, strict=True)
    ]
    template: Correlated | Iid = Iid(grouping.n * q)
    if bar.correlated and q > 1:
        template = Correlated(grouping.n, q)
        pairs = [(names[j], names[i]) for i, j in zip(*np.tril_indices(q, -1), strict=True)]
        corr = tuple(f"corr({a},{b}|{group})" for a, b in pairs)
        parameters.append(Parameter(corr, "corr", lkj(DEFAULT_LKJ), 0.0, f"corr({group})", q))
    block = Block(bar.text, template, np.tile(np.arange(q), grouping.n), tuple(parameters))
    codes, _ = grouping.codes(scope)
    return GroupTerm(bar.text, bar, grouping, spec, tuple(names), _spread(columns, codes, grouping.n), block)


def _value_scales(columns: sp.csc_array, n: int) -> FloatArray:
    """Scale of each effect's covariate for its default prior: its sd, but one for constants and indicators."""
    scales = np.ones(columns.shape[1])
    for k in range(columns.shape[1]):
        data = columns.data[columns.indptr[k] : columns.indptr[k + 1]]
        if np.any((data != 0.0) & (data != 1.0)):
            mean = data.sum() / n
            scales[k] = np.sqrt(max(np.sum(data**2) / n - mean**2, 0.0)) or np.sqrt(np.sum(data**2) / n)
    return scales
