"""Rows at which a fit is asked: those of data, or a grid on which what is not asked about has a typical value."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.data.expression import names_of
from lgm.data.table import Table, is_number
from lgm.data.values import MOST, AtHand, Values, as_numbers, is_time, nearest
from lgm.design.design import Design
from lgm.design.predictor import Parts
from lgm.design.summed import SummedDesign
from lgm.errors import DataError, LgmError
from lgm.formula.python import Expression
from lgm.formula.sides import Bar, Call
from lgm.formula.tokens import without_backticks
from lgm.results.linear_predictor import parts_of
from lgm.terms import group_series
from lgm.terms.term import Term
from lgm.terms.view import Curve, Field, Fields, Map, Maps, Surface
from lgm.words import counted, listed, some, suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit

RESOLUTION = 100  # values of a number, as in brms
MOST_ROWS = 1_000_000  # of a grid


@dataclass(frozen=True, eq=False)
class Variables:
    """The columns of the data that a model's linear predictor is computed from, and what each of them is.

    Parameters
    ----------
    design : Design
    frame : pandas.DataFrame
        The rows with a response; of data in partitions, rows that have all values of the variables of the terms.
    """

    design: Design
    frame: pd.DataFrame

    @classmethod
    def of(cls, fit: Fit) -> Variables:
        """Those of a fit."""
        return cls(fit.design, fit.design.stand_ins.frame)

    def values(self, name: str) -> Values:
        """What is known of the values of a column."""
        return self.design.values[name] if isinstance(self.design, SummedDesign) else AtHand(self.frame[name])

    @property
    def known(self) -> tuple[str, ...]:
        """All of them."""
        return self.needed(Parts.all(self.design.predictor))

    def needed(self, parts: Parts) -> tuple[str, ...]:
        """Those that some parts of the linear predictor are computed from."""
        return self.within(parts.expressions(self.design.predictor))

    def within(self, expressions: Iterable[Expression]) -> tuple[str, ...]:
        """Those in expressions of the formula."""
        scope = self.design.scope
        found = [names_of(each, scope.frame.columns, scope.env) for each in expressions]
        return tuple(
            dict.fromkeys(
                name for names in found for name in (*names.columns, *names.others) if name in self.frame.columns
            )
        )

    def require(self, names: Iterable[Any], what: str) -> None:
        """Raise unless these are among them."""
        for name in names:
            if name not in self.known:
                known = ", ".join(self.known) or "none, the model has only an intercept"
                raise LgmError(
                    f"{what} has {name!r}, which is no variable of the linear predictor."
                    f"{suggest(str(name), self.known)} Variables: {known}."
                )

    def is_factor(self, name: str) -> bool:
        """Whether a column is used as a factor: it holds no numbers, or stands in ``C()`` or only behind bars."""
        if not is_number(self.frame[name]):
            return not is_time(self.frame[name])
        side = self.design.predictor.side
        behind = self.within(each for bar in side.bars for each in bar.grouping)
        other = [*side.fixed.factors.values(), *(each for call in side.calls for each in call.expressions)]
        if name in behind and name not in self.within(other):
            return True
        return any(
            isinstance(call.args[0], ast.Name) and name in self.within([each.part(call.args[0])])
            for each in side.expressions
            for call in each.calls({"C"})
            if call.args
        )

    def levels(self, name: str) -> list[Any]:
        """The distinct values of a column, in order.

        Raises
        ------
        LgmError
            If rows in partitions have too many of them.
        """
        column, distinct = self.frame[name], self.values(name).distinct
        if distinct is None and self._is_listed(name):
            distinct = column
        if distinct is None:
            raise LgmError(
                f"`{name}` has more than {MOST:,} values, of which data in partitions keep none. Accepted: "
                f"conditions={{{name!r}: [...]}} with some of them."
            )
        found = list(distinct.unique())
        if isinstance(column.dtype, pd.CategoricalDtype):
            there = set(found)
            return [level for level in column.cat.categories if level in there]
        try:
            return sorted(found)
        except TypeError:  # labels of several types
            return sorted(found, key=str)

    def _is_listed(self, name: str) -> bool:
        """Whether a term or a factor is of a column as it is, so that rows that have all of its values have these."""
        side = self.design.predictor.side
        factors = side.fixed.factors.values() if self.is_factor(name) else ()
        labels = [each for source, _ in self._sources() for each in self._labels(source)]
        return any(each.is_name and name in self.within([each]) for each in (*factors, *labels))

    @property
    def pointwise(self) -> dict[str, str]:
        """Columns of which only some values have an effect of their own, and the term that says so."""
        found: dict[str, str] = {}
        for source, term in self._sources():
            if _on_points(term):
                found |= dict.fromkeys(self.within(self._labels(source)), term.label)
        return found

    @property
    def bent(self) -> dict[str, str]:
        """Columns that smooths and fields are functions of, and the term that says so: what it says ends with them."""
        found: dict[str, str] = {}
        for source, term in self._sources():
            if term.smooths or isinstance(term.view, (Surface, Field)):
                variables = [each for smooth in term.smooths for each in smooth.variables]
                found |= dict.fromkeys(self.within(variables or self._labels(source)), term.label)
        return found

    def deviations(self) -> Iterator[tuple[int, Term, tuple[str, ...]]]:
        """Terms whose effects are deviations of levels, regions or places from what is usual, and their columns."""
        for j, (source, term) in enumerate(self._sources()):
            if term.group is not None or isinstance(term.view, (Map, Maps, Field, Fields)):
                yield j, term, self.within(self._labels(source))

    def _sources(self) -> Iterator[tuple[Bar | Call, Term]]:
        return zip(self.design.predictor.sources, self.design.terms, strict=True)

    @staticmethod
    def _labels(source: Bar | Call) -> tuple[Expression, ...]:
        """Of a bar what stands behind it, and the times of a series; of a call all of it."""
        if isinstance(source, Call) or source.structure in group_series.SERIES:
            return source.expressions
        return source.grouping

    def typical(self, names: Collection[str]) -> dict[str, Any]:
        """A typical value of each column.

        Numbers have their mean and factors their first level. Where only some values have effects, as those of a walk
        have, it is the row of the data nearest to the means; so are times.
        """
        on_points = self.pointwise
        out: dict[str, Any] = {}
        groups: dict[str, list[str]] = {}
        for name in names:
            if self.is_factor(name):
                out[name] = self.levels(name)[0]
            elif name in on_points or is_time(self.frame[name]):
                groups.setdefault(on_points.get(name, name), []).append(name)
            else:
                out[name] = self.values(name).mean
        for together in groups.values():
            out |= self._central(together)
        return {name: out[name] for name in names}

    def _central(self, names: Sequence[str]) -> dict[str, Any]:
        """The values in the row nearest to the means of some columns of numbers or times."""
        known = [self.values(name) for name in names]
        if len(names) == 1 and known[0].distinct is not None:
            rows = known[0].distinct.to_frame(names[0])
        elif not self.design.has_rows and not all(self._is_listed(name) for name in names):
            raise LgmError(
                f"which values of {listed(names)} come together in the data is not kept of data in partitions. "
                f"Accepted: conditions= with values of {listed(names)}."
            )
        else:
            rows = self.frame
        at = [as_numbers(rows[name]) for name in names]
        row = nearest(at, [each.mean for each in known], [each.sd(0.0) for each in known])
        return {name: rows[name].iloc[row] for name in names}

    def spread(self, name: str, resolution: int = RESOLUTION) -> list[Any]:
        """Values of a column from one end of the data to the other; all of them where only some have effects."""
        column, known = self.frame[name], self.values(name)
        if self.is_factor(name):
            return self.levels(name)
        if name in self.pointwise or is_time(column):
            found = self.levels(name)
            step = -(-len(found) // max(resolution, 2)) if name not in self.pointwise else 1
            return found[::step]
        low, high = known.low, known.high
        if not (known.whole and high - low < resolution):
            return list(np.linspace(low, high, resolution))
        return list(range(int(low), int(high) + 1)) if column.dtype.kind == "i" else list(np.arange(low, high + 1.0))

    def few(self, name: str) -> list[Any]:
        """Values of a second variable: levels, or of numbers the mean and one sd to both sides, as in brms."""
        if self.is_factor(name):
            return self.levels(name)
        known, on_points = self.values(name), name in self.pointwise or is_time(self.frame[name])
        rows = self.frame[name].drop_duplicates() if known.distinct is None else known.distinct
        if len(rows) <= 3:
            return self.levels(name)
        wanted = known.mean + np.array([-1.0, 0.0, 1.0]) * known.sd()
        if not on_points:
            return list(wanted)
        at = [as_numbers(rows)]
        return list(dict.fromkeys(rows.iloc[nearest(at, [each], [known.sd()])] for each in wanted))


def _is_smooth(term: Term) -> bool:
    return bool(term.smooths) or bool(term.coefficients)


def _on_points(term: Term) -> bool:
    view = term.view
    if isinstance(view, Curve):
        return view.points is not None
    return not isinstance(view, (Surface, Field, Fields)) and not _is_smooth(term)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows at which a fit is asked.

    Parameters
    ----------
    frame : pandas.DataFrame
        The variables that count, and those by which the answer is asked for.
    parts : Parts
        What of the linear predictor counts.
    held : dict
        Of a grid, what has a typical value because nothing is said of it.
    library : str or None
        Of which the data are a table.
    """

    frame: pd.DataFrame
    parts: Parts
    held: Mapping[str, Any]
    library: str | None = None


