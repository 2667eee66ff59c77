"""Data frames of any kind to the few pandas columns that a formula uses, and the rows that can be used."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from lgm.errors import DataError
from lgm.pattern import FloatArray


@dataclass(frozen=True)
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
    dropped : int
        Rows left out because a predictor is missing.
    missing_in : dict
        Number of missing values by predictor.
    """

    frame: pd.DataFrame
    kept: npt.NDArray[np.int64]
    observed: npt.NDArray[np.bool_]
    dropped: int
    missing_in: dict[str, int]


def to_pandas(data: Any, wanted: Collection[str] | None = None) -> pd.DataFrame:
    """The wanted columns of a pandas, polars or Arrow table, as pandas; all names stay in ``attrs["columns"]``.

    Raises
    ------
    DataError
        If the object is not a table, has no rows, or has a column twice.
    """
    if isinstance(data, dict):
        data = pd.DataFrame(data)
    try:
        table = nw.from_native(data, eager_only=True)
    except TypeError:
        raise DataError(
            f"data must be a pandas, polars or Arrow table (or a dict of columns), not {type(data).__name__}."
        ) from None
    names = [str(c) for c in data.columns] if isinstance(data, pd.DataFrame) else table.columns
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        raise DataError(f"the data have the column(s) {', '.join(repeated)} more than once.")
    if len(table) == 0:
        raise DataError("the data have no rows.")
    used = [n for n in names if wanted is None or n in wanted]
    if isinstance(data, pd.DataFrame):
        frame = data.loc[:, [c for c in data.columns if str(c) in set(used)]].copy()
        frame.columns = pd.Index([str(c) for c in frame.columns])
        frame = frame.astype({c: object for c in frame if isinstance(frame[c].dtype, pd.StringDtype)})
    else:
        frame = pd.DataFrame({n: _column(table[n]) for n in used}, index=pd.RangeIndex(len(table)))
    frame.attrs["columns"] = names
    return frame


def _column(series: nw.Series[Any]) -> Any:
    if isinstance(series.dtype, (nw.Categorical, nw.Enum)):
        return pd.Categorical(series.to_list(), categories=series.cat.get_categories().to_list())
    if series.dtype.is_numeric() and series.null_count() == 0:
        return series.to_numpy()
    values = series.to_list()
    if series.dtype.is_numeric():
        return np.array([np.nan if v is None else float(v) for v in values])
    return pd.Series(values, dtype=object if not series.dtype.is_temporal() else None)


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
    absent = frame[list(predictors)].isna()
    missing_in = {str(c): int(v) for c, v in absent.sum().items() if v}
    bad = absent.any(axis=1).to_numpy(dtype=bool) if predictors else np.zeros(len(frame), dtype=bool)
    if bad.any() and missing == "error":
        counts = ", ".join(f"{name} ({count})" for name, count in missing_in.items())
        raise DataError(f"missing values in {counts}. Accepted: complete predictors, or missing='drop'.")
    kept = np.flatnonzero(~bad)
    attrs = frame.attrs
    frame = frame.iloc[kept].copy()
    frame.attrs = attrs
    observed = ~frame[list(response)].isna().any(axis=1).to_numpy(dtype=bool) if response else np.ones(len(frame), bool)
    if not observed.any():
        raise DataError("no row is left: every row misses the response or a predictor.")
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            frame[name] = frame[name].cat.remove_unused_categories()
    return Rows(frame, kept, observed, int(bad.sum()), missing_in)


def read_weights(weights: Any, frame: pd.DataFrame) -> FloatArray:
    """Known weights as an array: None for ones, a column's name, or an array.

    Raises
    ------
    DataError
        If they are not positive, finite and one per row.
    """
    n = len(frame)
    if weights is None:
        return np.ones(n)
    if isinstance(weights, str):
        if weights not in frame.columns:
            raise DataError(f"weights={weights!r} is not a column of the data. Columns: {', '.join(frame.columns)}.")
        weights = frame[weights]
    try:
        w = np.asarray(weights, dtype=float)
    except (TypeError, ValueError):
        raise DataError("weights must be numbers, one per row, or the name of a column of numbers.") from None
    if w.shape != (n,):
        raise DataError(f"weights must have one number for each of the {n} rows, got shape {w.shape}.")
    bad = np.flatnonzero(~(np.isfinite(w) & (w > 0)))
    if bad.size:
        raise DataError(
            f"weights must be positive and finite; {bad.size} are not (first in row {frame.index[bad[0]]}: {w[bad[0]]:g}). "
            "To leave a row out, remove it; to predict it, make its response missing."
        )
    return w
