"""A seasonal pattern that may change slowly: ``seasonal(t, period)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lgm.arrays import FloatArray
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.sides import Call
from lgm.parameter import standard_deviation
from lgm.precision import continuation
from lgm.precision.seasonal import contrasts, seasonal
from lgm.terms.block import Block
from lgm.terms.clock import clock_of
from lgm.terms.series import SeriesTerm
from lgm.terms.term import Draw, Encoded, Signature, arguments, one_hot
from lgm.terms.timeline import Timeline, every, novel, role_of, whole_period, whole_times
from lgm.terms.view import Curve, View
from lgm.words import listed

SIGNATURE = Signature(("t",), others=("period",), options=("freq",))


@dataclass(frozen=True)
class SeasonalTerm(SeriesTerm):
    """Effects at successive whole times whose sums over one period are independent with one standard deviation.

    The pattern that repeats for ever, which these sums do not see, is in the fixed effects ``seasonal(t)[0]``, ...:
    what each phase of the period (``t`` modulo the period) adds, where all phases add up to zero. The effects are what
    departs from it, and ``sd`` is that of a typical one (geometric mean over the times).
    """

    period: int
    pattern: dict[str, FloatArray]

    @property
    def null(self) -> Mapping[str, FloatArray]:
        """The pattern that repeats."""
        return self.pattern

    @property
    def view(self) -> View:
        """A curve through all times, the repeating pattern included."""
        return Curve(self.piece, self.timeline.times, self.clock)

    @property
    def size(self) -> str:
        """Period and number of times."""
        return f"period {self.period}, {self.timeline.n} times{self.clock.counted}"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; other times continue the pattern, given the fitted effects."""
        values = whole_times(scope, self.piece, self.label, clock=self.clock)
        null = _pattern(self.label, values, self.period)
        codes, new, where = self.timeline.locate(values)
        z = one_hot(codes, self.timeline.n)
        if new.size == 0:
            return Encoded(z, null)
        # What lies between the data and a new time has effects too, without rows.
        first, last = min(new[0], self.timeline.times[0]), max(new[-1], self.timeline.times[-1])
        added = np.setdiff1d(every(first, last, self.piece, self.label, self.clock), self.timeline.times)
        return Encoded(z, null, novel(self.piece, new, where, added, self._continuation(added)))

    def _continuation(self, added: FloatArray) -> Draw:
        structure = seasonal(self.timeline.n + added.size, self.period)
        start = int(np.count_nonzero(added < self.timeline.times[0]))
        old = start + np.arange(self.timeline.n)
        new = np.setdiff1d(np.arange(structure.n), old)
        factors = self.block.factors
        assert factors is not None

        def draw(theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
            scale = theta["sd"][:, 0] / np.sqrt(factors[0])
            return continuation.banded(structure.pattern, structure.entries, old, new, b, scale, normals)

        return draw


_REMEDY = "Times that are some steps apart can be numbered in units of that many steps."
_REMEDY_OF_DATES = 'Dates are counted in the unit that freq= says, such as freq="M" for months.'


def _pattern(label: str, times: FloatArray, period: int) -> dict[str, FloatArray]:
    columns = contrasts(times.astype(np.int64), period)
    return {f"{label}[{phase}]": columns[:, phase] for phase in range(period - 1)}


def build(call: Call, scope: Scope, label: str, yardstick: float) -> SeasonalTerm:
    """Read ``seasonal(t, period)`` against the data.

    Raises
    ------
    DataError
        If a time is not whole, or the data do not cover one period and all of its phases.
    FormulaError
        If the period is not a whole number of at least 2.
    """
    given = arguments(call, scope, SIGNATURE)
    piece = given["t"]
    clock = clock_of(scope, piece, role_of(label), given.get("freq"), whole=True)
    values = whole_times(scope, piece, label, clock=clock)
    period = whole_period(scope, given["period"], 2)
    timeline = Timeline(every(values.min(), values.max(), piece, label, clock))
    if timeline.n <= period:
        raise DataError(
            f"{label} needs more than one period of {period} times; `{piece.text}` runs over "
            f"{timeline.n}{clock.counted}, from {clock.said(values.min())} to "
            f"{clock.said(values.max())}."
        )
    unseen = np.setdiff1d(np.arange(period), values % period)
    if unseen.size:
        raise DataError(
            f"{label} has no row of phase {listed([str(int(j)) for j in unseen], 5)} (`{piece.text}` modulo {period}), "
            f"so nothing is known about it. {_REMEDY if clock.unit is None else _REMEDY_OF_DATES}"
        )
    structure = seasonal(timeline.n, period)
    template, factors = structure.scaled(label)
    block = Block(template, (standard_deviation(label, yardstick),), structure.constraint, factors)
    z = one_hot(timeline.locate(values)[0], timeline.n)
    return SeasonalTerm(label, piece, clock, timeline, z, block, period, _pattern(label, values, period))
