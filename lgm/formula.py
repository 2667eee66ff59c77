"""Read a formula: a string becomes a response, a fixed part, bars, term calls and offsets.

The right-hand side is a sum. Summands that formulaic does not know, ``(1 | g)``, ``s(t)`` and ``offset(e)``, are lifted
out by their tokens; the others stay as text for formulaic, so that its whole grammar remains within reach. This module
knows nothing of data: whether a name exists is asked later, with `Formula.find` and `Formula.error` to mark the place.
"""

from __future__ import annotations

import ast
import difflib
import keyword
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from formulaic.errors import FormulaicError
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.algos.tokenize import tokenize
from formulaic.parser.types import Token

from lgm.errors import FormulaError

Kind: TypeAlias = Token.Kind

_FORMULA = "a response, one `~` and terms, such as `y ~ x + (1 | g) + s(t)`."
_RESPONSE = "one column or one Python expression, such as `y`, `log(y)` or `{y / n}`, before `~`."
_BAR = "effects, one bar, and a group, in parentheses: `(1 | g)`, `(1 + x | g)`, or `(x || g)` without correlations."
_GROUP = "columns or Python calls joined by `:` or `/`, such as `g`, `a:b` or `a/b`; one bar for each grouping."
_ADDED = "group effects, term calls and offsets may only be added, as in `y ~ x + (1 | g) + s(t) + offset(log(e))`."
_CALL = "a call such as `s(x, k=10)`: its arguments one by one, each keyword once, without `*` or `**` before them."
_FIXED = "terms joined by `+`, `-`, `:`, `*`, `/`, `^`, `**` or `%in%`; put arithmetic in braces, as in `{x + 5}`."
_PYTHON = "a Python expression in a call or in braces, such as `log(x)` or `{x + 1}`."
_SPACE = "`log(x)` for a call, without the space, or `x + (z)` for a sum."
_QUOTES = "quotes and brackets that are closed and not empty; brackets in quoted text inside a call count too."
_ONCE = "each term once; note that `(1 | a/b)` already stands for `(1 | a) + (1 | a:b)`."

# What formulaic says (a fragment of it) and how we say it; anything else is passed on.
_TRANSLATIONS = (
    ("Unknown operator", "This is not an operator of formulas."),
    ("argument of `**`", "The power after `**` or `^` must be a whole number of at least 1."),
    ("Numeric literals", "A number other than 0 or 1 cannot be a term; `2:x` scales a term."),
    ("String literals", "Text in quotes cannot be a term."),
    ("different numerical scaling", "The same term appears twice, with different numbers in front of it."),
    ("Operator", "This operator needs a term on each side."),
)

_ELSEWHERE = {
    "f": ' INLA\'s `f(x, model="rw1")` is written with the name of the model as the call, as in `rw1(x)`.',
    "re": " A group effect is written as a bar, `(1 | g)`.",
    "gr": " A group effect is written as a bar, `(1 | g)`, with the name of the group alone.",
    "te": " Tensor-product smooths, as mgcv has them, are not available.",
    "ti": " Tensor-product smooths, as mgcv has them, are not available.",
    "t2": " Tensor-product smooths, as mgcv has them, are not available.",
    "mo": " Monotonic effects, as brms has them, are not available.",
    "mm": " Multi-membership groups, as brms has them, are not available.",
}


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of character offsets in the source of a formula."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A fragment of a formula: its text, and where it stands in the source."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Bar:
    """A group effect such as ``(Days | Subject)``; a nested grouping ``a/b`` gives one bar for each level.

    Attributes
    ----------
    effects : the text left of the bar, a right-hand side for formulaic.
    group : source text of each grouping factor, backticks of a name removed; ``a:b`` is ``("a", "b")``.
    correlated : False for a double bar.
    span : the whole parenthesis, shared by the bars that ``a/b`` expands to.
    text : the bar after the expansion, with spaces put in order.
    """

    effects: Piece
    group: tuple[str, ...]
    correlated: bool
    span: Span
    text: str

    @property
    def group_name(self) -> str:
        """The grouping as it appears in names of variables, such as ``a:b``."""
        return ":".join(self.group)


