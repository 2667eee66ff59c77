"""Predictions: the expected response at rows of data or on a grid, and averages of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lgm.data.table import of_library
from lgm.errors import LgmError
from lgm.results.interpret import grid
from lgm.results.interpret.estimates import How, names_of_by, table
from lgm.results.interpret.grid import Rows, Variables
from lgm.results.interpret.questions import Question, answered, plainly
from lgm.results.interpret.streamed import over_partitions

if TYPE_CHECKING:
    from lgm.results.fit import Fit


def predictions(fit: Fit, new_data: Any, *, data: Any, by: Any, conditions: Any, groups: Any, how: How) -> Any:
    """See `Fit.predictions`."""
    if data is not None:
        require_no_other(new_data)
        return table(fit, *over_partitions(fit, data, Question(plainly), by, conditions, groups, how), how)
    rows = rows_of(fit, new_data, conditions, groups, by)
    labels, values = answered(fit, rows, Question(plainly), by, how)
    found = table(fit, labels, values, how)
    if by is False and rows.library is not None:
        return of_library(found, rows.library)
    found.attrs = {"held": dict(rows.held)}
    return found


def require_no_other(new_data: Any) -> None:
    """Raise if there are other rows beside data=."""
    if new_data is not None:
        raise LgmError("data= are the rows of the fit, and new_data= are others; give one of them.")


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
