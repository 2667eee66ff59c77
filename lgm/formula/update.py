"""A formula changed by another, by the rules of R's ``update``: a ``.`` stands for what was there on that side.

Changes are made summand by summand, so that what is not touched reads as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from lgm.errors import FormulaError
from lgm.formula.bars import opened, read_effects
from lgm.formula.parse import halves, lifted_from, parse, summands
from lgm.formula.python import Expression
from lgm.formula.sides import Bar, Call
from lgm.formula.tokens import Kind, Problem, Span, Token, hull, marked, tokenize
from lgm.words import in_composed_form, suggest

_CHANGE = "a change such as `. ~ . + z - x`, where `.` stands for what is there."
# A dot by itself, and text in quotes, in which there is none.
_DOT = re.compile(r"""`[^`]*`|'[^']*'|"[^"]*"|(?<![\w.)\]])\.(?![\w.])""")


def updated(source: str, change: str, term_names: Collection[str]) -> str:
    """A formula after a change.

    Parameters
    ----------
    source : a formula that `lgm.formula.parse.parse` reads.
    change : such as ``". ~ . + z"``, ``"log(.) ~ ."`` or ``". ~ . - (1 | g)"``. Nothing before ``~`` is a ``.`` too.
    term_names : as for `lgm.formula.parse.parse`.

    Raises
    ------
    FormulaError
        If the change cannot be read, or takes away what is not there.

    Examples
    --------
    >>> updated("y ~ x*z + (1 | g)", "log(.) ~ . + s(t) - (1 | g) - x:z", {"s"})
    'log(y) ~ x*z + s(t) - x:z'
    >>> updated("y ~ x + z - 1", "~ . - x + 1", {"s"})
    'y ~ z'
    """
    if not isinstance(change, str):
        raise FormulaError(f"The change must be text, not {type(change).__name__}. Accepted: {_CHANGE}")
    change = in_composed_form(change)
    if change.lstrip().startswith("~"):
        change = f". {change.lstrip()}"
    names = frozenset(term_names) | {"offset"}
    try:
        if "~" not in change:
            raise Problem("There is no `~` in this change.", None, _CHANGE)
        found = _updated(in_composed_form(source), change, names)
    except Problem as problem:
        raise FormulaError(marked(change, problem.message, problem.span, problem.accepted)) from None
    parse(found, term_names)
    return found


def _updated(source: str, change: str, names: frozenset[str]) -> str:
    old_left, old = _read(source, names)
    left, said = _read(change, names)
    sides = _Sum(list(_with(said, old)), names)
    left = _DOT.sub(lambda found: old_left if found[0] == "." else found[0], left)
    return f"{left} ~ {sides.text}"


@dataclass(frozen=True)
class _Summand:
    """One summand: its text, whether it is subtracted, and what it stands for.

    Those that are lifted out are known by the text of their bars and calls, the others by formulaic's terms.
    """

    text: str
    minus: bool
    keys: frozenset[str]
    lifted: tuple[Bar | Call, ...]
    span: Span

    @property
    def dot(self) -> bool:
        return self.text == "."

    @property
    def intercept(self) -> bool | None:
        """Whether it brings an intercept or takes it away; None if it is about something else."""
        return (self.text == "1") != self.minus if self.text in ("0", "1") else None


def _read(source: str, names: frozenset[str]) -> tuple[str, list[_Summand]]:
    left, right = halves(tokenize(source))
    found = [_summand(source, signs, tokens, names) for signs, tokens in summands(opened(right))]
    return source[left[0].span.start : left[-1].span.stop], found


def _summand(source: str, signs: Sequence[Token], tokens: list[Token], names: frozenset[str]) -> _Summand:
    minus = sum(sign.text == "-" for sign in signs) % 2 == 1
    operands = {token: Expression.of(token) for token in tokens if token.kind in (Kind.NAME, Kind.PYTHON)}
    span = hull(tokens)
    lifted = tuple(lifted_from([], tokens, operands, names))
    keys = frozenset(term.text for term in lifted) if lifted else _terms(tokens)
    return _Summand(source[span.start : span.stop], minus, keys, lifted, span)


def _terms(tokens: Sequence[Token]) -> frozenset[str]:
    """Formulaic's terms of the fixed part, the intercept among them unless it is taken out."""
    operands = {token: Expression.of(token) for token in tokens if token.kind in (Kind.NAME, Kind.PYTHON)}
    return frozenset(":".join(sorted(f.expr for f in term.factors)) for term in read_effects(tokens, operands).formula)


def _with(said: list[_Summand], old: list[_Summand]) -> Iterator[_Summand]:
    """The summands of a change with what a dot stands for in its place."""
    for each in said:
        dots = [found for found in _DOT.finditer(each.text) if found[0] == "."]
        if each.lifted or not dots:
            yield each
        elif each.dot and not each.minus:
            yield from old
        elif each.dot:
            raise Problem("Here all that is there is subtracted.", each.span, _CHANGE)
        elif any(summand.lifted for summand in old):
            message = "Here `.` is part of a larger term, but it stands for group effects or term calls too."
            raise Problem(message, each.span, "the names of the predictors in the place of this `.`.")
        else:
            text = _DOT.sub(lambda found: f"({_joined(old)})" if found[0] == "." else found[0], each.text)
            yield replace(each, text=text, keys=_terms(tokenize(text)))


class _Sum:
    """The right-hand side while it grows."""

    def __init__(self, summands: list[_Summand], names: frozenset[str]) -> None:
        self._names = names
        self._kept: list[_Summand] = []
        for each in summands:
            if each.lifted:
                self._lifted(each)
            elif each.intercept is not None:
                self._intercept(each, wanted=each.intercept)
            elif each.minus:
                self._subtract(each)
            elif not each.keys - {"1"} <= self._present:
                self._kept.append(each)

    @property
    def text(self) -> str:
        return _joined(self._kept) or "1"

    @property
    def _present(self) -> frozenset[str]:
        """Terms of the fixed part."""
        text = _joined([each for each in self._kept if not each.lifted])
        return _terms(tokenize(text)) if text else frozenset({"1"})

    def _intercept(self, each: _Summand, *, wanted: bool) -> None:
        """Said where it is not so anyway, or where nothing else is."""
        self._kept = [other for other in self._kept if other.intercept in (None, wanted)]
        if ("1" in self._present) != wanted or not self._kept:
            self._kept.append(each)

    def _lifted(self, each: _Summand) -> None:
        there = {key: other for other in self._kept if other.lifted for key in other.keys}
        if not each.minus:
            if not each.keys <= there.keys():
                self._kept.append(each)
            return
        for key in sorted(each.keys - there.keys()):
            raise Problem(f"`{key}` is not in the formula.{suggest(key, list(there))}", each.span, _those(list(there)))
        for key in each.keys:
            whole = next(other for other in self._kept if other.lifted and key in other.keys)
            at = self._kept.index(whole)
            self._kept[at : at + 1] = [_alone(term, whole) for term in whole.lifted if term.text != key]

    def _subtract(self, each: _Summand) -> None:
        gone = each.keys - {"1"}
        absent, known = sorted(gone - self._present), sorted(self._present - {"1"})
        if absent:
            message = f"`{absent[0]}` is not in the formula.{suggest(absent[0], known)}"
            raise Problem(message, each.span, _those(known))
        alone = (other for other in self._kept if not other.lifted and not other.minus and other.keys - {"1"} == gone)
        for other in list(alone):
            self._kept.remove(other)
        if gone & self._present:
            self._kept.append(each)


def _those(known: Sequence[str]) -> str:
    return f"what is there: {', '.join(f'`{name}`' for name in known)}." if known else "nothing, as nothing is there."


def _alone(term: Bar | Call, whole: _Summand) -> _Summand:
    """One of the bars that a nested grouping stands for, as a summand of its own."""
    text = term.text
    if isinstance(term, Bar):  # a name of several words is in backticks in formulas, and bare in names
        bare, typed = ":".join(part.text.strip("`") for part in term.group), ":".join(part.text for part in term.group)
        text = text.replace(f"| {bare}", f"| {typed}")
    return replace(whole, text=text, keys=frozenset({term.text}), lifted=(term,))


def _joined(summands: Sequence[_Summand]) -> str:
    text = "".join(f" {'-' if each.minus else '+'} {each.text}" for each in summands).strip()
    return text.removeprefix("+ ")
