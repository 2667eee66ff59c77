"""Sparse columns of effects: formulaic's encoder, with checks and structural zeros of our own.

This is the only file that knows how formulaic's encoder works inside.
"""

from __future__ import annotations

import functools
import itertools
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from formulaic import ModelSpec
from formulaic.errors import DataMismatchWarning, FormulaicError
from formulaic.materializers import PandasMaterializer
from formulaic.materializers.types import EvaluatedFactor, FactorValues
from formulaic.parser.types import Factor
from interface_meta import override

from lgm.arrays import FloatArray
from lgm.data.expression import evaluate
from lgm.data.magnitude import require_magnitude
from lgm.data.scope import Scope, shape_of
from lgm.data.table import kind_of, plain
from lgm.errors import DataError, FormulaError, IdentifiabilityError, LgmError
from lgm.formula.sides import Effects
from lgm.words import counted, listed, some

_WORDS = {"categorical": "a factor", "numerical": "a number"}


def materialise(
    effects: Effects, scope: Scope, what: str = "The fixed part", spec: ModelSpec | None = None
) -> tuple[ModelSpec, sp.csc_array, list[str]]:
    """Columns of effects at the rows of a scope.

    Numeric columns store an entry for every row, zeros included; columns of factors only those of their level. So what
    is stored depends on the structure of the data, not on their values.

    Parameters
    ----------
    effects : Effects
    scope : Scope
    what : str
        The effects in words, for messages.
    spec : ModelSpec, optional
        Of rows that were encoded before; these rows are then encoded in the same way.

    Returns
    -------
    spec : ModelSpec
        What encodes other rows in the same way (levels, knots, centres).
    columns : sparse array (n, p)
    names : list of str
        formulaic's names.

    Raises
    ------
    FormulaError
        For an unknown name, a failing expression, or one that does not give a value per row; the place is marked.
    DataError
        For levels that the fit does not have, or values that are not finite.
    IdentifiabilityError
        For a factor with one level.
    """
    for expression in effects.factors.values():
        scope.require(expression)
    terms = effects.formula if spec is None else spec
    try:
        matrix = _Columns(scope, effects).get_model_matrix(terms, output="sparse", na_action="ignore")
    except FormulaicError as error:
        cause = error.__cause__ or error
        if isinstance(cause, LgmError):
            raise cause from None
        raise scope.formula.error(
            f"{what} cannot be evaluated: {type(cause).__name__}: {cause}", effects.span
        ) from error
    spec = matrix.model_spec
    columns = sp.csc_array(matrix.__wrapped__)
    names = [str(name) for name in spec.column_names]
    _check_terms(spec, names, scope, effects)
    _check_finite(columns, names, scope)
    return spec, columns, names


def full_column(values: FloatArray) -> sp.csc_matrix:
    """A column that stores all of its entries, zeros too."""
    n = values.size
    return sp.csc_matrix((values, np.arange(n, dtype=np.int32), np.array([0, n], dtype=np.int32)), shape=(n, 1))


