"""Hypotheses about parameters: text such as ``sd(Days|Subject) > 2 * sigma``, read once into arithmetic of names."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from lgm.formula.python import Expression
from lgm.formula.tokens import MAX_WORD, Kind, Problem, Span, Token, marked
from lgm.words import listed, suggest

SIGNS = {">=": ">", "<=": "<", "==": "=", ">": ">", "<": "<", "=": "="}
FUNCTIONS = ("exp", "log", "sqrt", "abs")
_MASK = "parameter_{}_"
_SIGN = re.compile(r">=|<=|==|=|<|>")
_WORD = re.compile(r"[^\W\d][\w.]*(?:\([^()]*\))?(?:[:|][^\W\d][\w.]*(?:\([^()]*\))?)*(?:\[[^\]]*\])?")
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_ACCEPTED = (
    "arithmetic (+, -, *, /, **, exp, log, sqrt, abs) of names as tables print them, and one of <, >, =, as in "
    "'Days > 5' or 'a - b = 0'; backticks around a name that holds such signs."
)


@dataclass(frozen=True)
class Hypothesis:
    """What is said to be greater than zero, less than zero, or zero.

    Parameters
    ----------
    text : str
        As typed.
    sign : {">", "<", "="}
    tree : ast.expr
        The left side less the right one; nothing but arithmetic.
    names : dict
        Parameters by the identifiers that stand for them in the tree.
    """

    text: str
    sign: str
    tree: ast.expr
    names: Mapping[str, str]


def read(text: str, known: Collection[str]) -> Hypothesis:
    """Read a hypothesis about parameters of these names.

    Raises
    ------
    Problem
        If it is no comparison of arithmetic, or has a name that is not known.

    Examples
    --------
    >>> found = read("sd(Days | Subject) - 2 > sigma", ["Days", "sigma", "sd(Days|Subject)"])
    >>> found.sign, list(found.names.values())
    ('>', ['sd(Days|Subject)', 'sigma'])
    """
    if len(text) > MAX_WORD:
        raise Problem(f"The hypothesis has {len(text):,} characters.", None, f"up to {MAX_WORD:,}.")
    names: dict[str, str] = {}
    pieces: list[str] = []
    signs: list[tuple[str, Span, int]] = []
    for piece, span in _pieces(text, _Known(known)):
        if piece in SIGNS:
            signs.append((SIGNS[piece], span, len(pieces)))
        elif span.stop - span.start and piece in known:
            mask = next((mask for mask, name in names.items() if name == piece), _MASK.format(len(names)))
            names[mask] = piece
            piece = mask
        pieces.append(piece)
    if len(signs) != 1:
        what = "has no comparison" if not signs else "has several comparisons"
        raise Problem(f"The hypothesis {what}.", signs[1][1] if signs else None, _ACCEPTED)
    sign, _, at = signs[0]
    left, right = (_tree(" ".join(side), text) for side in (pieces[:at], pieces[at + 1 :]))
    if not names:
        raise Problem("The hypothesis has no parameter in it.", None, _ACCEPTED)
    return Hypothesis(text, sign, ast.BinOp(left, ast.Sub(), right), names)


class _Known:
    """Names of parameters, and quickly those that start as some text does, the longest first."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = names
        self._by_start: dict[str, list[str]] = {}
        for name in sorted(names, key=len, reverse=True):
            self._by_start.setdefault(name[:1], []).append(name)

    def starting(self, text: str) -> list[str]:
        return self._by_start.get(text[:1], [])


def _pieces(text: str, known: _Known) -> Iterator[tuple[str, Span]]:
    """Names of parameters, functions, numbers, operators and signs of comparison, and where each of them stands."""
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        piece, stop = _next(text, at, known)
        yield piece, Span(at, stop)
        at = stop


def _next(text: str, at: int, known: _Known) -> tuple[str, int]:
    if text[at] == "`":
        stop = text.find("`", at + 1)
        if stop < 0:
            raise Problem("This backtick is never closed.", Span(at, len(text)), _ACCEPTED)
        name = text[at + 1 : stop]
        found = next((each for each in known.starting(name) if _plain(each) == _plain(name)), None)
        if found is None:
            raise _unknown(name, Span(at, stop + 1), known.names)
        return found, stop + 1
    for name in known.starting(text[at]):
        stop = _matched(text, at, name)
        if stop:
            return name, stop
    for pattern in (_NUMBER, _SIGN):
        match = pattern.match(text, at)
        if match:
            return match[0], match.end()
    if text[at] in "+-*/()":
        stop = at + (2 if text.startswith("**", at) else 1)
        return text[at:stop], stop
    word = _WORD.match(text, at)
    if word is None:
        raise Problem("This character is out of place.", Span(at, at + 1), _ACCEPTED)
    function = next((each for each in FUNCTIONS if re.match(rf"{each}\s*\(", text[at:])), None)
    if function:
        return function, at + len(function)
    raise _unknown(word[0], Span(at, word.end()), known.names)


def _matched(text: str, at: int, name: str) -> int:
    """Where a name ends that stands here, whatever the spaces in it; 0 if it does not."""
    here = at
    for character in name:
        if character.isspace():
            continue
        while here < len(text) and text[here].isspace():
            here += 1
        if here == len(text) or text[here] != character:
            return 0
        here += 1
    more = here < len(text) and (text[here] in "_.[:|" or text[here].isalnum())
    return 0 if more and (name[-1] in "_." or name[-1].isalnum() or text[here] in "[:|") else here


def _plain(name: str) -> str:
    return "".join(name.split())


def _unknown(name: str, span: Span, known: Collection[str]) -> Problem:
    return Problem(f"There is no parameter `{name}`.{suggest(name, known)}", span, f"{listed(list(known))}.")


def _tree(code: str, text: str) -> ast.expr:
    """Arithmetic of masked names, and nothing else."""
    if not code:
        raise Problem("One side of the hypothesis is empty.", None, _ACCEPTED)
    try:
        tree = Expression.python(Token(Kind.PYTHON, code, Span(0, len(code)), 0)).tree
    except Problem:
        raise Problem("This is no arithmetic.", None, _ACCEPTED) from None
    for node in ast.walk(tree):
        fine = isinstance(
            node, (ast.Name, ast.BinOp, ast.UnaryOp, ast.Call, ast.operator, ast.unaryop, ast.expr_context)
        )
        fine = fine or (isinstance(node, ast.Constant) and isinstance(node.value, (int, float)))
        if isinstance(node, ast.Call):
            fine = len(node.args) == 1 and not node.keywords
        if not fine:
            raise Problem("This is no arithmetic.", None, _ACCEPTED)
    return tree


def message(text: str, problem: Problem) -> str:
    """What to say of a hypothesis that cannot be read."""
    return marked(text, problem.message, problem.span, problem.accepted)
