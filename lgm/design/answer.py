"""The left-hand side of a formula meets data: numbers for a family, and what they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lgm import families
from lgm.arrays import BoolArray, FloatArray
from lgm.data.scope import Scope
from lgm.data.table import is_number, kind_of
from lgm.errors import DataError
from lgm.families.family import Family
from lgm.families.response import Response
from lgm.formula.python import Expression
from lgm.formula.sides import Formula
from lgm.words import listed, suggest

CODES = {"none": 0, "right": 1, "left": -1, "interval": 2}  # of censoring, as brms has them
CLOSE = 1e-3  # to a whole number, for shares that were rounded; as R's glm
_FORMS = {
    "trials": ("successes of several trials", "`cbind(successes, failures)` and `y | trials(n)`"),
    "cens": ("censored values", "`y | cens(code)`"),
}


@dataclass(frozen=True)
class Answer:
    """What a model learns from.

    Parameters
    ----------
    response : Response
        At the rows that have one.
    trials : float array, optional
        Of all rows in use; NaN where the data do not say.
    categories : tuple of str
        What the numbers of the response stand for, from `first` on. Of two, the second is the event.
    first : int
        0 for an event that may happen or not; of ordered categories 1, or the least of whole numbers.
    share : bool
        Whether the response is given as a share of as many trials as the weights say.
    """

    response: Response
    trials: FloatArray | None = None
    categories: tuple[str, ...] = ()
    share: bool = False
    first: int = 0

    @property
    def meaning(self) -> str:
        """What the numbers of the response say, in words, where these are not its own."""
        if len(self.categories) == 2:
            return f"the event is {self.categories[1]}, not {self.categories[0]}"
        if self.categories:
            return " < ".join(self.categories)
        return "a share of as many trials as the weights say" if self.share else ""


def read(
    scope: Scope,
    observed: BoolArray,
    family: Family,
    weights: FloatArray,
    *,
    weighted: bool,
    levels: Sequence[Any] | None = None,
) -> Answer:
    """The response of the observed rows.

    Parameters
    ----------
    scope : Scope
        All rows in use.
    observed : bool array
        Which of them have a response.
    family : Family
        Its `forms` say what is accepted.
    weights : float array
        Of all rows in use.
    weighted : bool
        Whether they were given.
    levels : sequence, optional
        The two values that the response has in other rows too, where it is a category.

    Raises
    ------
    FormulaError, DataError
        For a response that the family does not take; the row is named.
    """
    side = scope.formula.response
    require_form(scope.formula, family)
    seen = _rows(scope, observed)
    column = seen.column(side.value, "the response")
    if "categories" in family.forms:
        return _categories(seen, column, family)
    if not is_number(column) and not side.counts_trials and side.censored is None:
        value, categories = _event(seen, column, family, levels)
        _require_whole_weights(seen, weights[observed], family)
        return Answer(Response(value), categories=categories)
    value = seen.numbers(side.value, "the response")
    if side.counts_trials:
        trials = trials_of(scope)
        _require_trials(scope, trials, observed)
        return Answer(Response(value, trials[observed]), trials)
    if "trials" in family.forms:
        _require_whole_weights(seen, weights[observed], family)
        successes = _successes(seen, value, weights[observed], family, weighted=weighted)
        return Answer(Response(successes, weights[observed]), weights, share=weighted)
    if "event" in family.forms:
        _require_whole_weights(seen, weights[observed], family)
    return Answer(_censored(seen, value))


def _rows(scope: Scope, chosen: BoolArray) -> Scope:
    """Some rows, on which expressions learn anew; categories that none of them has are kept."""
    return replace(scope.on(scope.frame if chosen.all() else scope.frame.loc[chosen]), memory={})


def require_form(formula: Formula, family: Family) -> None:
    """Refuse a left-hand side that a family does not take, whatever the data.

    Raises
    ------
    DataError
    """
    side = formula.response
    for form, given in (("trials", side.counts_trials), ("cens", side.censored is not None)):
        if given and form not in family.forms:
            raise _not_of(formula, family, form)


def _not_of(formula: Formula, family: Family, form: str) -> Exception:
    what, written = _FORMS[form]
    takers = [f'"{name}"' for name, kind in families.FAMILIES.items() if form in kind.forms]
    accepted = f"{written} with family = {', '.join(takers)}." if takers else "a response by itself."
    message = f'family="{family.name}" does not take {what}.'
    return formula.error(message, formula.response.span, accepted, DataError)


# Trials ---------------------------------------------------------------------------------------------------------------


def trials_of(scope: Scope) -> FloatArray:
    """Number of trials of each row of a scope; NaN where a column lacks it."""
    side = scope.formula.response
    fresh = replace(scope, memory={})
    parts = [_with_gaps(fresh, each, "the number of trials") for each in side.of_trials]
    return np.asarray(sum(parts, np.zeros(scope.n)))


def _with_gaps(scope: Scope, expression: Expression, role: str) -> FloatArray:
    """An expression as one number per row, NaN where values are missing; a single number is that of all rows."""
    value = scope.value(expression)
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        return np.full(scope.n, float(value))
    column = scope.column(expression, role)
    there = column.notna().to_numpy(dtype=bool)
    if there.all() or not is_number(column):
        return scope.numbers(expression, role)
    return column.to_numpy(dtype=float, na_value=np.nan)


def _require_trials(scope: Scope, trials: FloatArray, observed: BoolArray) -> None:
    """Whole numbers of at least one where there is a response."""
    side = scope.formula.response
    if side.failures is not None:
        failures = _with_gaps(replace(scope, memory={}), side.failures, "the number of failures")
        wrong = observed & ~((failures >= 0) & (failures == np.floor(failures)))
        _refuse(scope, wrong, failures, f"the number of failures `{side.failures.text}`", "whole numbers from 0.")
    what = f"the number of trials `{' + '.join(each.text for each in side.of_trials)}`"
    none = observed & (trials == 0)
    _refuse(scope, none, trials, what, "rows with at least one trial; a row without any says nothing, so remove it.")
    wrong = ~np.isnan(trials) & ~((trials >= 0) & (trials == np.floor(trials)))
    _refuse(scope, wrong, trials, what, "whole numbers of at least 1.")


def _refuse(scope: Scope, wrong: BoolArray, values: FloatArray, what: str, accepted: str) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size:
        where = f"{values[rows[0]]:g} in row {scope.frame.index[rows[0]]}"
        others = f" ({rows.size} such rows)" if rows.size > 1 else ""
        raise DataError(f"{what} is {where}{others}; accepted: {accepted}")


def _require_whole_weights(seen: Scope, weights: FloatArray, family: Family) -> None:
    accepted = "whole numbers, as each row of weight w stands for w trials that came out alike."
    _refuse(seen, weights != np.floor(weights), weights, f"a weight of family={family.name!r}", accepted)


def _successes(seen: Scope, value: FloatArray, weights: FloatArray, family: Family, *, weighted: bool) -> FloatArray:
    """Of a response without trials: zeros and ones, or with weights the shares of as many trials."""
    side = seen.formula.response
    what = f"the response `{side.text}`"
    ways = f"`cbind({side.text}, failures)` or `{side.text} | trials(n)` for a number of successes"
    whole = f"shares from 0 to 1 with weights= for the number of trials, {ways}, or zeros and ones."
    _refuse(seen, ~((value >= 0) & (value <= 1)), value, what, whole)
    successes = np.round(value * weights)
    wrong = np.abs(value * weights - successes) > CLOSE
    if wrong.any() and weighted:
        whole = "shares that, times the weight of their row, are whole numbers of successes."
    _refuse(seen, wrong, value, what, whole)
    return successes


# Categories -----------------------------------------------------------------------------------------------------------


def _event(
    seen: Scope, column: pd.Series, family: Family, given: Sequence[Any] | None
) -> tuple[FloatArray, tuple[str, ...]]:
    """Zeros and ones of booleans or two categories, of which the second is the event, as in R."""
    side = seen.formula.response
    levels = list(_levels(seen, column) if given is None else given)
    if "event" not in family.forms:
        if len(levels) == 2:
            message = f"the response `{side.text}` holds {kind_of(column)}, but it must be numeric."
            accepted = f'numbers with family="{family.name}"; two categories with family="bernoulli".'
            raise seen.formula.error(message, side.value.span, accepted, DataError)
        seen.numbers(side.value, "the response")
    if pd.api.types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=float), ("False", "True")
    used = [level for level in levels if (column == level).any()]
    known = levels if len(levels) == 2 else used
    if len(known) == 1:
        raise DataError(
            f"the response `{side.text}` is {known[0]!r} in all rows, and nothing says what else it could be; "
            "accepted: a categorical column with both categories, or zeros and ones."
        )
    if len(known) > 2:
        shown = f"{side.text} == {str(known[-1])!r}"
        raise DataError(
            f"the response `{side.text}` has {len(known)} values ({listed(known, 6)}), but {family.name} is for two. "
            f'Accepted: one against the others, `{{{shown}}} ~ ...`, or family="cumulative" for ordered categories.'
        )
    return (column == known[1]).to_numpy(dtype=float), tuple(str(level) for level in known)


def event_of(scope: Scope, family: Family) -> tuple[Any, ...]:
    """The two values of a response that is a category, of which the second is the event, by rows that have them all.

    Raises
    ------
    DataError
        If there are not two.
    """
    column = scope.column(scope.formula.response.value, "the response")
    _event(scope, column, family, None)
    levels = _levels(scope, column)
    return tuple(levels if len(levels) == 2 else [level for level in levels if (column == level).any()])


def _levels(seen: Scope, column: pd.Series) -> list[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return list(column.cat.categories)
    if pd.api.types.is_bool_dtype(column.dtype):
        return [False, True]
    if kind_of(column) != "text":
        seen.numbers(seen.formula.response.value, "the response")  # says what it is
    return sorted(column.unique())


def _categories(seen: Scope, column: pd.Series, family: Family) -> Answer:
    """Places of ordered categories, or of whole numbers among those from the least to the largest."""
    side, dtype = seen.formula.response, column.dtype
    accepted = "whole numbers, or an ordered categorical: pd.Categorical(values, categories=[...], ordered=True)."
    if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
        value, levels, first = column.cat.codes.to_numpy(dtype=float) + 1.0, list(dtype.categories), 1
    elif is_number(column):
        numbers = seen.numbers(side.value, "the response")
        _refuse(seen, numbers != np.floor(numbers), numbers, f"the response `{side.text}`", accepted)
        value, first, last, found = numbers, int(numbers.min()), int(numbers.max()), np.unique(numbers).size
        if last - first >= 2 * found:
            raise DataError(
                f"the response `{side.text}` has {found} different values from {first} to {last}, and {family.name} "
                f"takes each whole number between them for a category. Accepted: {accepted}"
            )
        levels = list(range(first, last + 1))
    else:
        kind = "categories without an order" if isinstance(dtype, pd.CategoricalDtype) else kind_of(column)
        raise DataError(
            f"the response `{side.text}` holds {kind}, but {family.name} needs to know their order; "
            f"accepted: {accepted}"
        )
    if len(levels) < 3:
        raise DataError(
            f"the response `{side.text}` has {len(levels)} categories ({listed(levels)}), but {family.name} is for "
            'three or more; for two there is family="bernoulli".'
        )
    return Answer(Response(value), categories=tuple(str(level) for level in levels), first=first)


# Censoring ------------------------------------------------------------------------------------------------------------


def without_open_intervals(scope: Scope, observed: BoolArray) -> BoolArray:
    """The observed rows, without those of an interval whose upper end is missing."""
    side = scope.formula.response
    if side.censored is None or side.upper is None:
        return observed
    seen = _rows(scope, observed)
    missing = seen.column(side.upper, "the upper end").isna().to_numpy(dtype=bool)
    out = observed.copy()
    out[np.flatnonzero(observed)[(_codes(seen, side.censored) == CODES["interval"]) & missing]] = False
    return out


def _censored(seen: Scope, value: FloatArray) -> Response:
    side = seen.formula.response
    if side.censored is None:
        return Response(value)
    codes = _codes(seen, side.censored)
    inside = codes == CODES["interval"]
    if not inside.any():
        return Response(value, censored=codes)
    if side.upper is None:
        message = f"row {seen.frame.index[inside][0]} is censored to an interval, of which the upper end is not given."
        raise seen.formula.error(message, side.censored.span, "`y | cens(code, upper)`.", DataError)
    upper = np.where(inside, _with_gaps(seen, side.upper, "the upper end"), 2.0 * np.abs(value) + 1.0)
    wrong = ~(upper > value)
    _refuse(seen, wrong, upper, f"the upper end `{side.upper.text}`", f"numbers above the lower end, `{side.text}`.")
    return Response(value, upper=upper, censored=codes)


def _codes(seen: Scope, expression: Expression) -> np.ndarray[Any, np.dtype[np.int64]]:
    column = seen.column(expression, "the code of censoring")
    known: dict[Any, int] = {**CODES, **{code: code for code in CODES.values()}}
    values = column.tolist()
    codes = [known.get(value) for value in values]  # True is 1, right; False is 0, none
    unknown = [i for i, code in enumerate(codes) if code is None]
    if unknown:
        given = values[unknown[0]]
        near = suggest(given, list(CODES)) if isinstance(given, str) else ""
        accepted = ", ".join(f'"{name}" or {code}' for name, code in CODES.items())
        raise DataError(
            f"the code of censoring `{expression.text}` is {given!r} in row {seen.frame.index[unknown[0]]}.{near} "
            f"Accepted: {accepted}; True (censored from above, right) or False."
        )
    return np.array(codes, dtype=np.int64)
