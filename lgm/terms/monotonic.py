"""Monotonic effects of an ordered factor or of whole numbers: ``mo(x)``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.scope import Scope
from lgm.data.table import is_number, kind_of
from lgm.errors import DataError, IdentifiabilityError
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import POSITIVE, WIDE, Parameter, one, simplex
from lgm.precision.monotonic import Monotonic
from lgm.priors import Constant
from lgm.terms.block import Block
from lgm.terms.term import Encoded, Signature, Term, Variable, arguments, one_hot
from lgm.words import listed

SIGNATURE = Signature(("x",), copied=False)
MOST = 50  # categories


@dataclass(frozen=True)
class MonotonicTerm(Term):
    """Effects of ordered categories beside the first, all in one direction (Buerkner & Charpentier 2020).

    The effect of category k is ``D b (zeta_1 + ... + zeta_k)``: the coefficient b, called ``mo(x)``, is the average
    difference between neighbouring categories, and ``simplex(mo(x))[k]`` is the share that the step to category k has
    of the way from the first to the last. The intercept is the level of the first category. The coefficient is normal
    with standard deviation ``scale(mo(x))``, a constant unless it is given a prior.
    """

    label: str
    piece: Expression
    values: tuple[Any, ...]
    z: sp.csc_array
    block: Block

    @property
    def of_predictors(self) -> bool:
        """Of an ordered one."""
        return True

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The coefficient, and the effects of the categories."""
        steps = self.block.n
        own = np.array([self.label], dtype=object)
        labels = np.array(self.values[1:], dtype=object)
        last = np.array([[steps - 1]])
        return (
            Variable(self.label, last, "coefficient", own, None, np.array([1.0 / steps]), f"scale({self.label})"),
            Variable(f"{self.label}[category]", np.arange(steps), self.piece.text, labels),
        )

    @property
    def uncopied(self) -> str:
        """Categories are no places of a process."""
        return "its effects are those of categories, not of one process"

    @property
    def size(self) -> str:
        """The categories."""
        return f"{self.block.n + 1} ordered categories, from {self.values[0]} to {self.values[-1]}"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows.

        Raises
        ------
        DataError
            For a category that the fit does not have.
        """
        return Encoded(_columns(_codes(scope, self.piece, self.label, self.values), self.block.n))


def _columns(codes: IntArray, steps: int) -> sp.csc_array:
    return one_hot(codes - 1, steps)


def _codes(scope: Scope, piece: Expression, label: str, values: tuple[Any, ...]) -> IntArray:
    column = scope.column(piece, f"the variable of {label}")
    place = {value: k for k, value in enumerate(values)}
    new = [value for value in column.drop_duplicates().tolist() if value not in place]
    if new:
        raise DataError(
            f"{label}: `{piece.text}` has {listed([repr(value) for value in new], 5)}, of which the fit knows nothing. "
            f"Accepted: {listed([repr(value) for value in values], 8)}."
        )
    return np.array([place[value] for value in column], dtype=np.int64)


def _categories(scope: Scope, piece: Expression, label: str) -> tuple[Any, ...]:
    """All whole numbers over the range, or the categories that occur, in their order."""
    column = scope.column(piece, f"the variable of {label}")
    accepted = "whole numbers, or an ordered factor: pd.Categorical(x, categories=[...], ordered=True)."
    if column.isna().any():
        raise DataError(f"{label}: `{piece.text}` is missing in {int(column.isna().sum())} rows.")
    if is_number(column):
        numbers = scope.numbers(piece, f"the variable of {label}")
        if not np.all(numbers % 1.0 == 0.0):
            message = f"{label}: `{piece.text}` holds numbers that are not whole; a smooth curve is s({piece.text})."
            raise scope.formula.error(message, piece.span, accepted, DataError)
        return tuple(range(int(numbers.min()), int(numbers.max()) + 1))
    if not (isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered):
        message = f"{label}: `{piece.text}` holds {kind_of(column)} without an order."
        raise scope.formula.error(message, piece.span, accepted, DataError)
    return tuple(column.cat.remove_unused_categories().cat.categories)


def build(call: Call, scope: Scope, label: str, yardstick: float) -> MonotonicTerm:
    """Read ``mo(x)`` against the data.

    Raises
    ------
    DataError
        If x is neither an ordered factor nor whole numbers, or has too many categories.
    IdentifiabilityError
        If it has one only.
    """
    piece = arguments(call, scope, SIGNATURE)["x"]
    values = _categories(scope, piece, label)
    if len(values) == 1:
        raise IdentifiabilityError(f"{label}: `{piece.text}` is {values[0]!r} in every row, so it has no effect.")
    if len(values) > MOST:
        raise DataError(
            f"{label}: `{piece.text}` has {len(values)} categories, from {values[0]} to {values[-1]}, of {MOST} at "
            f"most. Accepted: wider classes, or a smooth curve, s({piece.text})."
        )
    codes = _codes(scope, piece, label, values)
    steps = len(values) - 1
    template = Monotonic(steps)
    block = Block(template, _parameters(label, steps, _spread(codes, scope.times), yardstick), template.constraint)
    return MonotonicTerm(label, piece, values, _columns(codes, steps), block)


def _spread(codes: IntArray, times: FloatArray | None) -> float:
    """Standard deviation over the rows of the data."""
    return float(np.sqrt(np.average((codes - np.average(codes, weights=times)) ** 2, weights=times)))


def _parameters(label: str, steps: int, spread: float, yardstick: float) -> tuple[Parameter, ...]:
    """The coefficient's prior is that of a fixed effect of the category's number."""
    scale = WIDE * yardstick / spread
    coefficient = one("scale", label, POSITIVE, Constant(scale), scale)
    return (coefficient, simplex(label, steps)) if steps > 1 else (coefficient,)
