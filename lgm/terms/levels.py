"""The levels of a grouping ``g`` or ``a:b``, and where the rows of any data stand among them."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lgm.arrays import IntArray
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Bar
from lgm.words import listed


@dataclass(frozen=True)
class Levels:
    """Values of one grouping factor: in the order of its categories, else sorted, else as they appear."""

    values: tuple[Hashable, ...]

    @classmethod
    def of(cls, column: pd.Series) -> Levels:
        """The values that occur."""
        return cls.read(column)[0]

    @classmethod
    def read(cls, column: pd.Series) -> tuple[Levels, IntArray]:
        """The values that occur, and the position of that of each row."""
        codes, found = _counted(column) or _distinct(column)
        levels = cls(tuple(found))
        if not isinstance(column.dtype, pd.CategoricalDtype):
            with contextlib.suppress(TypeError):  # values of several types
                levels = cls(tuple(sorted(found)))  # type: ignore[type-var]
        return levels, codes if levels.values == tuple(found) else levels._placed(codes, found)[0]

    def positions(self, column: pd.Series) -> tuple[IntArray, list[Hashable]]:
        """Position of each row's value; values that the fit does not have are counted on, and returned."""
        return self._placed(*_distinct(column))

    def _placed(self, codes: IntArray, found: list[Hashable]) -> tuple[IntArray, list[Hashable]]:
        """The same of values, and the codes of rows among them."""
        position = {value: i for i, value in enumerate(self.values)}
        new = [value for value in found if value not in position]
        position.update({value: len(self.values) + i for i, value in enumerate(new)})
        return np.array([position[value] for value in found], dtype=np.int64)[codes], new


@dataclass(frozen=True)
class Grouping:
    """The levels of ``g``, the combinations of levels of ``a:b`` that occur, or the levels of the members ``mm(a, b)``.

    Parameters
    ----------
    factors : tuple of Expression
    levels : tuple of Levels
        Of each factor.
    combinations : int array (n, number of factors)
        Positions among the levels of each factor, in lexicographic order.
    labels : array (n,)
        What tables call the levels; those of ``a:b`` are joined by a colon.
    pooled : bool
        Whether the factors are members, with the same levels: arrays of rows then have all rows of the first, of the
        second, ...
    """

    factors: tuple[Expression, ...]
    levels: tuple[Levels, ...]
    combinations: IntArray
    labels: np.ndarray[Any, Any]
    pooled: bool = False

    @classmethod
    def of(cls, bar: Bar, scope: Scope) -> tuple[Grouping, IntArray]:
        """Read the levels of a bar from the data; also the level of each row."""
        return cls.over(bar.group, scope, pooled=bar.pooled)

    @classmethod
    def over(cls, factors: tuple[Expression, ...], scope: Scope, *, pooled: bool = False) -> tuple[Grouping, IntArray]:
        """The combinations of some factors that occur; also that of each row."""
        columns = _columns(scope, factors, pooled)
        levels, parts = zip(*(Levels.read(column) for column in columns), strict=True)
        combinations, codes = _unique_rows(parts)
        labels = _labels(combinations, [list(each.values) for each in levels])
        return cls(factors, levels, combinations, labels, pooled), codes

    def among(self, values: Sequence[Hashable]) -> Grouping:
        """The same factor with all of these levels, in their order, whether rows have them or not."""
        labels = _labels(np.arange(len(values))[:, None], [list(values)])
        return replace(
            self, levels=(Levels(tuple(values)),), combinations=np.arange(len(values))[:, None], labels=labels
        )

    @property
    def n(self) -> int:
        """Number of levels."""
        return len(self.combinations)

    def codes(self, scope: Scope) -> tuple[IntArray, IntArray, np.ndarray[Any, Any]]:
        """Where other rows stand.

        Returns
        -------
        known : int array (rows,)
            Position of each row's level; -1 if the fit does not have it.
        new : int array (rows,)
            Position among the levels that the fit does not have; -1 if it does.
        labels : array
            Of the new levels.

        Raises
        ------
        DataError
            If the new levels are known ones written as text, or the other way round.
        """
        parts, values = [], []
        columns = _columns(scope, self.factors, self.pooled)
        for factor, levels, column in zip(self.factors, self.levels, columns, strict=False):
            codes, fresh = levels.positions(column)
            _refuse_mixture(factor, levels, fresh)
            parts.append(codes)
            values.append([*levels.values, *fresh])
        combinations, codes = _unique_rows(parts)
        place = {row: i for i, row in enumerate(map(tuple, self.combinations.tolist()))}
        known = np.array([place.get(row, -1) for row in map(tuple, combinations.tolist())], dtype=np.int64)
        fresh_rows = np.flatnonzero(known < 0)
        new = np.full(len(combinations), -1, dtype=np.int64)
        new[fresh_rows] = np.arange(fresh_rows.size)
        return known[codes], new[codes], _labels(combinations[fresh_rows], values)


