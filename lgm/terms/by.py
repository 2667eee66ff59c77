"""What ``by=`` makes of a smooth: one for every row, one that numbers multiply, or one for each level of a factor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.scope import Scope
from lgm.data.table import is_number, kind_of
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.terms import view
from lgm.terms.levels import Grouping
from lgm.words import listed


@dataclass(frozen=True)
class By:
    """Copies of a smooth, and what multiplies it.

    Parameters
    ----------
    label : str
        Of the term.
    piece : Expression, optional
        What stands after ``by=``.
    grouping : Grouping, optional
        Levels of a factor.
    first : int
        The first level that has a copy: one for an ordered factor, whose copies are differences from its first level.
    """

    label: str
    piece: Expression | None = None
    grouping: Grouping | None = None
    first: int = 0

    @property
    def levels(self) -> tuple[Any, ...]:
        """Of a factor, those that have a copy."""
        return () if self.grouping is None else tuple(self.grouping.labels[self.first :].tolist())

    @property
    def count(self) -> int:
        """Number of copies."""
        return 1 if self.grouping is None else len(self.levels)

    @property
    def is_numeric(self) -> bool:
        """Whether numbers multiply the smooth, which is then centred by nothing."""
        return self.piece is not None and self.grouping is None

    @property
    def view(self) -> view.By | None:
        """For pictures."""
        if self.piece is None:
            return None
        levels = () if self.grouping is None else tuple(self.grouping.levels[0].values[self.first :])
        return view.By(self.piece, levels)

    def name(self, *parts: str) -> list[str]:
        """What a part of each copy is called.

        Examples
        --------
        >>> By("te(x, z)").name("x")
        ['te(x, z)[x]']
        >>> By("te(x, z)").name()
        ['te(x, z)']
        """
        inside = [[str(level), *parts] for level in self.levels] if self.grouping is not None else [list(parts)]
        return [f"{self.label}[{', '.join(each)}]" if each else self.label for each in inside]

    def rows(self, scope: Scope) -> tuple[IntArray, FloatArray]:
        """Of each row the copy that it has, -1 for none, and what multiplies it."""
        if self.piece is None:
            return np.zeros(scope.n, dtype=np.int64), np.ones(scope.n)
        if self.grouping is None:
            return np.zeros(scope.n, dtype=np.int64), scope.numbers(self.piece, f"by= of {self.label}")
        known, _, fresh = self.grouping.codes(scope)
        if fresh.size:
            raise DataError(
                f"{self.label}: no row with a response has the level(s) {listed(fresh.tolist(), 5)} of "
                f"`{self.piece.text}`, so nothing is known about their smooths. The fit has "
                f"{listed(self.grouping.labels.tolist(), 5)}."
            )
        return np.maximum(known - self.first, -1), np.ones(scope.n)

    def spread(self, columns: FloatArray, codes: IntArray, weights: FloatArray) -> sp.csc_array:
        """Columns (n, r) times the weights, in the place of each row's copy; copy after copy."""
        values = columns if self.piece is None else columns * weights[:, None]
        if self.count == 1 and self.grouping is None:
            return sp.csc_array(values)
        n, r = columns.shape
        rows = np.flatnonzero(codes >= 0)
        where = codes[rows, None] * r + np.arange(r)
        entries = (values[rows].ravel(), (np.repeat(rows, r), where.ravel()))
        return sp.csc_array(entries, shape=(n, self.count * r))

    def on(self, name: str) -> By:
        """The same, read from a plain column."""
        if self.piece is None:
            return self
        piece = Expression.column(name)
        grouping = None if self.grouping is None else replace(self.grouping, factors=(piece,))
        return replace(self, piece=piece, grouping=grouping)


def read(piece: Expression | None, scope: Scope, label: str) -> By:
    """What stands after ``by=``: numbers, or a factor.

    Raises
    ------
    DataError
        If an ordered factor has one level only, or the column holds dates or periods.
    """
    if piece is None:
        return By(label)
    column = scope.column(piece, f"by= of {label}")
    if is_number(column):
        scope.numbers(piece, f"by= of {label}")
        return By(label, piece)
    kind = kind_of(column)
    if kind in ("dates", "periods", "durations"):
        message = f"by= of {label} holds {kind}, which neither multiply a smooth nor are levels of a factor."
        accepted = "numbers, or a factor, which astype(str) makes; a function of two variables is te(x, z)."
        raise scope.formula.error(message, piece.span, accepted, DataError)
    grouping = Grouping.over((piece,), scope)[0]
    ordered = isinstance(column.dtype, pd.CategoricalDtype) and bool(column.cat.ordered)
    if ordered and grouping.n == 1:
        raise DataError(
            f"{label}: `{piece.text}` is an ordered factor with the one level {grouping.labels[0]}, so there are no "
            "differences from its first level. Remove by=."
        )
    return By(label, piece, grouping, int(ordered))