@dataclass(frozen=True, slots=True)
class Call:
    """A term call such as ``s(x, k=10)``; texts are normalised Python, spans cover what was typed.

    A column in backticks keeps them in `text` and in the pieces, unless its name is a Python name anyway.
    """

    name: str
    args: tuple[Piece, ...]
    keywords: tuple[tuple[str, Piece], ...]
    span: Span
    text: str

    @property
    def label(self) -> str:
        """The call as it appears in names of variables: its name and first argument."""
        return f"{self.name}({self.args[0].text if self.args else ''})"


@dataclass(frozen=True, slots=True)
class Formula:
    """What a formula says, before it meets data; made by `parse`.

    Attributes
    ----------
    source : the formula as typed.
    response : the left-hand side, as text that formulaic reads.
    fixed : what remains of the right-hand side when bars, calls and offsets are lifted out; ``"1"`` if nothing does.
    fixed_span : from the first to the last token of the fixed part; the whole right-hand side if nothing remains.
    has_intercept : whether formulaic's reading of `fixed` includes the term ``1``.
    offsets : the argument of each ``offset()``.
    bars, calls : the lifted terms in the order of the source.
    """

    source: str
    response: Piece
    fixed: str
    fixed_span: Span
    has_intercept: bool
    offsets: tuple[Piece, ...]
    bars: tuple[Bar, ...]
    calls: tuple[Call, ...]

    @property
    def has_wildcard(self) -> bool:
        """Whether the fixed part names "all other columns" by ``.``, which formulaic fills in when it has data."""
        return any(token.kind is Kind.VALUE and token.text == "." for token in _tokenize(self.source))

    def find(self, text: str) -> Span | None:
        """Span of the first place where a name or a Python expression stands, or None.

        Whole tokens are compared, never parts of words: ``x`` is found in ``log(x)``, not in ``x1``.
        """
        for token in _tokenize(self.source):
            if token.kind in (Kind.NAME, Kind.PYTHON, Kind.VALUE) and text in (token.text, token.body):
                return token.span
            if token.kind is Kind.PYTHON:
                code = _Code(token)
                spans = [code.span(node) for node in code.expressions() if code.text(node) in (text, f"`{text}`")]
                if spans:
                    return min(spans, key=lambda span: span.start)
        return None

    def error(self, message: str, span: Span | None = None, accepted: str = "") -> FormulaError:
        """Error to raise: the message, the formula with the span marked (None marks nothing), what is accepted."""
        return _marked(self.source, message, span, accepted)


def suggest(name: str, candidates: Collection[str]) -> str:
    """Sentence that offers the candidates closest to a mistyped name, or an empty string."""
    folded = {candidate.casefold(): candidate for candidate in sorted(candidates)}
    close = difflib.get_close_matches(name.casefold(), folded, n=2)
    return f"Did you mean {' or '.join(f'`{folded[match]}`' for match in close)}?" if close else ""


def unknown_call_message(name: str, term_names: Collection[str]) -> str:
    """Message for a call that is neither a term nor a function in reach, with hints for users of other packages."""
    hint = _ELSEWHERE.get(name) or " " + suggest(name, term_names)
    listed = ", ".join(f"`{term}`" for term in sorted(term_names))
    return f"lgm has no term `{name}()`, nor is there a function of that name.{hint.rstrip()} The terms are {listed}."


