"""Which levels of a group the rows belong to: one each, or several with weights, as in ``mm(a, b)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Bar
from lgm.terms.levels import Grouping
from lgm.words import listed


@dataclass(frozen=True)
class Members:
    """Levels, and with which weights rows have them.

    Parameters
    ----------
    grouping : Grouping
    weights : tuple of Expression
        Of the members; equal ones that sum to one if there are none.
    scaled : bool
        Whether those of a row are divided by their sum.
    """

    grouping: Grouping
    weights: tuple[Expression, ...] = ()
    scaled: bool = True

    @classmethod
    def of(cls, bar: Bar, scope: Scope) -> tuple[Members, IntArray]:
        """Read from the data; also the levels of the rows, as `Grouping.of` gives them."""
        grouping, codes = Grouping.of(bar, scope)
        return cls(grouping, bar.weights, bar.scaled), codes

    @property
    def words(self) -> str:
        """Several members in words."""
        if not self.grouping.pooled:
            return ""
        sums = ", with weights that sum to one" if self.weights and self.scaled else ""
        return f"{len(self.grouping.factors)} members in each row{sums}"

    def columns(self, effects: sp.csc_array, codes: IntArray, n: int, scope: Scope) -> sp.csc_array:
        """Columns (rows, n q) of effects (rows, q) in the levels of the rows, where codes are not negative."""
        parts = (
            [
                _spread(effects if weight is None else _times(effects, weight), where, n)
                for where, weight in zip(np.split(codes, codes.size // scope.n), self._each(scope), strict=True)
            ]
            if scope.n
            else [_spread(effects, codes, n)]
        )
        out = parts[0]
        for part in parts[1:]:
            out = out + part
        return sp.csc_array(out)

    def _each(self, scope: Scope) -> Sequence[FloatArray | None]:
        if not self.grouping.pooled:
            return [None]
        if not self.weights:
            m = len(self.grouping.factors)
            return [np.full(scope.n, 1.0 / m)] * m
        given = np.stack([scope.numbers(weight, "the weight") for weight in self.weights])
        if not self.scaled:
            return list(given)
        total = given.sum(axis=0)
        bad = np.flatnonzero(~(total > 0.0) | np.any(given < 0.0, axis=0))
        if bad.size:
            names = listed([f"`{weight.text}`" for weight in self.weights])
            raise DataError(
                f"the weights {names} of `mm()` are negative or all zero in {bad.size} rows (rows "
                f"{listed(scope.frame.index[bad], 5)}), and those of a row are divided by their sum. Accepted: "
                "positive weights, or scale=False, which takes them as they are."
            )
        return list(given / total)


def _times(effects: sp.csc_array, weight: FloatArray) -> sp.csc_array:
    return sp.csc_array((effects.data * weight[effects.indices], effects.indices, effects.indptr), shape=effects.shape)


def _spread(columns: sp.csc_array, codes: IntArray, n: int) -> sp.csc_array:
    """Put effect column k of a row into column ``level * q + k``; the stored places of ``columns`` are kept."""
    q = columns.shape[1]
    by_row = sp.csr_array(columns)
    first = (codes * q).astype(np.int32 if n * q < np.iinfo(np.int32).max else np.int64)
    stored, data, starts = np.diff(by_row.indptr), by_row.data, by_row.indptr
    where = np.repeat(first, stored) + by_row.indices
    if codes.min(initial=0) < 0:
        keep = np.repeat(codes >= 0, stored)
        where, data = where[keep], data[keep]
        starts = np.concatenate([[0], np.cumsum(np.where(codes >= 0, stored, 0))])
    return sp.csc_array(sp.csr_array((data, where, starts), shape=(codes.size, n * q)))
