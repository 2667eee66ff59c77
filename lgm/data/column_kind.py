"""What a column of data in partitions holds, and one dtype for all of them: that of the whole column in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lgm.data.table import is_number, kind_of
from lgm.errors import DataError

_NUMBERS = ("whole numbers", "numbers")


@dataclass(frozen=True)
class ColumnKind:
    """Of complete rows.

    Parameters
    ----------
    name : str
    kind : str
        In words; empty if no row has been seen.
    first : int
        The first partition that has it.
    categories : tuple
        Of a categorical column, in their order.
    seen : frozenset
        Those that rows have.
    ordered : bool
    every : bool
        Whether categories that no row has are kept.
    """

    name: str
    kind: str
    first: int
    categories: tuple[Any, ...] = ()
    seen: frozenset[Any] = frozenset()
    ordered: bool = False
    every: bool = False

    @classmethod
    def of(cls, column: pd.Series, number: int, *, every: bool = False) -> ColumnKind:
        """Of the column of a partition."""
        name = str(column.name)
        if not len(column):
            return cls(name, "", number)
        if isinstance(column.dtype, pd.CategoricalDtype):
            seen = frozenset(column.cat.remove_unused_categories().cat.categories)
            return cls(name, "categories", number, tuple(column.cat.categories), seen, bool(column.cat.ordered), every)
        if is_number(column) and column.dtype.kind in "iuf":
            return cls(name, _NUMBERS[column.dtype.kind == "f"], number)
        return cls(name, kind_of(column), number)

    def __add__(self, other: ColumnKind) -> ColumnKind:
        if not (self.kind and other.kind):
            return self if self.kind else other
        if self.kind in _NUMBERS and other.kind in _NUMBERS:
            return replace(self, kind=max(self.kind, other.kind, key=_NUMBERS.index))
        if self.kind != other.kind:
            raise DataError(
                f"the column `{self.name}` holds {self.kind} in partition {self.first} and {other.kind} in partition "
                f"{other.first}. Accepted: the same in all of them."
            )
        if self.kind != "categories":
            return self
        if self.categories != other.categories and (self.ordered or other.ordered):
            raise DataError(
                f"the column `{self.name}` has other ordered categories in partition {self.first} than in partition "
                f"{other.first}. Accepted: the same in all of them."
            )
        every = tuple(dict.fromkeys([*self.categories, *other.categories]))
        return replace(self, categories=every, seen=self.seen | other.seen)

    def cast(self, column: pd.Series) -> pd.Series:
        """The column of a partition in the dtype of the whole."""
        if self.kind == "numbers":
            return column.astype(float)
        if self.kind == "categories":
            used = [category for category in self.categories if self.every or category in self.seen]
            return column.astype(object).astype(pd.CategoricalDtype(used, ordered=self.ordered))
        return column