def parse(source: str, term_names: Collection[str]) -> Formula:
    """Read a formula.

    Parameters
    ----------
    source : such as ``"y ~ x + (1 | g) + s(t)"``; spaces, tabs and new lines between tokens do not matter.
    term_names : names whose calls are lifted out as terms.

    Raises
    ------
    FormulaError
        If the formula cannot be read; the message marks the place and says what is accepted.

    Examples
    --------
    >>> formula = parse("log(y) ~ x*z + (1 + x | a/b) + s(t, k=10) - 1", {"s"})
    >>> formula.response.text, formula.fixed, formula.has_intercept
    ('log(y)', 'x*z - 1', False)
    >>> [bar.text for bar in formula.bars], formula.calls[0].label
    (['(1 + x | a)', '(1 + x | a:b)'], 's(t)')
    """
    if not isinstance(source, str):
        raise FormulaError(f"The formula must be text, not {type(source).__name__}. Accepted: {_FORMULA}")
    try:
        return _parse(source, frozenset(term_names) | {"offset"})
    except _Problem as problem:
        raise _marked(source, problem.message, problem.span, problem.accepted) from None


def _parse(source: str, names: frozenset[str]) -> Formula:
    left, right = _sides(_tokenize(source))
    response = _response(left, names)
    fixed: list[_Token] = []
    lifted: list[Bar | Call] = []
    for signs, tokens in _summands(right):
        terms = _lift(source, signs, tokens, names)
        lifted.extend(terms)
        fixed.extend([] if terms else [*signs, *tokens])
    while fixed and fixed[0].is_operator("+"):
        fixed.pop(0)
    seen: set[str] = set()
    for term in lifted:
        if term.text in seen:
            raise _Problem(f"`{term.text}` is written twice.", term.span, _ONCE)
        seen.add(term.text)
    return Formula(
        source=source,
        response=response,
        fixed=_text(fixed) or "1",
        fixed_span=_hull(fixed or right),
        has_intercept="1" in _formulaic_terms(source, fixed),
        offsets=tuple(term.args[0] for term in lifted if isinstance(term, Call) and term.name == "offset"),
        bars=tuple(term for term in lifted if isinstance(term, Bar)),
        calls=tuple(term for term in lifted if isinstance(term, Call) and term.name != "offset"),
    )


class _Problem(Exception):
    """Something that cannot be read; becomes a FormulaError where the source is at hand."""

    def __init__(self, message: str, span: Span | None, accepted: str) -> None:
        super().__init__(message)
        self.message, self.span, self.accepted = message, span, accepted


def _marked(source: str, message: str, span: Span | None, accepted: str) -> FormulaError:
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
    return FormulaError("\n".join([*parts, *([f"Accepted: {accepted}"] if accepted else [])]))


@dataclass(frozen=True, slots=True)
class _Token:
    """One token: an operator is a single symbol; quotes around a name or Python belong to `text` and `span`."""

    kind: Kind
    text: str
    span: Span
    depth: int  # number of brackets around it; a bracket itself counts as outside

    @property
    def quoted(self) -> bool:
        return self.text[0] in "`{%"

    @property
    def body(self) -> str:
        return self.text[1:-1] if self.quoted else self.text

    @property
    def ends_operand(self) -> bool:
        return self.kind is not Kind.OPERATOR and not (self.kind is Kind.CONTEXT and self.text in "([")

    def is_operator(self, *symbols: str) -> bool:
        return self.kind is Kind.OPERATOR and self.text in symbols


def _tokenize(source: str) -> list[_Token]:
    tokens: list[_Token] = []
    opened: list[_Token] = []
    for kind, span in _spans(source):
        text = source[span.start : span.stop]
        closes = kind is Kind.CONTEXT and text in ")]"
        if closes and (not opened or opened[-1].text + text not in ("()", "[]")):
            raise _Problem("This bracket closes nothing.", span, _QUOTES)
        if closes and opened.pop() is tokens[-1]:
            raise _Problem("There is nothing inside these brackets.", Span(tokens[-1].span.start, span.stop), _QUOTES)
        token = _Token(kind, text, span, len(opened))
        # Checked here because formulaic puts a sign before every 0, and so reads `x 0` as `x - 1`.
        if tokens and tokens[-1].ends_operand and kind is not Kind.OPERATOR and not closes:
            both = _hull([tokens[-1], token])
            if tokens[-1].kind is Kind.NAME and text == "(":
                raise _Problem("There is a space between a name and a bracket.", both, _SPACE)
            raise _Problem("Two terms stand side by side without an operator.", both, _FIXED)
        tokens.append(token)
        if kind is Kind.CONTEXT and not closes:
            opened.append(token)
    if opened:
        raise _Problem("This bracket is never closed.", opened[-1].span, _QUOTES)
    return tokens


