"""Terms of the operators of a formula: formulaic's grammar, with sums in linear time and a bound on what is expanded.

This is the only file that knows how formulaic's parser works and what it says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from formulaic import Formula as Formulaic
from formulaic.errors import FormulaicError
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.types import ASTNode, Factor, Term
from formulaic.parser.types import Token as FormulaicToken

from lgm.formula.tokens import FIXED, Kind, Problem, Span, Token, formulaic_mark, hull

MAX_WORK = 200_000  # factors of all terms on the way: about a second

# What formulaic says (a fragment of it) and how we say it; anything else is passed on.
_TRANSLATIONS = (
    ("Unknown operator", "This is not an operator of formulas."),
    ("Numeric literals", "A number other than 0 or 1 cannot be a term; `2:x` scales a term."),
    ("String literals", "Text in quotes cannot be a term."),
    ("different numerical scaling", "The same term appears twice, with different numbers in front of it."),
    ("Operator", "This operator needs a term on each side."),
)
_POWER = "The power after `**` or `^` must be a whole number of at least 1."
_FEWER = f"operators that expand to less than {MAX_WORK:,} factors, such as `(a + b + c)**2` or `a*b*c`."
_SYMBOLS = 0x20000  # ideographs: letters, each of one character, that hardly anybody types
_MAX_SYMBOLS = 42_000  # so many there are in a row

_Tree: TypeAlias = ASTNode[Any] | FormulaicToken | None


def formulaic_terms(tokens: Sequence[Token], operands: Mapping[Token, str]) -> Formulaic:
    """Terms of these tokens by formulaic's grammar, a constant one among them unless they take it out.

    formulaic sees the operators, and for each operand a symbol, at their places in an otherwise blank source: what
    the operands say has been read already.

    Parameters
    ----------
    operands : mapping
        What the names and the pieces of Python among the tokens are called; equal ones are the same factor.

    Raises
    ------
    Problem
        In our words, where we have some for what formulaic says, and for what expands to too much.
    """
    symbols: dict[str, str] = {}
    meant: dict[str, Factor] = {}
    start, stop = (tokens[0].span.start, tokens[-1].span.stop) if tokens else (0, 0)
    blank = [" "] * (stop - start)
    for token in tokens:
        text = token.text
        if token in operands:
            if len(symbols) >= _MAX_SYMBOLS:
                raise Problem(f"This is more than {_MAX_SYMBOLS:,} different terms.", token.span, "fewer.")
            text = symbols.setdefault(operands[token], chr(_SYMBOLS + len(symbols)))
            method = Factor.EvalMethod.LOOKUP if token.kind is Kind.NAME else Factor.EvalMethod.PYTHON
            meant.setdefault(text, Factor(operands[token], eval_method=method))
        elif token.kind is Kind.VALUE and _is_infinite(text):
            raise Problem("This number is too large.", token.span, "numbers below 1e308.")
        blank[token.span.start - start : token.span.stop - start] = text.ljust(len(token.text))
    try:
        # Without data, `.` stands for a column of that name.
        terms = _PARSER.get_terms("".join(blank), context={"__formulaic_variables_available__": ["."]}).root
    except _Refused as refused:
        mark, message, accepted = refused.mark, refused.message, refused.accepted
    except FormulaicError as error:
        said = str(error).partition("\n\n")[0]
        message = next((ours for theirs, ours in _TRANSLATIONS if theirs in said), f"This cannot be read: {said}")
        mark, accepted = formulaic_mark(error), FIXED
    else:
        return Formulaic([Term([meant.get(factor.expr, factor) for factor in term.factors]) for term in terms])
    at = Span(start + mark.start, start + mark.stop) if mark else hull(tokens)
    touched = [t for t in tokens if t.span.start < at.stop and at.start < t.span.stop]
    raise Problem(message, hull(touched or tokens), accepted)


def _is_infinite(text: str) -> bool:
    try:
        return math.isinf(float(text))
    except ValueError:  # a dot, or text in quotes
        return False


class _Refused(Exception):
    """Something that formulaic would compute for too long, or fail at without a word."""

    def __init__(self, message: str, mark: Span | None, accepted: str) -> None:
        super().__init__(message)
        self.message, self.mark, self.accepted = message, mark, accepted


class _Parser(DefaultFormulaParser):
    """formulaic's, which looks at a tree before its terms are made."""

    def get_terms_from_ast(self, ast: _Tree, *, context: MutableMapping[str, Any]) -> Any:
        if isinstance(ast, ASTNode):
            _require_bounded(ast)
            _balance(ast)
        return super().get_terms_from_ast(ast, context=context)


