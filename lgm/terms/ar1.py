"""Stationary autoregression over whole times: ``ar1(t)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
from lgm.terms.term import Draw, Encoded, Signature, Term, Variable, arguments, one_hot
from lgm.terms.timeline import Timeline, novel, whole_times
from lgm.terms.view import Curve, View

SIGNATURE = Signature(("t",))


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
    timeline: Timeline
    step: int
    z: sp.csc_array
    block: Block

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The effects by time."""
        return (Variable(self.label, np.arange(self.timeline.n), self.piece.text, self.timeline.times),)

    @property
    def one_series(self) -> bool:
        """All rows share its effects."""
        return True

    @property
    def view(self) -> View:
        """A curve through the times, and where these are far apart, through steps between them."""
        start = self.timeline.times[0]
        between = start + self.step * np.round((self.timeline.between() - start) / self.step)
        return Curve(self.piece, np.union1d(self.timeline.times, between))

    @property
    def size(self) -> str:
        """Number of times, and the step that rho is about."""
        count = f"{self.timeline.n} times"
        return count if self.step == 1 else f"{count} in steps of {self.step}; rho is that of one step"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; new times are interpolated or forecast given the fitted effects."""
        values = _whole(scope, self.piece, self.label)
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


def _whole(scope: Scope, piece: Expression, label: str) -> FloatArray:
    return whole_times(scope, piece, label, f", or use rw1({piece.text})")


def build(call: Call, scope: Scope, label: str, yardstick: float) -> AutoregressiveTerm:
    """Read ``ar1(t)`` against the data."""
    piece = arguments(call, scope, SIGNATURE)["t"]
    values = _whole(scope, piece, label)
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
    return AutoregressiveTerm(label, piece, timeline, step, one_hot(codes, timeline.n), Block(template, parameters))