def _spans(source: str) -> Iterator[tuple[Kind, Span]]:
    """Kinds and spans of tokens, with formulaic's operators taken apart into single symbols."""
    try:
        raw = list(tokenize(source))
    except FormulaicError as error:
        closer = str(error).partition("\n\n")[0].partition("Expected: ")[2]
        message = f"This is never closed; {closer} is missing." if closer else "This character is out of place."
        raise _Problem(message, _formulaic_mark(error), _QUOTES) from None
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
        raise _Problem("There is nothing between these quotes.", Span(start, start + 2), _QUOTES)


def _hull(tokens: Sequence[_Token]) -> Span:
    return Span(tokens[0].span.start, tokens[-1].span.stop)


def _in_parentheses(tokens: Sequence[_Token]) -> bool:
    return tokens[0].text == "(" and all(token.depth > tokens[0].depth for token in tokens[1:-1])


def _text(tokens: Sequence[_Token]) -> str:
    """Text of tokens with the spaces put in order; formulaic reads it as it reads the source."""
    text = ""
    for i, token in enumerate(tokens):
        binary = i > 0 and tokens[i - 1].kind is not Kind.OPERATOR and tokens[i - 1].text not in "(["
        spaced = binary and token.kind is Kind.OPERATOR and token.text[0] in "+-%"
        text += f" {token.text} " if spaced else token.text
    return text


def _sides(tokens: Sequence[_Token]) -> tuple[Sequence[_Token], Sequence[_Token]]:
    tildes = [i for i, token in enumerate(tokens) if token.is_operator("~")]
    if not tildes:
        raise _Problem("There is no `~` in this formula." if tokens else "The formula is empty.", None, _FORMULA)
    if len(tildes) > 1:
        raise _Problem("This is a second `~`.", tokens[tildes[1]].span, _FORMULA)
    tilde, left, right = tokens[tildes[0]], tokens[: tildes[0]], tokens[tildes[0] + 1 :]
    if tilde.depth:
        raise _Problem("This `~` stands inside brackets.", tilde.span, _FORMULA)
    if not left:
        raise _Problem("Nothing stands before `~`.", tilde.span, _RESPONSE)
    if not right:
        raise _Problem("Nothing stands after `~`.", tilde.span, "terms after `~`; `y ~ 1` has an intercept alone.")
    return left, right


def _response(tokens: Sequence[_Token], names: frozenset[str]) -> Piece:
    while len(tokens) > 2 and _in_parentheses(tokens):
        tokens = tokens[1:-1]
    if len(tokens) > 1:
        raise _Problem("The response has several parts, and lgm reads one.", _hull(tokens), _RESPONSE)
    if tokens[0].kind not in (Kind.NAME, Kind.PYTHON):
        raise _Problem("The response is neither a column nor a Python expression.", tokens[0].span, _RESPONSE)
    for code, node in _named_calls(tokens, names):
        message = f"`{code.text(node.func)}()` belongs to the right-hand side, not to the response."
        raise _Problem(message, code.span(node), _RESPONSE)
    return Piece(tokens[0].text, tokens[0].span)


def _summands(tokens: Sequence[_Token]) -> Iterator[tuple[list[_Token], list[_Token]]]:
    """Parts of the right-hand side between plus and minus signs, each with the signs before it."""
    signs: list[_Token] = []
    body: list[_Token] = []
    for token in tokens:
        if token.depth or not token.is_operator("+", "-") or (body and body[-1].kind is Kind.OPERATOR):
            body.append(token)
            continue
        if body:
            yield signs, body
            signs, body = [], []
        signs.append(token)
    if not body:
        raise _Problem(f"A term is missing after this `{signs[-1].text}`.", signs[-1].span, _FIXED)
    yield signs, body


