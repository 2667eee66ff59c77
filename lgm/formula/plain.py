"""Formulas without Python: whether an expression is made of names, numbers, operators and listed functions alone.

Everything else of Python can reach whatever the process can: an attribute leads from a number to its class, and on to
the interpreter. So what is accepted is listed here; nothing is excluded by name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

import numpy as np

from lgm.formula.python import Expression
from lgm.formula.sides import Formula

# formulaic's transformations but `hashed`, which calls what it is given, and Python's `abs`.
FUNCTIONS = frozenset(
    {
        *("C", "I", "abs", "bs", "cc", "center", "cr", "cs", "exp", "exp10", "exp2", "lag", "log", "log10", "log2"),
        *("poly", "scale", "standardize", "Diff", "Helmert", "Poly", "Sum", "Treatment"),
    }
)
# Functions of NumPy's, as in `np.sqrt(x)`, and formulaic's contrasts, as in `contr.sum`.
MEMBERS = {
    "np": frozenset(
        {
            *("abs", "arccos", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cbrt", "ceil", "cos", "cosh", "e"),
            *("exp", "exp2", "expm1", "floor", "fmax", "fmin", "hypot", "isfinite", "isnan", "log", "log10", "log1p"),
            *(
                "log2",
                "maximum",
                "minimum",
                "nan",
                "pi",
                "rint",
                "sign",
                "sin",
                "sinh",
                "sqrt",
                "square",
                "tan",
                "tanh",
            ),
            *("trunc", "where"),
        }
    ),
    "contr": frozenset({"SAS", "custom", "diff", "helmert", "poly", "sum", "treatment"}),
}
MAX_POWER = 100  # whole numbers of any size are computed exactly, so that 9**9**9 never ends

_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.BitAnd, ast.BitOr)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_ACCEPTED = (
    "names, numbers, operators, terms of lgm, and the functions "
    + ", ".join(sorted(FUNCTIONS, key=str.casefold))
    + ", and of NumPy "
    + ", ".join(f"np.{name}" for name in sorted(MEMBERS["np"]))
    + f"; powers are numbers up to {MAX_POWER}, and not powers of powers."
)


def is_plain(expression: Expression) -> bool:
    """Whether an expression has nothing in it but names, numbers, operators and listed functions.

    Text in quotes, ``None`` and lists are accepted as arguments and in comparisons.
    Such an expression calls nothing but `FUNCTIONS` and `MEMBERS`, provided that these names are not given another
    meaning by the names around it, ``env`` say; time and memory are not bounded by this.

    Examples
    --------
    >>> from lgm.formula.parse import parse
    >>> [is_plain(each) for each in parse("y ~ np.log(x + 1) + {x.max()} + C(f, levels=['a', 'b'])", ()).mu.expressions]
    [True, False, True]
    """
    return python_in(expression) is None


def python_in(expression: Expression) -> ast.expr | None:
    """The first part of an expression that is not plain, or None; see `is_plain`."""
    return _argument(expression.tree)


def require_plain(formula: Formula) -> None:
    """Raise unless all expressions of a formula are plain; see `is_plain`.

    Raises
    ------
    FormulaError
        The place is marked.
    """
    for side in formula.sides.values():
        for expression in (formula.response, *side.expressions):
            part = python_in(expression)
            if part is not None:
                message = f"`{expression.text_of(part)}` is Python, which this formula may not use."
                raise formula.error(message, expression.span_of(part), _ACCEPTED)


def _argument(node: ast.expr) -> ast.expr | None:
    """As `python_in`, of what may stand as an argument, or by itself."""
    match node:
        case ast.Constant(value=str() | None):
            return None
        case ast.List() | ast.Tuple():  # levels, knots
            return _first(node.elts)
        case _:
            return _operand(node)


def _operand(node: ast.expr) -> ast.expr | None:
    """As `python_in`, of what may stand beside an operator: text and lists would be repeated there, or joined."""
    match node:
        case ast.Name() | ast.Constant(value=int() | float()):
            return None
        case ast.Set(elts=[inside]):  # braces hold an expression together
            return _operand(inside)
        case ast.BinOp(op=ast.Pow()) if not _small(node.right) or _has_power(node.left):
            return node
        case ast.BinOp(op=ast.Pow()):
            return _operand(node.left)
        case ast.BinOp() if isinstance(node.op, _ARITHMETIC):
            return _operand(node.left) or _operand(node.right)
        case ast.UnaryOp():
            return _operand(node.operand)
        case ast.Compare() if all(isinstance(op, _COMPARISONS) for op in node.ops):
            return _first([node.left, *node.comparators])
        case ast.Attribute():
            return None if _member(node) else node
        case ast.Call():
            return _first([*node.args, *(keyword.value for keyword in node.keywords)]) if _callable(node) else node
        case _:
            return node


def _callable(call: ast.Call) -> bool:
    """Whether it is a listed function, with arguments that are its data and options."""
    match call.func:
        case ast.Name(id="Q"):
            return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and not call.keywords
        case ast.Name(id=name):
            listed = name in FUNCTIONS
        case ast.Attribute(attr=name):
            listed = _member(call.func)
        case _:
            return False
    numpy = getattr(np, name, None)
    if isinstance(numpy, np.ufunc):  # one argument more is where NumPy puts the result
        return listed and len(call.args) == numpy.nin and not call.keywords
    return listed and all(keyword.arg and not keyword.arg.startswith("_") for keyword in call.keywords)


def _member(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.attr in MEMBERS.get(node.value.id, ())


def _first(nodes: Iterable[ast.expr]) -> ast.expr | None:
    """The first part of several arguments that is Python."""
    return next((part for node in nodes if (part := _argument(node)) is not None), None)


def _small(node: ast.expr) -> bool:
    """Whether it is a number, or one divided by another, up to `MAX_POWER`."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return number <= MAX_POWER
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            return _small(node.operand)
        case ast.BinOp(op=ast.Div()):
            return _small(node.left) and isinstance(node.right, ast.Constant) and _small(node.right)
        case _:
            return False


def _has_power(node: ast.expr) -> bool:
    return any(isinstance(each, ast.Pow) for each in ast.walk(node))
