"""Predictions of data in partitions, of which one at a time is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from lgm.data.partitions import Dask, Iterated, Located, Partitions
from lgm.errors import LgmError

if TYPE_CHECKING:
    from lgm.results.fit import Fit


def predictions(fit: Fit, data: Partitions, kind: Any, **how: Any) -> Any:
    """Those of `Fit.predict`, partition by partition.

    Returns
    -------
    iterator or dask.dataframe.DataFrame
        The prediction of each partition when it is asked for; of a Dask DataFrame, one whose partitions are predicted
        when it is computed.

    Raises
    ------
    LgmError
        For draws of a Dask DataFrame, which are no table.
    """
    if isinstance(data, Dask):
        return _of_dask(fit, data, kind, how)
    if not isinstance(data, Iterated):
        raise LgmError(f"new_data is of the type {type(data).__name__}; accepted: tables, or an iterable of them.")
    return _in_turn(fit, data, kind, how)


def _in_turn(fit: Fit, data: Iterated, kind: Any, how: dict[str, Any]) -> Iterator[Any]:
    call = Located(lambda part, number: fit.predict(part, kind, **how))
    return (call(part, number) for number, part in enumerate(data.start(data.names)))


def _of_dask(fit: Fit, data: Dask, kind: str, how: dict[str, Any]) -> Any:
    if kind == "draws" or fit.design.family.outcomes:
        what = "draws" if kind == "draws" else "probabilities of categories"
        raise LgmError(
            f"{what} of a Dask DataFrame are no table of its rows. Accepted: kind='linear', 'mean' or 'response' of a "
            "response without categories, or an iterable of tables."
        )
    import dask

    columns = fit._at(how.get("interval"))._columns
    meta = pd.DataFrame({name: pd.Series(dtype=float) for name in columns}, index=data.frame._meta.index[:0])
    return data.frame.map_partitions(_predicted, dask.delayed(fit, pure=False), kind, how, meta=meta)


def _predicted(part: pd.DataFrame, fit: Fit, kind: Any, how: dict[str, Any]) -> pd.DataFrame:
    if not len(part):
        columns = fit._at(how.get("interval"))._columns
        return pd.DataFrame({name: pd.Series(dtype=float) for name in columns}, index=part.index)
    found: pd.DataFrame = fit.predict(part, kind, **how)
    return found