def _columns(scope: Scope, factors: Sequence[Expression], pooled: bool) -> list[pd.Series]:
    """Columns of the factors; those of members one below the other."""
    columns = [_column(scope, factor) for factor in factors]
    if not pooled:
        return columns
    return [pd.concat([column.astype(object) for column in columns] if _differ(columns) else columns)]


def _differ(columns: Sequence[pd.Series]) -> bool:
    """Whether some have categories of their own."""
    return any(isinstance(column.dtype, pd.CategoricalDtype) for column in columns) and any(
        column.dtype != columns[0].dtype for column in columns
    )


def _column(scope: Scope, factor: Expression) -> pd.Series:
    column = scope.column(factor, "the grouping factor")
    gaps = column.isna()
    if column.dtype.kind == "f":
        gaps |= np.isinf(column)
    if gaps.any():
        rows = listed(column.index[gaps], 5)
        raise DataError(
            f"the grouping factor `{factor.text}` is missing or infinite in {gaps.sum()} rows (rows {rows})."
        )
    return column


def _distinct(column: pd.Series) -> tuple[IntArray, list[Hashable]]:
    """Codes of the rows, and the values they stand for as Python objects, in order of appearance."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = column.cat.remove_unused_categories().cat
        return used.codes.to_numpy(dtype=np.int64), used.categories.tolist()
    try:
        codes, found = pd.factorize(column if column.dtype != object else column.to_numpy())
    except TypeError:
        example = next(value for value in column if not isinstance(value, Hashable))
        raise DataError(f"`{column.name}` cannot be a grouping factor: it holds {type(example).__name__}s.") from None
    return codes.astype(np.int64), list(found.tolist())


def _counted(column: pd.Series) -> tuple[IntArray, list[Hashable]] | None:
    """`_distinct` of whole numbers, in ascending order; None where they, or others, are too far apart to be counted."""
    if not isinstance(column.dtype, np.dtype) or column.dtype.kind != "i" or not column.size:
        return None
    values = column.to_numpy(dtype=np.int64)  # differences of small integers may not fit their own type
    low, high = int(values.min()), int(values.max())
    if high - low >= 4 * values.size:
        return None
    values = values - low
    there = np.zeros(high - low + 1, dtype=bool)
    there[values] = True
    found: list[Any] = (np.flatnonzero(there) + low).tolist()
    return (np.cumsum(there) - 1)[values], found


def _unique_rows(columns: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
    """Distinct rows of columns of codes in lexicographic order, and which of them each row is."""
    if len(columns) == 1:  # without sorting all rows
        codes = columns[0]
        seen = np.zeros(codes.max(initial=-1) + 1, dtype=bool)
        seen[codes] = True
        return np.flatnonzero(seen)[:, None], codes if seen.all() else (np.cumsum(seen) - 1)[codes]
    position = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:  # combined two at a time: the product of two counts never overflows
        position = _ranks(position * (column.max(initial=0) + 1) + column)
    first = np.zeros(position.max(initial=-1) + 1, dtype=np.int64)
    first[position[::-1]] = np.arange(position.size)[::-1]  # of places that are written twice, the last counts
    return np.column_stack([column[first] for column in columns]), position


def _ranks(values: IntArray) -> IntArray:
    """The place of each value (n,), from zero up, among the distinct ones: by counting where there is room for it."""
    size = int(values.max(initial=-1)) + 1
    if size > 4 * values.size:
        return np.unique(values, return_inverse=True)[1]
    there = np.zeros(size, dtype=bool)
    there[values] = True
    return np.asarray((np.cumsum(there) - 1)[values])


def _labels(combinations: IntArray, values: list[list[Any]]) -> np.ndarray[Any, Any]:
    if len(values) == 1:
        chosen = [values[0][i] for i in combinations[:, 0]]
        plain = all(isinstance(value, (bool, int, float)) for value in chosen) or all(
            isinstance(value, pd.Timestamp) for value in chosen
        )
        if plain:
            return np.asarray(pd.Index(chosen))
        return np.array(
            [value if isinstance(value, (str, int, float)) else str(value) for value in chosen], dtype=object
        )
    return np.array(
        [":".join(str(v[i]) for v, i in zip(values, row, strict=True)) for row in combinations], dtype=object
    )


def _refuse_mixture(factor: Expression, levels: Levels, fresh: list[Hashable]) -> None:
    """Levels that differ only in being text or numbers are not taken for new ones."""
    written = {str(value) for value in levels.values}
    same = [value for value in fresh if str(value) in written]
    if same:
        raise DataError(
            f"the levels of `{factor.text}` are text on one side and not on the other: "
            f"{listed([repr(value) for value in same], 5)} here, and "
            f"{listed([repr(value) for value in levels.values], 5)} in the fit. Convert one of them."
        )
