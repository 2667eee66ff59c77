"""Data frames of any kind to the few pandas columns that a formula uses, and the rows that can be used."""

from __future__ import annotations

import contextlib
import importlib.util
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from lgm.arrays import FloatArray
from lgm.errors import DataError
from lgm.words import in_composed_form, listed, suggest

MOST_WEIGHT = 1e12  # beside another one: rounding loses as many digits of what the lighter row says


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of the data that a model uses.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows with complete predictors, in their order; the response may be missing.
    kept : int array
        Their positions in the data as given.
    observed : bool array
        Which of them have a response.
    index : pandas.Index
        Labels of all rows of the data, those that are left out because a predictor is missing included.
    missing_in : dict
        Number of missing values by predictor.
    library : str or None
        Of which the data are a table, such as ``"polars"``; None is pandas.
    """

    frame: pd.DataFrame
    kept: npt.NDArray[np.int64]
    observed: npt.NDArray[np.bool_]
    index: pd.Index
    missing_in: dict[str, int]
    library: str | None = None

    @property
    def complete(self) -> npt.NDArray[np.bool_]:
        """Which rows of the data have complete predictors."""
        out = np.zeros(len(self.index), dtype=bool)
        out[self.kept] = True
        return out

    @property
    def dropped(self) -> int:
        """Number of rows left out because a predictor is missing."""
        return len(self.index) - self.kept.size


@dataclass(frozen=True, eq=False)
class Table:
    """A table whose columns become pandas when they are asked for.

    Parameters
    ----------
    native : pandas.DataFrame or narwhals.DataFrame
    names : tuple of str
        All of its columns.
    what : str
        What messages call it.
    index : pandas.Index
        Labels of its rows; those of a table without an index are 0, 1, 2, ...
    """

    native: Any
    names: tuple[str, ...]
    what: str
    index: pd.Index

    @classmethod
    def of(cls, data: Any, what: str = "the data", *, least: int = 1) -> Table:
        """Read a table of any kind that `_native` knows.

        Raises
        ------
        DataError
            If the object is none of these, or has fewer than ``least`` rows.
        """
        if isinstance(data, cls):
            return data
        data = _native(data, what)
        if len(data) < least:
            raise DataError(f"there are no rows in {what}.")
        index = data.index if isinstance(data, pd.DataFrame) else pd.RangeIndex(len(data))
        return cls(data, tuple(in_composed_form(str(name)) for name in data.columns), what, index)

    def __len__(self) -> int:
        return len(self.native)

    def select(self, wanted: Collection[str] | None = None) -> pd.DataFrame:
        """Copies of the wanted columns, in plain dtypes.

        Raises
        ------
        DataError
            If there are several columns of a wanted name.
        """
        times = Counter(self.names)
        wanted = wanted if wanted is None else {in_composed_form(name) for name in wanted}
        used = [name for name in times if wanted is None or name in wanted]
        repeated = [name for name in used if times[name] > 1]
        if repeated:
            raise DataError(f"several columns of {self.what} are called {listed(repeated)}; rename all but one.")
        places = {name: i for i, name in enumerate(self.names)}
        if isinstance(self.native, pd.DataFrame):
            columns = {name: plain(self.native.iloc[:, places[name]]) for name in used}
        else:
            columns = {name: _of_narwhals(self.native[:, places[name]]).set_axis(self.index) for name in used}
        return pd.DataFrame(columns, index=self.index)

    def rows(self, chosen: npt.NDArray[np.bool_]) -> Table:
        """Some of the rows, under the labels that they have here."""
        if chosen.all():
            return self
        of_pandas = isinstance(self.native, pd.DataFrame)
        native = self.native.iloc[chosen] if of_pandas else self.native.filter(chosen.tolist())
        return replace(self, native=native, index=self.index[chosen])

    @property
    def library(self) -> str | None:
        """Of which this is a table, such as ``"polars"``; None is pandas."""
        return None if isinstance(self.native, pd.DataFrame) else str(self.native.implementation.value)


def of_library(frame: pd.DataFrame, library: str | None) -> Any:
    """Numbers as a table of some library (`Table.library`), where it has no index."""
    if library is None:
        return frame
    backend: Any = library
    return nw.from_dict({str(name): frame[name].to_numpy() for name in frame}, backend=backend).to_native()


def with_geometry(frame: pd.DataFrame, data: Any) -> pd.DataFrame:
    """A table of the rows of a GeoDataFrame as one too, in the same reference system; other data have no geometry.

    Where several rows of the table belong to each row of the data, they stand together.
    """
    active = getattr(data, "active_geometry_name", None)
    if active is None or not isinstance(data, pd.DataFrame):
        return frame
    shapes = data[active].to_numpy().repeat(len(frame) // len(data))
    return type(data)(frame.assign(**{str(active): shapes}), geometry=str(active), crs=data.crs)


def _native(data: Any, what: str) -> pd.DataFrame | nw.DataFrame[Any]:
    """A table, a dict of columns, a list of records, or what is handed over as Arrow hands tables over."""
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        return _of_columns(data)
    if isinstance(data, (list, tuple)) and data and all(isinstance(row, Mapping) for row in data):
        return pd.DataFrame.from_records(list(data))
    if isinstance(data, np.ndarray) and data.dtype.names:
        return pd.DataFrame.from_records(data)
    table = nw.from_native(data, pass_through=True)
    if isinstance(table, nw.DataFrame):
        return table
    reader: Any = _arrow_reader()
    if hasattr(data, "__arrow_c_stream__") and reader:
        with contextlib.suppress(TypeError, ValueError):  # one column, say
            return nw.from_arrow(data, backend=reader)
    kind = type(data).__name__
    hint = next((f" Call its {name}() first." for name in ("collect", "df", "to_pandas") if hasattr(data, name)), "")
    if isinstance(data, (list, tuple, np.ndarray)):
        hint = " Columns need names."
    raise DataError(
        f"{what} must be a pandas, polars or Arrow table, a dict of columns or a list of records, not {kind}.{hint}"
    )


def _arrow_reader() -> str | None:
    """A library that takes what any other hands over as Arrow does: batches of records, relations of a database."""
    return next((name for name in ("pyarrow", "polars") if importlib.util.find_spec(name)), None)


def _of_columns(data: Mapping[Any, Any]) -> pd.DataFrame:
    try:
        return pd.DataFrame(dict(data))
    except ValueError as error:
        scalars = not any(np.ndim(column) for column in data.values())
        reason = 'a single value is written as a list, {"x": [1]}' if scalars else error
        raise DataError(f"the columns in the dict must be arrays of one length ({reason}).") from None


def to_pandas(data: Any, what: str = "the data") -> pd.DataFrame:
    """All columns of a table as pandas; see `Table`."""
    return Table.of(data, what).select()


def plain(column: pd.Series) -> pd.Series:
    """The same values in one of few dtypes.

    Numbers have 64 bits and are NumPy's, or pandas' nullable integers; booleans are bool or pandas' boolean; text and
    everything else that is not categorical, a date or a duration is object. Objects that are all numbers, booleans or
    dates become such; so do periods of one frequency.
    """
    if isinstance(column.dtype, pd.ArrowDtype):
        arrow = column.array.__arrow_array__()
        return _of_narwhals(nw.from_native(arrow, series_only=True)).set_axis(column.index)
    if isinstance(column.dtype, pd.SparseDtype):
        column = column.sparse.to_dense()
    if isinstance(column.dtype, pd.StringDtype):
        return column.astype(object)
    if column.dtype != object:
        return _of_64_bits(column)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "integer":
        try:
            return column.astype("Int64")
        except (OverflowError, TypeError, ValueError):  # larger than 64 bits: labels, if anything
            return column.copy()
    if kind in ("floating", "mixed-integer-float", "decimal"):
        return pd.Series([np.nan if pd.isna(v) else float(v) for v in column], index=column.index)
    if kind == "boolean":
        return column.astype("boolean")
    if kind in ("date", "datetime", "datetime64"):
        with contextlib.suppress(ValueError):  # of several time zones, or of years that pandas does not count: labels
            return pd.to_datetime(column)
    if kind == "timedelta":
        return pd.to_timedelta(column)
    if kind == "period" and len({period.freq for period in column.dropna()}) == 1:
        return pd.Series(pd.PeriodIndex(column), column.index)
    return column.copy()


def _of_64_bits(column: pd.Series) -> pd.Series:
    """Numbers of 64 bits; other columns as they are. In fewer bits ``year**2`` in a formula would wrap around."""
    dtype = column.dtype
    if pd.api.types.is_float_dtype(dtype):
        return column.astype("Float64" if pd.api.types.is_extension_array_dtype(dtype) else float)
    if not pd.api.types.is_integer_dtype(dtype) or (dtype.kind == "u" and column.max() > np.iinfo(np.int64).max):
        return column.copy()
    return column.astype("Int64" if pd.api.types.is_extension_array_dtype(dtype) else np.int64)


def _of_narwhals(series: nw.Series[Any]) -> pd.Series:
    if isinstance(series.dtype, (nw.Categorical, nw.Enum)):
        categories = series.cat.get_categories().to_list()
        if series.implementation.is_polars() and not isinstance(series.dtype, nw.Enum):
            categories.sort()  # a Categorical of polars has no order but that in which the session met its values
        ordered = isinstance(series.dtype, nw.Enum)
        return pd.Series(pd.Categorical(series.to_list(), categories=categories, ordered=ordered))
    if series.dtype.is_numeric() and not isinstance(series.dtype, nw.Decimal) and series.null_count() == 0:
        return _of_64_bits(pd.Series(series.to_numpy()))
    if series.dtype.is_float():
        return pd.Series([np.nan if pd.isna(value) else value for value in series.to_list()], dtype=float)
    return plain(pd.Series(series.to_list(), dtype=object))


def per_row(value: Any, frame: pd.DataFrame, name: str) -> pd.Series | None:
    """An array from outside of the data as a column beside them; None if it does not have one value per row.

    Raises
    ------
    DataError
        If it is a pandas series of that length with other row labels.
    """
    if isinstance(value, pd.Series) and len(value) == len(frame) and not value.index.equals(frame.index):
        raise DataError(
            f"`{name}` is a pandas Series from outside of the data, and its index is not that of the data. If its rows "
            f"are in the order of the data, make it an array: {name} = {name}.to_numpy()."
        )
    if isinstance(value, (np.ndarray, pd.Series, pd.Index, pd.api.extensions.ExtensionArray)):
        if np.shape(value) == (len(frame),):
            return plain(pd.Series(value)).set_axis(frame.index)
        return None
    series = nw.from_native(value, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        return _of_narwhals(series).set_axis(frame.index) if len(series) == len(frame) else None
    if hasattr(value, "__array__") and np.shape(value) == (len(frame),):  # of JAX, or one piece of an Arrow column
        return plain(pd.Series(np.asarray(value), frame.index))
    return None


def usable_rows(frame: pd.DataFrame, predictors: Sequence[str], response: Sequence[str], missing: str) -> Rows:
    """Decide which rows are used: predictors must be there, responses may be missing.

    Parameters
    ----------
    frame : pandas.DataFrame
    predictors, response : sequences of column names
    missing : {"drop", "error"}
        What to do about missing predictors.

    Raises
    ------
    DataError
        If predictors are missing and ``missing="error"``, or no row with a response is left.
    """
    absent = frame[list(predictors)].isna().to_numpy(dtype=bool)
    missing_in = {name: int(n) for name, n in zip(predictors, absent.sum(axis=0), strict=True) if n}
    bad = absent.any(axis=1)
    if bad.any() and missing == "error":
        gaps = dict(zip(predictors, absent.T, strict=True))
        counts = "; ".join(f"`{name}` ({n}: row {_first(frame, gaps[name])})" for name, n in missing_in.items())
        raise DataError(f"values are missing in {counts}. Accepted: complete predictors, or missing='drop'.")
    kept, index = np.flatnonzero(~bad), frame.index
    answers = set(response).difference(predictors)  # of which a category without rows may be an answer too
    frame = frame.iloc[kept] if bad.any() else frame
    columns = {name: _settled(frame[name], keep=name in answers) for name in frame}
    frame = pd.DataFrame(columns, index=frame.index, copy=False)
    observed = ~np.logical_or.reduce([np.zeros(kept.size, dtype=bool), *(frame[c].isna().to_numpy() for c in response)])
    if not observed.any():
        counts = ", ".join(f"`{name}` ({count})" for name, count in missing_in.items())
        which = f"`{'`, `'.join(response)}`, or a predictor: {counts}" if counts else f"`{'`, `'.join(response)}`"
        raise DataError(f"no row is left: every row misses {which}.")
    return Rows(frame, kept, observed, index, missing_in)


def _settled(column: pd.Series, *, keep: bool = False) -> pd.Series:
    """Nullable numbers and booleans without a missing value as NumPy's; a category that no row has is dropped."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column if keep else column.cat.remove_unused_categories()
    if not isinstance(column.dtype, pd.api.extensions.ExtensionDtype) or not hasattr(column.dtype, "numpy_dtype"):
        return column
    if not column.isna().any():
        return column.astype(column.dtype.numpy_dtype)
    return column if column.dtype == "boolean" else column.astype(float)