def _lift(source: str, signs: list[_Token], tokens: list[_Token], names: frozenset[str]) -> list[Bar | Call]:
    """Read the bars, or the call, that a summand stands for; none if the summand belongs to the fixed part."""
    bars = [token for token in tokens if token.is_operator("|", "||")]
    calls = list(_named_calls(tokens, names))
    for bar in bars:
        if not bar.depth:
            raise _Problem("This bar stands outside parentheses.", bar.span, _BAR)
    if not bars and not calls:
        return []
    if calls:
        code, node = calls[-1]
        what, span = f"`{code.text(node.func)}()`", code.span(node)
        alone = len(tokens) == len(calls) == 1 and node is code.tree and not tokens[0].quoted
    else:
        what, span = "a group effect", _around(tokens, max(bars, key=lambda bar: bar.depth))
        alone = _in_parentheses(tokens) and all(bar.depth == 1 for bar in bars)
    if not alone:
        raise _Problem(f"Here {what} is part of a larger term.", span, _ADDED)
    if any(sign.text == "-" for sign in signs):
        raise _Problem(f"Here {what} is subtracted.", _hull([*signs, *tokens]), _ADDED)
    return [_call(code, node)] if calls else list(_bars(source, tokens))


def _around(tokens: Sequence[_Token], inside: _Token) -> Span:
    """Span of the innermost brackets around a token."""
    outer = [token for token in tokens if token.kind is Kind.CONTEXT and token.depth == inside.depth - 1]
    start = max(token.span.start for token in outer if token.span.start < inside.span.start)
    return Span(start, min(token.span.stop for token in outer if token.span.start > inside.span.start))


def _bars(source: str, tokens: Sequence[_Token]) -> Iterator[Bar]:
    first, *others = [i for i, token in enumerate(tokens) if token.is_operator("|", "||")]
    bar, effects, group = tokens[first], tokens[1:first], tokens[first + 1 : -1]
    if others:
        raise _Problem("This is a second bar in one group effect.", tokens[others[0]].span, _BAR)
    if not effects or not group:
        raise _Problem(f"Nothing stands {'after' if effects else 'before'} this bar.", bar.span, _BAR)
    for token in effects:
        if token.kind is Kind.VALUE and token.text == ".":
            raise _Problem("`.` cannot stand for columns in a group effect.", token.span, "the names of the columns.")
    if not _formulaic_terms(source, effects):
        raise _Problem("No effect remains before the bar.", _hull(effects), _BAR)
    text = _text(effects)
    for names in _groups(group):
        shown = f"({text} {bar.text} {':'.join(names)})"
        yield Bar(Piece(text, _hull(effects)), names, bar.text == "|", _hull(tokens), shown)


def _groups(tokens: Sequence[_Token]) -> Iterator[tuple[str, ...]]:
    """Expand the grouping ``a/b:c`` into ``a`` and ``a:b:c``."""
    names: list[str] = []
    for i, token in enumerate(tokens):
        last, is_name = i == len(tokens) - 1, token.kind in (Kind.NAME, Kind.PYTHON)
        if not (is_name if i % 2 == 0 else token.is_operator(":", "/") and not last):
            raise _Problem("The grouping cannot be read from here on.", _hull(tokens[i:]), _GROUP)
        name = token.body if token.kind is Kind.NAME else token.text
        if is_name and name in names:
            raise _Problem(f"`{name}` appears twice in this grouping.", token.span, _GROUP)
        names.extend([name] if is_name else [])
        if last or token.text == "/":
            yield tuple(names)


def _call(code: _Code, node: ast.Call) -> Call:
    for given in (*node.args, *node.keywords):
        if isinstance(given, ast.Starred) or (isinstance(given, ast.keyword) and given.arg is None):
            raise _Problem("Arguments cannot be unpacked in a term call.", code.span(given), _CALL)
    args = tuple(code.piece(arg) for arg in node.args)
    keywords = tuple((str(given.arg), code.piece(given.value)) for given in node.keywords)
    for i, (name, piece) in enumerate(keywords):
        if name in dict(keywords[:i]):
            raise _Problem(f"The keyword `{name}` is given twice.", piece.span, _CALL)
    call = Call(code.text(node.func), args, keywords, code.span(node), code.text(node))
    if call.name == "offset" and (len(args) != 1 or keywords):
        raise _Problem("`offset()` takes one expression.", call.span, "`offset(log(e))`; several offsets are added up.")
    return call


