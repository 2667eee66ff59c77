"""What is known of the values of a column: all where its rows are at hand, else what adds up over partitions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.data.moments import Moments
from lgm.data.table import is_number

MOST = 10_000  # distinct values of a column of data in partitions that are kept


class Values(ABC):
    """Of a column of numbers or times what is typical and how far they go, and of any column which ones there are."""

    @property
    @abstractmethod
    def moments(self) -> Moments:
        """Of numbers, or of times as numbers."""

    @property
    @abstractmethod
    def whole(self) -> bool:
        """Whether they are whole numbers."""

    @property
    @abstractmethod
    def distinct(self) -> pd.Series | None:
        """Each value once, in the order of the data; None if there are too many of them."""

    @abstractmethod
    def quantiles(self, at: FloatArray) -> FloatArray | None:
        """As `numpy.quantile` has them; None if too little is known."""

    @property
    def mean(self) -> float:
        """Of numbers, or of times as numbers."""
        return self.moments.mean

    @property
    def low(self) -> float:
        """The smallest."""
        return self.moments.low

    @property
    def high(self) -> float:
        """The largest."""
        return self.moments.high

    def sd(self, ddof: float = 1.0) -> float:
        """Standard deviation."""
        return self.moments.sd(ddof)


@dataclass(frozen=True, eq=False)
class AtHand(Values):
    """Of a column whose rows are in memory.

    Parameters
    ----------
    column : pandas.Series
        Of which none is missing.
    """

    column: pd.Series

    @cached_property
    def moments(self) -> Moments:
        """Of numbers, or of times as numbers."""
        return Moments.of(as_numbers(self.column))

    @property
    def whole(self) -> bool:
        """Whether they are whole numbers."""
        return bool(np.all(self.column == np.round(self.column)))

    @cached_property
    def distinct(self) -> pd.Series:
        """Each value once, in the order of the data."""
        return self.column.drop_duplicates()

    def quantiles(self, at: FloatArray) -> FloatArray:
        """As `numpy.quantile` has them."""
        return np.quantile(self.column.to_numpy(dtype=float), at)


@dataclass(frozen=True, eq=False)
class Summary(Values):
    """Of a column in partitions, whose summaries add up.

    Parameters
    ----------
    found : Moments or None
        Of numbers, or of times as numbers; None of what is neither.
    are_whole : bool
    kept : pandas.Series or None
        Each value once; None if there are too many.
    counts : int array
        How often each of them occurs.
    """

    found: Moments | None
    are_whole: bool
    kept: pd.Series | None
    counts: IntArray

    @classmethod
    def of(cls, column: pd.Series) -> Summary:
        """Of the rows of one partition, of which none is missing.

        Examples
        --------
        >>> both = Summary.of(pd.Series([3, 1, 1])) + Summary.of(pd.Series([2, 3]))
        >>> both.distinct.tolist(), both.counts.tolist(), both.mean, both.quantiles(np.array([0.5])).tolist()
        ([3, 1, 2], [2, 2, 1], 2.0, [2.0])
        """
        number = is_number(column)
        found = Moments.of(as_numbers(column)) if number or is_time(column) else None
        whole = not number or bool(np.all(column == np.round(column)))
        plain = column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
        if plain.iloc[: 2 * MOST].nunique() > MOST:
            return cls(found, whole, None, np.zeros(0, dtype=np.int64))
        return cls(found, whole, *_counted(plain, np.ones(len(plain), dtype=np.int64)))

    def __add__(self, other: Summary) -> Summary:
        if not (self._rows and other._rows):
            return self if self._rows else other
        found = None if self.found is None or other.found is None else self.found + other.found
        whole = self.are_whole and other.are_whole
        if self.kept is None or other.kept is None:
            return Summary(found, whole, None, np.zeros(0, dtype=np.int64))
        both = pd.concat([self.kept, other.kept], ignore_index=True)
        return Summary(found, whole, *_counted(both, np.concatenate([self.counts, other.counts])))

    @property
    def whole(self) -> bool:
        """Whether they are whole numbers."""
        return self.are_whole

    @property
    def distinct(self) -> pd.Series | None:
        """Each value once, in the order of the data; None if there are too many of them."""
        return self.kept

    @property
    def _rows(self) -> bool:
        return self.kept is None or len(self.kept) > 0

    @property
    def moments(self) -> Moments:
        """Of numbers, or of times as numbers."""
        assert self.found is not None
        return self.found

    def quantiles(self, at: FloatArray) -> FloatArray | None:
        """As `numpy.quantile` has them; None if too many values are different."""
        if self.kept is None:
            return None
        values = self.kept.to_numpy(dtype=float)
        order = np.argsort(values)
        last = np.cumsum(self.counts[order]) - 1  # place of the last row that has each value
        place = np.asarray(at) * last[-1]
        below, above = (values[order][np.searchsorted(last, ends(place))] for ends in (np.floor, np.ceil))
        return np.asarray(below + (above - below) * (place - np.floor(place)))


def _counted(column: pd.Series, counts: IntArray) -> tuple[pd.Series | None, IntArray]:
    codes, _ = pd.factorize(column)
    m = int(codes.max(initial=-1)) + 1
    if m > MOST:
        return None, np.zeros(0, dtype=np.int64)
    first = np.unique(codes, return_index=True)[1]
    times = np.zeros(m, dtype=np.int64)
    np.add.at(times, codes, counts)
    return column.iloc[first].reset_index(drop=True), times


def is_time(column: pd.Series) -> bool:
    """Whether a column holds dates, periods or durations."""
    dtype = column.dtype
    return (
        pd.api.types.is_datetime64_any_dtype(dtype)
        or isinstance(dtype, pd.PeriodDtype)
        or pd.api.types.is_timedelta64_dtype(dtype)
    )


def as_numbers(column: pd.Series) -> FloatArray:
    """Numbers, or times as numbers: periods count, dates and durations are in microseconds."""
    if not is_time(column):
        return column.to_numpy(dtype=float)
    exact = column if isinstance(column.dtype, pd.PeriodDtype) else column.dt.as_unit("us")
    return np.asarray(exact.astype("int64"), dtype=float)


def nearest(columns: list[FloatArray], wanted: list[float], units: list[float]) -> int:
    """The row (of some columns of numbers) nearest to a point; of several as near, the first in the order of values.

    Examples
    --------
    >>> nearest([np.array([3.0, 2.0, 9.0])], [2.5], [1.0])
    1
    """
    away: Any = sum(
        ((column - at) / (unit or 1.0)) ** 2 for column, at, unit in zip(columns, wanted, units, strict=True)
    )
    close: BoolArray = away <= away.min() + 1e-9 * (1.0 + away.min())  # as means are rounded, so are ties
    rows = np.flatnonzero(close)
    return int(rows[np.lexsort([column[rows] for column in reversed(columns)])[0]])
