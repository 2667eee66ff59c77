"""Stationary autoregression over whole times: ``ar1(t)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import AUTOCORRELATION, one, standard_deviation
from lgm.precision.ar import Ar1
from lgm.priors import pc_corr
from lgm.terms.block import Block
from lgm.terms.term import Draw, Encoded, Novel, Signature, Term, Variable, arguments, one_hot
from lgm.terms.timeline import Timeline, conditional_draw
from lgm.terms.view import Curve, View
from lgm.words import counted

SIGNATURE = Signature(("t",))


@dataclass(frozen=True)
class AutoregressiveTerm(Term):
    """AR(1) effects with marginal standard deviation ``sd`` and lag-one correlation ``rho``; times may have gaps."""

    label: str
    piece: Expression
    timeline: Timeline
    z: sp.csc_array
    block: Block

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The effects by time."""
        return (Variable(self.label, np.arange(self.timeline.n), self.piece.text, self.timeline.times),)

    @property
    def view(self) -> View:
        """A curve through the times."""
        return Curve(self.piece, self.timeline.times)

    @property
    def size(self) -> str:
        """Number of times."""
        return f"{self.timeline.n} times"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; new times are interpolated or forecast given the fitted effects."""
        values = _whole(scope, self.piece, self.label)
        codes, new, new_codes = self.timeline.locate(values)
        z = one_hot(codes, self.timeline.n)
        if new.size == 0:
            return Encoded(z)
        what = f"{counted(new.size, 'value')} of {self.piece.text} that the data do not have"
        columns = one_hot(new_codes, new.size)
        return Encoded(z, novel=Novel(what, columns, self._continuation(new), population=False, mean_needs_theta=True))

    def _continuation(self, new: FloatArray) -> Draw:
        times, old_places, new_places = self.timeline.merged(new)
        template = Ar1(np.diff(times).astype(np.int64), times.size)

        def draw(theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
            with jax.enable_x64(True):
                unit = {"sd": jnp.ones((len(b), 1)), "rho": jnp.asarray(theta["rho"])}
                entries = np.asarray(jax.vmap(lambda theta: template.whiten(theta).values)(unit))
            return conditional_draw(template.pattern, entries, old_places, new_places, b, theta["sd"][:, 0], normals)

        return draw


def _whole(scope: Scope, piece: Expression, label: str) -> FloatArray:
    values = scope.numbers(piece, f"the time of {label}")
    odd = np.flatnonzero(values != np.round(values))
    if odd.size:
        raise DataError(
            f"{label} needs whole times (1, 2, 3, ...; gaps are fine), `{piece.text}` has {values[odd[0]]:g} in row "
            f"{scope.frame.index[odd[0]]}. Number the times in units of one step, or use rw1({piece.text})."
        )
    return values


def build(call: Call, scope: Scope, label: str, yardstick: float) -> AutoregressiveTerm:
    """Read ``ar1(t)`` against the data."""
    piece = arguments(call, scope, SIGNATURE)["t"]
    values = _whole(scope, piece, label)
    timeline = Timeline.of(values)
    if timeline.n < 2:
        raise DataError(f"{label} needs at least 2 distinct times, `{piece.text}` has {timeline.n}.")
    template = Ar1(np.diff(timeline.times).astype(np.int64), timeline.n)
    parameters = (
        standard_deviation(label, yardstick),
        one("rho", label, AUTOCORRELATION, pc_corr(0.5, 0.5), 0.5),
    )
    codes, _, _ = timeline.locate(values)
    return AutoregressiveTerm(label, piece, timeline, one_hot(codes, timeline.n), Block(template, parameters))
