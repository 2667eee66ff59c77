"""Design: a formula meets data; sparse columns for all effects, and how other rows are encoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.expression import Names, names_of
from lgm.data.rowwise import entangled, is_rowwise
from lgm.data.scope import Scope, taken
from lgm.data.table import Rows, Table, is_number, kind_of, per_row, read_weights, settled, usable_rows
from lgm.design import answer as answers
from lgm.design import predictor as predictors
from lgm.design.answer import Answer
from lgm.design.predictor import NewRows, Parts, Predictor
from lgm.errors import DataError, IdentifiabilityError
from lgm.families.checks import RowError
from lgm.families.family import Family
from lgm.families.response import Response
from lgm.formula.python import Expression
from lgm.formula.sides import Formula, RightHandSide
from lgm.formula.tokens import without_backticks
from lgm.parameter import Parameter
from lgm.terms import TERMS
from lgm.terms.term import Term
from lgm.words import listed

ROWWISE = (
    "a column of the data that holds it, or what remembers the rows of the fit: `center(x)`, `scale(x)`, `poly(x, 2)`, "
    "`bs(x, df=5)`, and single numbers such as `x.mean()`."
)


@dataclass(frozen=True, eq=False)
class Design:
    """A formula evaluated on data: the response and its linear predictor.

    Parameters
    ----------
    formula : Formula
    family : Family
    scope : Scope
        All rows in use, those without a response included.
    rows : Rows
        Which rows of the data these are.
    answer : Answer
        The response, and what it stands for.
    all_weights : float array
        As given, of all rows in use, observed or not.
    predictor : Predictor
    family_parameters : tuple of Parameter
        Hyperparameters of the family.
    entangled : tuple of Expression
        What of the formula computes a row from other rows too, such as ``x.rank()``: other rows cannot be predicted.
    """

    formula: Formula
    family: Family
    scope: Scope
    rows: Rows
    answer: Answer
    all_weights: FloatArray
    predictor: Predictor
    family_parameters: tuple[Parameter, ...]
    entangled: tuple[Expression, ...] = ()

    @property
    def response(self) -> Response:
        """At the rows that have one."""
        return self.answer.response

    @property
    def y(self) -> FloatArray:
        """The numbers of the response (n,)."""
        return self.response.value

    @property
    def as_given(self) -> FloatArray:
        """The same (n,), as shares of the trials where the response is given so."""
        trials = self.response.trials if self.answer.share else None
        return self.y if trials is None else self.y / trials

    @property
    def n(self) -> int:
        """Number of rows with a response."""
        return self.response.size

    @property
    def used(self) -> int:
        """Number of rows in use, those without a response included."""
        return self.scope.n

    @property
    def dropped(self) -> int:
        """Number of rows left out."""
        return self.rows.dropped

    @property
    def why_dropped(self) -> str:
        """In words."""
        return "missing predictors"

    @property
    def predicted(self) -> int:
        """Number of rows without a response, which are predicted."""
        return int(np.count_nonzero(~self.rows.observed))

    @property
    def missing_in(self) -> Mapping[str, int]:
        """Number of missing values by predictor."""
        return self.rows.missing_in

    @property
    def has_rows(self) -> bool:
        """Whether the rows are at hand, not sums over them alone."""
        return True

    @property
    def level(self) -> float:
        """Where the linear predictor is about, as the family says it."""
        return self.family.level_of(self.response, self.predictor.offset, self.weights)

    def spread(self, *, about_zero: bool) -> float:
        """The yardstick of default priors."""
        return self.family.scale_of(self.response, self.predictor.offset, about_zero=about_zero)

    @property
    def is_part(self) -> bool:
        """Whether these rows are some of those that the model is of."""
        return False

    def triangle(self, columns: IntArray) -> FloatArray:
        """R of ``X = QR`` for some fixed columns."""
        return np.asarray(np.linalg.qr(sp.csr_array(self.predictor.X)[:, columns].toarray(), mode="r"))

    @property
    def outcomes(self) -> tuple[sp.csc_array, Response]:
        """Fixed columns (n, p) and the response, of rows of which each may stand for several that are alike."""
        return self.predictor.X, self.response

    def most_rows(self, effects: slice) -> float:
        """Of some latent effects, the largest number of rows that have the same one."""
        return float(np.diff(self.predictor.Z[:, effects].indptr).max(initial=0))

    @property
    def seen(self) -> Scope:
        """The rows with a response: all that the model learns from."""
        return _seen(self.scope, self.rows)

    @property
    def stand_ins(self) -> Scope:
        """Rows of the data that have all values of the variables of the terms."""
        return self.seen

    def average(self, parts: Parts) -> NewRows:
        """One row with the averages of some columns over the rows with a response, each of which counts once."""
        rows = predictors.encode(self.predictor, self.seen, parts)
        pieces = tuple(None if each is None else replace(each, z=_average(each.z)) for each in rows.encoded)
        return NewRows(pd.RangeIndex(1), _average(rows.X), pieces, np.mean(rows.offset, keepdims=True))

    @property
    def weights(self) -> FloatArray:
        """Known weights of the observed rows in the likelihood, shape (n,); ones where they are numbers of trials."""
        if self.answer.share:
            return np.ones(self.n)
        observed = self.rows.observed
        return self.all_weights if observed.all() else self.all_weights[observed]

    @property
    def weighs(self) -> bool:
        """Whether some weight is not one."""
        return bool(np.any(self.weights != 1.0))

    @property
    def weighted(self) -> bool:
        """Whether the weights differ."""
        return bool(np.ptp(self.weights) > 0)

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return self.predictor.p

    @property
    def q(self) -> int:
        """Number of latent effects."""
        return self.predictor.q

    @property
    def fixed_names(self) -> tuple[str, ...]:
        """Names of the fixed effects."""
        return self.predictor.fixed_names

    @property
    def terms(self) -> tuple[Term, ...]:
        """Latent terms in the order of the formula."""
        return self.predictor.terms

    @property
    def scales(self) -> dict[str, FloatArray]:
        """What multiplied the structure or penalty of each term that has one, by its label."""
        factors = {term.label: term.block.factors for term in self.terms}
        return {label: values for label, values in factors.items() if values is not None}

    def about_zero(self, term: Term) -> Term:
        """A term with its hyperparameters as they are printed."""
        return term.about_zero(self.seen)

    def with_terms(self, terms: tuple[Term, ...]) -> Design:
        """The same design with other blocks for its terms, of the same effects in number."""
        terms, z = predictors.joined(terms, self.n)
        return replace(self, predictor=replace(self.predictor, terms=terms, Z=z))

    @property
    def parameters(self) -> list[Parameter]:
        """Hyperparameters in the order of theta: those of the terms, then those of the family."""
        own = [parameter for block in self.predictor.blocks for parameter in block.parameters]
        return [*own, *self.family_parameters]

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Names of the hyperparameters, one per natural coordinate."""
        return tuple(name for parameter in self.parameters for name in parameter.names)


