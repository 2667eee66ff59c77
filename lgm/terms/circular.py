"""Random walks on a circle: ``rw1(t, cyclic=True)`` and ``rw2(t, cyclic=True)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.parameter import standard_deviation
from lgm.precision.circular import circular
from lgm.terms.block import Block
from lgm.terms.clock import NUMBERS, Clock
from lgm.terms.term import Encoded, Term, Variable, one_hot
from lgm.terms.timeline import every, require_few, whole_period, whole_times
from lgm.terms.view import Curve, View

FEWEST = 3


@dataclass(frozen=True)
class CircularTerm(Term):
    """An intrinsic random walk over equally spaced whole times, of which the first follows the last.

    Every time of one turn has an effect, whether it has rows or not. Effects sum to zero over one turn, and nothing
    else is taken out: no straight line closes. The standard deviation is that of an effect, the same at all times.
    Times of later and earlier turns are those of the first. Dates are counted from 1970 on, so that of 12 months the
    first, 0, is January.
    """

    label: str
    piece: Expression
    clock: Clock
    times: FloatArray
    z: sp.csc_array
    block: Block

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The effects by time."""
        return (Variable(self.label, np.arange(self.times.size), self.piece.text, self.times),)

    @property
    def centred(self) -> bool:
        """Over one turn."""
        return True

    @property
    def view(self) -> View:
        """A curve through the times of one turn."""
        return Curve(self.piece, self.times, self.clock, turn=self.times)

    def on_columns(self, names: Sequence[str], by: str) -> Term:
        """The same term, its times read as numbers from a plain column."""
        return replace(self, piece=Expression.column(names[0]), clock=NUMBERS)

    @property
    def size(self) -> str:
        """Number of times."""
        return f"a circle of {self.times.size} times"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; every whole time has its place on the circle."""
        return Encoded(one_hot(_codes(_whole(scope, self.piece, self.label, self.clock), self.times), self.times.size))


def _whole(scope: Scope, piece: Expression, label: str, clock: Clock) -> FloatArray:
    return whole_times(scope, piece, f"{label} on a circle", clock=clock)


def _codes(values: FloatArray, times: FloatArray) -> IntArray:
    return ((values - times[0]) % times.size).astype(np.int64)


def _turn(
    scope: Scope, piece: Expression, clock: Clock, period: Expression | None, label: str, values: FloatArray
) -> FloatArray:
    """The times of one turn: those of the data from the first to the last, or as many as a period has."""
    low, high = values.min(), values.max()
    if period is None:
        return every(low, high, piece, label)
    n = whole_period(scope, period, FEWEST)
    require_few(n, f"{label}: period={n}")
    first = (
        1.0 if clock.unit is None and 1.0 <= low and high <= n else 0.0
    )  # months are 1 to 12, and so are what tables print
    return first + np.arange(float(n))


def build(
    scope: Scope,
    piece: Expression,
    clock: Clock,
    period: Expression | None,
    order: int,
    label: str,
    yardstick: float,
) -> CircularTerm:
    """Read a walk on a circle against the data.

    Raises
    ------
    DataError
        If a time is not whole, or there are too few or too many of them.
    FormulaError
        If the period is not a whole number of at least 3.
    """
    if clock.unit is not None and period is None:
        message = f"{label} on a circle of dates needs the number of times in one turn."
        raise scope.formula.error(message, piece.span, "period=12 for months, 7 for days of the week, ...", DataError)
    values = _whole(scope, piece, label, clock)
    distinct = np.unique(values).size
    if distinct < FEWEST:
        raise DataError(f"{label} on a circle needs at least {FEWEST} distinct values, `{piece.text}` has {distinct}.")
    times = _turn(scope, piece, clock, period, label, values)
    structure = circular(order, times.size)
    template, factors = structure.scaled(label)
    block = Block(template, (standard_deviation(label, yardstick),), structure.constraint, factors)
    return CircularTerm(label, piece, clock, times, one_hot(_codes(values, times), times.size), block)