def conditions_of(conditions: Any, variables: Variables) -> dict[str, list[Any]]:
    """What a user says of the values of variables, a list for each."""
    if conditions is None:
        return {}
    if not isinstance(conditions, Mapping):
        raise LgmError(
            f"conditions is of the type {type(conditions).__name__}; accepted: a dict of values by variable, such as "
            f"{{{(variables.known or ('x',))[0]!r}: [...]}}."
        )
    variables.require(conditions, "conditions=")
    return {name: values_for(variables, name, given, "conditions=") for name, given in conditions.items()}


def values_for(variables: Variables, name: str, given: Any, what: str) -> list[Any]:
    """Values of a column that a user gives: one of them, or several."""
    several = not isinstance(given, (str, bytes, pd.Period)) and np.ndim(given) == 1
    values = [_plain(value) for value in (list(given) if several else [given])]
    if not values or (not several and np.ndim(given) > 0):
        raise LgmError(f"{what} has {name}={given!r}; accepted: a value, or a list of values.")
    column = variables.frame[name]
    if is_number(column) and name not in variables.pointwise:
        wrong = [value for value in values if isinstance(value, (str, bool)) or not np.isreal(value)]
        if wrong:
            raise DataError(f"{what} has {name}={wrong[0]!r}, but `{name}` holds numbers.")
    return values


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value