_PARSER = _Parser(feature_flags=DefaultFormulaParser.FeatureFlags.NONE)


class _Size(NamedTuple):
    """Upper bounds of what a tree expands to: terms, factors of each, and different factors of all."""

    terms: int
    factors: int
    names: int


def _require_bounded(ast: ASTNode[Any]) -> None:
    """Raise if the terms of a tree, and of all trees inside of it, have too many factors."""
    sizes: dict[int, _Size] = {}
    work = 0
    for node in _nodes(ast):
        size = _size(node, [sizes.get(id(arg), _Size(1, 1, 1)) for arg in node.args])
        sizes[id(node)] = size
        work += 0 if _is_sum(node) else size.terms * size.factors
        if work > MAX_WORK:
            raise _Refused(f"Written out, this has more than {MAX_WORK:,} factors.", _mark(node), _FEWER)


def _size(node: ASTNode[Any], sizes: Sequence[_Size]) -> _Size:
    if len(sizes) < 2:
        return sizes[0] if sizes else _Size(1, 1, 1)
    symbol, (a, b) = node.operator.symbol, sizes
    names = a.names + b.names
    if symbol in ("**", "^"):
        power = _power(node)
        # Two terms have more than MAX_WORK products from this power on.
        return _Size(a.terms ** min(power, MAX_WORK.bit_length()), power, a.names)
    if symbol == ":":
        return _Size(a.terms * b.terms, min(a.factors + b.factors, names), names)
    if symbol == "*":
        return _Size(a.terms + b.terms + a.terms * b.terms, min(a.factors + b.factors, names), names)
    if symbol == "-":
        return _Size(a.terms, a.factors, a.names)
    nested = symbol in ("/", "in")  # all parents times each of the others
    return _Size(a.terms + b.terms, names if nested else max(a.factors, b.factors), names)


def _power(node: ASTNode[Any]) -> int:
    given = node.args[1]
    if isinstance(given, FormulaicToken) and given.kind is Kind.VALUE and re.fullmatch("[1-9][0-9]*", given.token):
        return int(given.token[:9])
    raise _Refused(_POWER, _mark(given), FIXED)


def _nodes(ast: ASTNode[Any]) -> list[ASTNode[Any]]:
    """All trees inside of a tree, each after those inside of it; a row of operators is too deep for recursion."""
    found = [ast]
    for node in found:
        found.extend(arg for arg in node.args if isinstance(arg, ASTNode))
    return found[::-1]


def _mark(tree: _Tree) -> Span | None:
    """From the first to the last token of a tree."""
    nodes = _nodes(tree) if isinstance(tree, ASTNode) else []
    tokens = [arg for node in nodes for arg in node.args if isinstance(arg, FormulaicToken)]
    tokens += [tree] if isinstance(tree, FormulaicToken) else []
    starts = [token.source_start for token in tokens if token.source_start is not None]
    stops = [token.source_end for token in tokens if token.source_end is not None]
    return Span(min(starts), max(stops) + 1) if starts and stops else None


def _is_sum(node: Any) -> bool:
    return isinstance(node, ASTNode) and node.operator.symbol == "+" and len(node.args) == 2


def _balance(ast: ASTNode[Any]) -> None:
    """Make a row of n sums one of depth log n: formulaic copies the terms of a sum, so that the row takes n^2 steps."""
    inner = {id(arg) for node in _nodes(ast) if _is_sum(node) for arg in node.args}
    for node in _nodes(ast):
        if not _is_sum(node) or id(node) in inner:
            continue
        level: list[Any] = list(_summands(node))
        while len(level) > 2:
            pairs = [ASTNode(node.operator, level[i : i + 2]) for i in range(0, len(level) - 1, 2)]
            level = pairs + level[2 * len(pairs) :]
        node.args = level


def _summands(node: Any) -> Iterator[Any]:
    """What a row of sums adds up, in its order."""
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if _is_sum(part):
            waiting.extend(reversed(list(part.args)))
        else:
            yield part