def _average(columns: sp.csc_array) -> sp.csc_array:
    return sp.csc_array(np.asarray(columns.mean(axis=0)).reshape(1, -1))


def build(formula: Formula, data: Any, family: Family, env: Mapping[str, Any], weights: Any, missing: str) -> Design:
    """Evaluate a formula on data.

    Parameters
    ----------
    formula : Formula
    data : pandas, polars or Arrow table, dict of columns, or list of records
    family : Family
    env : mapping
        Names beside the columns. An array among them with one value per row of the data is used as a column.
    weights : None, column name or array
        Known weights; what they mean is the family's.
    missing : {"drop", "error"}
        For missing predictors; missing responses are predicted.

    Raises
    ------
    FormulaError, DataError, IdentifiabilityError
        Each says what was found, where, and what is accepted.
    """
    check_formula(formula)
    side = formula.sides[family.predictors[0]]
    scope, rows, w = rows_in_use(formula, Table.of(data), env, weights, missing)
    seen = _seen(scope, rows)
    answers.require_form(formula, family)
    require_several(formula, int(np.count_nonzero(rows.observed)))
    answer = answers.read(scope, rows.observed, family, w, weighted=weights is not None)
    family = family.of_categories(answer.categories, answer.first)
    y, offset = answer.response, predictors.offset_of(side, seen)
    require_taken(formula, family, y, offset, seen.frame.index)
    yardstick = family.scale_of(y, offset)
    _require_observed_levels(side, scope, rows.observed)
    predictor = predictors.build(side, seen, offset, yardstick)
    from_all = tuple(each for each in side.expressions if not is_rowwise(each, seen))
    if not rows.observed.all():  # what cannot be predicted is said at once
        _refuse_entangled(scope, from_all, "the rows without a response cannot be predicted")
        predictors.encode(predictor, scope, Parts.all(predictor))
    built = Design(formula, family, scope, rows, answer, w, predictor, (), from_all)
    built = replace(built, family_parameters=family.parameters(y, yardstick, built.weights))
    require_distinct_names(built)
    return built