def of_data(
    fit: Fit, new_data: Any, conditions: Any, include_group_specific: Any, by: Sequence[str], moved: Sequence[str] = ()
) -> Rows:
    """The rows of the data with a response, or of other data, once for each combination of the conditions."""
    variables = Variables.of(fit)
    parts = parts_of(fit, None, None, True if include_group_specific is None else include_group_specific)
    given, needed = conditions_of(conditions, variables), variables.needed(parts)
    if new_data is None and not fit.design.has_rows:
        raise LgmError(
            "the rows of this fit were read in partitions and are not in memory. Accepted: data=, with the partitions, "
            "which are read again for averages over their rows; new_data='grid'; or new_data= with a table of rows."
        )
    if new_data is None:
        frame, library, what = variables.frame, fit.design.rows.library, "the fit did not keep"
    else:
        table = Table.of(new_data, "new_data")
        frame, library, what = table.select({*needed, *by}), table.library, "new_data lacks"
    wanted = list(dict.fromkeys([*needed, *by]))
    absent = [name for name in wanted if name not in frame and name not in given and name not in moved]
    if absent:
        hint = " Accepted: new_data with them." if new_data is None else f" It has: {listed(table.names)}."
        raise DataError(f"{what} the column(s) {listed(absent)}.{hint}")
    frame = frame[[name for name in wanted if name in frame]]
    return Rows(set_to(variables, frame, given), parts, {}, None if given else library)


def of_grid(
    fit: Fit,
    values: Mapping[str, Sequence[Any]],
    include_group_specific: Any,
    *,
    held: Mapping[str, Any] | None = None,
) -> Rows:
    """All combinations of some values, where other variables are typical.

    Group effects count where all of their columns are among the values, and effects of regions and places where one
    is: elsewhere the grid is about the population. ``include_group_specific`` may say otherwise of groups. What is
    ``held`` is not crossed: it has its value instead of a typical one.
    """
    variables = Variables.of(fit)
    said = {*values, *(held or {})}
    parts = parts_of(fit, None, None, True if include_group_specific is None else include_group_specific)
    terms, wanted = list(parts.terms), include_group_specific not in (None, False)
    for j, term, columns in variables.deviations():
        missing = [name for name in columns if name not in said]
        if terms[j] and missing and term.group is not None and wanted:
            raise LgmError(
                f"the effects of {term.label} count, so the grid needs levels of {listed(missing)}. Accepted: "
                f"conditions={{{missing[0]!r}: [...]}} with levels, of which new ones are drawn from the population, "
                "or include_group_specific=False for the population level."
            )
        terms[j] = terms[j] and (not missing if term.group is not None else len(missing) < len(columns))
    parts = replace(parts, terms=tuple(terms))
    needed = variables.needed(parts)
    size = int(np.prod([len(each) for each in values.values()], dtype=float))
    if size > MOST_ROWS:
        raise LgmError(
            f"a grid of {' x '.join(str(len(each)) for each in values.values())} values of {', '.join(values)} has "
            f"{size:,} rows; accepted: up to {MOST_ROWS:,}. Give fewer values, as in conditions=."
        )
    typical = variables.typical([name for name in needed if name not in said])
    frame = crossed(variables, values)
    typical = {**(held or {}), **typical}
    for name, value in typical.items():
        frame[name] = column_of(variables, name, [value] * len(frame))
    return Rows(frame, parts, typical)


