"""The fixed part: formulaic's whole grammar, as sparse columns."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import scipy.sparse as sp
from formulaic import Formula as Formulaic
from formulaic import ModelSpec
from formulaic.errors import DataMismatchWarning, FormulaicError

from lgm.errors import DataError
from lgm.formula import unknown_call_message
from lgm.pattern import FloatArray
from lgm.scope import Scope, names_in
from lgm.tokens import Span


def materialise(source: Formulaic | ModelSpec, scope: Scope, span: Span) -> tuple[ModelSpec, sp.csc_array, list[str]]:
    """Columns of a formula, or of one that was encoded before, at the rows of a scope.

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
        For an unknown name or a failing expression, with its place marked.
    DataError
        For levels that the fit does not have, or values that are not finite.
    """
    formula = source.formula if isinstance(source, ModelSpec) else source
    _require_names(formula, scope, span)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataMismatchWarning)
            matrix = source.get_model_matrix(scope.frame, context=scope.env, output="sparse", na_action="ignore")
    except DataMismatchWarning as mismatch:
        raise DataError(f"{mismatch} Give rows with levels that were in the data of the fit.") from None
    except FormulaicError as error:
        cause = error.__cause__ or error
        raise scope.formula.error(f"The fixed part cannot be evaluated: {cause}.", span) from error
    spec = matrix.model_spec
    columns = sp.csc_array(matrix.__wrapped__ if hasattr(matrix, "__wrapped__") else matrix)
    names = [str(name) for name in spec.column_names]
    _require_finite(columns, names, scope)
    return spec, columns, names


def _require_names(formula: Formulaic, scope: Scope, span: Span) -> None:
    for term in formula:
        for factor in term.factors:
            if str(factor.eval_method.value) == "literal":
                continue
            for name in names_in(factor.expr):
                called = f"{name}(" in factor.expr.replace(" ", "")
                if called and not scope.reachable(name):
                    where = scope.formula.find(factor.expr) or span
                    raise scope.formula.error(unknown_call_message(name, scope.term_names), where)
                scope.require(name)


def _require_finite(columns: sp.csc_array, names: list[str], scope: Scope) -> None:
    bad = np.flatnonzero(~np.isfinite(columns.data))
    if bad.size:
        column = int(np.searchsorted(columns.indptr, bad[0], side="right") - 1)
        row = scope.frame.index[columns.indices[bad[0]]]
        raise DataError(
            f"the column `{names[column]}` is {columns.data[bad[0]]} in row {row}; every predictor must be finite. "
            "Look at its transformation, such as the logarithm of zero."
        )


def standardise(x: sp.csc_array, intercept: int | None) -> tuple[sp.csc_array, FloatArray]:
    """Change of basis of the fixed effects that conditions their normal equations.

    Columns without a structural zero are centred (only beside an intercept) and all are scaled: ``X_int = X B``,
    ``beta = B beta_int``. Columns with such zeros, those of factors, stay sparse and are only scaled.

    Returns
    -------
    x_int : sparse array (n, p)
    basis : float array (p, p)
        B.
    """
    n, p = x.shape
    shift, scale, columns = np.zeros(p), np.ones(p), []
    for j in range(p):
        column = x[:, [j]]
        if j != intercept:
            if intercept is not None and column.nnz == n:
                shift[j] = column.data.mean()
                column = sp.csc_array(column.toarray() - shift[j])
            scale[j] = np.sqrt(np.sum(column.data**2) / n) or 1.0
        columns.append(column / scale[j])
    basis = np.diag(1.0 / scale)
    if intercept is not None:
        basis[intercept] -= shift / scale
    return sp.csc_array(sp.hstack(columns, format="csc") if columns else x), basis


def unseen_levels(scope: Scope, training: dict[str, pd.Index]) -> None:
    """Raise if a factor of the fixed part has a level that the fit does not have."""
    for name, levels in training.items():
        values = pd.Index(scope.frame[name].unique())
        unknown = [str(v) for v in values if v not in levels]
        if unknown:
            raise DataError(
                f"`{name}` has level(s) that the fit does not have: {', '.join(unknown[:5])}. "
                f"Known levels: {', '.join(str(v) for v in levels[:8])}{', ...' if len(levels) > 8 else ''}."
            )
