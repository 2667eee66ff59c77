"""Data in partitions, of which no more than a few are in memory at a time.

Whatever is learnt from them is a sum: a function of each partition, and a way to combine two results. Results are
combined in a fixed tree, neighbours first, here as on a cluster, so that one partitioning always gives the same bits.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from lgm.data.table import Table
from lgm.errors import DataError, LgmError, MissingPackageError

T = TypeVar("T")

BATCH = 1 << 20  # rows of a file that are read at once


@dataclass(frozen=True)
class Located:
    """A function of a partition whose errors say which partition it was."""

    function: Callable[[Any, int], Any]

    def __call__(self, part: Any, number: int) -> Any:
        """The result of one partition."""
        try:
            return self.function(part, number)
        except LgmError as error:
            raise type(error)(f"partition {number}: {error}") from None


class Partitions(ABC):
    """Rows in partitions, each a table, that can be gone through as often as needed."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Columns."""

    @property
    def count(self) -> int | None:
        """Number of partitions, if it is known."""
        return None

    @abstractmethod
    def reduced(
        self,
        function: Callable[[Any, int], T],
        combine: Callable[[T, T], T],
        columns: tuple[str, ...],
        done: Callable[[], object],
    ) -> T:
        """Results of all partitions, combined.

        Parameters
        ----------
        function : callable
            Of a partition and its number, counted from zero.
        combine : callable
            Of two results, those of the earlier partitions first.
        columns : tuple of str
            Those that are needed; others may be left out.
        done : callable
            Called after each partition, where that is known.
        """


