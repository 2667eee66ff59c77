"""The first pass over data in partitions: what has to be known of all rows before columns can be made of any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from formulaic.materializers.types import FactorValues
from formulaic.parser.types import Factor

from lgm.arrays import FloatArray
from lgm.data.column_kind import ColumnKind
from lgm.data.expression import evaluate, names_of
from lgm.data.learning import Listening
from lgm.data.moments import Heard, Moments
from lgm.data.rowwise import entangled, is_rowwise
from lgm.data.scope import Scope
from lgm.data.table import Table, is_number, plain, read_weights, settled
from lgm.data.values import Summary
from lgm.data.witnesses import Question, Witnesses
from lgm.design import answer as answers
from lgm.design.answer import Answer
from lgm.design.design import require_each_taken
from lgm.design.predictor import offset_of
from lgm.errors import DataError, LgmError
from lgm.families.family import Family
from lgm.formula.python import Expression
from lgm.formula.sides import Bar, Call, Formula
from lgm.terms import TERMS
from lgm.terms.group_series import SERIES
from lgm.words import listed

RESPONSE = "response"  # where the values of a response are kept that is a category
MOST_CATEGORIES = 1_000  # of it
MOST_LEVELS = 10_000_000  # of a group
MOST_VALUES = 200_000  # of the variables of a term, or of a fixed factor
SAMPLE = 2_000  # rows that are kept as they are
TRIED = 200  # rows of a partition on which it is tried whether expressions are computed row by row
# Terms that learn of their variables which values these have, and how often.
BY_VALUES = ("s", "te", "ti", "t2", "mo", "rw1", "rw2", "ar1", "ar", "ou", "seasonal", "icar", "bym2", "car", "leroux")


@dataclass(frozen=True, eq=False)
class Plan:
    """How partitions are read.

    Parameters
    ----------
    formula : Formula
    family : Family
    env : dict
        Names that are no columns.
    names : tuple of str
        Columns of the data.
    needed, response : tuples of str
        Columns of the predictors, and of the response.
    weights : str or None
        A column.
    missing : {"drop", "error"}
    """

    formula: Formula
    family: Family
    env: Mapping[str, Any]
    names: tuple[str, ...]
    needed: tuple[str, ...]
    response: tuple[str, ...]
    weights: str | None
    missing: str

    @property
    def columns(self) -> tuple[str, ...]:
        """All that are read."""
        own = [] if self.weights is None else [self.weights]
        return tuple(dict.fromkeys([*self.needed, *self.response, *own]))

    @property
    def answers(self) -> frozenset[str]:
        """Columns of the response alone, of which a category without rows may be an answer too."""
        return frozenset(self.response) - frozenset(self.needed)

    def scope(self, frame: pd.DataFrame) -> Scope:
        """Rows, and the names around them."""
        return Scope(self.formula, frame, self.env, self.names, tuple(TERMS))

    def read(self, part: Any, number: int) -> Read:
        """The rows of a partition that can be used.

        Raises
        ------
        DataError
            If a column is not there, or is not complete where it has to be.
        """
        table = Table.of(part, "it", least=0)
        absent = [name for name in self.columns if name not in table.names]
        if absent:
            raise DataError(f"it lacks the column(s) {listed(absent)}. It has: {listed(table.names)}.")
        frame = table.select(self.columns)
        frame.index = pd.RangeIndex(len(frame))
        gaps = frame[list(self.needed)].isna()
        missing = {str(name): int(gaps[name].sum()) for name in gaps}
        complete = ~gaps.to_numpy(dtype=bool).any(axis=1)
        if not complete.all() and self.missing == "error":
            counts = [f"`{name}` ({count})" for name, count in missing.items() if count]
            raise DataError(
                f"values are missing in {listed(counts)}. Accepted: complete predictors, or missing='drop'."
            )
        answered = ~frame[list(self.response)].isna().to_numpy(dtype=bool).any(axis=1)
        kept = np.flatnonzero(complete & answered)
        weighted = self.weights is not None and kept.size > 0
        w = read_weights(self.weights, frame, self.names, kept) if weighted else np.ones(kept.size)
        used = frame.drop(columns=[each for each in frame if each not in self.needed + self.response])
        used = used if kept.size == len(used) else used.iloc[kept]
        return Read(settled(used, self.answers), used, w, len(frame), int(np.count_nonzero(~complete)), missing)


@dataclass(frozen=True, eq=False)
class Read:
    """What there is in a partition.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows with predictors and response.
    given : pandas.DataFrame
        The same with the dtypes of the partition: categories that it lacks may be those of others.
    weights : float array (n,)
    rows : int
        All of them.
    incomplete : int
        Those that miss a predictor.
    missing : dict
        Number of missing values by predictor.
    """

    frame: pd.DataFrame
    given: pd.DataFrame
    weights: FloatArray
    rows: int
    incomplete: int
    missing: dict[str, int]


@dataclass(frozen=True, eq=False)
class Survey:
    """What the partitions say together.

    Parameters
    ----------
    rows, incomplete : int
        Of the data; those that miss a predictor.
    missing : dict
        Number of missing values by predictor.
    kinds : dict of ColumnKind
    values : dict of Summary
        Of the columns of the predictors.
    heard : dict of Heard
        What stateful transformations are about, by expression and place in it.
    witnesses : dict of Witnesses
        By what they are asked for (`questions`).
    answer : Moments
        Of the response less its offset.
    log_weights : Moments
        Of the logarithms of the weights.
    sample : pandas.DataFrame
        Some rows; the numbers in them are as typical as those of any others.
    outcomes : tuple of float arrays
        Response less offset, and weights, of the sample.
    """

    rows: int
    incomplete: int
    missing: dict[str, int]
    kinds: dict[str, ColumnKind]
    values: dict[str, Summary]
    heard: dict[tuple[str, int], Heard]
    witnesses: dict[str, Witnesses]
    answer: Moments
    log_weights: Moments
    sample: pd.DataFrame
    outcomes: tuple[FloatArray, FloatArray]

    @property
    def n(self) -> int:
        """Rows in use."""
        return self.answer.n

    def __add__(self, other: Survey) -> Survey:
        sample = pd.concat([each.sample for each in (self, other) if len(each.sample)] or [self.sample])
        both = [np.concatenate(pair) for pair in zip(self.outcomes, other.outcomes, strict=True)]
        chosen = _spread(len(sample))
        return Survey(
            self.rows + other.rows,
            self.incomplete + other.incomplete,
            {name: self.missing[name] + other.missing[name] for name in self.missing},
            {name: self.kinds[name] + other.kinds[name] for name in self.kinds},
            {name: self.values[name] + other.values[name] for name in self.values},
            _merged(self.heard, other.heard),
            _merged(self.witnesses, other.witnesses),
            self.answer + other.answer,
            self.log_weights + other.log_weights,
            sample.iloc[chosen].reset_index(drop=True),
            (both[0][chosen], both[1][chosen]),
        )

    def cast(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows in the dtypes of the whole.

        Raises
        ------
        DataError
            For a category that the first pass did not see.
        """
        out = pd.DataFrame({name: self.kinds[str(name)].cast(frame[name]) for name in frame}, index=frame.index)
        lost = [str(name) for name in out if out[name].isna().any()]
        if lost:
            raise DataError(f"{CHANGED}: there are new categories in `{lost[0]}`.")
        return out

    def memory(self) -> dict[str, dict[int, Any]]:
        """What expressions have learnt of all rows."""
        found: dict[str, dict[int, Any]] = {}
        for (text, place), heard in self.heard.items():
            found.setdefault(text, {})[place] = heard.state()
        return found