def require_several(formula: Formula, n: int) -> None:
    """Raise if a single row has a response.

    Raises
    ------
    DataError
    """
    if n == 1:
        raise DataError(f"only one row has a response `{formula.response.text}`; there is nothing to model.")


def require_taken(formula: Formula, family: Family, y: Response, offset: FloatArray, labels: pd.Index) -> None:
    """Raise unless a family takes this response of rows with these labels.

    Raises
    ------
    DataError
        It names the row.
    """
    response = f"`{formula.response.text}`"
    try:
        if family.conjugate:
            family.check(y.less(offset), response + (" less its offset" if formula.mu.offsets else ""))
        else:
            family.check(y, response)
    except RowError as error:
        raise error.labelled(labels) from None


def require_each_taken(formula: Formula, family: Family, y: Response, labels: pd.Index) -> None:
    """Raise unless a family takes each of these rows; what it asks of all rows together is not asked.

    Raises
    ------
    DataError
        It names the row.
    """
    try:
        family.check(y, f"`{formula.response.text}`")
    except RowError as error:
        raise error.labelled(labels) from None
    except DataError:
        pass


def encode(design: Design, data: Any | None = None, parts: Parts | None = None) -> NewRows:
    """Some rows in the columns of a design.

    Parameters
    ----------
    design : Design
    data : table, optional
        By default all rows of the fit, those without a response included.
    parts : Parts, optional
        What counts, by default everything; columns of data that only other parts need may be missing.

    Raises
    ------
    DataError
        For missing columns or values, or levels of fixed factors that the fit does not have.
    """
    parts = parts or Parts.all(design.predictor)
    scope = design.scope if data is None else _new_scope(design, Table.of(data, "new_data"), parts)
    return predictors.encode(design.predictor, scope, parts)


def require_distinct_names(design: Design) -> None:
    """Fixed effects, effects of terms and hyperparameters are asked for by name, so no name may stand for two."""
    effects = [variable.name for term in design.terms for variable in term.variables]
    times = Counter([*design.fixed_names, *effects, *design.theta_names])
    twice = [name for name, count in times.items() if count > 1]
    if twice:
        raise design.formula.error(
            f"`{twice[0]}` would be the name of two parameters of this model.",
            next((span for each in design.predictor.side.expressions if (span := each.find(twice[0]))), None),
            f"predictors with other names than the parameters ({', '.join(design.theta_names)}); rename the column.",
        )


def numbers_as_text(design: Design) -> list[tuple[str, int, str]]:
    """Predictors of text that reads as measurements: name, number of levels and the first of them.

    Text is a factor. That is fine for codes, whole numbers of which each is in several rows.
    """
    found = []
    for name in dict.fromkeys(name for effects in design.formula.mu.effects for name in effects.factors):
        column = design.scope.frame.get(name)
        if column is None or kind_of(column) != "text":
            continue
        levels = pd.Series(column.unique())
        numbers = pd.to_numeric(levels, errors="coerce")
        codes = 2 * levels.size <= design.used and np.all(numbers == np.round(numbers))
        if numbers.notna().all() and not codes:
            found.append((name, levels.size, listed(list(levels), 3)))
    return found


def check_formula(formula: Formula) -> None:
    """Refuse what no data could make a model of.

    Raises
    ------
    FormulaError
    """
    if formula.mu.fixed.wildcard:
        raise formula.error("`.` is not available.", formula.mu.fixed.wildcard, "the columns by name.")
    response = formula.response.text
    used = [(name, effects.span) for effects in formula.mu.effects for name in effects.factors]
    used += [(piece.text, piece.span) for piece in formula.mu.pieces]
    for text, span in used:
        if without_backticks(text) == without_backticks(response):
            message = f"The response `{without_backticks(response)}` is among the predictors too."
            raise formula.error(message, span, "predictors that are not the response itself.")


def rows_in_use(
    formula: Formula, table: Table, env: Mapping[str, Any], weights: Any, missing: str
) -> tuple[Scope, Rows, FloatArray]:
    """The rows in use, with the columns that the formula names, and their weights."""
    predictors, side = _names(formula.mu.expressions, table.names, env), formula.response
    response = _names([each for each in side.expressions if each is not side.upper], table.names, env)
    upper = _names([] if side.upper is None else [side.upper], table.names, env)  # of intervals alone
    wanted = {*predictors.columns, *response.columns, *upper.columns}
    frame = table.select({*wanted, weights} if isinstance(weights, str) else wanted)
    outside = {}
    for name in dict.fromkeys([*predictors.others, *response.others, *upper.others]):
        column = per_row(env[name], frame, name) if name in env else None
        if column is not None:
            outside[name] = column
    used = frame[[name for name in frame if name in wanted]].assign(**outside)
    needed = [name for name in used if name in predictors.columns or name in predictors.others]
    answer = [name for name in used if name in response.columns or name in response.others]
    rows = replace(usable_rows(used, needed, answer, missing), library=table.library)
    w = read_weights(weights, frame, table.names, rows.kept)
    every = taken(joined_names([predictors, response, upper]), env)
    around = {name: value for name, value in every.items() if name not in outside}
    scope = Scope(formula, rows.frame, around, table.names, term_names=tuple(TERMS))
    return scope, replace(rows, observed=answers.without_open_intervals(scope, rows.observed)), w


