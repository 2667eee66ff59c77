"""Read the left-hand side of a formula: the response, and what some families need beside it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from lgm.formula.python import Expression
from lgm.formula.sides import LeftHandSide
from lgm.formula.tokens import Kind, Problem, Token, hull, in_parentheses

RESPONSE = (
    "one column or one Python expression before `~`, such as `y`, `log(y)` or `{y - x}`; of successes and trials, "
    "`cbind(successes, failures)` or `y | trials(n)`; of censored times, `y | cens(code)` or `y | cens(code, upper)`."
)
_OF_BRMS = {"weights": " Weights are an argument: weights=...", "rate": " An exposure is written `offset(log(e))`."}
_MOST = {"trials": 1, "cens": 2}  # arguments


def left_hand_side(tokens: Sequence[Token], names: Collection[str]) -> LeftHandSide:
    """Read what stands before ``~``.

    Parameters
    ----------
    tokens : sequence of Token
    names : names of terms, which belong to the right-hand side.

    Raises
    ------
    Problem
        For anything but a response, in one of its forms.
    """
    while len(tokens) > 2 and in_parentheses(tokens):
        tokens = tokens[1:-1]
    bars = [i for i, token in enumerate(tokens) if token.is_operator("|") and token.depth == tokens[0].depth]
    if not bars:
        return _pair(tokens, names) or LeftHandSide(_value(tokens, names), hull(tokens))
    if len(bars) > 1:
        raise Problem("This is a second bar in the response.", tokens[bars[1]].span, RESPONSE)
    value, additions = tokens[: bars[0]], tokens[bars[0] + 1 :]
    if not value or not additions:
        place = "after" if value else "before"
        raise Problem(f"Nothing stands {place} this bar.", tokens[bars[0]].span, RESPONSE)
    found: dict[str, list[Expression]] = {}
    for expression, call in _additions(additions):
        name = expression.text_of(call.func)
        if name in found:
            raise Problem(f"`{name}()` is written twice.", expression.span, RESPONSE)
        found[name] = [_part(expression, argument, names) for argument in _arguments(expression, call, _MOST[name])]
    (trials,), (censored, upper) = found.get("trials", [None]), [*found.get("cens", []), None, None][:2]
    return LeftHandSide(_value(value, names), hull(tokens), trials, censored=censored, upper=upper)


def _value(tokens: Sequence[Token], names: Collection[str]) -> Expression:
    """The response itself: one expression, or one divided by another."""
    while len(tokens) > 2 and in_parentheses(tokens):
        tokens = tokens[1:-1]
    if len(tokens) == 3 and tokens[1].is_operator("/") and not (tokens[0].quoted or tokens[2].quoted):
        tokens = [_quotient(tokens)]
    if len(tokens) > 1:
        raise Problem("The response has several parts, and lgm reads one.", hull(tokens), RESPONSE)
    (token,) = tokens
    if token.kind not in (Kind.NAME, Kind.PYTHON):
        raise Problem("The response is neither a column nor a Python expression.", token.span, RESPONSE)
    response = _dotted(token) or Expression.of(token)
    _refuse_terms(response, names)
    return replace(response, text=token.text)


def _quotient(tokens: Sequence[Token]) -> Token:
    """Three tokens as one piece of Python; their places stay."""
    a, sign, b = tokens
    text = f"{a.text.ljust(sign.span.start - a.span.start)}/{' ' * (b.span.start - sign.span.stop)}{b.text}"
    return Token(Kind.PYTHON, text, hull(tokens), a.depth)


def _pair(tokens: Sequence[Token], names: Collection[str]) -> LeftHandSide | None:
    """``cbind(successes, failures)``; ``cbind(y, n - y)`` is the same as ``y | trials(n)``."""
    if len(tokens) != 1 or tokens[0].kind is not Kind.PYTHON or tokens[0].quoted:
        return None
    if "cbind" not in tokens[0].text:  # so that others are parsed once
        return None
    expression = Expression.of(tokens[0])
    call = next(expression.calls({"cbind"}), None)
    if call is None:
        return None
    if call is not expression.tree:
        raise Problem("Here `cbind()` is part of a larger expression.", expression.span_of(call), RESPONSE)
    if len(call.args) != 2 or call.keywords or any(isinstance(each, ast.Starred) for each in call.args):
        raise Problem("`cbind()` takes successes and failures.", expression.span, RESPONSE)
    value, failures = (_part(expression, argument, names) for argument in call.args)
    match failures.tree:
        case ast.BinOp(left=trials, op=ast.Sub(), right=taken) if failures.text_of(taken) == value.text:
            return LeftHandSide(value, expression.span, trials=failures.part(trials))
        case _:
            return LeftHandSide(value, expression.span, failures=failures)


def _additions(tokens: Sequence[Token]) -> Iterator[tuple[Expression, ast.Call]]:
    """The calls after the bar, which are joined by plus signs."""
    for i, token in enumerate(tokens):
        if i % 2:
            if not token.is_operator("+") or i == len(tokens) - 1:
                raise Problem("This cannot stand here.", token.span, RESPONSE)
            continue
        expression = Expression.of(token) if token.kind is Kind.PYTHON and not token.quoted else None
        tree = expression.tree if expression else None
        if expression is None or not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)):
            raise Problem("After the bar stands `trials(n)` or `cens(code)`.", token.span, RESPONSE)
        name = tree.func.id
        if name not in _MOST:
            hint = _OF_BRMS.get(name, "")
            raise Problem(f"`{name}()` is not available in a response.{hint}", token.span, RESPONSE)
        yield expression, tree


def _arguments(expression: Expression, call: ast.Call, most: int) -> list[ast.expr]:
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "upper" and most == 2)]
    fine = 1 <= len(given) <= most and len(given) == len(call.args) + len(call.keywords) and call.args
    if not fine or any(isinstance(each, ast.Starred) for each in call.args):
        accepted = "one expression" if most == 1 else "a code, and where it is that of an interval its upper end"
        raise Problem(f"`{expression.text_of(call.func)}()` takes {accepted}.", expression.span, RESPONSE)
    return given


def _part(expression: Expression, node: ast.expr, names: Collection[str]) -> Expression:
    part = expression.part(node)
    _refuse_terms(part, names)
    return part


def _refuse_terms(expression: Expression, names: Collection[str]) -> None:
    for call in expression.calls(names):
        message = f"`{expression.text_of(call.func)}()` belongs to the right-hand side, not to the response."
        raise Problem(message, expression.span_of(call), RESPONSE)


def _dotted(token: Token) -> Expression | None:
    """What a name with dots, such as ``table.y``, says in Python, if anything."""
    if token.kind is Kind.NAME and not token.quoted and not token.text.isidentifier():
        with suppress(Problem):
            return Expression.python(token)
    return None
