"""Read a formula: a string becomes a response and, for each linear predictor, a right-hand side.

A right-hand side is a sum. Summands that formulaic does not know, ``(1 | g)``, ``s(t)`` and ``offset(e)``, are lifted
out by their tokens; formulaic's parser reads the others, so that its whole grammar remains within reach. Everything is
read here, once: later stages evaluate the expressions that they find in a `Formula`, and mark their spans in messages.
This module knows nothing of data.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeGuard

from lgm.errors import FormulaError
from lgm.formula.bars import BAR, names_class, opened, read_bars, read_effects, told_apart
from lgm.formula.left import RESPONSE, left_hand_side
from lgm.formula.python import Expression
from lgm.formula.sides import Bar, Call, Formula, Keyword, RightHandSide
from lgm.formula.tokens import (
    FIXED,
    Kind,
    Problem,
    Span,
    Token,
    hull,
    in_parentheses,
    marked,
    tokenize,
)
from lgm.words import in_composed_form

_FORMULA = "a response, one `~` and terms, such as `y ~ x + (1 | g) + s(t)`."
_ADDED = (
    "group effects, term calls and offsets may only be added, as in `y ~ x + (1 | g) + s(t) + offset(log(e))`; a term "
    "call may be the `group=` of another, as in `rw1(t, group=ar1(year))`."
)
_INTERACTIONS = {
    "mo": (
        " A monotonic effect that differs between groups is not available: the interaction `C(x)*f` lets each category "
        "differ, and `x*f` of the numbers of the categories is a straight line for each level of f."
    ),
    "s": " A smooth for each level of a factor is `f + s(x, by=f)`, and a varying coefficient `s(x, by=z)`.",
}
_CALL = "a call such as `s(x, k=10)`: its arguments one by one, each keyword once, without `*` or `**` before them."
_INDEPENDENT = "iid"  # a term in `group=` only; elsewhere it is a bar
_ONCE = "each term once; note that `(1 | a/b)` already stands for `(1 | a) + (1 | a:b)`."


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
    >>> formula.response.text, formula.mu.fixed.text, [str(term) for term in formula.mu.fixed.formula]
    ('log(y)', 'x*z - 1', ['x', 'z', 'x:z'])
    >>> [bar.text for bar in formula.mu.bars], formula.mu.calls[0].args[0].text
    (['(1 + x | a)', '(1 + x | a:b)'], 't')
    """
    if not isinstance(source, str):
        raise FormulaError(f"The formula must be text, not {type(source).__name__}. Accepted: {_FORMULA}")
    source = in_composed_form(source)
    try:
        if source.strip() and "~" not in source:
            raise Problem("There is no `~` in this formula.", None, _FORMULA)
        return _parse(source, frozenset(term_names) | {"offset"})
    except Problem as problem:
        raise FormulaError(marked(source, problem.message, problem.span, problem.accepted)) from None


def _parse(source: str, names: frozenset[str]) -> Formula:
    left, right = halves(tokenize(source))
    right = opened(right)
    operands = {token: Expression.of(token) for token in right if token.kind in (Kind.NAME, Kind.PYTHON)}
    response = left_hand_side(left, names)
    fixed: list[Token] = []
    lifted: list[Bar | Call] = []
    for signs, tokens in summands(right):
        terms = lifted_from(signs, tokens, operands, names)
        lifted.extend(terms)
        fixed.extend([] if terms else [*signs, *tokens])
    while fixed and fixed[0].is_operator("+"):
        fixed.pop(0)
    seen: set[str] = set()
    for term in lifted:
        if term.text in seen:
            raise Problem(f"`{term.text}` is written twice.", term.span, _ONCE)
        seen.add(term.text)
    side = RightHandSide(
        fixed=read_effects(fixed, operands, hull(fixed or right)),
        bars=told_apart([term for term in lifted if isinstance(term, Bar)]),
        calls=tuple(term for term in lifted if isinstance(term, Call) and term.name != "offset"),
        offsets=tuple(term.args[0] for term in lifted if isinstance(term, Call) and term.name == "offset"),
    )
    return Formula(source, response, {"mu": side})


