"""Python in formulas: expressions that are parsed once, with the way back from their parts to what was typed."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from lgm.formula.tokens import MAX_DEPTH, Kind, Problem, Span, Token, in_backticks, without_backticks

_BOTH = re.compile(r"\b([^\W\d]\w*) *: *([^\W\d]\w*)\b")  # factors together, as in bars
_PYTHON = "a Python expression in a call or in braces, such as `log(x)` or `{x + 1}`."
_TOO_DEEP = "This Python is nested too deep."
_FLAT = f"calls and operators up to {MAX_DEPTH} levels deep; a sum of many columns can be a column of the data."
_POWER = "`**` for a power, as in `I(x**2)`, and `!=` for exclusive or."

# Text in quotes, which stays as it is, or a name in backticks.
_QUOTED = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|`([^`]*)`""", re.DOTALL)
# Words of Python's that an expression has no use for, and names such as `x.1`.
_USED = {*("False", "None", "True", "and", "else", "for", "if", "in", "is", "not", "or")}
_NO_NAME = re.compile(
    rf"\b(?<!\.)(?:{'|'.join(word for word in keyword.kwlist if word not in _USED)}|[^\W\d]\w*\.\d[\w.]*)\b"
)
_NOWHERE = Span(0, 0)
_MASKS = 0x20000  # masks are ideographs: they can begin an identifier, and hardly anybody types them


@dataclass(frozen=True, slots=True)
class _Code:
    """Python that can be parsed: names in backticks are replaced by identifiers of equal length, so that offsets stay.

    Parameters
    ----------
    text : str
    start : int
        Where it stands in the source of the formula.
    names : dict
        Name in backticks, or that Python would spell in its own way, by the identifier that masks it.
    """

    text: str
    start: int
    names: dict[str, str]

    @classmethod
    def of(cls, token: Token) -> _Code:
        body = token.body.lstrip()
        names: dict[str, str] = {}

        def mask(quoted: re.Match[str]) -> str:
            if quoted[2] is None:
                return quoted[0]
            identifier = chr(_MASKS + len(names)) * len(quoted[0])
            names[identifier] = quoted[2]
            return identifier

        start = token.span.start + token.quoted + len(token.body) - len(body)
        text = _QUOTED.sub(mask, body.replace("\r", " "))
        if "\n" in text:  # in brackets it may go over several lines
            text, start = f"({text}\n)", start - 1
        return cls(text, start, names)

    def parsed(self) -> ast.expr:
        """Its tree; a name in backticks is a name by itself, never a part of one."""
        tree = ast.parse(self.text, mode="eval").body
        if isinstance(tree, ast.NamedExpr | ast.GeneratorExp | ast.Yield | ast.YieldFrom):  # Python only in brackets
            raise SyntaxError("invalid syntax")
        if not self.names.keys() <= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}:
            raise SyntaxError("invalid syntax")
        return tree

    def keep_names_as_typed(self, tree: ast.expr) -> None:
        """Mask names that Python would spell in its own way: it reads the micro sign as mu, and `nº` as `no`."""
        if self.text.isascii():
            return
        masks = {name: mask for mask, name in self.names.items()}
        nodes = list(ast.walk(tree))
        bound = {node.arg for node in nodes if isinstance(node, ast.arg)}
        bound |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        for node in nodes:
            if not isinstance(node, ast.Name) or node.id in self.names or node.id in bound or id(node) in called:
                continue
            span = self.span_of(node)
            typed = self.text[span.start - self.start : span.stop - self.start]
            if typed != node.id:
                node.id = masks.setdefault(typed, chr(_MASKS + len(self.names)))
                self.names[node.id] = typed

    @property
    def hint(self) -> str:
        """What to say if it is no Python because a column has a name that Python does not take."""
        if self.text.lstrip("(").startswith(("as.", "is.")):
            return " R's `as.factor(x)` is written `C(x)`."
        both = _BOTH.search(_QUOTED.sub("", self.text))
        if both:
            return f" In a call, factors together are `{both[1]}.astype(str) + ':' + {both[2]}.astype(str)`."
        found = _NO_NAME.search(_QUOTED.sub("", self.text))
        return f" A column called `{found[0]}` is written in backticks." if found else ""

    def span_of(self, node: ast.expr | ast.keyword) -> Span:
        """What was typed of a node."""
        start = self._offset(node.lineno, node.col_offset)
        return Span(start, self._offset(node.end_lineno or 1, node.end_col_offset or 0))

    def _offset(self, line: int, column: int) -> int:
        """Place in the source; ast counts lines from 1, and columns in bytes of UTF-8."""
        lines = self.text.split("\n")
        before = sum(len(text) + 1 for text in lines[: line - 1])
        return self.start + before + len(lines[line - 1].encode()[:column].decode())


