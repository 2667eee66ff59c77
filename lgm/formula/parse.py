"""Read a formula: a string becomes a response, a fixed part, bars, term calls and offsets.

The right-hand side is a sum. Summands that formulaic does not know, ``(1 | g)``, ``s(t)`` and ``offset(e)``, are lifted
out by their tokens; the others stay as text for formulaic, so that its whole grammar remains within reach. This module
knows nothing of data: whether a name exists is asked later, with `Formula.find` and `Formula.error` to mark the place.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from lgm.errors import FormulaError, LgmError
from lgm.formula.tokens import (
    FIXED,
    Code,
    Kind,
    Piece,
    Problem,
    Span,
    Token,
    formulaic_terms,
    hull,
    in_backticks,
    in_parentheses,
    marked,
    named_calls,
    spaced_text,
    tokenize,
    without_backticks,
)

_FORMULA = "a response, one `~` and terms, such as `y ~ x + (1 | g) + s(t)`."
_RESPONSE = "one column or one Python expression, such as `y`, `log(y)` or `{y / n}`, before `~`."
_BAR = "effects, one bar, and a group, in parentheses: `(1 | g)`, `(1 + x | g)`, or `(x || g)` without correlations."
_GROUP = "columns or Python calls joined by `:` or `/`, such as `g`, `a:b` or `a/b`; one bar for each grouping."
_ADDED = "group effects, term calls and offsets may only be added, as in `y ~ x + (1 | g) + s(t) + offset(log(e))`."
_CALL = "a call such as `s(x, k=10)`: its arguments one by one, each keyword once, without `*` or `**` before them."
_ONCE = "each term once; note that `(1 | a/b)` already stands for `(1 | a) + (1 | a:b)`."


@dataclass(frozen=True, slots=True)
class Bar:
    """A group effect such as ``(Days | Subject)``; a nested grouping ``a/b`` gives one bar for each level.

    Attributes
    ----------
    effects : the text left of the bar, a right-hand side for formulaic.
    group : the grouping factors; ``a:b`` has the two pieces ``a`` and ``b``.
    correlated : False for a double bar.
    span : the whole parenthesis, shared by the bars that ``a/b`` expands to.
    text : the bar after the expansion, with spaces put in order.
    """

    effects: Piece
    group: tuple[Piece, ...]
    correlated: bool
    span: Span
    text: str

    @property
    def group_name(self) -> str:
        """The grouping as it appears in names of variables, such as ``a:b``; a column's name has no backticks."""
        return _joined(self.group)


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
        """The call as it appears in names of variables: its name and first variable."""
        variables = (piece for _, piece in self.keywords if piece.text[0].isalpha() or piece.text[0] in "`_")
        given = [*self.args[:1], *variables]
        return f"{self.name}({given[0].text if given else ''})"


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
        return any(token.kind is Kind.VALUE and token.text == "." for token in tokenize(self.source))

    def find(self, text: str) -> Span | None:
        """Span of the first place where a name or a Python expression stands, or None.

        Whole tokens are compared, never parts of words: ``x`` is found in ``log(x)``, not in ``x1``.
        """
        for token in tokenize(self.source):
            if token.kind in (Kind.NAME, Kind.PYTHON, Kind.VALUE) and text in (token.text, token.body):
                return token.span
            if token.kind is Kind.PYTHON:
                code = Code(token)
                spans = [code.span(node) for node in code.expressions() if code.text(node) in (text, f"`{text}`")]
                if spans:
                    return min(spans, key=lambda span: span.start)
        return None

    def error(
        self, message: str, span: Span | None = None, accepted: str = "", kind: type[LgmError] = FormulaError
    ) -> LgmError:
        """Error to raise: the message, the formula with the span marked (None marks nothing), what is accepted."""
        return kind(marked(self.source, message, span, accepted))


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
        if source.strip() and "~" not in source:
            raise Problem("There is no `~` in this formula.", None, _FORMULA)
        return _parse(source, frozenset(term_names) | {"offset"})
    except Problem as problem:
        raise FormulaError(marked(source, problem.message, problem.span, problem.accepted)) from None