def halves(tokens: Sequence[Token]) -> tuple[Sequence[Token], Sequence[Token]]:
    """Tokens before and after the one `~`."""
    tildes = [i for i, token in enumerate(tokens) if token.is_operator("~")]
    if not tildes:
        raise Problem("There is no `~` in this formula." if tokens else "The formula is empty.", None, _FORMULA)
    if len(tildes) > 1:
        raise Problem("This is a second `~`.", tokens[tildes[1]].span, _FORMULA)
    tilde, left, right = tokens[tildes[0]], tokens[: tildes[0]], tokens[tildes[0] + 1 :]
    if tilde.depth:
        raise Problem("This `~` stands inside brackets.", tilde.span, _FORMULA)
    if not left:
        raise Problem("Nothing stands before `~`.", tilde.span, RESPONSE)
    if not right:
        raise Problem("Nothing stands after `~`.", tilde.span, "terms after `~`; `y ~ 1` has an intercept alone.")
    return left, right


def summands(tokens: Sequence[Token]) -> Iterator[tuple[list[Token], list[Token]]]:
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


def lifted_from(
    signs: list[Token],
    tokens: list[Token],
    operands: Mapping[Token, Expression],
    names: frozenset[str],
) -> list[Bar | Call]:
    """Read the bars, or the call, that a summand stands for; none if the summand belongs to the fixed part."""
    bars = [token for token in tokens if token.is_operator("|", "||")]
    body = tokens[1:] if names_class(tokens) else tokens
    python = [operands[token] for token in tokens if token.kind is Kind.PYTHON]
    within = {id(node) for expression in python for node in _groups_of(expression.tree, names)}
    calls = [(expr, node) for expr in python for node in expr.calls(names) if id(node) not in within]
    for bar in bars:
        if not bar.depth:
            raise Problem("This bar stands outside parentheses.", bar.span, BAR)
    if not bars and not calls:
        return []
    if calls:
        expression, node = calls[-1]
        what, span = f"`{expression.text_of(node.func)}()`", expression.span_of(node)
        alone = len(tokens) == len(calls) == 1 and node is expression.tree and not tokens[0].quoted
    else:
        what, span = "a group effect", _around(tokens, max(bars, key=lambda bar: bar.depth))
        alone = in_parentheses(body) and all(bar.depth == 1 for bar in bars)
    if not alone:
        crossed = any(token.is_operator("*", ":") and not token.depth for token in tokens)
        interaction = _INTERACTIONS.get(expression.text_of(node.func), "") if calls and crossed else ""
        raise Problem(f"Here {what} is part of a larger term.{interaction}", span, _ADDED)
    if any(sign.text == "-" for sign in signs):
        raise Problem(f"Here {what} is subtracted.", hull([*signs, *tokens]), _ADDED)
    return [_call(expression, node, names)] if calls else list(read_bars(tokens, operands))


def _groups_of(tree: ast.expr, names: frozenset[str]) -> list[ast.Call]:
    """The term call that is the ``group=`` of a term call."""
    if not _is_call(tree, names):
        return []
    found = [given.value for given in tree.keywords if given.arg == "group"]
    return [value for value in found if _is_call(value, names | {_INDEPENDENT})]


def _is_call(node: ast.expr, names: frozenset[str]) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names - {"offset"}


def _around(tokens: Sequence[Token], inside: Token) -> Span:
    """Span of the innermost brackets around a token."""
    outer = [token for token in tokens if token.kind is Kind.CONTEXT and token.depth == inside.depth - 1]
    start = max(token.span.start for token in outer if token.span.start < inside.span.start)
    return Span(start, min(token.span.stop for token in outer if token.span.start > inside.span.start))


def _call(expression: Expression, node: ast.Call, names: frozenset[str]) -> Call:
    for given in (*node.args, *node.keywords):
        if isinstance(given, ast.Starred) or (isinstance(given, ast.keyword) and given.arg is None):
            raise Problem("Arguments cannot be unpacked in a term call.", expression.span_of(given), _CALL)
        if isinstance(given, ast.BinOp) and isinstance(given.op, ast.BitOr):
            message = "A bar inside a term call does not make one term per group."
            raise Problem(message, expression.span_of(given), _CALL)
    args = tuple(expression.part(arg) for arg in node.args)
    inner = {id(each): _call(expression, each, names) for each in _groups_of(node, names)}
    keywords = tuple(
        Keyword(str(given.arg), expression.part(given.value), expression.span_of(given), inner.get(id(given.value)))
        for given in node.keywords
    )
    for i, one in enumerate(keywords):
        if one.name in [other.name for other in keywords[:i]]:
            raise Problem(f"The keyword `{one.name}` is given twice.", one.value.span, _CALL)
    call = Call(expression.text_of(node.func), args, keywords, expression.span_of(node), expression.text_of(node))
    if call.name == "offset" and (len(args) != 1 or keywords):
        raise Problem("`offset()` takes one expression.", call.span, "`offset(log(e))`; several offsets are added up.")
    return call
