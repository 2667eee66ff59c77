"""The value of a Python expression of a formula, and what the names in it stand for."""

from __future__ import annotations

import ast
import builtins
import copy
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from formulaic.transforms import TRANSFORMS

from lgm.data.arithmetic import OPERATORS, compute
from lgm.data.learning import learner
from lgm.formula.python import Expression
from lgm.formula.tokens import is_python_name

# formulaic's, whose exp10 is the tenth power.
FUNCTIONS: dict[str, Any] = {**TRANSFORMS, "exp10": lambda x: np.power(10.0, x)}


@dataclass(frozen=True)
class Names:
    """What the names in an expression stand for.

    Parameters
    ----------
    columns : tuple of str
        Columns of the data.
    others : tuple of str
        Names of values that are not columns.
    functions : tuple of str
        Names that are called; a column is never called, so that ``log(x)`` works beside a column ``log``.
    modules : tuple of str
        Columns whose name is here that of a module, as in ``np.log(x)`` beside a column ``np``.
    """

    columns: tuple[str, ...]
    others: tuple[str, ...]
    functions: tuple[str, ...]
    modules: tuple[str, ...] = ()


def names_of(expression: Expression, columns: Collection[str], outside: Mapping[str, Any]) -> Names:
    """What the names in an expression stand for, given the columns of the data and the names around it.

    Examples
    --------
    >>> from lgm.formula.parse import parse
    >>> (offset,) = parse("y ~ offset(log(`body mass`) + x.y)", ()).mu.offsets
    >>> names_of(offset, {"body mass", "x.y"}, {})
    Names(columns=('body mass', 'x.y'), others=(), functions=('log',), modules=())
    """
    return _read(expression, columns, outside)[1].found()


def evaluate(
    expression: Expression, columns: Mapping[str, Any], outside: Mapping[str, Any], memory: dict[str, Any]
) -> Any:
    """The value of an expression.

    Parameters
    ----------
    expression : Expression
    columns, outside : mappings
        Columns of the data, and other names, which come second.
    memory : dict
        What each expression has learnt from the first rows that it was evaluated on, those of the fit: what stateful
        transformations such as ``scale(x)`` remember, and numbers computed from columns, such as ``x.mean()``. It is
        used for other rows, which so are transformed as those of the fit were.
    """
    tree, reader = _read(expression, columns, outside)
    if isinstance(tree, ast.Name) and tree.id in reader.aliases:
        return columns[reader.aliases[tree.id]]
    around = {**FUNCTIONS, **outside}
    names = {name: around[name] for name in reader.others if name in around}
    names |= {alias: outside[name] for alias, name in reader.quoted_others.items() if name in outside}
    names |= reader.modules
    names |= {alias: function(name, outside) for alias, name in reader.called.items()}
    names |= {alias: columns[name] for alias, name in reader.aliases.items()}
    rows = max((len(columns[name]) for name in reader.aliases.values()), default=0)
    learns = learner(memory, expression.text, rows, {**around, **names})
    names |= {_COMPUTE: compute, _FUNCTION: learns.function, _VALUE: learns.value}
    names |= {_OPERATOR + kind.__name__: operation for kind, operation in OPERATORS.items()}
    with np.errstate(all="ignore"):  # what is not finite is reported by name, where the value is used
        try:
            value = eval(compile(ast.fix_missing_locations(ast.Expression(tree)), "", "eval"), names)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:  # exit(), say, ends the evaluation and not the process
            raise RuntimeError(f"it raises {type(error).__name__}") from error
    memory.setdefault(expression.text, learns.learnt)
    return value


def function(name: str, outside: Mapping[str, Any]) -> Callable[..., Any] | None:
    """What a called name stands for: the first callable in ``outside``, formulaic's transformations, and Python."""
    for names in (outside, FUNCTIONS, vars(builtins)):
        if name in names and callable(names[name]):
            return names[name]
    return None


_MODULE = "_module_"

# No column or other name is called so.
_COMPUTE, _FUNCTION, _VALUE, _OPERATOR = "compute()", "function()", "value()", "operator()."


def _read(expression: Expression, columns: Collection[str], outside: Mapping[str, Any]) -> tuple[ast.expr, _Reader]:
    reader = _Reader(expression, columns, outside)
    tree = expression.tree
    return reader.visit(tree if isinstance(tree, ast.Name) else copy.deepcopy(tree)), reader  # a name is not changed