def _parse(source: str, names: frozenset[str]) -> Formula:
    left, right = _sides(tokenize(source))
    response = _response(left, names)
    fixed: list[Token] = []
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
            raise Problem(f"`{term.text}` is written twice.", term.span, _ONCE)
        seen.add(term.text)
    return Formula(
        source=source,
        response=response,
        fixed=spaced_text(fixed) or "1",
        fixed_span=hull(fixed or right),
        has_intercept="1" in formulaic_terms(source, fixed),
        offsets=tuple(term.args[0] for term in lifted if isinstance(term, Call) and term.name == "offset"),
        bars=tuple(term for term in lifted if isinstance(term, Bar)),
        calls=tuple(term for term in lifted if isinstance(term, Call) and term.name != "offset"),
    )


def _sides(tokens: Sequence[Token]) -> tuple[Sequence[Token], Sequence[Token]]:
    tildes = [i for i, token in enumerate(tokens) if token.is_operator("~")]
    if not tildes:
        raise Problem("There is no `~` in this formula." if tokens else "The formula is empty.", None, _FORMULA)
    if len(tildes) > 1:
        raise Problem("This is a second `~`.", tokens[tildes[1]].span, _FORMULA)
    tilde, left, right = tokens[tildes[0]], tokens[: tildes[0]], tokens[tildes[0] + 1 :]
    if tilde.depth:
        raise Problem("This `~` stands inside brackets.", tilde.span, _FORMULA)
    if not left:
        raise Problem("Nothing stands before `~`.", tilde.span, _RESPONSE)
    if not right:
        raise Problem("Nothing stands after `~`.", tilde.span, "terms after `~`; `y ~ 1` has an intercept alone.")
    return left, right


def _response(tokens: Sequence[Token], names: frozenset[str]) -> Piece:
    while len(tokens) > 2 and in_parentheses(tokens):
        tokens = tokens[1:-1]
    if len(tokens) > 1:
        raise Problem("The response has several parts, and lgm reads one.", hull(tokens), _RESPONSE)
    if tokens[0].kind not in (Kind.NAME, Kind.PYTHON):
        raise Problem("The response is neither a column nor a Python expression.", tokens[0].span, _RESPONSE)
    for code, node in named_calls(tokens, names):
        message = f"`{code.text(node.func)}()` belongs to the right-hand side, not to the response."
        raise Problem(message, code.span(node), _RESPONSE)
    return Piece(tokens[0].text, tokens[0].span)


def _summands(tokens: Sequence[Token]) -> Iterator[tuple[list[Token], list[Token]]]:
    """Parts of the right-hand side between plus and minus signs, each with the signs before it."""
    signs: list[Token] = []
    body: list[Token] = []
    for token in tokens:
        if token.depth or not token.is_operator("+", "-") or (body and body[-1].kind is Kind.OPERATOR):
            body.append(token)
            continue
        if body:
            yield signs, body
            signs, body = [], []
        signs.append(token)
    if not body:
        raise Problem(f"A term is missing after this `{signs[-1].text}`.", signs[-1].span, FIXED)
    yield signs, body


def _lift(source: str, signs: list[Token], tokens: list[Token], names: frozenset[str]) -> list[Bar | Call]:
    """Read the bars, or the call, that a summand stands for; none if the summand belongs to the fixed part."""
    bars = [token for token in tokens if token.is_operator("|", "||")]
    calls = list(named_calls(tokens, names))
    for bar in bars:
        if not bar.depth:
            raise Problem("This bar stands outside parentheses.", bar.span, _BAR)
    if not bars and not calls:
        return []
    if calls:
        code, node = calls[-1]
        what, span = f"`{code.text(node.func)}()`", code.span(node)
        alone = len(tokens) == len(calls) == 1 and node is code.tree and not tokens[0].quoted
    else:
        what, span = "a group effect", _around(tokens, max(bars, key=lambda bar: bar.depth))
        alone = in_parentheses(tokens) and all(bar.depth == 1 for bar in bars)
    if not alone:
        raise Problem(f"Here {what} is part of a larger term.", span, _ADDED)
    if any(sign.text == "-" for sign in signs):
        raise Problem(f"Here {what} is subtracted.", hull([*signs, *tokens]), _ADDED)
    return [_call(code, node)] if calls else list(_bars(source, tokens))