@dataclass(frozen=True, slots=True)
class Expression:
    """One Python expression of a formula.

    Parameters
    ----------
    text : str
        As it is printed: normalised, with backticks where a name needs them.
    span : Span
        What was typed.
    tree : ast.expr
        Never changed; some names are masked in it, see `quoted`.
    """

    text: str
    span: Span
    tree: ast.expr = field(compare=False, repr=False)
    _code: _Code = field(compare=False, repr=False)

    @classmethod
    def of(cls, token: Token) -> Expression:
        """Read a token: a name is that of a column, whatever it looks like, and everything else is Python.

        Raises
        ------
        Problem
            If it is not valid Python, or has R's power in it.
        """
        return cls.column(token.body, token.span) if token.kind is Kind.NAME else cls.python(token)

    @classmethod
    def python(cls, token: Token) -> Expression:
        """Read a token as Python."""
        code = _Code.of(token)
        try:
            tree = code.parsed()
        except (MemoryError, RecursionError):  # Python's parser has limits of its own
            raise Problem(_TOO_DEEP, token.span, _FLAT) from None
        except (SyntaxError, ValueError) as error:
            reason = str(error.msg if isinstance(error, SyntaxError) else error).rstrip(".?")
            raise Problem(f"This is not valid Python: {reason}.{code.hint}", token.span, _PYTHON) from None
        if _is_deep(tree):
            raise Problem(_TOO_DEEP, token.span, _FLAT)
        code.keep_names_as_typed(tree)
        read = cls("", token.span, tree, code)
        for node in read.nodes():
            # On whole numbers Python computes it, and so a power as R writes it would be a wrong number.
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor):
                raise Problem("Inside a call or braces `^` is Python's exclusive or.", read.span_of(node), _POWER)
        return cls(read.text_of(read.tree), token.span, _without_braces(read.tree), code)

    @classmethod
    def column(cls, name: str, span: Span = _NOWHERE) -> Expression:
        """The column of that name, whatever it looks like.

        Examples
        --------
        >>> Expression.column("body mass").text
        '`body mass`'
        """
        mask = chr(_MASKS)
        return cls(in_backticks(name), span, ast.Name(mask, ast.Load()), _Code(mask, span.start, {mask: name}))

    @property
    def quoted(self) -> Mapping[str, str]:
        """Names in backticks, and those that Python would spell otherwise, by what stands for them in the tree."""
        return self._code.names

    @property
    def is_name(self) -> bool:
        """Whether it is one name and nothing else."""
        return isinstance(self.tree, ast.Name)

    def part(self, node: ast.expr) -> Expression:
        """An expression inside of it."""
        return Expression(self.text_of(node), self.span_of(node), _without_braces(node), self._code)

    def nodes(self) -> Iterator[ast.expr]:
        """All expressions inside of it, outer ones first."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.expr))

    def calls(self, names: Collection[str]) -> Iterator[ast.Call]:
        """Calls of these names inside of it, outer ones first."""
        for node in self.nodes():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                yield node

    def find(self, text: str) -> Span | None:
        """Span of the first place where a name or a Python expression stands, or None.

        Whole expressions are compared, never parts of words: ``x`` is found in ``log(x)``, not in ``x1``.
        """
        if text in (self.text, without_backticks(self.text)):
            return self.span
        spans = [self.span_of(node) for node in self.nodes() if self.text_of(node) in (text, f"`{text}`")]
        return min(spans, key=lambda span: span.start, default=None)

    def text_of(self, node: ast.expr) -> str:
        """Normalised source of a node; backticks stay where a name needs them."""
        text = ast.unparse(node).replace("\n", " ")
        for mask, name in self.quoted.items():
            text = text.replace(mask, in_backticks(name))
        return text

    def span_of(self, node: ast.expr | ast.keyword) -> Span:
        """What was typed of a node."""
        return self._code.span_of(node)


def _is_deep(tree: ast.AST) -> bool:
    level, depth = [tree], 0
    while level and depth <= MAX_DEPTH:
        level, depth = [child for node in level for child in ast.iter_child_nodes(node)], depth + 1
    return bool(level)


def _without_braces(node: ast.expr) -> ast.expr:
    """What stands in braces, which Python takes for a set; inside a call they may hold an expression together too."""
    return node.elts[0] if isinstance(node, ast.Set) and len(node.elts) == 1 else node