class _Reader(ast.NodeTransformer):
    """Gives columns and functions names under which they do not hide each other, and notes what it finds.

    Operators and calls become those of formulas, and what is computed from columns can be remembered.
    """

    def __init__(self, expression: Expression, columns: Collection[str], outside: Mapping[str, Any]) -> None:
        self.quoted, self.columns, self.outside = expression.quoted, columns, outside
        self.aliases: dict[str, str] = {}
        self.called: dict[str, str] = {}
        self.modules: dict[str, ModuleType] = {}
        self.others: list[str] = []
        self.quoted_others: dict[str, str] = {}
        self.bound = {self.quoted.get(name, name) for name in _bound(expression.tree)}
        self.places = 0
        self.uses = 0  # of columns so far
        self.inner = 0  # uses so far of names that the expression itself binds

    def found(self) -> Names:
        others = dict.fromkeys(name for name in self.others if name not in self.bound)
        columns, modules = dict.fromkeys(self.aliases.values()), tuple(m.removeprefix(_MODULE) for m in self.modules)
        return Names(tuple(columns), tuple(others), tuple(self.called.values()), modules)

    def visit(self, node: ast.AST) -> Any:
        uses, inner = self.uses, self.inner
        out = super().visit(node)
        if isinstance(node, (ast.Call, ast.Subscript, ast.Attribute)) and isinstance(out, type(node)):
            place = self._place()
            if self.uses > uses and self.inner == inner:  # a value of columns alone, the same whenever it is asked for
                return _call(_VALUE, ast.Lambda(_NO_ARGUMENTS, out), ast.Constant(place))
        return out

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if type(node.op) not in OPERATORS:
            return node
        return _call(_COMPUTE, _name(_OPERATOR + type(node.op).__name__), node.left, node.right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if type(node.op) not in OPERATORS or isinstance(node.operand, ast.Constant):
            return node
        return _call(_COMPUTE, _name(_OPERATOR + type(node.op).__name__), node.operand)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        func = node.func
        if isinstance(func, ast.Name) and func.id == "Q" and len(node.args) == 1 and not node.keywords:
            if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                return self._column(node.args[0].value)  # patsy's way to quote a name
        place = self._place()
        if isinstance(func, ast.Name) and func.id not in self.quoted:
            alias = f"_called_{func.id}" if func.id in self.columns else func.id
            self.called[alias] = func.id
            called: ast.expr = _name(alias)
        else:
            called = super().visit(func)  # a method is no value
        node.func = _call(_FUNCTION, called, ast.Constant(place))
        node.args = [self.visit(arg) for arg in node.args]
        node.keywords = [self.visit(each) for each in node.keywords]
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            root = root.value
        if not isinstance(root, ast.Name) or root.id in self.quoted:
            return self.generic_visit(node)
        if (dotted := ast.unparse(node)) in self.columns:
            return self._column(dotted)
        module = self.outside.get(root.id, FUNCTIONS.get(root.id))
        if root.id in self.columns and isinstance(module, ModuleType):  # np.log(x) beside a column `np`
            root.id = f"{_MODULE}{root.id}"
            self.modules[root.id] = module
            return node
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        name = self.quoted.get(node.id, node.id)
        self.inner += name in self.bound
        if isinstance(node.ctx, ast.Store):
            return node
        if node.id in self.quoted and name not in self.columns and name not in self.outside:
            as_python = unicodedata.normalize("NFKC", name)  # so Python keeps the user's own names
            name = as_python if as_python in self.outside else name
        if name in self.columns:
            return self._column(name)
        if node.id in self.quoted:
            self.quoted_others[node.id] = name
        self.others.append(name)
        return node

    def _place(self) -> int:
        self.places += 1
        return self.places - 1

    def _column(self, name: str) -> ast.Name:
        known = {column: alias for alias, column in self.aliases.items()}
        alias = known.get(name) or (name if is_python_name(name) else f"_column_{len(self.aliases)}")
        self.aliases[alias] = name
        self.uses += 1
        return _name(alias)


def _bound(tree: ast.expr) -> Iterator[str]:
    """Names that comprehensions and functions inside of an expression bind."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


_NO_ARGUMENTS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(_name(name), list(arguments), [])
