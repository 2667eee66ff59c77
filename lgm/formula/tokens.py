"""Tokens of a formula: operators, names and Python, each with its place in the source.

formulaic's tokenizer and parser do the reading; what is added here is true spans, and checks that they leave out. This
is the only file that knows how these two work and what they say.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from formulaic import Formula as Formulaic
from formulaic.errors import FormulaicError
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.algos.tokenize import tokenize as formulaic_tokenize
from formulaic.parser.types import Factor, Term
from formulaic.parser.types import Token as FormulaicToken

Kind: TypeAlias = FormulaicToken.Kind

# What is accepted, in the words of messages.
FIXED = "terms joined by `+`, `-`, `:`, `*`, `/`, `^`, `**` or `%in%`; put arithmetic in braces, as in `{x + 5}`."
_SPACE = "`log(x)` for a call, without the space, or `x + (z)` for a sum."
_QUOTES = "quotes and brackets that are closed and not empty; brackets in quoted text inside a call count too."

# What formulaic says (a fragment of it) and how we say it; anything else is passed on.
_TRANSLATIONS = (
    ("Unknown operator", "This is not an operator of formulas."),
    ("argument of `**`", "The power after `**` or `^` must be a whole number of at least 1."),
    ("Numeric literals", "A number other than 0 or 1 cannot be a term; `2:x` scales a term."),
    ("String literals", "Text in quotes cannot be a term."),
    ("different numerical scaling", "The same term appears twice, with different numbers in front of it."),
    ("Operator", "This operator needs a term on each side."),
)


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
    """Message with a formula below it; the span is marked, None marks nothing."""
    parts, start = [message], 0
    for line in source.split("\n"):
        shown = "".join(" " if char.isspace() else char for char in line)  # a tab is one column wide
        indent = len(shown) - len(shown.lstrip())
        if span is None and shown.strip():
            parts.append(f"    {shown}")
        elif span and start <= span.stop and span.start <= start + len(line):
            low = max(span.start - start, indent)
            high = max(min(span.stop - start, len(line)), low + 1)
            parts.extend([f"    {shown}", "    " + " " * low + "^" * (high - low)])
        start += len(line) + 1
    return "\n".join([*parts, *([f"Accepted: {accepted}"] if accepted else [])])


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
        For quotes or brackets that are not closed or are empty, and for terms without an operator between them.
    """
    tokens: list[Token] = []
    opened: list[Token] = []
    for kind, span in _spans(source):
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
    if opened:
        raise Problem("This bracket is never closed.", opened[-1].span, _QUOTES)
    return tokens


def _spans(source: str) -> Iterator[tuple[Kind, Span]]:
    """Kinds and spans of tokens, with formulaic's operators taken apart into single symbols."""
    try:
        raw = list(formulaic_tokenize(source))
    except FormulaicError as error:
        closer = str(error).partition("\n\n")[0].partition("Expected: ")[2]
        message = f"This is never closed; {closer} is missing." if closer else "This character is out of place."
        raise Problem(message, _formulaic_mark(error), _QUOTES) from None
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
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"`{name}`"


def without_backticks(text: str) -> str:
    """A column's name without backticks around it; other text as it is.

    Examples
    --------
    >>> without_backticks("`body mass`"), without_backticks("log(`body mass`)")
    ('body mass', 'log(`body mass`)')
    """
    return text[1:-1] if text.startswith("`") and text.endswith("`") and text.count("`") == 2 else text


_PARSER = DefaultFormulaParser(feature_flags=DefaultFormulaParser.FeatureFlags.NONE)
_SYMBOLS = 0x20000  # ideographs: letters, each of one character, that hardly anybody types


def formulaic_terms(source: str, tokens: Sequence[Token], operands: Mapping[Token, str]) -> Formulaic:
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
        In our words, where we have some for what formulaic says.
    """
    symbols: dict[str, str] = {}
    meant: dict[str, Factor] = {}
    blank = [" "] * len(source)
    for token in tokens:
        text = token.text
        if token in operands:
            text = symbols.setdefault(operands[token], chr(_SYMBOLS + len(symbols)))
            method = Factor.EvalMethod.LOOKUP if token.kind is Kind.NAME else Factor.EvalMethod.PYTHON
            meant.setdefault(text, Factor(operands[token], eval_method=method))
        blank[token.span.start : token.span.stop] = text.ljust(len(token.text))
    try:
        # Without data, `.` stands for a column of that name.
        terms = _PARSER.get_terms("".join(blank), context={"__formulaic_variables_available__": ["."]}).root
    except (FormulaicError, SyntaxError) as error:
        said = str(error).partition("\n\n")[0]
        message = next((ours for theirs, ours in _TRANSLATIONS if theirs in said), f"This cannot be read: {said}")
        mark = _formulaic_mark(error) or hull(tokens)
        touched = [t for t in tokens if t.span.start < mark.stop and mark.start < t.span.stop]
        raise Problem(message, hull(touched or tokens), FIXED) from None
    return Formulaic([Term([meant.get(factor.expr, factor) for factor in term.factors]) for term in terms])


def _formulaic_mark(error: Exception) -> Span | None:
    """Span that formulaic marks in its message, by two brackets and colour codes around it."""
    before, opened, rest = str(error).partition("\n\n")[2].partition("⧛")
    marked = rest.partition("⧚")[0].removeprefix("\x1b[1;31m").removesuffix("\x1b[0m")
    return Span(len(before), len(before) + len(marked)) if opened else None
