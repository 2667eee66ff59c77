"""Predictions: the expected response at rows of data or on a grid, and averages of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import scipy.sparse as sp

from lgm.data.table import of_library
from lgm.errors import LgmError
from lgm.results.interpret import grid
from lgm.results.interpret.estimates import Estimand, How, averages, encoded, estimates, grouped, names_of_by, table
from lgm.results.interpret.grid import Rows, Variables

if TYPE_CHECKING:
    from lgm.results.fit import Fit


def predictions(fit: Fit, new_data: Any, *, by: Any, conditions: Any, groups: Any, how: How) -> Any:
    """See `Fit.predictions`."""
    rows = rows_of(fit, new_data, conditions, groups, by)
    cells, labels = grouped(rows.frame, by)
    weights = averages(cells, len(labels))
    values = estimates(fit, encoded(fit, rows, how), Estimand((weights,)), how)
    found = table(fit, labels, values, how)
    if by is False and rows.library is not None:
        return of_library(found, rows.library)
    found.attrs = {"held": dict(rows.held)}
    return found


def rows_of(fit: Fit, new_data: Any, conditions: Any, groups: Any, by: Any, moved: Sequence[str] = ()) -> Rows:
    """The rows that a user asks about: those of data, or ``"grid"``; ``moved`` are variables that get other values."""
    names = names_of_by(by)
    if not isinstance(new_data, str):
        return grid.of_data(fit, new_data, conditions, groups, names, moved)
    if new_data != "grid":
        raise LgmError(f"new_data={new_data!r}; accepted: 'grid', a table, or None for the data of the fit.")
    variables = Variables.of(fit)
    variables.require(names, "by=")
    values = grid.conditions_of(conditions, variables)
    values |= {name: variables.spread(name) for name in names if name not in values}
    held = variables.typical([name for name in moved if name not in values])
    return grid.of_grid(fit, values, groups, held=held)


def stacked(rows: Rows, frames: Sequence[pd.DataFrame]) -> Rows:
    """Several versions of rows as one, so that what is random about them is the same in all."""
    frame = pd.concat([each.reset_index(drop=True) for each in frames], ignore_index=True)
    return Rows(frame, rows.parts, rows.held, rows.library)


def in_version(weights: sp.csr_array, version: int, versions: int) -> sp.csr_array:
    """Weights (cells, rows) of rows as weights of one of their versions, in `stacked` rows."""
    cells, n = weights.shape
    coo = weights.tocoo()
    return sp.csr_array((coo.data, (coo.row, coo.col + version * n)), shape=(cells, n * versions))
