"""Whether an expression computes each row by itself, as it must where other rows are to be predicted."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.expression import FUNCTIONS, function, names_of
from lgm.data.scope import Scope
from lgm.errors import LgmError
from lgm.formula.python import Expression

_ELEMENTWISE = (ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare)
_CLOSE = 1e-9  # of the range of its values; sums in another order differ by less, and predictions by no more


def is_rowwise(expression: Expression, scope: Scope) -> bool:
    """Whether a row has the same value whatever rows stand beside it; tried on a few of the rows.

    Expressions that do not give one value for each row, such as options, count as rowwise. What an expression remembers
    of the rows of the fit does not change any more: ``x - x.mean()`` is rowwise, ``x.rank()`` is not.

    Parameters
    ----------
    expression : Expression
    scope : Scope
        The rows that the expression was evaluated on for the first time.

    Raises
    ------
    LgmError
        If it cannot be evaluated at all.
    """
    if _is_elementwise(expression, scope):
        return True
    whole = _parts(scope.value(expression))
    if any(part.ndim == 0 or part.shape[0] != scope.n for part in whole):
        return True
    for rows in _samples(scope.n):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is to be said was said of the whole
                few = _parts(scope.on(scope.frame.iloc[rows]).value(expression))
        except LgmError:
            return False
        if len(few) != len(whole) or not all(map(_same, few, (part[rows] for part in whole), map(_rounding, whole))):
            return False
    return True


def _is_elementwise(expression: Expression, scope: Scope) -> bool:
    """Whether it is made of names, numbers, operators and functions of which this is known, so that none is tried."""
    calls = [node for node in expression.nodes() if isinstance(node, ast.Call)]
    called = {id(part) for call in calls for part in ast.walk(call.func)}
    others = [node for node in expression.nodes() if not isinstance(node, ast.Call) and id(node) not in called]
    mixing = any(isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult) for node in others)
    elementwise = not mixing and all(isinstance(node, _ELEMENTWISE) for node in others)
    return elementwise and all(_is_known(call.func, scope) for call in calls)


def _is_known(func: ast.expr, scope: Scope) -> bool:
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == "np":
        return scope.env.get("np", np) is np and isinstance(getattr(np, func.attr, None), np.ufunc)
    found = function(func.id, scope.env) if isinstance(func, ast.Name) else None
    known = isinstance(found, np.ufunc) or found in (FUNCTIONS["I"], FUNCTIONS["C"])
    return known or getattr(found, "__is_stateful_transform__", False) is True


def _samples(n: int) -> Iterator[IntArray]:
    """Single rows, and some in another order: a rank, a difference or a bin is another there."""
    yield np.unique(np.linspace(0, n - 1, 9).astype(np.int64))[::-1]
    yield from (np.array([row]) for row in (n - 1, n // 2, 0))


def _parts(value: Any) -> list[Any]:
    """A value as arrays, or sparse ones."""
    if isinstance(value, dict):
        return [part for name, each in value.items() if not str(name).startswith("__") for part in _parts(each)]
    if isinstance(value, pd.DataFrame):
        return [np.asarray(column) for _, column in value.items()]
    return [sp.csr_array(value) if sp.issparse(value) else np.asarray(value)]


def _rounding(whole: Any) -> FloatArray:
    """What counts as no difference, by column; zero for what is no number."""
    if whole.dtype.kind not in "biuf":
        return np.zeros(1)
    if sp.issparse(whole):
        low, high = whole.min(axis=0).toarray(), whole.max(axis=0).toarray()
    else:
        finite = np.where(np.isfinite(whole), whole, np.nan).astype(float)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of a column without a finite value
            low, high = np.nanmin(finite, axis=0), np.nanmax(finite, axis=0)
    largest = np.maximum(np.abs(low), np.abs(high))
    return np.asarray(_CLOSE * (np.asarray(high, dtype=float) - low) + 8 * np.finfo(float).eps * largest, dtype=float)


def _same(few: Any, wanted: Any, rounding: FloatArray) -> bool:
    few, wanted = (part.toarray() if sp.issparse(part) else part for part in (few, wanted))
    if few.shape != wanted.shape:
        return False
    if few.dtype.kind in "biuf" and wanted.dtype.kind in "biuf":
        few, wanted = few.astype(float), wanted.astype(float)
        same = (few == wanted) | (np.isnan(few) & np.isnan(wanted)) | (np.abs(few - wanted) <= rounding)
        return bool(np.all(same))
    return pd.Series(few.ravel(), dtype=object).equals(pd.Series(wanted.ravel(), dtype=object))


def entangled(expression: Expression, env: Mapping[str, Any]) -> str:
    """The beginning of a message on an expression that is not rowwise."""
    names = names_of(expression, (), {}).functions
    own = [name for name in names if name in FUNCTIONS and function(name, env) is not FUNCTIONS[name]]
    hidden = f" (`{own[0]}` is a function of your own here, which hides that of formulas)" if own else ""
    return f"`{expression.text}` is computed from all rows at once{hidden}"
