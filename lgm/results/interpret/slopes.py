"""Slopes: derivatives of the expected response by a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.table import is_number
from lgm.errors import LgmError
from lgm.results.interpret.estimates import Estimand, How, averages, encoded, estimates, grouped, table
from lgm.results.interpret.grid import Rows, Variables
from lgm.results.interpret.predictions import in_version, rows_of, stacked
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
    fit: Fit, asked: Any, new_data: Any, *, by: Any, slope: Any, conditions: Any, groups: Any, how: How
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
        moved = (name,) if isinstance(new_data, str) else ()
        found.append(_one(fit, rows_of(fit, new_data, conditions, groups, by, moved), name, slope, by, how))
    return pd.concat(found, ignore_index=by is not False)


def _one(fit: Fit, rows: Rows, name: str, slope: str, by: Any, how: How) -> pd.DataFrame:
    cells, labels = grouped(rows.frame, by)
    frames, counts = _moved(rows.frame, name, Variables.of(fit).frame[name])
    if slope in ("eyex", "dyex"):  # by ln x
        counts = counts * rows.frame[name].to_numpy(dtype=float)
    each = averages(cells, len(labels))
    weights = sum(
        (in_version(sp.csr_array(each @ sp.diags_array(counts[k])), k, 3) for k in range(3)),
        sp.csr_array((len(labels), 3 * len(rows.frame))),
    )
    weights = sp.csr_array(weights)
    estimand = Estimand((weights,), of_rows=_log if slope in ("eyex", "eydx") else None)
    values = estimates(fit, encoded(fit, stacked(rows, frames), how), estimand, how)
    words = {"term": name, "slope": slope} if slope != "dydx" else {"term": name}
    return table(fit, labels, values, how, words)


def _log(values: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)


def _moved(frame: pd.DataFrame, name: str, data: pd.Series) -> tuple[list[pd.DataFrame], FloatArray]:
    """The rows at three points each, and what these count (3, rows) in the derivative."""
    x, low, high = frame[name].to_numpy(dtype=float), float(data.min()), float(data.max())
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
    if float(column.min()) == float(column.max()):
        raise LgmError(f"`{name}` has one value in the data, {column.iloc[0]}, so it has no slope.")
