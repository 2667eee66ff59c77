"""Stationary autoregression over whole times: ``ar1(t)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import AUTOCORRELATION, one, standard_deviation
from lgm.precision import continuation
from lgm.precision.ar import Ar1
from lgm.priors import pc_corr
from lgm.terms.block import Block
from lgm.terms.clock import NUMBERS, Clock, clock_of
from lgm.terms.term import Draw, Encoded, Signature, Term, Variable, arguments, one_hot
from lgm.terms.timeline import Timeline, novel, role_of, whole_times
from lgm.terms.view import Curve, View

SIGNATURE = Signature(("t",), options=("freq",))


@dataclass(frozen=True)
class AutoregressiveTerm(Term):
    """AR(1) effects with marginal standard deviation ``sd``; times may have gaps.

    ``rho`` is the correlation of effects one step apart. The step is the largest whole number of which all spacings of
    the times are multiples, so that the unit of the times does not matter. At times between the steps, which only new
    data can have, the correlation is the power ``rho^(lag / step)``; where rho is negative there is none, and such an
    effect is independent of the others.
    """

    label: str
    piece: Expression
    clock: Clock
    timeline: Timeline
    step: int
    z: sp.csc_array
    block: Block

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The effects by time."""
        labels = self.clock.labels(self.timeline.times)
        return (Variable(self.label, np.arange(self.timeline.n), self.piece.text, labels),)

    @property
    def one_series(self) -> bool:
        """All rows share its effects."""
        return True

    @property
    def view(self) -> View:
        """A curve through the times, and where these are far apart, through steps between them."""
        start = self.timeline.times[0]
        between = start + self.step * np.round((self.timeline.between() - start) / self.step)
        return Curve(self.piece, np.union1d(self.timeline.times, between), self.clock)

    def on_columns(self, names: Sequence[str], by: str) -> Term:
        """The same term, its times read as numbers from a plain column."""
        return replace(self, piece=Expression.column(names[0]), clock=NUMBERS)

    @property
    def size(self) -> str:
        """Number of times, and the step that rho is about."""
        return f"{self.timeline.n} times{in_steps(self.clock, self.step)}"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; new times are interpolated or forecast given the fitted effects."""
        values = _whole(scope, self.piece, self.label, self.clock)
        codes, new, where = self.timeline.locate(values)
        z = one_hot(codes, self.timeline.n)
        if new.size == 0:
            return Encoded(z)
        return Encoded(z, novel=novel(self.piece, new, where, new, self._continuation(new), mean_needs_theta=True))

    def _continuation(self, new: FloatArray) -> Draw:
        start = self.timeline.times[0]
        old, fresh = ((times - start) / self.step for times in (self.timeline.times, new))

        def draw(theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
            bridge = continuation.autoregressive(theta["sd"][:, 0], theta["rho"][:, 0])
            return continuation.markov(old, fresh, bridge, b, normals)

        return draw


def _whole(scope: Scope, piece: Expression, label: str, clock: Clock) -> FloatArray:
    return whole_times(scope, piece, label, f", or use ou({piece.text})", clock)


def in_steps(clock: Clock, step: float, what: str = "rho") -> str:
    """To append to a number of times: what one step is, where that is not one."""
    plain = clock.unit is None and step == 1
    return "" if plain else f" in steps of {clock.words(step)}; {what} is that of one step"


def build(call: Call, scope: Scope, label: str, yardstick: float) -> AutoregressiveTerm:
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
    parameters = (
        standard_deviation(label, yardstick),
        one("rho", label, AUTOCORRELATION, pc_corr(0.5, 0.5), 0.5),
    )
    codes, _, _ = timeline.locate(values)
    z = one_hot(codes, timeline.n)
    return AutoregressiveTerm(label, piece, clock, timeline, step, z, Block(template, parameters))
