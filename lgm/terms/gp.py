"""A Gaussian process over one variable: ``gp(x)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.scope import Scope, option
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import standard_deviation
from lgm.precision.spde import Matern, intervals
from lgm.terms.block import Block
from lgm.terms.clock import NUMBERS, Clock, clock_of_numbers, read_numbers
from lgm.terms.matern import range_parameter
from lgm.terms.term import Encoded, Signature, Term, Variable, arguments
from lgm.terms.view import Curve, View
from lgm.words import listed

SIGNATURE = Signature(("x",), options=("alpha", "k"))
KNOTS = {1: 1001, 2: 201}  # over the range of the data, by alpha: a rough process needs more
BEYOND = 5.0  # ranges of the data to either side: at little cost, since steps grow
GROWTH = 1.2


@dataclass(frozen=True)
class ProcessTerm(Term):
    """A Gaussian process with Matern covariance: smoothness 3/2, or with ``alpha=1`` that of an exponential, 1/2.

    ``sd`` is the standard deviation of the process at a value of x, and ``range`` the distance at which the correlation
    has fallen to about 0.14. It is linear between ``k`` knots over the range of the data, by default 201, or 1001 with
    ``alpha=1``, and goes on to either side for five times that range, so that it is predicted there too.

    The default prior of the range says that it is longer than 5% of the range of the data with probability 95%
    (Fuglstad et al. 2019).
    """

    label: str
    piece: Expression
    clock: Clock
    knots: FloatArray
    inside: IntArray
    z: sp.csc_array
    block: Block

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The values at the knots over the range of the data."""
        labels = self.clock.moments(self.knots[self.inside])
        return (Variable(self.label, self.inside, self.piece.text, labels),)

    @property
    def view(self) -> View:
        """A curve."""
        return Curve(self.piece, clock=self.clock)

    def on_columns(self, names: Sequence[str], by: str) -> ProcessTerm:
        """The same term, its variable read as numbers from a plain column."""
        return replace(self, piece=Expression.column(names[0]), clock=NUMBERS)

    @property
    def size(self) -> str:
        """Number of knots."""
        return f"{self.inside.size} knots over the data, {self.knots.size} in all{self.clock.counted}"

    def encode(self, scope: Scope) -> Encoded:
        """Weights of the knots at other rows."""
        values = read_numbers(self.clock, scope, self.piece, f"the variable of {self.label}")
        low, high = self.knots[[0, -1]]
        outside = np.flatnonzero((values < low) | (values > high))
        if outside.size:
            said = self.clock.said
            raise DataError(
                f"{self.label} reaches from {said(low)} to {said(high)}, and `{self.piece.text}` has "
                f"{said(values[outside[0]])} in row {listed(scope.frame.index[outside[:1]], 1)}: that is more than "
                f"{BEYOND:g} times the range of the data away from them."
            )
        return Encoded(_interpolation(self.knots, values))


def _interpolation(knots: FloatArray, values: FloatArray) -> sp.csc_array:
    """Weights of the two knots around each value."""
    k = np.clip(np.searchsorted(knots, values, side="right") - 1, 0, knots.size - 2)
    share = (values - knots[k]) / (knots[k + 1] - knots[k])
    rows = np.arange(values.size)
    entries = (np.concatenate([1.0 - share, share]), (np.tile(rows, 2), np.concatenate([k, k + 1])))
    return sp.csc_array(entries, shape=(values.size, knots.size))


def _knots(low: float, high: float, k: int) -> tuple[FloatArray, IntArray]:
    """Evenly spaced over the data, further and further apart beyond; and which are over the data."""
    step, far = (high - low) / (k - 1), BEYOND * (high - low)
    count = int(np.ceil(np.log1p(far * (GROWTH - 1.0) / (GROWTH * step)) / np.log(GROWTH)))
    away = np.cumsum(step * GROWTH ** np.arange(1, count + 1))
    knots = np.concatenate([low - away[::-1], np.linspace(low, high, k), high + away])
    return knots, count + np.arange(k)


def _number_of_knots(scope: Scope, piece: Expression | None, alpha: int) -> int:
    if piece is None:
        return KNOTS[alpha]
    value = scope.value(piece)
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not 5 <= value <= 100_000:
        message = f"k={piece.text} is not a number of knots."
        raise scope.formula.error(message, piece.span, "k = a whole number from 5 to 100000.")
    return int(value)


def build(call: Call, scope: Scope, label: str, yardstick: float) -> ProcessTerm:
    """Read ``gp(x)`` against the data.

    Raises
    ------
    DataError
        If the variable has one value only.
    FormulaError
        If alpha is neither 1 nor 2, or k is not a number of knots.
    """
    given = arguments(call, scope, SIGNATURE)
    piece = given["x"]
    role = f"the variable of {label}"
    clock = clock_of_numbers(scope, piece, role)
    values = read_numbers(clock, scope, piece, role)
    alpha = int(option(scope, given["alpha"], "alpha", (1, 2))) if "alpha" in given else 2
    k = _number_of_knots(scope, given.get("k"), alpha)
    low, high = float(values.min()), float(values.max())
    if not low < high:
        raise DataError(f"{label} needs at least 2 distinct values, `{piece.text}` has 1.")
    knots, inside = _knots(low, high, k)
    edge, widest = (high - low) / (k - 1), float(knots[-1] - knots[0])
    length = range_parameter(label, high - low, edge, widest, f"such as {label[:-1]}, k={2 * k})", 1)
    block = Block(Matern.on(intervals(knots), alpha), (standard_deviation(label, yardstick), length))
    return ProcessTerm(label, piece, clock, knots, inside, _interpolation(knots, values), block)
