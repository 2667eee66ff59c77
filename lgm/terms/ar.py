"""Stationary autoregression of any order over whole times: ``ar(t, p=2)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lgm.arrays import FloatArray
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import SERIAL, partial_autocorrelations, standard_deviation
from lgm.precision import continuation
from lgm.precision.ar import Ar, coefficients
from lgm.terms.block import Block
from lgm.terms.clock import Clock, clock_of
from lgm.terms.series import SeriesTerm, in_steps
from lgm.terms.term import Draw, Encoded, Signature, arguments, one_hot
from lgm.terms.timeline import Timeline, every, novel, role_of, whole_times
from lgm.terms.view import Curve, View

SIGNATURE = Signature(("t",), options=("p", "freq"))
MOST = 10  # of which two orders apart the data of any series say little
# Of LKJ priors, the first that of ar1(): P(|psi_k| > 1/2) is 0.39, 0.39, 0.31, 0.21 and from the fifth order on 0.10,
# near the defaults of R-INLA; unlike those they have no kink at zero, where the mode of an order that the data do not
# need would stick.
CONCENTRATIONS = (SERIAL, 1.5, 2.0, 3.0) + (5.0,) * (MOST - 4)


@dataclass(frozen=True)
class ArTerm(SeriesTerm):
    """AR(p) effects with marginal standard deviation ``sd``, stationary from the first time on.

    The p partial autocorrelations ``pacf1``, ``pacf2``, ... may be any numbers in (-1, 1): the last of them is the
    correlation of two effects p steps apart, given those between. `lgm.precision.ar.coefficients` makes the usual
    coefficients ``phi_1, ..., phi_p`` of them; for p = 2, ``phi_1 = pacf1 (1 - pacf2)`` and ``phi_2 = pacf2``.

    The step is the largest whole number of which all spacings of the times are multiples. Every step from the first to
    the last time has an effect, whether it has rows or not.
    """

    step: float
    order: int

    @property
    def one_series(self) -> bool:
        """All rows share its effects."""
        return True

    @property
    def view(self) -> View:
        """A curve through all times."""
        return Curve(self.piece, self.timeline.times, self.clock)

    @property
    def size(self) -> str:
        """Order and number of times, and the step that the autocorrelations are about."""
        return f"order {self.order}, {self.timeline.n} times{in_steps(self.clock, self.step, 'lag 1')}"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; later and earlier times are forecast given the fitted effects."""
        values = _whole(scope, self.piece, self.label, self.clock)
        codes, new, where = self.timeline.locate(values)
        z = one_hot(codes, self.timeline.n)
        if new.size == 0:
            return Encoded(z)
        times, step = self.timeline.times, self.step
        off = new[(new - times[0]) % step != 0.0]
        if off.size:
            clock = self.clock
            raise DataError(
                f"{self.label} is about times in steps of {clock.words(step)} from {clock.said(times[0])} on; "
                f"{clock.said(off[0])} lies between two of them. Accepted: times on these steps; ar1() "
                "and ou() know what is between."
            )
        # What lies between the data and a new time has effects too, without rows.
        first, last = min(new[0], times[0]), max(new[-1], times[-1])
        added = np.setdiff1d(every(first, last, self.piece, self.label, self.clock, step), times)
        drawn = novel(self.piece, new, where, added, self._continuation(added), mean_needs_theta=True)
        return Encoded(z, novel=drawn)

    def _continuation(self, added: FloatArray) -> Draw:
        before = int(np.count_nonzero(added < self.timeline.times[0]))

        def draw(theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
            psi = [theta["pacf"][:, k] for k in range(self.order)]
            error = np.prod([(1.0 - each) * (1.0 + each) for each in psi], axis=0)
            sd = theta["sd"][:, 0] * np.sqrt(error)
            return continuation.predicted(coefficients(psi)[-1], sd, b, normals, before)

        return draw


def _whole(scope: Scope, piece: Expression, label: str, clock: Clock) -> FloatArray:
    return whole_times(scope, piece, label, f", or use ou({piece.text})", clock)


def build(call: Call, scope: Scope, label: str, yardstick: float) -> ArTerm:
    """Read ``ar(t, p=2)`` against the data.

    Raises
    ------
    DataError
        If a time is not whole, or there are no more steps than the order.
    FormulaError
        If the order is not a whole number from 1 to `MOST`.
    """
    given = arguments(call, scope, SIGNATURE)
    piece = given["t"]
    clock = clock_of(scope, piece, role_of(label), given.get("freq"), whole=True)
    values = _whole(scope, piece, label, clock)
    order = _order(scope, given["p"]) if "p" in given else 1
    distinct = Timeline.of(values)
    if distinct.n < 2:
        raise DataError(f"{label} needs at least 2 distinct times, `{piece.text}` has {distinct.n}.")
    step = float(np.gcd.reduce(distinct.gaps.astype(np.int64)))
    timeline = Timeline(every(values.min(), values.max(), piece, label, clock, step))
    if timeline.n <= order:
        raise DataError(
            f"{label} of order {order} needs more than {order} times; `{piece.text}` runs over {timeline.n} steps."
        )
    pacf = partial_autocorrelations(label, CONCENTRATIONS[:order], 0.5)
    block = Block(Ar(timeline.n, order), (standard_deviation(label, yardstick), *pacf))
    z = one_hot(timeline.locate(values)[0], timeline.n)
    return ArTerm(label, piece, clock, timeline, z, block, step, order)


def _order(scope: Scope, piece: Expression) -> int:
    value = scope.value(piece)
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= MOST:
        raise scope.formula.error(
            f"p={piece.text} is no order of an autoregression.", piece.span, f"a whole number from 1 to {MOST}, as p=2."
        )
    return int(value)
