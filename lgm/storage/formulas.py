"""Whether the formula of a file that is not trusted may be evaluated, with the data and names of the same file.

It must be plain (`lgm.formula.plain`), plain names must have their usual meaning, and no operator may make much of
little: text and lists repeat under ``*``, tables multiply when they are joined or broadcast.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from formulaic.transforms import TRANSFORMS

from lgm.data.expression import function, names_of
from lgm.errors import FormulaError, LgmError
from lgm.formula.parse import parse
from lgm.formula.plain import FUNCTIONS, MEMBERS, require_plain
from lgm.formula.python import Expression
from lgm.formula.sides import Formula
from lgm.storage.listed import FUNCTIONS as OF_NUMPY
from lgm.storage.listed import TRUST
from lgm.terms import TERMS

MOST_COLUMNS = 1000  # of one spline or polynomial
_BASES = frozenset({"bs", "cc", "cr", "cs", "poly"})


def require_harmless(source: str, data: pd.DataFrame, env: Mapping[str, Any]) -> None:
    """Raise unless a formula can only compute, in memory that its data and names account for.

    Raises
    ------
    LgmError
        It says what is to be done if the file is trusted.
    """
    for name in (*MEMBERS, *FUNCTIONS):
        if name in env and not _has_usual_meaning(name, env[name]):
            raise LgmError(f"the file gives `{name}` a meaning of its own. {TRUST}")
    formula = parse(source, tuple(TERMS))
    try:
        require_plain(formula, list(data.columns))
        for expression in (*formula.response.expressions, *(e for s in formula.sides.values() for e in s.expressions)):
            _require_moderate(expression, formula, data, env)
    except FormulaError as error:
        raise LgmError(f"the formula of the file may do more than is on the list. {TRUST}\n{error}") from None


def require_known_calls(source: str, data: pd.DataFrame, env: Mapping[str, Any]) -> None:
    """Raise where a formula calls what is neither a term nor a function here: a term of its writer's own, say.

    Raises
    ------
    LgmError
        It names the call.
    """
    formula = parse(source, tuple(TERMS))
    for expression in (each for side in formula.sides.values() for each in side.expressions):
        for name in names_of(expression, data.columns, env).functions:
            if "." not in name and function(name, env) is None:
                raise LgmError(
                    f"the formula of the file has `{name}()`, which is no term and no function here. If it is a "
                    f'term of your own, run lgm.register_term("{name}", ...) before lgm.load.'
                )


def _has_usual_meaning(name: str, value: Any) -> bool:
    if name in MEMBERS:
        return value is TRANSFORMS[name]
    return not callable(value) or any(value is function for function in OF_NUMPY.values())


def _require_moderate(expression: Expression, formula: Formula, data: pd.DataFrame, env: Mapping[str, Any]) -> None:
    def refuse(node: ast.expr, what: str) -> None:
        raise formula.error(f"`{expression.text_of(node)}` {what}.", expression.span_of(node), "numbers.")

    for node in expression.nodes():
        arithmetic = isinstance(node, ast.BinOp)
        if arithmetic or isinstance(node, ast.Compare) or _calls_numpy(node):
            for operand in _operands(node, arithmetic):
                if not _is_moderate(operand, expression, data, env, arithmetic):
                    refuse(operand, "stands in arithmetic, and is no number and no array of numbers")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _BASES:
            for option in (*node.args[1:], *(keyword.value for keyword in node.keywords)):
                value = option.value if isinstance(option, ast.Constant) else None
                value = env.get(option.id) if isinstance(option, ast.Name) else value
                if isinstance(value, (int, float)) and value > MOST_COLUMNS:
                    refuse(option, f"is more than {MOST_COLUMNS} columns")


def _calls_numpy(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)


def _operands(node: ast.AST, arithmetic: bool) -> Iterator[ast.expr]:
    """Names and constants in an expression; in arithmetic without what is compared, of which booleans come."""
    inner: Iterable[ast.AST]
    match node:
        case ast.Name() | ast.Attribute() | ast.Constant() | ast.List() | ast.Tuple():
            yield node
            return
        case ast.Call():
            inner = [*node.args, *(keyword.value for keyword in node.keywords)]
        case ast.Compare() if arithmetic:
            inner = ()
        case _:
            inner = ast.iter_child_nodes(node)
    for each in inner:
        yield from _operands(each, arithmetic)


def _is_moderate(
    node: ast.expr, expression: Expression, data: pd.DataFrame, env: Mapping[str, Any], arithmetic: bool
) -> bool:
    """Whether an operand is a column or a value that never make a larger one; text may only be compared."""
    match node:
        case ast.Name(id=identifier):
            name = expression.quoted.get(identifier, identifier)
        case ast.Attribute():
            name = ast.unparse(node)  # a column with a dot in its name, or a number of NumPy's
        case ast.Constant(value=str()):  # also a column in Q("")
            return not arithmetic
        case _:
            return isinstance(node, ast.Constant)
    if name in data.columns:
        return not arithmetic or _is_numeric(data[name].dtype)
    return name not in env or _is_flat(env[name], numeric=arithmetic)


def _is_numeric(dtype: Any) -> bool:
    return bool(pd.api.types.is_numeric_dtype(dtype)) or getattr(dtype, "kind", "O") in "mM"


def _is_flat(value: Any, *, numeric: bool) -> bool:
    """Whether it is one value, or an array in one dimension: these never make a larger one."""
    if isinstance(value, np.ndarray):
        return value.ndim <= 1 and (_is_numeric(value.dtype) or not numeric)
    return isinstance(value, (int, float, np.number, np.bool_)) or (isinstance(value, str) and not numeric)