def complete_rows(
    design: Design, table: Table, parts: Parts, of_trials: Sequence[Expression] = ()
) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    """Which rows have all that these parts, and the number of trials, need; how many values each column lacks."""
    needed = {*_needed(design, table, parts), *_needed_for_trials(design, table, of_trials)}
    gaps = table.select(needed).isna()
    missing = {str(name): int(gaps[name].sum()) for name in gaps}
    return ~gaps.to_numpy(dtype=bool).any(axis=1), {name: count for name, count in missing.items() if count}


def scope_of_trials(design: Design, table: Table) -> Scope:
    """New rows, with the columns of which the number of trials is computed."""
    frame = table.select(_needed_for_trials(design, table, design.formula.response.of_trials))
    return replace(design.scope.on(settled(frame)), columns=table.names)


def _needed_for_trials(design: Design, table: Table, of_trials: Sequence[Expression]) -> tuple[str, ...]:
    needed = _names(of_trials, design.scope.frame.columns, design.scope.env).columns
    absent = [name for name in needed if name not in table.names]
    if absent:
        raise DataError(
            f"new_data lacks the column(s) {listed(absent)}, of which the number of trials is computed. Accepted: "
            'new_data with them, trials=, or kind="mean" for the share of successes.'
        )
    return needed


def _needed(design: Design, table: Table, parts: Parts) -> tuple[str, ...]:
    """Columns that new rows need."""
    scope = design.scope
    used = list(parts.expressions(design.predictor))
    _refuse_entangled(scope, [each for each in used if each in design.entangled], "new_data cannot be predicted")
    needed = _names(used, scope.frame.columns, scope.env).columns
    absent = [name for name in needed if name not in table.names]
    if absent:
        raise DataError(f"new_data lacks the column(s) {listed(absent)}. It has: {listed(table.names)}.")
    return needed


def _new_scope(design: Design, table: Table, parts: Parts) -> Scope:
    complete, missing = complete_rows(design, table, parts)
    if not complete.all():
        holes = ", ".join(f"{name} ({count})" for name, count in missing.items())
        raise DataError(f"new_data has missing values in {holes}. Give complete predictors, or remove these rows.")
    frame = table.select(_needed(design, table, parts))
    return replace(design.scope.on(settled(frame)), columns=table.names)


def _refuse_entangled(scope: Scope, found: Sequence[Expression], what: str) -> None:
    if found:
        message = f"{entangled(found[0], scope.env)}, so {what}."
        raise scope.formula.error(message, found[0].span, ROWWISE, DataError)


def _names(expressions: Iterable[Expression], columns: Collection[str], env: Mapping[str, Any]) -> Names:
    return joined_names([names_of(each, columns, env) for each in expressions])


def joined_names(found: Sequence[Names]) -> Names:
    """All of them, each once."""
    return Names(
        tuple(dict.fromkeys(name for names in found for name in names.columns)),
        tuple(dict.fromkeys(name for names in found for name in names.others)),
        tuple(dict.fromkeys(name for names in found for name in names.functions)),
        tuple(dict.fromkeys(name for names in found for name in names.modules)),
    )


def _seen(scope: Scope, rows: Rows) -> Scope:
    """The rows with a response, without the levels that only other rows have."""
    return scope if rows.observed.all() else scope.on(settled(scope.frame.loc[rows.observed]))


def _require_observed_levels(side: RightHandSide, scope: Scope, observed: npt.NDArray[np.bool_]) -> None:
    """Every level of a fixed factor needs a response, or nothing is known about it."""
    if observed.all():
        return
    for name in side.fixed.factors:
        column = scope.frame.get(name)
        if column is not None and not is_number(column):
            lost = set(column.unique()) - set(column[observed].unique())
            if lost:
                raise IdentifiabilityError(
                    f"no row with level {listed(sorted(map(str, lost)), 5)} of `{name}` has a response, so "
                    f"nothing is known about it. Remove these rows, or use a group effect, (1 | {name})."
                )
