"""Formulas without Python: whether an expression is made of names, numbers, operators and listed functions alone.

Everything else of Python can reach whatever the process can: an attribute leads from a number to its class, and on to
the interpreter. So what is accepted is listed here; nothing is excluded by name.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from dataclasses import dataclass

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


def is_plain(expression: Expression, columns: Collection[str] = ()) -> bool:
    """Whether an expression has nothing in it but names, numbers, operators and listed functions.

    Text in quotes, ``None`` and lists are accepted as arguments and in comparisons. Such an expression calls nothing
    but `FUNCTIONS` and `MEMBERS`, provided that these names are not given another meaning by the names around it,
    ``env`` say. Time and memory are not bounded by this.

    Parameters
    ----------
    expression : Expression
    columns : collection of str
        Columns of the data: ``a.b`` is a name if one is called so.

    Examples
    --------
    >>> from lgm.formula.parse import parse
    >>> [is_plain(each) for each in parse("y ~ np.log(x + 1) + {x.max()} + C(f, levels=['a', 'b'])", ()).mu.expressions]
    [True, False, True]
    """
    return python_in(expression, columns) is None


def python_in(expression: Expression, columns: Collection[str] = ()) -> ast.expr | None:
    """The first part of an expression that is not plain, or None; see `is_plain`."""
    return _Search(columns).of_argument(expression.tree)


def require_plain(formula: Formula, columns: Collection[str] = ()) -> None:
    """Raise unless all expressions of a formula are plain; see `is_plain`.

    Raises
    ------
    FormulaError
        The place is marked.
    """
    for side in formula.sides.values():
        for expression in (*formula.response.expressions, *side.expressions):
            part = python_in(expression, columns)
            if part is not None:
                message = f"`{expression.text_of(part)}` is Python, which this formula may not use."
                raise formula.error(message, expression.span_of(part), _ACCEPTED)


@dataclass(frozen=True)
class _Search:
    """Finds the first part of a tree that is Python."""

    columns: Collection[str]

    def of_argument(self, node: ast.expr) -> ast.expr | None:
        """In what may stand as an argument, or by itself."""
        match node:
            case ast.Constant(value=str() | None):
                return None
            case ast.List() | ast.Tuple():  # levels, knots
                return self.of_arguments(node.elts)
            case _:
                return self.of_operand(node)

    def of_arguments(self, nodes: Iterable[ast.expr]) -> ast.expr | None:
        """In several of them."""
        return next((part for node in nodes if (part := self.of_argument(node)) is not None), None)

    def of_operand(self, node: ast.expr) -> ast.expr | None:
        """In what may stand beside an operator: text and lists would be repeated there, or joined."""
        match node:
            case ast.Name() | ast.Constant(value=int() | float()):
                return None
            case ast.Set(elts=[inside]):  # braces hold an expression together
                return self.of_operand(inside)
            case ast.BinOp(op=ast.Pow()) if not _small(node.right) or _has_power(node.left):
                return node
            case ast.BinOp(op=ast.Pow()):
                return self.of_operand(node.left)
            case ast.BinOp() if isinstance(node.op, _ARITHMETIC):
                return self.of_operand(node.left) or self.of_operand(node.right)
            case ast.UnaryOp():
                return self.of_operand(node.operand)
            case ast.Compare() if all(isinstance(op, _COMPARISONS) for op in node.ops):
                return self.of_arguments([node.left, *node.comparators])
            case ast.Attribute():
                return None if _member(node) or ast.unparse(node) in self.columns else node
            case ast.Call() if _callable(node):
                return self.of_arguments([*node.args, *(keyword.value for keyword in node.keywords)])
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
