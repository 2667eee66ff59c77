"""A Python expression of a formula: the columns and functions that it names, and its value."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from formulaic.transforms import TRANSFORMS
from formulaic.utils.layered_mapping import LayeredMapping
from formulaic.utils.stateful_transforms import stateful_eval

from lgm.formula.tokens import without_backticks


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
    """

    columns: tuple[str, ...]
    others: tuple[str, ...]
    functions: tuple[str, ...]


@dataclass(frozen=True)
class Expression:
    """Python as formulas hold it: columns may stand in backticks, and their names may have dots.

    Parameters
    ----------
    text : str
        As it stands in the formula.
    source : str
        The same with every name in backticks replaced by an identifier.
    quoted : dict
        Name of the column by identifier.
    """

    text: str
    source: str
    quoted: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> Expression:
        """Read a piece of a formula; braces around it are dropped.

        Examples
        --------
        >>> Expression.of("log(`body mass`) + x.y").names({"body mass", "x.y"}, {})
        Names(columns=('body mass', 'x.y'), others=(), functions=('log',))
        """
        parts = text.strip().split("`")
        quoted = {f"_quoted_{i}": parts[i] for i in range(1, len(parts), 2)}
        source = "".join(f"_quoted_{i}" if i % 2 else part for i, part in enumerate(parts)).strip()
        if source.startswith("{") and source.endswith("}"):
            source = source[1:-1].strip()
        try:
            ast.parse(source, mode="eval")
        except SyntaxError:  # a name that is no Python name, such as `y.1`
            return cls.column(without_backticks(text.strip()))
        return cls(text, source, quoted)

    @classmethod
    def column(cls, name: str) -> Expression:
        """The column of that name, whatever the name looks like."""
        return cls(name, "_quoted_0", {"_quoted_0": name})

    @property
    def is_name(self) -> bool:
        """Whether it is one name and nothing else."""
        return self.source.isidentifier()

    def names(self, columns: Collection[str], outside: Mapping[str, Any]) -> Names:
        """What its names stand for, given the columns of the data and the names around them."""
        return self._read(columns, outside)[1].found()

    def evaluate(self, columns: Mapping[str, Any], outside: Mapping[str, Any], state: dict[str, Any]) -> Any:
        """Its value.

        Parameters
        ----------
        columns, outside : mappings
            Columns of the data, and other names, which come second.
        state : dict
            Memory of stateful transformations such as ``scale(x)``: filled by the first call, used by later ones, so
            that other rows are transformed as those of the fit were.
        """
        tree, reader = self._read(columns, outside)
        own = {alias: columns[name] for alias, name in reader.aliases.items()}
        called = {alias: function(name, outside) for alias, name in reader.called.items()}
        quoted = {alias: outside[name] for alias, name in self.quoted.items() if name in outside}
        names = LayeredMapping(own, called, reader.modules, quoted, outside, TRANSFORMS)
        with np.errstate(all="ignore"):  # what is not finite is reported by name, where the value is used
            return stateful_eval(ast.unparse(tree), names, None, state, None)

    def _read(self, columns: Collection[str], outside: Mapping[str, Any]) -> tuple[ast.AST, _Reader]:
        reader = _Reader(self.quoted, columns, outside)
        return reader.visit(ast.parse(self.source, mode="eval")), reader


def function(name: str, outside: Mapping[str, Any]) -> Callable[..., Any] | None:
    """What a called name stands for: the first callable in ``outside``, formulaic's transformations, and Python."""
    for names in (outside, TRANSFORMS, vars(builtins)):
        if name in names and callable(names[name]):
            return names[name]
    return None


class _Reader(ast.NodeTransformer):
    """Gives columns and functions names under which they do not hide each other, and notes what it finds."""

    def __init__(self, quoted: Mapping[str, str], columns: Collection[str], outside: Mapping[str, Any]) -> None:
        self.quoted, self.columns, self.outside = quoted, columns, outside
        self.aliases: dict[str, str] = {}
        self.called: dict[str, str] = {}
        self.modules: dict[str, ModuleType] = {}
        self.others: list[str] = []
        self.bound: set[str] = set()

    def found(self) -> Names:
        others = dict.fromkeys(name for name in self.others if name not in self.bound)
        return Names(tuple(dict.fromkeys(self.aliases.values())), tuple(others), tuple(self.called.values()))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        func = node.func
        if isinstance(func, ast.Name) and func.id == "Q" and len(node.args) == 1 and not node.keywords:
            if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                return self._column(node.args[0].value)  # patsy's way to quote a name
        if isinstance(func, ast.Name) and func.id not in self.quoted:
            alias = f"_called_{func.id}" if func.id in self.columns else func.id
            self.called[alias] = func.id
            node.func = ast.Name(alias, ast.Load())
            node.args = [self.visit(arg) for arg in node.args]
            node.keywords = [self.visit(each) for each in node.keywords]
            return node
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            root = root.value
        if not isinstance(root, ast.Name) or root.id in self.quoted:
            return self.generic_visit(node)
        if (dotted := ast.unparse(node)) in self.columns:
            return self._column(dotted)
        module = self.outside.get(root.id, TRANSFORMS.get(root.id))
        if root.id in self.columns and isinstance(module, ModuleType):  # np.log(x) beside a column `np`
            root.id = f"_module_{root.id}"
            self.modules[root.id] = module
            return node
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        name = self.quoted.get(node.id, node.id)
        if isinstance(node.ctx, ast.Store):
            self.bound.add(name)
            return node
        if name in self.columns:
            return self._column(name)
        self.others.append(name)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        self.bound.add(node.arg)
        return node

    def _column(self, name: str) -> ast.Name:
        known = {column: alias for alias, column in self.aliases.items()}
        alias = known.get(name) or (name if name.isidentifier() else f"_column_{len(self.aliases)}")
        self.aliases[alias] = name
        return ast.Name(alias, ast.Load())
