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
from formulaic import ModelSpec

from lgm.arrays import FloatArray
from lgm.data.expression import Names, names_of
from lgm.data.model_matrix import full_column, materialise
from lgm.data.scope import Scope
from lgm.data.table import Rows, Table, is_number, kind_of, per_row, read_weights, settled, usable_rows
from lgm.design.fixed_effects import adds, require_full_rank
from lgm.errors import DataError, IdentifiabilityError
from lgm.formula.python import Expression
from lgm.formula.sides import Formula
from lgm.formula.tokens import without_backticks
from lgm.priors import exponential
from lgm.terms import TERMS, group
from lgm.terms.block import Block, Parameter
from lgm.terms.term import Encoded, Term
from lgm.words import listed


@dataclass(frozen=True)
class Design:
    """A formula evaluated on data.

    Parameters
    ----------
    formula : Formula
    scope : Scope
        All rows in use, those without a response included.
    rows : Rows
        Which rows of the data these are.
    y, offset : float arrays (n,)
        Observed rows.
    all_weights : float array
        Of all rows in use, observed or not.
    X : sparse array (n, p)
        Fixed effects, null-space columns of terms included.
    Z : sparse array (n, q)
        Latent effects, term by term.
    fixed_names : tuple of p str
    intercept : int or None
        Its column in X.
    spec : ModelSpec
        formulaic's memory of the fixed part.
    terms : tuple of Term
    null_names : tuple of str
        Fixed columns that come from the null spaces of terms (the last ones of X).
    """

    formula: Formula
    scope: Scope
    rows: Rows
    y: FloatArray
    offset: FloatArray
    all_weights: FloatArray
    X: sp.csc_array
    Z: sp.csc_array
    fixed_names: tuple[str, ...]
    intercept: int | None
    spec: ModelSpec
    terms: tuple[Term, ...]
    null_names: tuple[str, ...]

    @property
    def weights(self) -> FloatArray:
        """Known weights of the observed rows, shape (n,)."""
        return self.all_weights[self.rows.observed]

    @property
    def weighted(self) -> bool:
        """Whether the weights differ."""
        return bool(np.ptp(self.weights) > 0)

    @property
    def n(self) -> int:
        """Number of rows with a response."""
        return self.y.size

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return int(self.X.shape[1])

    @property
    def q(self) -> int:
        """Number of latent effects."""
        return int(self.Z.shape[1])

    @property
    def A(self) -> sp.csc_array:
        """``[X|Z]`` at the observed rows."""
        return sp.csc_array(sp.hstack([self.X, self.Z], format="csc"))

    @property
    def blocks(self) -> list[Block]:
        """Blocks of latent effects, term by term."""
        return [term.block for term in self.terms]

    @property
    def parameters(self) -> list[Parameter]:
        """Hyperparameters in the order of theta: those of the terms, then sigma."""
        own = [parameter for block in self.blocks for parameter in block.parameters]
        # sigma is the residual sd of a row of weight one, sd(y) that of rows of typical weight
        scale = self.scope.sd_y * float(np.exp(0.5 * np.mean(np.log(self.weights))))
        return [*own, Parameter(("sigma",), "sigma", exponential(1.0 / scale), 0.5 * scale)]

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Names of the hyperparameters, one per natural coordinate."""
        return tuple(name for parameter in self.parameters for name in parameter.names)

    def term_slices(self) -> list[slice]:
        """Places of the terms' effects in ``b``."""
        ends = np.cumsum([0] + [block.n for block in self.blocks])
        return [slice(int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]


@dataclass(frozen=True)
class NewRows:
    """Other rows in the columns of a design."""

    index: pd.Index
    X: sp.csc_array
    encoded: tuple[Encoded, ...]
    offset: FloatArray


def build(formula: Formula, data: Any, env: Mapping[str, Any], weights: Any, missing: str) -> Design:
    """Evaluate a formula on data.

    Parameters
    ----------
    formula : Formula
    data : pandas, polars or Arrow table, or dict of columns
    env : mapping
        Names beside the columns. An array among them with one value per row of the data is used as a column.
    weights : None, column name or array
        Known weights: the residual variance of a row is ``sigma^2 / weight``.
    missing : {"drop", "error"}
        For missing predictors; missing responses are predicted.

    Raises
    ------
    FormulaError, DataError, IdentifiabilityError
        Each says what was found, where, and what is accepted.
    """
    _check_formula(formula)
    scope, rows, w = _rows(formula, Table.of(data), env, weights, missing)
    seen = np.flatnonzero(rows.observed)
    y = _response(scope, rows.observed)
    offset = _offset(scope)
    scope = replace(scope, sd_y=_spread(formula, y - offset[seen]))
    spec, x, names = materialise(formula.mu.fixed, scope)
    if not (names or formula.mu.bars or formula.mu.calls):
        accepted = "an intercept, `y ~ 1`, a predictor, or a term such as `(1 | g)`."
        raise formula.error("Without an intercept nothing is left to estimate.", formula.mu.fixed.span, accepted)
    intercept = names.index("Intercept") if "Intercept" in names else None
    _require_observed_levels(scope, names, rows.observed)
    require_full_rank(sp.csc_array(x[seen]), names, intercept)
    terms = _terms(formula, scope)
    whole, null_names = _with_null_columns(x, terms, seen, intercept)
    z = sp.hstack([sp.csc_array((scope.n, 0)), *(term.z for term in terms)], format="csc")
    return Design(
        formula=formula,
        scope=scope,
        rows=rows,
        y=y,
        offset=offset[seen],
        all_weights=w,
        X=sp.csc_array(whole[seen]),
        Z=sp.csc_array(z[seen]),
        fixed_names=(*names, *null_names),
        intercept=intercept,
        spec=spec,
        terms=tuple(terms),
        null_names=tuple(null_names),
    )


def encode(design: Design, data: Any | None = None) -> NewRows:
    """Other rows in the columns of a design; without data, all rows of the fit, those without a response included.

    Raises
    ------
    DataError
        For missing columns or values, or levels of fixed factors that the fit does not have.
    """
    scope = design.scope if data is None else _new_scope(design, data)
    _, x, _ = materialise(design.formula.mu.fixed, scope, spec=design.spec)
    encoded = tuple(term.encode(scope) for term in design.terms)
    nulls = {name: values for e in encoded for name, values in e.null.items()}
    extra = [full_column(nulls[name]) for name in design.null_names]
    return NewRows(scope.frame.index, sp.csc_array(sp.hstack([x, *extra], format="csc")), encoded, _offset(scope))


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
        codes = 2 * levels.size <= design.scope.n and np.all(numbers == np.round(numbers))
        if numbers.notna().all() and not codes:
            found.append((name, levels.size, listed(list(levels), 3)))
    return found


def _check_formula(formula: Formula) -> None:
    if formula.mu.fixed.wildcard:
        raise formula.error("`.` is not available.", formula.mu.fixed.wildcard, "the columns by name.")
    response = formula.response.text
    used = [(name, effects.span) for effects in formula.mu.effects for name in effects.factors]
    used += [(piece.text, piece.span) for piece in formula.mu.pieces]
    for text, span in used:
        if without_backticks(text) == without_backticks(response):
            message = f"The response `{without_backticks(response)}` is among the predictors too."
            raise formula.error(message, span, "predictors that are not the response itself.")


def _rows(
    formula: Formula, table: Table, env: Mapping[str, Any], weights: Any, missing: str
) -> tuple[Scope, Rows, FloatArray]:
    """The rows in use, with the columns that the formula names, and their weights."""
    predictors = _names(formula.mu.expressions, table.names, env)
    response = _names([formula.response], table.names, env)
    wanted = {*predictors.columns, *response.columns}
    frame = table.select({*wanted, weights} if isinstance(weights, str) else wanted)
    outside = {}
    for name in dict.fromkeys([*predictors.others, *response.others]):
        column = per_row(env[name], frame, name) if name in env else None
        if column is not None:
            outside[name] = column
    used = frame[[name for name in frame if name in wanted]].assign(**outside)
    needed = [name for name in used if name in predictors.columns or name in predictors.others]
    answer = [name for name in used if name in response.columns or name in response.others]
    rows = usable_rows(used, needed, answer, missing)
    w = read_weights(weights, frame, table.names, rows.kept)
    return Scope(formula, rows.frame, env, table.names, term_names=tuple(TERMS)), rows, w


def _new_scope(design: Design, data: Any) -> Scope:
    table = Table.of(data, "new_data")
    scope = design.scope
    needed = _names(design.formula.mu.expressions, scope.frame.columns, scope.env).columns
    absent = [name for name in needed if name not in table.names]
    if absent:
        raise DataError(f"new_data lacks the column(s) {listed(absent)}. It has: {listed(table.names)}.")
    frame = table.select(needed)
    holes = {str(c): int(v) for c, v in frame.isna().sum().items() if v}
    if holes:
        raise DataError(
            f"new_data has missing values in {', '.join(f'{c} ({v})' for c, v in holes.items())}. "
            "Give complete predictors, or remove these rows."
        )
    return replace(scope.on(settled(frame)), columns=table.names)


def _names(expressions: Iterable[Expression], columns: Collection[str], env: Mapping[str, Any]) -> Names:
    found = [names_of(each, columns, env) for each in expressions]
    return Names(
        tuple(dict.fromkeys(name for names in found for name in names.columns)),
        tuple(dict.fromkeys(name for names in found for name in names.others)),
        tuple(dict.fromkeys(name for names in found for name in names.functions)),
    )


def _response(scope: Scope, observed: npt.NDArray[np.bool_]) -> FloatArray:
    """The response at the observed rows; evaluated there only, because a transformation may need all values."""
    part = replace(scope, frame=settled(scope.frame.loc[observed]), memory={})
    return part.numbers(scope.formula.response, "the response")


def _require_observed_levels(scope: Scope, names: Sequence[str], observed: npt.NDArray[np.bool_]) -> None:
    """Every level of a fixed factor needs a response, or nothing is known about it."""
    if observed.all():
        return
    for name in scope.formula.mu.fixed.factors:
        column = scope.frame.get(name)
        if column is not None and not is_number(column):
            lost = set(column.unique()) - set(column[observed].unique())
            if lost:
                raise IdentifiabilityError(
                    f"no row with level {listed(sorted(map(str, lost)), 5)} of `{name}` has a response, so "
                    f"nothing is known about it. Remove these rows, or use a group effect, (1 | {name})."
                )


def _offset(scope: Scope) -> FloatArray:
    return sum((scope.numbers(piece, "the offset") for piece in scope.formula.mu.offsets), np.zeros(scope.n))


def _spread(formula: Formula, y: FloatArray) -> float:
    """Standard deviation of the response less its offset."""
    if y.size == 1:
        raise DataError(f"only one row has a response `{formula.response.text}`; there is nothing to model.")
    sd = float(np.std(y))
    if sd <= 1e-13 * float(np.max(np.abs(y))):
        less = " less its offset" if formula.mu.offsets else ""
        raise DataError(
            f"the response `{formula.response.text}`{less} is {y[0]:g} in all {y.size} rows that have one; "
            "there is nothing to model."
        )
    return sd


def _terms(formula: Formula, scope: Scope) -> list[Term]:
    """Bars and calls in the order of the source; a call's label shows its options only where two would collide."""
    built: list[tuple[int, Term]] = [(bar.span.start, group.build(bar, scope)) for bar in formula.mu.bars]
    labels = [TERMS[call.name].signature.label(call) for call in formula.mu.calls]
    for call, label in zip(formula.mu.calls, labels, strict=True):
        label = label if labels.count(label) == 1 else call.text
        built.append((call.span.start, TERMS[call.name].build(call, scope, label)))
    terms = [term for _, term in sorted(built, key=lambda pair: pair[0])]
    names = Counter(variable.name for term in terms for variable in term.variables)
    repeated = [name for name, count in names.items() if count > 1]
    if repeated:
        spans = [bar.span for bar in formula.mu.bars if repeated[0].endswith(f"|{bar.group_name}")]
        raise formula.error(
            f"The effect `{repeated[0]}` is in two terms; each effect may stand once.",
            spans[-1] if spans else None,
            "(1 + x | g), or (1 | g) + (0 + x | g) without a correlation.",
        )
    return terms


def _with_null_columns(
    x: sp.csc_array, terms: Sequence[Term], seen: npt.NDArray[np.int64], intercept: int | None
) -> tuple[sp.csc_array, list[str]]:
    """Fixed columns and, of the terms' null spaces, those that the columns before them do not span."""
    names: list[str] = []
    for term in terms:
        for name, values in term.null.items():
            if adds(sp.csc_array(x[seen]), values[seen], intercept):
                x = sp.csc_array(sp.hstack([x, full_column(values)], format="csc"))
                names.append(name)
    return x, names


def names_used(design: Design, env: Mapping[str, Any]) -> list[str]:
    """Names of the formula that ``env`` has to provide: all but columns, formulaic's functions and Python's."""
    used = (design.formula.response, *design.formula.mu.expressions)
    columns = design.scope.frame.columns  # arrays of the scope with one value per row are among them
    found = [names_of(each, columns, env) for each in used]
    return [name for names in found for name in (*names.others, *names.functions) if name in env]