def settled(frame: pd.DataFrame, keep: Collection[str] = ()) -> pd.DataFrame:
    """The same rows, all of them complete, in NumPy's dtypes; of some columns categories without rows are kept."""
    return pd.DataFrame({name: _settled(frame[name], keep=name in keep) for name in frame}, index=frame.index)


def _first(frame: pd.DataFrame, flags: npt.NDArray[np.bool_], limit: int = 5) -> str:
    return listed(frame.index[np.flatnonzero(flags)], limit)


def read_weights(
    weights: Any, frame: pd.DataFrame, names: Sequence[str] = (), kept: npt.NDArray[np.int64] | None = None
) -> FloatArray:
    """Known weights as an array: None for ones, a column's name, or an array.

    Parameters
    ----------
    weights : None, str or array
    frame : pandas.DataFrame
        All rows of the data.
    names : sequence of str
        All columns of the data, for the message, if the frame has only some.
    kept : int array, optional
        Positions of the rows in use, by default all; other rows may have any weight.

    Returns
    -------
    float array, one number for each row in use.

    Raises
    ------
    DataError
        If they are not positive, finite and one per row.
    """
    rows = np.arange(len(frame)) if kept is None else kept
    if weights is None:
        return np.ones(rows.size)
    what = "weights"
    if isinstance(weights, str):
        weights = in_composed_form(weights)
        if weights not in frame.columns:
            known = names or [str(c) for c in frame.columns]
            raise DataError(
                f"weights={weights!r} is not a column of the data.{suggest(weights, known)} Columns: {listed(known)}"
            )
        what, weights = f"the weights `{weights}`", frame[weights]
    column = per_row(np.asarray(weights) if isinstance(weights, (list, tuple)) else weights, frame, "weights")
    if column is None:
        shape = f"an array of shape {np.shape(weights)}" if np.ndim(weights) else repr(weights)
        raise DataError(f"{what} must have one number for each of the {len(frame)} rows of the data, not {shape}.")
    if pd.api.types.is_bool_dtype(column.dtype) or not pd.api.types.is_numeric_dtype(column.dtype):
        raise DataError(f"{what} must be numbers; these are {kind_of(column)}.")
    w = column.to_numpy(dtype=float, na_value=np.nan)[rows]
    bad = ~(np.isfinite(w) & (w > 0))
    if bad.any():
        first = rows[np.flatnonzero(bad)[0]]
        raise DataError(
            f"{what} must be positive and finite; {bad.sum()} of {w.size} are not (first: {w[bad][0]:g} in row "
            f"{frame.index[first]}). To leave a row out, remove it; to predict it, make its response missing."
        )
    if not (w.max() <= MOST_WEIGHT * w.min() and w.max() <= MOST_WEIGHT and w.min() >= 1.0 / MOST_WEIGHT):
        ends = f"{w.min():g} (row {frame.index[rows[w.argmin()]]}) to {w.max():g} (row {frame.index[rows[w.argmax()]]})"
        raise DataError(
            f"{what} go from {ends}; beside the largest, the smallest count for nothing that double precision could "
            f"show. Accepted: between {1 / MOST_WEIGHT:g} and {MOST_WEIGHT:g}, and none {MOST_WEIGHT:g} times another."
        )
    return w


def is_number(values: pd.Series) -> bool:
    """Whether a column holds real numbers; booleans are none."""
    dtype = values.dtype
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype) and dtype.kind != "c"


_KINDS = {"string": "text", "mixed": "objects of several types", "datetime": "dates of several time zones"}


def kind_of(values: pd.Series) -> str:
    """What a column holds, in words."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "categories"
    if pd.api.types.is_bool_dtype(dtype):
        return "booleans"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "dates"
    if isinstance(dtype, pd.PeriodDtype):
        return "periods"
    if pd.api.types.is_timedelta64_dtype(dtype):
        return "durations"
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind == "mixed-integer":
        return "numbers among other things"
    return _KINDS.get(kind, f"{kind} values")