CHANGED = "the partitions are not the same when they are read again"


def _merged(one: dict[Any, Any], two: dict[Any, Any]) -> dict[Any, Any]:
    """Sums by key; what only one side knows stays."""
    return {**one, **two, **{key: one[key] + two[key] for key in one.keys() & two.keys()}}


def _spread(n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Places of at most `SAMPLE` among n, evenly."""
    return np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.int64)) if n else np.zeros(0, dtype=np.int64)


def survey(plan: Plan, part: Any, number: int) -> Survey:
    """What one partition says.

    Raises
    ------
    LgmError
        For what a formula cannot be evaluated on, or cannot be put together from partitions.
    """
    read = plan.read(part, number)
    scope = replace(plan.scope(read.frame), memory=Listening())
    kinds = {str(name): _kind(read, str(name), number, every=name in plan.answers) for name in read.frame}
    values = {name: Summary.of(read.frame[name]) for name in plan.needed}
    if not scope.n:
        none = Moments.of(np.zeros(0))
        empty = (np.zeros(0), np.zeros(0))
        return Survey(read.rows, read.incomplete, read.missing, kinds, values, {}, {}, none, none, read.frame, empty)
    _refuse_entangled(plan, scope)
    side = plan.formula.sides["mu"]
    offset = offset_of(side, scope)
    y = _response(scope) - offset if plan.family.conjugate else np.zeros(scope.n)
    witnesses = {key: Witnesses.of(*asked, read.frame[list(plan.needed)]) for key, asked in _questions(scope)}
    if not plan.family.conjugate:
        category = _category(plan, scope)
        if category is None:
            answer = outcome(plan, scope, read, plan.family, None)
            require_each_taken(plan.formula, plan.family, answer.response, read.frame.index)
        else:
            witnesses[RESPONSE] = Witnesses.of(*category, read.frame[list(plan.response)])
    chosen = _spread(scope.n)
    memory = scope.memory
    return Survey(
        read.rows,
        read.incomplete,
        read.missing,
        kinds,
        values,
        dict(memory.heard) if isinstance(memory, Listening) else {},
        witnesses,
        Moments.of(y),
        Moments.of(np.log(read.weights)),
        read.frame.iloc[chosen].reset_index(drop=True),
        (y[chosen], read.weights[chosen]),
    )


def _kind(read: Read, name: str, number: int, *, every: bool) -> ColumnKind:
    given = read.given[name]
    column = given if isinstance(given.dtype, pd.CategoricalDtype) else read.frame[name]
    return ColumnKind.of(column, number, every=every)


def require_terms(formula: Formula) -> None:
    """Refuse terms that are not made of distinct values.

    Raises
    ------
    DataError
        The term is marked.
    """
    for call in formula.mu.calls:
        if call.name not in BY_VALUES:
            raise formula.error(
                f"{call.name}() is not made of data in partitions.",
                call.span,
                f"{', '.join(f'{name}()' for name in BY_VALUES)}, or the data as one table.",
                DataError,
            )


def _response(scope: Scope) -> FloatArray:
    return _by_row(scope).numbers(scope.formula.response.value, "the response")


def _by_row(scope: Scope) -> Scope:
    """The rows, if no part of the response learns from all of them."""
    own = replace(scope, memory=Listening())
    for expression in scope.formula.response.expressions:
        own.value(expression)
        if isinstance(own.memory, Listening) and own.memory.heard:
            raise DataError(
                f"the response `{expression.text}` learns from all rows at once, which are not in memory. Accepted: a "
                "column, or a function of one row."
            )
    return own


def _category(plan: Plan, scope: Scope) -> tuple[Question, list[pd.Series]] | None:
    """Which values a response has that may be the category of an event; None if it is numbers."""
    side = plan.formula.response
    column = _by_row(scope).column(side.value, "the response")
    if side.counts_trials or "event" not in plan.family.forms or is_number(column):
        return None
    question = Question(
        f"the response `{side.text}`", MOST_CATEGORIES, "two of them, or whether it is one: `{y == 1}`."
    )
    return question, [column]


def outcome(plan: Plan, scope: Scope, read: Read, family: Family, levels: Sequence[Any] | None) -> Answer:
    """The response of the rows of a partition; ``levels`` are the two values of a category."""
    every = np.ones(scope.n, dtype=bool)
    return answers.read(scope, every, family, read.weights, weighted=plan.weights is not None, levels=levels)


def _refuse_entangled(plan: Plan, scope: Scope) -> None:
    few = scope.on(scope.frame.iloc[:TRIED])
    for expression in (*plan.formula.mu.expressions, *plan.formula.response.expressions):
        # what it learns of these rows is forgotten, but values it has to have: a missing one hides what it is made of
        if not is_rowwise(expression, replace(few, memory={})):
            raise plan.formula.error(
                f"{entangled(expression, scope.env)}, and data in partitions are not in memory.",
                expression.span,
                "a column of the data that holds it.",
                DataError,
            )


def _questions(scope: Scope) -> Iterator[tuple[str, tuple[Question, list[pd.Series]]]]:
    """What is asked of the rows: levels of factors and groups, and values of the variables of terms."""
    side = scope.formula.mu
    for effects in side.effects:
        for expression in effects.factors.values():
            column = _factor(expression, scope)
            if column is not None:
                otherwise = f"a group effect, (1 | {expression.text}), or fewer levels."
                yield (
                    of_factor(expression),
                    (Question(f"the factor `{expression.text}`", MOST_VALUES, otherwise), [column]),
                )
    for bar in side.bars:
        expressions = bar.expressions if bar.structure in SERIES else bar.grouping
        question = Question(f"the group `{bar.group_name}`", MOST_LEVELS, "fewer levels.")
        yield of_bar(bar), (question, _columns(expressions, scope))
    for call in side.calls:
        columns = _columns(call.expressions, scope)
        names = ", ".join(str(column.name) for column in columns)
        otherwise = f"rounded values, such as `np.round({names}, 2)`, whose effect on a smooth curve is nothing."
        yield of_call(call), (Question(f"`{names}` in {call.text}", MOST_VALUES, otherwise), columns)


def of_factor(expression: Expression) -> str:
    """Where the levels of a fixed factor, or of one before a bar, are kept."""
    return f"factor {expression.text}"


def of_bar(bar: Bar) -> str:
    """Where the levels of a group are kept."""
    return f"group {bar.text}"


def of_call(call: Call) -> str:
    """Where the values of the variables of a term are kept."""
    return f"term {call.text}"


def _factor(expression: Expression, scope: Scope) -> pd.Series | None:
    """An expression as a factor, if it is one."""
    scope.require(expression)
    try:
        value = evaluate(expression, scope.frame, scope.env, scope.memory)
    except LgmError:
        raise
    except Exception as error:
        message = f"`{expression.text}` cannot be evaluated: {type(error).__name__}: {str(error).rstrip('.')}."
        raise scope.formula.error(message, expression.span) from error
    raw, known = value, False
    if isinstance(value, FactorValues):
        raw, known = value.__wrapped__, value.__formulaic_metadata__.kind is Factor.Kind.CATEGORICAL
    if np.ndim(raw) != 1 or np.shape(raw)[0] != scope.n:
        return None  # its shape is judged where columns are made of it
    column = plain(raw if isinstance(raw, pd.Series) else pd.Series(np.asarray(raw), index=scope.frame.index))
    if known or not is_number(column):
        return column
    learns = isinstance(scope.memory, Listening) and any(text == expression.text for text, _ in scope.memory.heard)
    if not learns:  # of a transformation that does, no value is known yet
        scope.numbers(expression, "the predictor")
    return None


def _columns(expressions: tuple[Expression, ...], scope: Scope) -> list[pd.Series]:
    """Those that are computed from columns of the data; options are not."""
    found = []
    for expression in expressions:
        if names_of(expression, scope.frame.columns, scope.env).columns:
            scope.require(expression)
            found.append(scope.column(expression, "an argument").rename(expression.text))
    return found
