"""Knots as users give them: a list, or as mgcv has them a mapping from variables to lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lgm.arrays import FloatArray
from lgm.data.scope import Scope
from lgm.errors import LgmError
from lgm.formula.python import Expression
from lgm.words import listed, suggest


def of_smooth(piece: Expression, pieces: Sequence[Expression], scope: Scope) -> FloatArray:
    """Knots (q, d) of ``s()``: a list of numbers, for several variables of points, or a mapping to lists.

    Raises
    ------
    FormulaError
        For what are no knots, with the form that is accepted.
    """
    d, value = len(pieces), scope.value(piece)
    accepted = "a list of at least two numbers, such as knots=[0, 5, 10]." if d == 1 else f"points of {d} numbers each."
    if isinstance(value, Mapping):
        value = _in_columns(value, piece, pieces, scope)
    try:
        knots = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise _none(piece, accepted, scope) from None
    knots = knots[:, None] if knots.ndim == 1 and d == 1 else knots
    if knots.ndim != 2 or knots.shape[1] != d or len(knots) < 2 or not np.all(np.isfinite(knots)):
        raise _none(piece, accepted, scope)
    return np.asarray(knots[np.lexsort(knots.T[::-1])])


def of_margins(piece: Expression | None, pieces: Sequence[Expression], scope: Scope) -> list[FloatArray | None]:
    """Knots of each margin of a tensor product, where a mapping has them.

    Raises
    ------
    FormulaError
        For what is no mapping from variables of the term to lists of numbers; one variable takes a list too.
    """
    if piece is None:
        return [None] * len(pieces)
    value = scope.value(piece)
    if not isinstance(value, Mapping):
        if len(pieces) == 1:
            return [of_smooth(piece, pieces, scope)[:, 0]]
        raise _none(piece, _example(pieces), scope)
    _require_known(value, piece, pieces, scope)
    return [np.sort(_numbers(value[each.text], each, piece, scope)) if each.text in value else None for each in pieces]


def _in_columns(value: Mapping[Any, Any], piece: Expression, pieces: Sequence[Expression], scope: Scope) -> FloatArray:
    """The columns of points (q, d), all variables of which a mapping must have."""
    _require_known(value, piece, pieces, scope)
    missing = [each.text for each in pieces if each.text not in value]
    columns = [_numbers(value[each.text], each, piece, scope) for each in pieces if each.text in value]
    if missing or len({column.size for column in columns}) > 1:
        what = f"has no knots of {listed(missing)}" if missing else "has lists of different lengths"
        accepted = "for each variable a list, all of one length: together they are points."
        raise scope.formula.error(f"knots={piece.text} {what}.", piece.span, accepted)
    return np.column_stack(columns)


def _require_known(value: Mapping[Any, Any], piece: Expression, pieces: Sequence[Expression], scope: Scope) -> None:
    names = [each.text for each in pieces]
    for key in value:
        if key not in names:
            message = f"knots= has an entry for {key!r}, which is no variable of this term.{suggest(str(key), names)}"
            raise scope.formula.error(message, piece.span, f"entries for {listed(names)}.")


def _numbers(value: Any, variable: Expression, piece: Expression, scope: Scope) -> FloatArray:
    try:
        knots = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        knots = np.zeros((0, 0))
    if knots.ndim != 1 or knots.size < 2 or not np.all(np.isfinite(knots)):
        message = f"The knots of `{variable.text}` are no list of numbers."
        raise scope.formula.error(message, piece.span, "a list of at least two finite numbers for each variable.")
    return knots


def _example(pieces: Sequence[Expression]) -> str:
    return f"a mapping from variables to lists of numbers, such as knots={{{pieces[0].text!r}: [0, 5, 10]}}."


def _none(piece: Expression, accepted: str, scope: Scope) -> LgmError:
    return scope.formula.error(f"knots={piece.text} are no knots.", piece.span, accepted)