def _around(tokens: Sequence[Token], inside: Token) -> Span:
    """Span of the innermost brackets around a token."""
    outer = [token for token in tokens if token.kind is Kind.CONTEXT and token.depth == inside.depth - 1]
    start = max(token.span.start for token in outer if token.span.start < inside.span.start)
    return Span(start, min(token.span.stop for token in outer if token.span.start > inside.span.start))


def _bars(source: str, tokens: Sequence[Token]) -> Iterator[Bar]:
    first, *others = [i for i, token in enumerate(tokens) if token.is_operator("|", "||")]
    bar, effects, group = tokens[first], tokens[1:first], tokens[first + 1 : -1]
    if others:
        raise Problem("This is a second bar in one group effect.", tokens[others[0]].span, _BAR)
    if not effects or not group:
        raise Problem(f"Nothing stands {'after' if effects else 'before'} this bar.", bar.span, _BAR)
    for token in effects:
        if token.kind is Kind.VALUE and token.text == ".":
            raise Problem("`.` cannot stand for columns in a group effect.", token.span, "the names of the columns.")
    if not formulaic_terms(source, effects):
        raise Problem("No effect remains before the bar.", hull(effects), _BAR)
    text = spaced_text(effects)
    for names in _groups(group):
        shown = f"({text} {bar.text} {_joined(names)})"
        yield Bar(Piece(text, hull(effects)), names, bar.text == "|", hull(tokens), shown)


def _joined(group: Sequence[Piece]) -> str:
    return ":".join(without_backticks(piece.text) for piece in group)


def _groups(tokens: Sequence[Token]) -> Iterator[tuple[Piece, ...]]:
    """Expand the grouping ``a/b:c`` into ``a`` and ``a:b:c``."""
    pieces: list[Piece] = []
    for i, token in enumerate(tokens):
        last, is_name = i == len(tokens) - 1, token.kind in (Kind.NAME, Kind.PYTHON)
        if not (is_name if i % 2 == 0 else token.is_operator(":", "/") and not last):
            raise Problem("The grouping cannot be read from here on.", hull(tokens[i:]), _GROUP)
        text = in_backticks(token.body) if token.kind is Kind.NAME else token.text
        if is_name and text in [piece.text for piece in pieces]:
            raise Problem(f"`{token.body}` appears twice in this grouping.", token.span, _GROUP)
        pieces.extend([Piece(text, token.span)] if is_name else [])
        if last or token.text == "/":
            yield tuple(pieces)


def _call(code: Code, node: ast.Call) -> Call:
    for given in (*node.args, *node.keywords):
        if isinstance(given, ast.Starred) or (isinstance(given, ast.keyword) and given.arg is None):
            raise Problem("Arguments cannot be unpacked in a term call.", code.span(given), _CALL)
        if isinstance(given, ast.BinOp) and isinstance(given.op, ast.BitOr):
            raise Problem("A bar inside a term call does not make one term per group.", code.span(given), _CALL)
    args = tuple(code.piece(arg) for arg in node.args)
    keywords = tuple((str(given.arg), code.piece(given.value)) for given in node.keywords)
    for i, (name, piece) in enumerate(keywords):
        if name in dict(keywords[:i]):
            raise Problem(f"The keyword `{name}` is given twice.", piece.span, _CALL)
    call = Call(code.text(node.func), args, keywords, code.span(node), code.text(node))
    if call.name == "offset" and (len(args) != 1 or keywords):
        raise Problem("`offset()` takes one expression.", call.span, "`offset(log(e))`; several offsets are added up.")
    return call
