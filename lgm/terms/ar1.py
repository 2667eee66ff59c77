"""Stationary autoregression over whole times: ``ar1(t)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgm.arrays import FloatArray
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import autocorrelation, standard_deviation
from lgm.precision.ar import Ar1
from lgm.terms.block import Block
from lgm.terms.clock import Clock, clock_of
from lgm.terms.series import AutoregressiveTerm
from lgm.terms.term import Signature, arguments, one_hot
from lgm.terms.timeline import Timeline, role_of, whole_times
from lgm.terms.view import Curve, View

SIGNATURE = Signature(("t",), options=("freq",))


@dataclass(frozen=True)
class Ar1Term(AutoregressiveTerm):
    """AR(1) effects with marginal standard deviation ``sd``; times may have gaps.

    ``rho`` is the correlation of effects one step apart. The step is the largest whole number of which all spacings of
    the times are multiples, so that the unit of the times does not matter. At times between the steps, which only new
    data can have, the correlation is the power ``rho^(lag / step)``; where rho is negative there is none, and such an
    effect is independent of the others.
    """

    rounding = 0.0

    @property
    def view(self) -> View:
        """A curve through the times, and where these are far apart, through steps between them."""
        start = self.timeline.times[0]
        between = start + self.step * np.round((self.timeline.between() - start) / self.step)
        return Curve(self.piece, np.union1d(self.timeline.times, between), self.clock)

    def read(self, scope: Scope) -> FloatArray:
        """Whole times."""
        return _whole(scope, self.piece, self.label, self.clock)


def _whole(scope: Scope, piece: Expression, label: str, clock: Clock) -> FloatArray:
    return whole_times(scope, piece, label, f", or use ou({piece.text})", clock)


def build(call: Call, scope: Scope, label: str, yardstick: float) -> Ar1Term:
    """Read ``ar1(t)`` against the data."""
    given = arguments(call, scope, SIGNATURE)
    piece = given["t"]
    clock = clock_of(scope, piece, role_of(label), given.get("freq"), whole=True)
    values = _whole(scope, piece, label, clock)
    timeline = Timeline.of(values)
    if timeline.n < 2:
        raise DataError(f"{label} needs at least 2 distinct times, `{piece.text}` has {timeline.n}.")
    gaps = timeline.gaps.astype(np.int64)
    step = int(np.gcd.reduce(gaps))
    template = Ar1(gaps // step, timeline.n)
    parameters = (standard_deviation(label, yardstick), autocorrelation(label))
    codes, _, _ = timeline.locate(values)
    z = one_hot(codes, timeline.n)
    return Ar1Term(label, piece, clock, timeline, z, Block(template, parameters), step)
