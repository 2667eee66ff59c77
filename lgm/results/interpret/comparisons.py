"""Comparisons: what happens to the expected response when one variable changes and all others stay."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.data.table import is_number
from lgm.data.values import MOST
from lgm.errors import LgmError, PredictionWarning, warn
from lgm.results.interpret import grid
from lgm.results.interpret.estimates import Compare, How, table
from lgm.results.interpret.grid import Variables
from lgm.results.interpret.predictions import require_no_other, rows_of
from lgm.results.interpret.questions import Question, Versions, answered
from lgm.results.interpret.streamed import over_partitions
from lgm.words import some, suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit


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
    fit: Fit, asked: Any, new_data: Any, *, data: Any, by: Any, comparison: Any, conditions: Any, groups: Any, how: How
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
        rows = None
        if data is None:
            moved = () if any(change.added for change in changes) else (name,)
            rows = rows_of(fit, new_data, conditions, groups, by, (name,) if isinstance(new_data, str) else moved)
            _warn_of_range(variables, rows.frame, name, changes)
        else:
            require_no_other(new_data)
            _warn_of_range(variables, None, name, changes)
        for change in changes:
            low, high = change.words[1], change.words[0]
            said = {"term": name, "contrast": words.format(high=high, low=low)}
            question = _question(variables, name, change, compare)
            if rows is None:
                labels, values = over_partitions(fit, data, question, by, conditions, groups, how)
            else:
                labels, values = answered(fit, rows, question, by, how)
            if by is False and not change.added and name in labels:
                labels = labels.drop(columns=name)
            found.append(table(fit, labels, values, how, said))
    return pd.concat(found, ignore_index=by is not False)


def _warn_of_range(variables: Variables, frame: pd.DataFrame | None, name: str, changes: list[Change]) -> None:
    """Say where steps lead out of the data, and some term knows no more there than a straight line or nothing.

    Without a frame, rows are all those of the fit: the last ones leave by any step.
    """
    label = variables.bent.get(name)
    steps = [step for change in changes if change.added for step in (change.low, change.high) if step]
    if label is None or not steps or not is_number(variables.frame[name]):
        return
    data = variables.values(name)
    who = f"The rows whose `{name}` is nearer to the end than the step"
    if frame is not None:
        x = frame[name].to_numpy(dtype=float)
        out = np.zeros(x.size, dtype=bool)
        for step in steps:
            out |= (x + step > data.high) | (x + step < data.low)
        if not out.any():
            return
        who = f"{int(out.sum())} of {x.size} rows"
    warn(
        f"{who} leave the range of `{name}` in the data ({data.low:.4g} to {data.high:.4g}) by this step, where "
        f'{label} only extrapolates. Accepted instead: {{{name!r}: "sd"}}, or a pair of values (low, high) within it.',
        PredictionWarning,
    )


def _question(variables: Variables, name: str, change: Change, compare: Compare | None) -> Question:
    return Question(partial(_versions, variables, name, change, compare is None), compare)


def _versions(variables: Variables, name: str, change: Change, differ: bool, frame: pd.DataFrame) -> Versions:
    """The rows with the high and the low value, as a difference or as two sums."""
    counts = [np.array([[1.0], [-1.0]])] if differ else [np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]])]
    return Versions(change.applied(variables, frame, name), counts)


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
        yield _of_number(variables, name, "minmax" if on_points else contrast)


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


def _of_number(variables: Variables, name: str, contrast: Any) -> Change:
    column, known = variables.frame[name], variables.values(name)
    step = 1.0 if contrast is None else contrast
    if is_number(column) and isinstance(step, (int, float, np.number)) and not isinstance(step, bool) and step != 0:
        return Change(0.0, step, True, (f"({name} + {step:g})", name))
    if is_number(column) and contrast == "iqr":
        quartiles = known.quantiles(np.array([0.25, 0.75]))
        if quartiles is None:
            raise LgmError(
                f"variables= has {name}='iqr', and the quartiles of `{name}` are not known: it has more than {MOST:,} "
                "values, of which data in partitions keep none. Accepted: a step, 'sd', '2sd', 'minmax', or two values "
                "(low, high)."
            )
        return _between(*quartiles)
    if is_number(column) and contrast in OF_NUMBERS:
        half = known.sd() * (0.5 if contrast == "sd" else 1.0)
        return _between(*((known.low, known.high) if contrast == "minmax" else (known.mean - half, known.mean + half)))
    accepted = f"a step, {', '.join(map(repr, OF_NUMBERS))}, or " if is_number(column) else ""
    raise LgmError(f"variables= has {name}={contrast!r}. Accepted: {accepted}two values (low, high).")


def _between(low: float, high: float) -> Change:
    return Change(float(low), float(high), False, (f"{high:.4g}", f"{low:.4g}"))


def _word(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