@dataclass(frozen=True)
class Iterated(Partitions):
    """Partitions that come one after the other.

    Parameters
    ----------
    start : callable
        Returns an iterator over the partitions, from the first one on; its argument are the columns that are needed.
    known : tuple of str
        Columns.
    """

    start: Callable[[tuple[str, ...]], Iterator[Any]]
    known: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Columns."""
        return self.known

    def reduced(
        self,
        function: Callable[[Any, int], T],
        combine: Callable[[T, T], T],
        columns: tuple[str, ...],
        done: Callable[[], object],
    ) -> T:
        """Results of all partitions, combined; see `Partitions.reduced`."""
        call = Located(function)

        def results() -> Iterator[T]:
            for number, part in enumerate(self.start(columns)):
                yield call(part, number)
                done()

        return in_tree(results(), combine)


@dataclass(frozen=True)
class Dask(Partitions):
    """Partitions of a Dask DataFrame; its scheduler runs what is asked of them.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
    """

    frame: Any

    @property
    def names(self) -> tuple[str, ...]:
        """Columns."""
        return tuple(str(name) for name in self.frame.columns)

    @property
    def count(self) -> int:
        """Number of partitions."""
        return int(self.frame.npartitions)

    def reduced(
        self,
        function: Callable[[Any, int], T],
        combine: Callable[[T, T], T],
        columns: tuple[str, ...],
        done: Callable[[], object],
    ) -> T:
        """Results of all partitions, combined on the cluster; see `Partitions.reduced`."""
        import dask

        call, joined = dask.delayed(Located(function), pure=False), dask.delayed(combine, pure=False)
        level = [call(part, number) for number, part in enumerate(self.frame[list(columns)].to_delayed())]
        while len(level) > 1:
            pairs = [joined(a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
            level = pairs + level[2 * len(pairs) :]
        (found,) = dask.compute(level[0])
        return found


def in_tree(results: Iterable[T], combine: Callable[[T, T], T]) -> T:
    """Results combined neighbours first, with no more than a logarithm of them held at a time.

    Examples
    --------
    >>> in_tree("abcde", lambda one, other: f"({one}{other})")
    '(((ab)(cd))e)'
    """
    held: list[tuple[int, T]] = []
    for result in results:
        held.append((0, result))
        while len(held) > 1 and held[-1][0] == held[-2][0]:
            (level, left), (_, right) = held[-2:]
            held[-2:] = [(level + 1, combine(left, right))]
    if not held:
        raise DataError("there are no partitions in the data.")
    while len(held) > 1:
        (level, left), (_, right) = held[-2:]
        held[-2:] = [(level, combine(left, right))]
    return held[0][1]


def partitions_of(data: Any) -> Partitions | None:
    """Data as partitions, if they are some; tables in memory are none.

    Accepted are a Dask DataFrame, a `pyarrow.dataset.Dataset` or ``ParquetFile``, the path of a Parquet file or of a
    folder of them, an object whose every iteration starts afresh and gives tables, and a function without arguments
    that returns an iterator over tables.

    Raises
    ------
    DataError
        For an iterator, which can be gone through only once, or an object that gives no tables.
    """
    if isinstance(data, Partitions):
        return data
    module = type(data).__module__.split(".")[0]
    if module.startswith("dask") and hasattr(data, "to_delayed") and hasattr(data, "npartitions"):
        return Dask(data)
    if _is_in_memory(data):
        return None
    if module == "pyarrow" and hasattr(data, "to_batches") and hasattr(data, "get_fragments"):
        return _of_dataset(data)
    if module == "pyarrow" and hasattr(data, "iter_batches"):
        return _of_parquet_file(data)
    if isinstance(data, (str, os.PathLike)):
        return _of_dataset(_opened(Path(data)))
    if isinstance(data, Iterator):
        raise DataError(
            f"the data are a {type(data).__name__}, which can be gone through only once, and they are read several "
            "times. Accepted: an object whose every iteration starts afresh, such as a list of tables or a class with "
            "__iter__, or a function without arguments that returns an iterator, such as the generator function itself."
        )
    if callable(data):
        return _of_function(data)
    return _of_function(data.__iter__) if hasattr(data, "__iter__") else None


def _is_in_memory(data: Any) -> bool:
    """Tables, and what becomes one: mappings, records, and what is handed over as Arrow does."""
    if isinstance(data, (Mapping, np.ndarray, pd.Series)) or _is_table(data):
        return True
    return isinstance(data, (list, tuple)) and not (data and all(_is_table(part) for part in data))


def _is_table(part: Any) -> bool:
    """Not every version of pandas and polars hands its tables over as Arrow does; narwhals knows them all."""
    if isinstance(part, Table) or hasattr(part, "__arrow_c_stream__"):
        return True
    return isinstance(nw.from_native(part, pass_through=True), nw.DataFrame)


def _of_function(start: Callable[[], Any]) -> Iterated:
    def fresh(columns: tuple[str, ...]) -> Iterator[Any]:
        return iter(start())

    first = next(fresh(()), None)
    if first is None:
        raise DataError("there are no partitions in the data.")
    if not isinstance(first, Mapping) and not _is_table(first):
        raise DataError(
            f"the data give objects of the type {type(first).__name__}; accepted: tables (pandas, polars, Arrow) or "
            "batches of records."
        )
    return Iterated(fresh, Table.of(first, "partition 0", least=0).names)


def _opened(path: Path) -> Any:
    try:
        import pyarrow.dataset
    except ImportError as error:
        raise MissingPackageError("Parquet files are read with pyarrow: pip install pyarrow") from error
    if not path.exists():
        raise DataError(f"there is no file or folder {str(path)!r}; accepted: tables, or the path of Parquet files.")
    try:
        return pyarrow.dataset.dataset(path, format="parquet")
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DataError(f"{str(path)!r} cannot be read as Parquet: {str(error).splitlines()[0]}") from None


def _of_dataset(data: Any) -> Iterated:
    def start(columns: tuple[str, ...]) -> Iterator[Any]:
        # few at a time, as what is read ahead is in memory
        found = data.to_batches(columns=list(columns), batch_size=BATCH, batch_readahead=1, fragment_readahead=1)
        return _gathered(found)

    return Iterated(start, tuple(str(name) for name in data.schema.names))


def _of_parquet_file(data: Any) -> Iterated:
    def start(columns: tuple[str, ...]) -> Iterator[Any]:
        return iter(data.iter_batches(batch_size=BATCH, columns=list(columns)))

    return Iterated(start, tuple(str(name) for name in data.schema_arrow.names))


def _gathered(batches: Iterable[Any]) -> Iterator[Any]:
    """Tables of at least so many rows each, but for the last, of small batches."""
    import pyarrow

    held: list[Any] = []
    for batch in batches:
        if batch.num_rows:
            held.append(batch)
        if sum(each.num_rows for each in held) >= BATCH:
            yield pyarrow.Table.from_batches(held)
            held = []
    if held:
        yield pyarrow.Table.from_batches(held)
