"""Tokens of a formula: operators, names and Python, each with its place in the source.

formulaic's tokenizer does the reading; what is added here is true spans, and checks that it leaves out. This is the
only file that knows how it works and what it says.
"""

from __future__ import annotations

import itertools
import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from formulaic.errors import FormulaicError
from formulaic.parser.algos.tokenize import tokenize as formulaic_tokenize
from formulaic.parser.types import Token as FormulaicToken

Kind: TypeAlias = FormulaicToken.Kind

MAX_LENGTH = 200_000  # characters; formulas of 5,000 columns are shorter
MAX_TOKENS = 25_000  # sums of 12,500 columns; reading them takes seconds
MAX_WORD = 10_000  # characters of a name or of a piece of Python
MAX_DEPTH = 100  # of brackets, and of Python in Python; reading and copying it takes a few calls a level
_WIDTH, _LINES, _CHARACTERS = 160, 8, 1000  # how much of a formula, and of a message about it, is shown

# What is accepted, in the words of messages.
FIXED = "terms joined by `+`, `-`, `:`, `*`, `/`, `^`, `**` or `%in%`; put arithmetic in braces, as in `{x + 5}`."
_SPACE = "`log(x)` for a call, without the space, or `x + (z)` for a sum."
_LONG_WORD = re.compile(rf"[\w.]{{{MAX_WORD + 1}}}")  # formulaic takes n^2 steps for a word of n characters
_TOO_LONG = f"This name, or piece of Python, has more than {MAX_WORD:,} characters."
_FEWER = f"formulas of up to {MAX_TOKENS:,} names and operators."
_SHORTER = f"formulas of up to {MAX_LENGTH:,} characters."
_SHORT_WORDS = "shorter ones; what a long expression computes can be a column of the data."
_FLAT = f"brackets of up to {MAX_DEPTH} levels."
_QUOTES = "quotes and brackets that are closed and not empty; brackets in quoted text inside a call count too."


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of character offsets in the source of a formula."""

    start: int
    stop: int


class Problem(Exception):
    """Something that cannot be read; becomes a FormulaError where the source is at hand."""

    def __init__(self, message: str, span: Span | None, accepted: str) -> None:
        super().__init__(message)
        self.message, self.span, self.accepted = message, span, accepted


def marked(source: str, message: str, span: Span | None, accepted: str) -> str:
    """Message with a formula below it; the span is marked, None marks nothing. What is long is cut around the mark."""
    shown, start = [], 0
    for line in source.split("\n"):
        if span is None and line.strip():
            shown.append(_window(line, 0, 0))
        elif span and start <= span.stop and span.start <= start + len(line):
            low = max(span.start - start, len(line) - len(line.lstrip()))
            shown.append(_window(line, low, max(min(span.stop - start, len(line)), low + 1)))
        start += len(line) + 1
    if len(shown) > _LINES:
        shown[_LINES // 2 : -_LINES // 2] = ["    ..."]
    if len(message) > _CHARACTERS:
        message = f"{message[: _CHARACTERS // 2]} ... {message[-_CHARACTERS // 2 :]}"
    return "\n".join([message, *shown, *([f"Accepted: {accepted}"] if accepted else [])])


def _window(line: str, low: int, high: int) -> str:
    """What of a line stands around a mark, and the mark below it."""
    left = max(0, min(low - _WIDTH // 3, len(line) - _WIDTH))
    right = left + _WIDTH
    before, after = "..." if left else "", "..." if right < len(line) else ""
    shown = "".join(" " if char.isspace() else char for char in line[left:right])  # a tab is one column wide
    mark = " " * (low - left + len(before)) + "^" * (min(high, right) - low)
    return f"    {before}{shown}{after}" + (f"\n    {mark}" if high else "")


@dataclass(frozen=True, slots=True)
class Token:
    """One token: an operator is a single symbol; quotes around a name or Python belong to `text` and `span`."""

    kind: Kind
    text: str
    span: Span
    depth: int  # number of brackets around it; a bracket itself counts as outside

    @property
    def quoted(self) -> bool:
        """Whether it stands in backticks, braces or percent signs."""
        return self.text[0] in "`{%"

    @property
    def body(self) -> str:
        """Text without these."""
        return self.text[1:-1] if self.quoted else self.text

    @property
    def ends_operand(self) -> bool:
        """Whether an operator must follow."""
        return self.kind is not Kind.OPERATOR and not (self.kind is Kind.CONTEXT and self.text in "([")

    def is_operator(self, *symbols: str) -> bool:
        """Whether it is one of these operators."""
        return self.kind is Kind.OPERATOR and self.text in symbols


def tokenize(source: str) -> list[Token]:
    """Tokens of a formula.

    Raises
    ------
    Problem
        For what is too long or nested too deep, for quotes or brackets that are not closed or are empty, and for terms
        without an operator between them.
    """
    if len(source) > MAX_LENGTH:
        raise Problem(f"The formula has {len(source):,} characters.", None, _SHORTER)
    if long := _LONG_WORD.search(source):
        raise Problem(_TOO_LONG, Span(*long.span()), _SHORT_WORDS)
    tokens: list[Token] = []
    opened: list[Token] = []
    for kind, span in _spans(source):
        if len(tokens) == MAX_TOKENS:
            raise Problem(f"The formula has more than {MAX_TOKENS:,} parts.", span, _FEWER)
        if span.stop - span.start > MAX_WORD:
            raise Problem(_TOO_LONG, span, _SHORT_WORDS)
        text = source[span.start : span.stop]
        closes = kind is Kind.CONTEXT and text in ")]"
        if closes and (not opened or opened[-1].text + text not in ("()", "[]")):
            raise Problem("This bracket closes nothing.", span, _QUOTES)
        if closes and opened.pop() is tokens[-1]:
            raise Problem("There is nothing inside these brackets.", Span(tokens[-1].span.start, span.stop), _QUOTES)
        token = Token(kind, text, span, len(opened))
        # Checked here because formulaic puts a sign before every 0, and so reads `x 0` as `x - 1`.
        if tokens and tokens[-1].ends_operand and kind is not Kind.OPERATOR and not closes:
            both = hull([tokens[-1], token])
            if tokens[-1].kind is Kind.NAME and text == "(":
                raise Problem("There is a space between a name and a bracket.", both, _SPACE)
            raise Problem("Two terms stand side by side without an operator.", both, FIXED)
        tokens.append(token)
        if kind is Kind.CONTEXT and not closes:
            opened.append(token)
            if len(opened) > MAX_DEPTH:
                raise Problem("Brackets are nested too deep.", span, _FLAT)
    if opened:
        raise Problem("This bracket is never closed.", opened[-1].span, _QUOTES)
    return tokens


class _Word:
    """Characters of names, in place of a pattern: also marks on letters, which many scripts need."""

    @staticmethod
    def match(character: str) -> bool:
        return character == "." or character.isalnum() or f"_{character}".isidentifier()


def _spans(source: str) -> Iterator[tuple[Kind, Span]]:
    """Kinds and spans of tokens, with formulaic's operators taken apart into single symbols."""
    try:
        raw = list(itertools.islice(formulaic_tokenize(source, word_chars=_Word), MAX_TOKENS + 1))
    except FormulaicError as error:
        closer = str(error).partition("\n\n")[0].partition("Expected: ")[2]
        message = f"This is never closed; {closer} is missing." if closer else "This character is out of place."
        raise Problem(message, formulaic_mark(error), _QUOTES) from None
    done = 0
    for token in raw:
        start = token.source_start or 0
        quoted = source[start] in "`{%"
        stop = (token.source_end or start) + 1 + quoted
        body = source[start + quoted : stop - quoted]
        single = token.kind is not Kind.OPERATOR or quoted
        # formulaic drops a pair of quotes with nothing inside, and its next token then starts too early.
        if source[done:start].strip() or (body if single else "".join(body.split())) != token.token:
            break
        done = stop
        while start < stop:
            # Neighbouring operators are one token of formulaic's, white space between or not: `~ -` arrives as `~-`.
            width = stop - start if single else 2 if source[start : min(start + 2, stop)] in ("**", "||") else 1
            if not source[start].isspace():
                yield token.kind or Kind.VALUE, Span(start, start + width)
            start += width
    if rest := source[done:].lstrip():
        start = len(source) - len(rest)
        raise Problem("There is nothing between these quotes.", Span(start, start + 2), _QUOTES)