class _Columns(PandasMaterializer):
    """formulaic's encoder with our meaning of names, and every value checked."""

    REGISTER_NAME = "lgm"
    REGISTER_INPUTS = ()  # other users of formulaic in this session keep theirs
    REGISTER_OUTPUTS = ("sparse",)

    def __init__(self, scope: Scope, effects: Effects) -> None:
        super().__init__(scope.frame, context=scope.env)
        self.scope, self.effects = scope, effects

    @override
    def _evaluate_factor(self, factor: Factor, spec: ModelSpec, drop_rows: set[int]) -> EvaluatedFactor:
        if factor.eval_method is Factor.EvalMethod.LITERAL:  # formulaic would have Python read the number
            value = FactorValues(float(factor.expr), kind=Factor.Kind.CONSTANT)
            self.factor_cache[factor.expr] = EvaluatedFactor(factor=factor, values=value)
        return super()._evaluate_factor(factor, spec, drop_rows)

    @override
    def _lookup(self, name: str) -> tuple[Any, set[Any]]:
        return self._checked(evaluate(self.effects.factors[name], self.scope.frame, self.scope.env, {}), name), set()

    @override
    def _evaluate(self, expr: str, metadata: Any, spec: ModelSpec) -> tuple[Any, set[Any]]:
        try:
            value = evaluate(self.effects.factors[expr], self.scope.frame, self.scope.env, self.scope.memory)
        except LgmError:
            raise
        except Exception as error:
            message = f"`{expr}` cannot be evaluated: {type(error).__name__}: {str(error).rstrip('.')}."
            raise self._error(message, expr) from error
        return self._checked(value, expr), set()

    def _checked(self, value: Any, expr: str) -> Any:
        """One value per row, of a kind that can be a predictor; booleans and text are factors."""
        raw = value.__wrapped__ if isinstance(value, FactorValues) else value
        if isinstance(raw, (list, tuple)):
            value = raw = np.asarray(raw)
        parts = [v for k, v in raw.items() if not str(k).startswith("__")] if isinstance(raw, dict) else [raw]
        for part in parts:
            if len(np.shape(part)) not in (1, 2) or np.shape(part)[0] != self.scope.n:
                accepted = f"one value for each of the {self.scope.n} rows in use."
                raise self._error(f"`{expr}` is {shape_of(part)}.", expr, accepted)
        if isinstance(raw, (dict, pd.DataFrame)) or sp.issparse(raw) or np.ndim(raw) == 2:
            if isinstance(value, FactorValues) and value.__formulaic_metadata__.kind is Factor.Kind.CATEGORICAL:
                raise self._error(f"`{expr}` is a factor of several columns.", expr, "a factor of one column.")
            return value
        column = plain(raw if isinstance(raw, pd.Series) else pd.Series(np.asarray(raw), index=self.scope.frame.index))
        self._require_usable(column, expr, is_factor=isinstance(value, FactorValues))
        return value if isinstance(value, FactorValues) else column

    def _require_usable(self, column: pd.Series, expr: str, *, is_factor: bool) -> None:
        numeric = pd.api.types.is_numeric_dtype(column.dtype)
        if numeric and not is_factor and column.dtype.kind != "c":
            return
        gaps = column.isna()
        if gaps.any() and (is_factor or not numeric):
            rows = listed(column.index[gaps], 5)
            raise DataError(f"`{expr}` is missing in {gaps.sum()} of {gaps.size} rows (rows {rows}).")
        kind = kind_of(column)
        if is_factor or kind in ("text", "categories"):
            return
        hint = (
            f" Write `C({expr})` for a factor, or make a column of numbers of it."
            if kind in ("dates", "periods")
            else ""
        )
        message = f"`{expr}` holds {kind}, which cannot be a predictor.{hint}"
        raise self._error(message, expr, "numbers, text, categories or booleans.", DataError)

    def _error(self, message: str, expr: str, accepted: str = "", kind: type[LgmError] = FormulaError) -> LgmError:
        return self.scope.formula.error(message, self.effects.factors[expr].span, accepted, kind)

    @override
    def _is_categorical(self, values: Any) -> bool:
        raw = values.__wrapped__ if isinstance(values, FactorValues) else values
        is_flag = isinstance(raw, pd.Series) and pd.api.types.is_bool_dtype(raw.dtype)
        return is_flag or super()._is_categorical(values)

    @override
    def _encode_constant(
        self, value: Any, metadata: Any, encoder_state: dict[str, Any], spec: ModelSpec, drop_rows: Sequence[int]
    ) -> Any:
        return full_column(np.full(self.scope.n, float(value))) if value else sp.csc_matrix((self.scope.n, 1))

    @override
    def _encode_numerical(
        self, values: Any, metadata: Any, encoder_state: dict[str, Any], spec: ModelSpec, drop_rows: Sequence[int]
    ) -> Any:
        if sp.issparse(values):
            return sp.csc_matrix(values)
        return full_column(np.asarray(values, dtype=float))

    @override
    def _encode_evaled_factor(
        self, factor: Any, spec: ModelSpec, drop_rows: Sequence[int], reduced_rank: bool = False
    ) -> dict[str, Any]:
        kind = factor.metadata.kind
        known_kind, state = spec.encoder_state.get(factor.expr, (kind, {}))
        if kind is not known_kind:
            raise DataError(f"`{factor.expr}` is {_WORDS[kind.value]} here, but {_WORDS[known_kind.value]} in the fit.")
        if kind is Factor.Kind.CATEGORICAL and "categories" in state:
            _require_known(factor.expr, factor.values.__wrapped__, state["categories"])
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataMismatchWarning)
            try:
                return super()._encode_evaled_factor(factor, spec, drop_rows, reduced_rank)
            except DataMismatchWarning:
                raise DataError(f"`{factor.expr}` has values that its `levels` do not list.") from None
            except LgmError:
                raise
            except Exception as error:  # contrasts are made only here, when the levels are known
                message = f"`{factor.expr}` cannot be encoded: {error}"
                levels = listed(list(pd.Series(factor.values.__wrapped__).unique()), 8)
                raise self._error(message, factor.expr, f"contrasts of its levels ({levels}).") from error

    @override
    def _get_columns_for_term(self, factors: list[dict[str, Any]], spec: ModelSpec, scale: float = 1) -> dict[str, Any]:
        out = {}
        for combination in itertools.product(*(factor.items() for factor in reversed(factors))):
            chosen = combination[::-1]
            column = functools.reduce(_product, (values for _, values in chosen))
            out[":".join(name for name, _ in chosen)] = column if scale == 1 else scale * column
        return out

    @override
    def _enforce_structure(self, cols: list[Any], spec: ModelSpec, drop_rows: Sequence[int]) -> Iterable[Any]:
        for (term, scoped, columns), (_, _, wanted) in zip(cols, spec.structure, strict=True):
            if set(columns) != set(wanted):
                raise DataError(
                    f"`{term}` gives the columns {listed(list(columns))} here, but {listed(wanted)} in the fit."
                )
            yield term, scoped, {name: columns[name] for name in wanted}


