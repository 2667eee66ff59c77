"""Responses as the model would have them, in place of those of the data: few draws of all rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray, IntArray
from lgm.errors import LgmError
from lgm.results.checking.observed import Observed
from lgm.results.effects import KEPT_BYTES
from lgm.words import amount, suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit

MANY = 1000
BYTES = 24.0  # of each number that is drawn, with what it is made of

Statistic = Callable[[FloatArray], float]
STATISTICS: Mapping[str, Statistic] = {
    "mean": lambda y: float(np.mean(y)),
    "sd": lambda y: float(np.std(y, ddof=1)) if y.size > 1 else np.nan,
    "median": lambda y: float(np.median(y)),
    "mad": lambda y: float(1.4826 * np.median(np.abs(y - np.median(y)))),
    "min": lambda y: float(np.min(y)),
    "max": lambda y: float(np.max(y)),
    "iqr": lambda y: float(np.subtract(*np.quantile(y, [0.75, 0.25]))),
    "q10": lambda y: float(np.quantile(y, 0.1)),
    "q90": lambda y: float(np.quantile(y, 0.9)),
    "prop_zero": lambda y: float(np.mean(y == 0.0)),
}


def affordable(rows: Observed) -> int:
    """How many new data sets are made where a user does not say: as many as show the tails and may be held."""
    return int(np.clip(KEPT_BYTES / (BYTES * rows.n), 50, MANY))


def replicates(rows: Observed, draws: int, redraw: Any, seed: int) -> FloatArray:
    """New responses (D, n), as the response is given, by so many draws, or by all where there are fewer.

    Parameters
    ----------
    rows : Observed
    draws : int
    redraw : bool or list of str
        Groups whose effects are drawn from their population.
    seed : int
    """
    if not (isinstance(draws, (int, np.integer)) and not isinstance(draws, bool) and draws >= 1):
        raise LgmError(f"draws={draws!r}; accepted: how many new data sets there shall be, such as 50.")
    numbers = rows.some(int(draws))
    if BYTES * rows.n * numbers.size > 2.0 * KEPT_BYTES:
        taken = amount(8.0 * rows.n * numbers.size)
        raise LgmError(f"{numbers.size} new data sets of {rows.n} rows take {taken}; accepted: fewer draws=.")
    d, theta = rows.fit.design, {kind: draws[numbers] for kind, draws in rows.theta.items()}
    eta, rng = rows.redrawn(redraw).draws(only=numbers), np.random.default_rng([seed, 9])
    drawn = d.family.simulate(rng, eta, theta, d.weights, rows.trials)
    return np.ascontiguousarray((drawn / rows.shares[:, None]).T)


def statistic_of(given: Any) -> tuple[str, Statistic]:
    """A statistic and its name, by name or as a function of the responses (n,) to a number."""
    if callable(given):
        return str(getattr(given, "__name__", "statistic")), given
    if given not in STATISTICS:
        near = suggest(str(given), list(STATISTICS))
        known = ", ".join(map(repr, STATISTICS))
        raise LgmError(f"statistic={given!r}.{near} Accepted: {known}, or a function of an array to a number.")
    return given, STATISTICS[given]


def statistics(
    fit: Fit, given: Any, *, by: Any, draws: int | None, redraw: Any, seed: int
) -> tuple[pd.DataFrame, FloatArray]:
    """See `Fit.pp_statistic`; also the statistics (D, groups) of the new data sets."""
    rows = Observed(fit)
    require_known(rows, "statistics of responses")
    name, function = statistic_of(given)
    d = rows.fit.design
    if d.family.outcomes and not callable(given):
        raise LgmError(
            f"statistic={given!r} is of numbers, and `{d.formula.response.text}` has ordered categories. Accepted: "
            f"pp_check('bars'), or a function of their numbers, from {d.answer.first} ({d.family.outcomes[0]}) to "
            f"{d.answer.first + len(d.family.outcomes) - 1} ({d.family.outcomes[-1]}), such as "
            f"lambda y: (y == {d.answer.first}).mean()."
        )
    labels, codes = _groups(rows, by, name)
    new = replicates(rows, affordable(rows) if draws is None else draws, redraw, seed)
    observed = np.array([_applied(function, rows.y[each], name) for each in codes])
    drawn = np.array([[_applied(function, y[each], name) for each in codes] for y in new])
    ends = np.quantile(drawn, [(1 - fit.interval) / 2, (1 + fit.interval) / 2], axis=0)
    share = np.mean((drawn > observed) + 0.5 * (drawn == observed), axis=0)
    values = np.column_stack([observed, drawn.mean(axis=0), drawn.std(axis=0, ddof=1), *ends, share])
    columns = ["observed", "mean", "sd", *fit.interval_names, "P(new > observed)"]
    return pd.DataFrame(values, labels, columns), drawn


def require_known(rows: Observed, what: str) -> None:
    """Raise an LgmError if responses are censored."""
    if rows.censored.any():
        raise LgmError(
            f"{what} need responses that are known, and {np.count_nonzero(rows.censored)} are censored. Accepted: "
            'pp_check("km_overlay") where they are censored on the right, pp_check("loo_pit"), fit.residuals().'
        )


def _groups(rows: Observed, by: Any, name: str) -> tuple[pd.Index, list[IntArray]]:
    """Labels, and the rows of each."""
    if by is None:
        return pd.Index([name], name="statistic"), [np.arange(rows.n)]
    column = rows.column(by, "by")
    found = pd.DataFrame({"place": np.arange(rows.n)}).groupby(column.to_numpy(), observed=True)["place"]
    groups = [(label, places.to_numpy()) for label, places in found]
    return pd.Index([label for label, _ in groups], name=column.name), [places for _, places in groups]


def _applied(function: Statistic, y: FloatArray, name: str) -> float:
    value = function(y)
    if np.ndim(value) != 0:
        raise LgmError(
            f"statistic={name} gives an array of shape {np.shape(value)}; accepted: one number for an array."
        )
    return float(value)