def hull(tokens: Sequence[Token]) -> Span:
    """Span from the first to the last token."""
    return Span(tokens[0].span.start, tokens[-1].span.stop)


def in_parentheses(tokens: Sequence[Token]) -> bool:
    """Whether one pair of parentheses holds all of the tokens."""
    return tokens[0].text == "(" and all(token.depth > tokens[0].depth for token in tokens[1:-1])


def spaced_text(tokens: Sequence[Token]) -> str:
    """Text of tokens with the spaces put in order; formulaic reads it as it reads the source."""
    text = ""
    for i, token in enumerate(tokens):
        binary = i > 0 and tokens[i - 1].kind is not Kind.OPERATOR and tokens[i - 1].text not in "(["
        spaced = binary and token.kind is Kind.OPERATOR and token.text[0] in "+-%"
        text += f" {token.text} " if spaced else token.text
    return text


def in_backticks(name: str) -> str:
    """A column's name as it stands in Python code of formulas: in backticks unless it is a Python name.

    Examples
    --------
    >>> in_backticks("x"), in_backticks("body mass")
    ('x', '`body mass`')
    """
    return name if is_python_name(name) else f"`{name}`"


def is_python_name(name: str) -> bool:
    """Whether Python code may have it as a name."""
    return name.isidentifier() and not keyword.iskeyword(name)


def without_backticks(text: str) -> str:
    """A column's name without backticks around it; other text as it is.

    Examples
    --------
    >>> without_backticks("`body mass`"), without_backticks("log(`body mass`)")
    ('body mass', 'log(`body mass`)')
    """
    return text[1:-1] if text.startswith("`") and text.endswith("`") and text.count("`") == 2 else text


def formulaic_mark(error: Exception) -> Span | None:
    """Span that formulaic marks in its message, by two brackets and colour codes around it."""
    before, opened, rest = str(error).partition("\n\n")[2].partition("⧛")
    marked = rest.partition("⧚")[0].removeprefix("\x1b[1;31m").removesuffix("\x1b[0m")
    return Span(len(before), len(before) + len(marked)) if opened else None