def _product(a: sp.csc_matrix, b: sp.csc_matrix) -> sp.csc_matrix:
    """Product of two columns; an entry is stored where both factors store one, whatever its value."""
    if a.nnz < b.nnz:
        a, b = b, a
    if a.nnz == a.shape[0]:
        at, rows, data = a.indices, b.indices, b.data
        values = np.empty(a.shape[0])
        values[at] = a.data
        data = values[rows] * data
    else:
        rows, of_a, of_b = np.intersect1d(a.indices, b.indices, assume_unique=True, return_indices=True)
        data = a.data[of_a] * b.data[of_b]
    return sp.csc_matrix((data, rows, np.array([0, rows.size])), shape=a.shape)


def _require_known(expr: str, values: Any, categories: Sequence[Any]) -> None:
    """Raise if a factor has a level that the fit does not have."""
    known = set(categories)
    unknown = [value for value in pd.Series(values).unique() if value not in known]
    if unknown and {str(value) for value in unknown} <= {str(value) for value in known}:
        raise DataError(
            f"the levels of `{expr}` are text on one side and not on the other: {some(unknown)} here, and "
            f"{some(categories)} in the fit. Convert one of them."
        )
    if unknown:
        raise DataError(
            f"`{expr}` has level(s) that the fit does not have: {listed(unknown, 5)}. "
            f"Known levels: {listed(list(categories), 8)}."
        )


def _check_terms(spec: ModelSpec, names: Sequence[str], scope: Scope, effects: Effects) -> None:
    """Nothing may vanish: neither a term without columns, nor a column whose name another one has."""
    for structure in spec.structure:
        if not structure.columns and any(factor.expr in effects.factors for factor in structure.term.factors):
            levels = [
                f"`{f.expr}` has one level, {spec.encoder_state[f.expr][1]['categories'][0]!r}"
                for f in structure.term.factors
                if len(spec.encoder_state.get(f.expr, (None, {}))[1].get("categories", ())) == 1
            ]
            reason = f": {levels[0]}" if levels else ", because other terms span its columns"
            raise IdentifiabilityError(f"the term `{structure.term}` adds no column{reason}. Remove it.")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise scope.formula.error(
            f"Two columns would be called `{twice[0]}`.", effects.span, "columns with different names."
        )


def _check_finite(columns: sp.csc_array, names: Sequence[str], scope: Scope) -> None:
    bad = np.flatnonzero(~np.isfinite(columns.data))
    if bad.size:
        column = int(np.searchsorted(columns.indptr, bad[0], side="right") - 1)
        row = scope.frame.index[columns.indices[bad[0]]]
        count = int(np.count_nonzero(bad < columns.indptr[column + 1]))
        others = f" and in {counted(count - 1, 'other')}" if count > 1 else ""
        raise DataError(
            f"the column `{names[column]}` is {columns.data[bad[0]]} in row {row}{others}; every predictor must be "
            "finite. Remove these rows, or look at a transformation, such as the logarithm of zero."
        )
    for j, name in enumerate(names):
        require_magnitude(columns.data[columns.indptr[j] : columns.indptr[j + 1]], f"the column `{name}`")