class _Code:
    """The Python inside a token, parsed, with the way back from its nodes to text and to spans of the source."""

    def __init__(self, token: _Token) -> None:
        body = token.body.lstrip()
        self.start = token.span.start + token.quoted + len(token.body) - len(body)
        # Names in backticks become identifiers of equal length, so that offsets stay true: a rare ideograph, repeated.
        parts = body.replace("\r", " ").split("`")
        self.names = {chr(0x20000 + i) * (len(parts[i]) + 2): parts[i] for i in range(1, len(parts), 2)}
        masks = list(self.names)
        masked = "".join(masks[i // 2] if i % 2 else part for i, part in enumerate(parts))
        self.lines = masked.split("\n")
        try:
            self.tree = ast.parse(masked, mode="eval").body
        except (SyntaxError, ValueError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else error
            raise _Problem(f"This is not valid Python: {reason}.", token.span, _PYTHON) from None

    def expressions(self) -> Iterator[ast.expr]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.expr))

    def text(self, node: ast.expr) -> str:
        text = ast.unparse(node)
        for mask, name in self.names.items():
            text = text.replace(mask, name if name.isidentifier() and not keyword.iskeyword(name) else f"`{name}`")
        return text

    def span(self, node: ast.expr | ast.keyword) -> Span:
        stop = self._offset(node.end_lineno or 1, node.end_col_offset or 0)
        return Span(self._offset(node.lineno, node.col_offset), stop)

    def piece(self, node: ast.expr) -> Piece:
        return Piece(self.text(node), self.span(node))

    def _offset(self, line: int, column: int) -> int:
        # ast counts lines from 1, and columns in bytes of UTF-8.
        before = sum(len(text) + 1 for text in self.lines[: line - 1])
        return self.start + before + len(self.lines[line - 1].encode()[:column].decode())


def _named_calls(tokens: Sequence[_Token], names: frozenset[str]) -> Iterator[tuple[_Code, ast.Call]]:
    """Find calls of these names anywhere in the Python of the tokens, outer ones first."""
    for code in (_Code(token) for token in tokens if token.kind is Kind.PYTHON):
        for node in code.expressions():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                yield code, node


_PARSER = DefaultFormulaParser(feature_flags=DefaultFormulaParser.FeatureFlags.NONE)


def _formulaic_terms(source: str, tokens: Sequence[_Token]) -> list[str]:
    """Terms that formulaic reads in these tokens, which it sees at their places in an otherwise blank source."""
    blank = [" "] * len(source)
    for token in tokens:
        blank[token.span.start : token.span.stop] = token.text
    try:
        # Without data, `.` stands for a column of that name.
        terms = _PARSER.get_terms("".join(blank), context={"__formulaic_variables_available__": ["."]})
    except (FormulaicError, SyntaxError) as error:
        said = str(error).partition("\n\n")[0]
        message = next((ours for theirs, ours in _TRANSLATIONS if theirs in said), f"This cannot be read: {said}")
        mark = _formulaic_mark(error) or _hull(tokens)
        touched = [t for t in tokens if t.span.start < mark.stop and mark.start < t.span.stop]
        raise _Problem(message, _hull(touched or tokens), _FIXED) from None
    return [str(term) for term in terms.root]


def _formulaic_mark(error: Exception) -> Span | None:
    """Span that formulaic marks in its message, by two brackets and colour codes around it."""
    before, opened, rest = str(error).partition("\n\n")[2].partition("⧛")
    marked = rest.partition("⧚")[0].removeprefix("\x1b[1;31m").removesuffix("\x1b[0m")
    return Span(len(before), len(before) + len(marked)) if opened else None
