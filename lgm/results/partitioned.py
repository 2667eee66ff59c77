"""Predictions, residuals and leave-one-out of data in partitions, of which one at a time is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.data.partitions import Dask, Iterated, Located, Partitions, partitions_of
from lgm.data.table import Table, of_library
from lgm.design.part import part_of
from lgm.design.summed import SummedDesign
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


def residuals(fit: Fit, data: Any, kind: Any, given: Any, seed: int) -> Any:
    """Those of `Fit.residuals` of rows that are read again: of a table, or partition by partition.

    Returns
    -------
    pandas.Series, iterator of them, or dask.dataframe.Series
    """
    if given == "loo":
        _require_exact(fit)
    call = partial(_residuals, fit, kind, given, seed)
    return _read_again(fit, data, call, pd.Series(dtype=float, name=f"{kind} residual"))


def loo(fit: Fit, data: Any) -> Any:
    """The table of `Fit.loo` for rows that are read again: of a table, or partition by partition.

    Returns
    -------
    pandas.DataFrame, iterator of them, or dask.dataframe.DataFrame

    Raises
    ------
    LgmError
        Unless the response is Gaussian: for others, leaving out a row takes fits to all the others.
    """
    _require_exact(fit)
    columns = ("elpd", "se", "p_loo", "pareto_k", "error")
    table = pd.DataFrame({**{name: pd.Series(dtype=float) for name in columns}, "reliable": pd.Series(dtype=bool)})
    return _read_again(fit, data, partial(_left_out, fit, table), table)


def _require_exact(fit: Fit) -> None:
    if not fit.analysed.marginal.data.normal:
        raise LgmError(
            "leaving out a row of a response that is not Gaussian may take fits to all the others, which are not in "
            "memory. Accepted: fit.residuals(data=...), or a fit to a part of the rows in one table."
        )


def _read_again(fit: Fit, data: Any, call: Callable[[Any, int], Any], empty: Any) -> Any:
    if not isinstance(fit.design, SummedDesign):
        raise LgmError("data= is for fits of data in partitions; this one has its rows. Accepted: no data=.")
    found = partitions_of(data)
    if found is None:
        return call(data, 0)
    fit.effects  # made once, not in each partition  # noqa: B018
    if isinstance(found, Iterated):
        located = Located(call)
        return (located(part, number) for number, part in enumerate(found.start(found.names)))
    if not isinstance(found, Dask):
        raise LgmError(f"data are of the type {type(data).__name__}; accepted: tables, or an iterable of them.")
    import dask
    import dask.dataframe as dd

    one = dask.delayed(Located(call), pure=False)
    parts = [one(part, number) for number, part in enumerate(found.frame.to_delayed())]
    return dd.from_delayed(parts, meta=empty.set_axis(found.frame._meta.index[:0]), verify_meta=False)


def _part(fit: Fit, table: Table) -> Fit | None:
    """The fit with some rows at hand; None if none of them has a response."""
    given = fit.inputs
    assert isinstance(fit.design, SummedDesign)
    design = part_of(fit.design, table, given.weights, given.missing)
    if design is None:
        return None
    part = replace(fit, model=replace(fit.model, design=design), progress=False)
    part.__dict__["effects"] = fit.effects
    return part


def _residuals(fit: Fit, kind: Any, given: Any, seed: int, data: Any, number: int) -> Any:
    table = Table.of(data, "it", least=0)
    part, name = _part(fit, table), f"{kind} residual"
    if part is None:
        index = table.select(()).index
        none = pd.Series(np.full(len(index), np.nan), index, name=name)
        return none if table.library is None else of_library(none.to_frame(), table.library)[name]
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])  # or places are the same in each
    return part.residuals(kind, given=given, seed=own)


def _left_out(fit: Fit, empty: pd.DataFrame, data: Any, number: int) -> Any:
    table = Table.of(data, "it", least=0)
    part = _part(fit, table)
    if part is None:
        return empty.set_axis(table.select(()).index[:0])
    return part.loo().pointwise
