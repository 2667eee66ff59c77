"""Comparisons: what happens to the expected response when one variable changes and all others stay."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.data.table import is_number
from lgm.errors import LgmError, PredictionWarning, warn
from lgm.results.interpret import grid
from lgm.results.interpret.estimates import Estimand, How, averages, encoded, estimates, grouped, table
from lgm.results.interpret.grid import Rows, Variables
from lgm.results.interpret.predictions import in_version, rows_of, stacked
from lgm.words import some, suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit

Compare = Callable[[FloatArray, FloatArray], FloatArray]


def _log_odds(share: FloatArray) -> FloatArray:
    return np.log(share) - np.log1p(-share)


# How two averages are compared, and in words; the names are those of marginaleffects.
COMPARISONS: dict[str, tuple[Compare | None, str]] = {
    "difference": (None, "{high} - {low}"),
    "ratio": (lambda high, low: high / low, "{high} / {low}"),
    "lift": (lambda high, low: (high - low) / low, "({high} - {low}) / {low}"),
    "lnratio": (lambda high, low: np.log(high / low), "ln({high} / {low})"),
    "lnor": (lambda high, low: _log_odds(high) - _log_odds(low), "ln(odds({high}) / odds({low}))"),
}
OF_FACTORS = ("reference", "pairwise", "sequential")
OF_NUMBERS = ("sd", "2sd", "iqr", "minmax")


@dataclass(frozen=True)
class Change:
    """A change of one variable: two values of it, or steps from where each row is.

    Parameters
    ----------
    low, high : object
        The values, or what is added to that of each row.
    added : bool
    words : (str, str)
        What they are called.
    """

    low: Any
    high: Any
    added: bool
    words: tuple[str, str]

    def applied(self, variables: Variables, frame: pd.DataFrame, name: str) -> list[pd.DataFrame]:
        """The rows with the high and the low value."""
        if self.added:
            return [frame.assign(**{name: frame[name] + step}) for step in (self.high, self.low)]
        return [grid.with_value(variables, frame, name, value) for value in (self.high, self.low)]


def comparisons(
    fit: Fit, asked: Any, new_data: Any, *, by: Any, comparison: Any, conditions: Any, groups: Any, how: How
) -> pd.DataFrame:
    """See `Fit.comparisons`."""
    if comparison not in COMPARISONS:
        near = suggest(str(comparison), list(COMPARISONS))
        raise LgmError(f"comparison={comparison!r}.{near} Accepted: {', '.join(map(repr, COMPARISONS))}.")
    if comparison == "lnor" and "logit" not in fit.design.family.links:
        raise LgmError(f'comparison="lnor" is of odds, but the mean of {fit.design.family.name} is no probability.')
    variables = Variables.of(fit)
    wanted = _asked(variables, asked)
    compare, words = COMPARISONS[comparison]
    found = []
    for name, contrast in wanted.items():
        changes = list(changes_of(variables, name, contrast))
        moved = () if any(change.added for change in changes) else (name,)
        rows = rows_of(fit, new_data, conditions, groups, by, (name,) if isinstance(new_data, str) else moved)
        _warn_of_range(variables, rows.frame, name, changes)
        for change in changes:
            low, high = change.words[1], change.words[0]
            labels = {"term": name, "contrast": words.format(high=high, low=low)}
            found.append(_one(fit, rows, name, change, compare, by, labels, how))
    return pd.concat(found, ignore_index=by is not False)


def _warn_of_range(variables: Variables, frame: pd.DataFrame, name: str, changes: list[Change]) -> None:
    """Say where steps lead out of the data, and some term knows no more there than a straight line or nothing."""
    label = variables.bent.get(name)
    if label is None or not is_number(frame[name]):
        return
    data, x = variables.frame[name], frame[name].to_numpy(dtype=float)
    steps = [step for change in changes if change.added for step in (change.low, change.high)]
    out = np.zeros(x.size, dtype=bool)
    for step in steps:
        out |= (x + step > float(data.max())) | (x + step < float(data.min()))
    if out.any():
        warn(
            f"{int(out.sum())} of {x.size} rows leave the range of `{name}` in the data ({data.min():.4g} to "
            f"{data.max():.4g}) by this step, where {label} only extrapolates. Accepted instead: "
            f'{{{name!r}: "sd"}}, or a pair of values (low, high) within it.',
            PredictionWarning,
        )


def _one(
    fit: Fit,
    rows: Rows,
    name: str,
    change: Change,
    compare: Compare | None,
    by: Any,
    words: Mapping[str, str],
    how: How,
) -> pd.DataFrame:
    cells, labels = grouped(rows.frame, by)
    weights = averages(cells, len(labels))
    both = stacked(rows, change.applied(Variables.of(fit), rows.frame, name))
    high, low = (in_version(weights, i, 2) for i in range(2))
    estimand = Estimand((high - low,)) if compare is None else Estimand((high, low), compare)
    values = estimates(fit, encoded(fit, both, how), estimand, how)
    labels = labels.drop(columns=name) if by is False and not change.added and name in labels else labels
    return table(fit, labels, values, how, words)


def _asked(variables: Variables, asked: Any) -> dict[str, Any]:
    """Variables and what is said of how they change."""
    if isinstance(asked, Mapping):
        wanted = dict(asked)
    else:
        names = [asked] if isinstance(asked, str) else list(asked or ())
        wanted = dict.fromkeys(names)
    if not wanted:
        raise LgmError(f"variables={asked!r}; accepted: names of variables, of {', '.join(variables.known)}.")
    variables.require(wanted, "variables=")
    return wanted


def changes_of(variables: Variables, name: str, contrast: Any) -> Iterator[Change]:
    """The changes of a variable that a user asks for, by default one unit, or each level against the first.

    Where a term has effects at the values of a variable only, it is by default from the smallest to the largest.

    Raises
    ------
    LgmError
        For a contrast that the variable cannot have, or a factor with one level.
    """
    if isinstance(contrast, tuple) and len(contrast) == 2:
        low, high = (grid.values_for(variables, name, value, "variables=")[0] for value in contrast)
        yield Change(low, high, False, (_word(high), _word(low)))
    elif variables.is_factor(name):
        levels = grid.require_several_levels(variables, name)
        for low, high in _pairs(levels, name, contrast):
            yield Change(low, high, False, (_word(high), _word(low)))
    else:
        on_points = contrast is None and name in variables.pointwise  # one unit further there may be nothing
        yield _of_number(variables.frame[name], name, "minmax" if on_points else contrast)


def _pairs(levels: list[Any], name: str, contrast: Any) -> list[tuple[Any, Any]]:
    if contrast in (None, "reference"):
        return [(levels[0], level) for level in levels[1:]]
    if contrast == "pairwise":
        return list(itertools.combinations(levels, 2))
    if contrast == "sequential":
        return list(itertools.pairwise(levels))
    raise LgmError(
        f"variables= has {name}={contrast!r}, but `{name}` is a factor. Accepted: "
        f"{', '.join(map(repr, OF_FACTORS))}, or two of its levels (low, high), of {some(levels)}."
    )


def _of_number(column: pd.Series, name: str, contrast: Any) -> Change:
    step = 1.0 if contrast is None else contrast
    if is_number(column) and isinstance(step, (int, float, np.number)) and not isinstance(step, bool) and step != 0:
        return Change(0.0, step, True, (f"({name} + {step:g})", name))
    if is_number(column) and contrast in OF_NUMBERS:
        mean, sd = float(column.mean()), float(column.std(ddof=1))
        low, high = {
            "sd": (mean - sd / 2, mean + sd / 2),
            "2sd": (mean - sd, mean + sd),
            "iqr": tuple(np.quantile(column.to_numpy(dtype=float), [0.25, 0.75])),
            "minmax": (float(column.min()), float(column.max())),
        }[contrast]
        return Change(low, high, False, (f"{high:.4g}", f"{low:.4g}"))
    accepted = f"a step, {', '.join(map(repr, OF_NUMBERS))}, or " if is_number(column) else ""
    raise LgmError(f"variables= has {name}={contrast!r}. Accepted: {accepted}two values (low, high).")


def _word(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
