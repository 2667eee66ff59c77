"""Slopes: derivatives of the expected response by a number."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.data.table import is_number
from lgm.data.values import Values
from lgm.errors import LgmError
from lgm.results.interpret.estimates import How, table
from lgm.results.interpret.grid import Variables
from lgm.results.interpret.predictions import require_no_other, rows_of
from lgm.results.interpret.questions import Question, Versions, answered
from lgm.results.interpret.streamed import over_partitions
from lgm.words import suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit

# What is differentiated by what; the names are those of marginaleffects and bambi.
SLOPES = ("dydx", "eyex", "eydx", "dyex")
STEP = 1e-4  # of the range of the data
# Three points and what each of them counts, in steps: exact for parabolas. Those at the ends stay within the data.
CENTRAL = ((-1.0, 0.0, 1.0), (-0.5, 0.0, 0.5))
FORWARD = ((0.0, 1.0, 2.0), (-1.5, 2.0, -0.5))
BACKWARD = ((0.0, -1.0, -2.0), (1.5, -2.0, 0.5))


def slopes(
    fit: Fit, asked: Any, new_data: Any, *, data: Any, by: Any, slope: Any, conditions: Any, groups: Any, how: How
) -> pd.DataFrame:
    """See `Fit.slopes`."""
    if slope not in SLOPES:
        near = suggest(str(slope), SLOPES)
        raise LgmError(f"slope={slope!r}.{near} Accepted: {', '.join(map(repr, SLOPES))}.")
    variables = Variables.of(fit)
    names = [asked] if isinstance(asked, str) else list(asked or ())
    if not names:
        raise LgmError(f"variables={asked!r}; accepted: names of numbers, of {', '.join(variables.known)}.")
    variables.require(names, "variables=")
    for name in names:
        _require_slope(variables, name)
    found = []
    for name in names:
        question = _question(name, slope, variables.values(name))
        if data is None:
            moved = (name,) if isinstance(new_data, str) else ()
            labels, values = answered(fit, rows_of(fit, new_data, conditions, groups, by, moved), question, by, how)
        else:
            require_no_other(new_data)
            labels, values = over_partitions(fit, data, question, by, conditions, groups, how)
        words = {"term": name, "slope": slope} if slope != "dydx" else {"term": name}
        found.append(table(fit, labels, values, how, words))
    return pd.concat(found, ignore_index=by is not False)


def _question(name: str, slope: str, known: Values) -> Question:
    of_rows = _log if slope in ("eyex", "eydx") else None
    return Question(partial(_versions, name, slope, known.low, known.high), of_rows=of_rows)


def _versions(name: str, slope: str, low: float, high: float, frame: pd.DataFrame) -> Versions:
    """The rows at three points each, and what these count in the derivative."""
    frames, counts = _moved(frame, name, low, high)
    if slope in ("eyex", "dyex"):  # by ln x
        counts = counts * frame[name].to_numpy(dtype=float)
    return Versions(frames, [counts])


def _log(values: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)


def _moved(frame: pd.DataFrame, name: str, low: float, high: float) -> tuple[list[pd.DataFrame], FloatArray]:
    """The rows at three points each, and what these count (3, rows) in the derivative."""
    x = frame[name].to_numpy(dtype=float)
    step = STEP * (high - low)
    first, last = (low <= x) & (x - step < low), (x <= high) & (x + step > high)
    places, counts = (
        np.where(first, np.array(begin)[:, None], np.where(last, np.array(end)[:, None], np.array(central)[:, None]))
        for central, begin, end in zip(CENTRAL, FORWARD, BACKWARD, strict=True)
    )
    return [frame.assign(**{name: x + step * place}) for place in places], counts / step


def _require_slope(variables: Variables, name: str) -> None:
    column, on_points = variables.frame[name], variables.pointwise
    instead = f"comparisons({name!r}) says what changes between its values."
    if variables.is_factor(name) or not is_number(column):
        raise LgmError(
            f"`{name}` is {'a factor' if variables.is_factor(name) else 'a time'}, without a slope; {instead}"
        )
    if name in on_points:
        raise LgmError(
            f"{on_points[name]} has effects at the values of `{name}` only, without a slope there; {instead}"
        )
    if variables.values(name).low == variables.values(name).high:
        raise LgmError(f"`{name}` has one value in the data, {column.iloc[0]}, so it has no slope.")
