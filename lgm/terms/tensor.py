"""Tensor products of smooths: ``te(x, z)``, ``ti(x, z)``, ``t2(x, z)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lgm.data.scope import Scope, option
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.smooths import build as bases
from lgm.smooths import tensor
from lgm.terms import by as copies
from lgm.terms import knots
from lgm.terms.smooth import SmoothTerm, clocks_of, of, values_of, variables, whole_number
from lgm.terms.term import Signature, arguments

SIGNATURE = Signature(("x",), options=("bs", "k", "m", "knots"), shown=("by",), many=True, copied=False)


def build(call: Call, scope: Scope, label: str, yardstick: float) -> SmoothTerm:
    """Read ``te(x, z, ..., bs=..., k=...)``, ``ti`` or ``t2`` against the data.

    Lists hold an entry for each margin, and ``knots=`` is a mapping from variables.

    Raises
    ------
    FormulaError
        For one variable alone, and for options that margins do not have.
    DataError
        For dimensions that the data do not bear.
    """
    given = arguments(call, scope, SIGNATURE)
    pieces = variables(given, SIGNATURE, scope)
    if len(pieces) < (1 if call.name == "ti" else 2):  # ti(x) is the main effect beside ti(x, z)
        accepted = f"{call.name}(x, z), or s({pieces[0].text}) for a smooth of one variable."
        raise scope.formula.error(f"{label} is a product of one variable.", call.span, accepted)
    x = values_of(pieces, scope, label, clocks_of(pieces, scope, label))
    kinds = _kinds(given.get("bs"), scope, len(pieces))
    sizes = _each(given.get("k"), scope, len(pieces), "k")
    orders = _each(given.get("m"), scope, len(pieces), "m")
    asked = [_size(value, given.get("k"), scope) for value in sizes]
    at = knots.of_margins(given.get("knots"), pieces, scope)
    k = [bases.dimension(*each) for each in zip(kinds, asked, at, strict=True)]
    _require_few(k, label)
    names = [piece.text for piece in pieces]
    margins = bases.margins(call.name, kinds, x, k, orders, label, names, at, scope.times)
    if call.name == "t2":
        basis = tensor.by_parts(margins, x, names, scope.times)
    else:
        basis = tensor.sum_of_penalties(call.name, margins, x, names, scope.times)
    return of(label, pieces, basis, copies.read(given.get("by"), scope, label), scope, yardstick)


def _kinds(piece: Expression | None, scope: Scope, d: int) -> list[str]:
    if piece is None:
        return ["cr"] * d
    value = scope.value(piece) if piece.text not in bases.MARGINS else piece.text
    if isinstance(value, (list, tuple)):
        _require_each(value, piece, scope, d, "bs")
        for each in value:
            if each not in bases.MARGINS:
                accepted = "margins " + ", ".join(f"bs={kind!r}" for kind in bases.MARGINS) + "."
                raise scope.formula.error(f"bs={each!r} is no margin of a tensor product.", piece.span, accepted)
        return list(value)
    return [option(scope, piece, "bs", bases.MARGINS)] * d


def _each(piece: Expression | None, scope: Scope, d: int, name: str) -> Sequence[Any]:
    """One value for each margin: the same, or those of a list."""
    value = None if piece is None else scope.value(piece)
    if isinstance(value, list) or (isinstance(value, tuple) and name == "k"):
        assert piece is not None
        _require_each(value, piece, scope, d, name)
        return value
    return [value] * d


def _require_each(value: Sequence[Any], piece: Expression, scope: Scope, d: int, name: str) -> None:
    if len(value) != d:
        raise scope.formula.error(
            f"{name}={piece.text} has {len(value)} entries.", piece.span, f"one {name}, or {d}, one for each variable."
        )


def _size(value: Any, piece: Expression | None, scope: Scope) -> int | None:
    if value is None or piece is None:
        return None
    return whole_number(value, piece, "k", "the dimension of the margins, such as k=5 or k=[5, 7].", scope)


def _require_few(sizes: Sequence[int], label: str) -> None:
    count = int(np.prod(sizes))
    if count > tensor.MOST_COLUMNS:
        words = " x ".join(map(str, sizes))
        raise DataError(
            f"{label} would have {words} = {count} functions; accepted are up to {tensor.MOST_COLUMNS}. Lower k."
        )