def crossed(variables: Variables, values: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """All combinations of values, those of the last variable changing fastest."""
    combinations = list(itertools.product(*values.values()))
    columns = zip(*combinations, strict=True) if values else ()
    return pd.DataFrame(
        {name: column_of(variables, name, list(each)) for name, each in zip(values, columns, strict=True)},
        index=pd.RangeIndex(len(combinations)),
    )


def column_of(variables: Variables, name: str, values: list[Any]) -> pd.Series:
    """Values as a column of the kind that the data have."""
    dtype = variables.frame[name].dtype if name in variables.frame else None
    if isinstance(dtype, pd.CategoricalDtype) and all(value in dtype.categories for value in values):
        return pd.Series(pd.Categorical(values, dtype=dtype))
    text = any(isinstance(value, (str, tuple)) for value in values)
    return pd.Series(values, dtype=object if text else None)


def with_value(variables: Variables, frame: pd.DataFrame, name: str, value: Any) -> pd.DataFrame:
    """The same rows where a column has one value."""
    return frame.assign(**{name: column_of(variables, name, [value] * len(frame)).set_axis(frame.index)})


def set_to(variables: Variables, frame: pd.DataFrame, given: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Rows of data once for each combination of given values."""
    if not given:
        return frame
    size = len(frame) * int(np.prod([len(each) for each in given.values()], dtype=float))
    if size > 10 * MOST_ROWS:
        raise LgmError(f"{counted(len(frame), 'row')} of data at all combinations of the conditions are {size:,}.")
    out = []
    for combination in itertools.product(*given.values()):
        rows = frame
        for name, value in zip(given, combination, strict=True):
            rows = with_value(variables, rows, name, value)
        out.append(rows)
    return pd.concat(out)


def effect_of(variables: Variables, text: Any) -> tuple[str, ...]:
    """The variables of an effect that a user names: columns, joined by colons, or a term of the formula.

    Raises
    ------
    LgmError
        For a name that the model does not have, or an effect of more than two variables.
    """
    known = variables.known
    if not isinstance(text, str):
        raise LgmError(f"effects has {text!r}; accepted: names such as 'x', 'x:g' or 's(x)'.")
    if without_backticks(text) in known:
        return (without_backticks(text),)
    parts = [without_backticks(part.strip()) for part in text.split(":")]
    names = tuple(parts) if all(part in known for part in parts) else _of_term(variables, text)
    if not names:
        terms = [*_terms(variables)]
        raise LgmError(
            f"there is no effect {text!r}.{suggest(text, [*known, *terms])} Variables: {', '.join(known) or 'none'}. "
            f"Terms: {', '.join(terms) or 'none'}."
        )
    if len(names) > 2 or len(set(names)) < len(names):
        raise LgmError(
            f"the effect {text!r} has the variables {', '.join(names)}; accepted: one or two, and conditions= for "
            "values of others."
        )
    return names


def _terms(variables: Variables) -> dict[str, tuple[str, ...]]:
    """The terms of the formula by name, with their columns."""
    predictor = variables.design.predictor
    found: dict[str, tuple[str, ...]] = {}
    for term in predictor.spec.term_slices:
        pieces = [predictor.side.fixed.factors[str(f)] for f in term.factors if str(f) in predictor.side.fixed.factors]
        if pieces:
            found[str(term)] = variables.within(pieces)
    for source, term in zip(predictor.sources, predictor.terms, strict=True):
        found[term.label] = variables.within(source.expressions)
    return found


def _of_term(variables: Variables, text: str) -> tuple[str, ...]:
    plain = {name.replace(" ", ""): columns for name, columns in _terms(variables).items()}
    return plain.get(text.replace(" ", ""), ())


def all_effects(variables: Variables) -> list[str]:
    """Each variable by itself, and each pair of variables that are in one term; group effects aside."""
    groups = {each.label for each in variables.design.terms if each.group is not None}
    terms = [columns for name, columns in _terms(variables).items() if name not in groups]
    single = list(dict.fromkeys(name for columns in terms for name in columns))
    pairs = dict.fromkeys(columns for columns in terms if len(columns) == 2)
    return [*single, *(":".join(pair) for pair in pairs)]


def require_several_levels(variables: Variables, name: str) -> list[Any]:
    """The levels of a factor; an error if it has only one."""
    levels = variables.levels(name)
    if len(levels) < 2:
        raise LgmError(f"`{name}` has one level, {some(levels)}, so there is nothing to compare it with.")
    return levels
