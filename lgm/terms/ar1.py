"""Stationary autoregression over whole times: ``ar1(t)``."""

from __future__ import annotations

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
from lgm.precision.ar import Ar1
from lgm.priors import pc_corr
from lgm.terms.block import Block, Parameter
from lgm.terms.term import Draw, Encoded, Novel, Signature, Variable, arguments, one_hot, sd_parameter
from lgm.terms.timeline import Timeline, conditional_draw
from lgm.words import counted

SIGNATURE = Signature(("t",))


@dataclass(frozen=True)
class AutoregressiveTerm:
    """AR(1) effects with marginal standard deviation ``sd`` and lag-one correlation ``rho``; times may have gaps."""

    label: str
    piece: Expression
    timeline: Timeline
    z: sp.csc_array
    block: Block
    kind: str = "walk"

    @property
    def null(self) -> dict[str, FloatArray]:
        """None: the process is proper."""
        return {}

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The effects by time."""
        return (Variable(self.label, np.arange(self.timeline.n), self.piece.text, self.timeline.times),)

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
        return Encoded(z, novel=Novel(what, one_hot(new_codes, new.size), self._continuation(new), population=False))

    def _continuation(self, new: FloatArray) -> Draw:
        times, old_places, new_places = self.timeline.merged(new)
        template = Ar1(np.diff(times).astype(np.int64), times.size)

        def draw(
            sd: FloatArray, shape: FloatArray, b: FloatArray, normals: FloatArray, factor: FloatArray
        ) -> FloatArray:
            with jax.enable_x64(True):
                entries = np.asarray(jax.vmap(template.values)(jnp.asarray(shape)))
            return conditional_draw(template.pattern, entries, old_places, new_places, b, sd[:, 0], normals)

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


def build(call: Call, scope: Scope, label: str) -> AutoregressiveTerm:
    """Read ``ar1(t)`` against the data."""
    piece = arguments(call, scope, SIGNATURE)["t"]
    timeline = Timeline.of(_whole(scope, piece, label))
    if timeline.n < 2:
        raise DataError(f"{label} needs at least 2 distinct times, `{piece.text}` has {timeline.n}.")
    template = Ar1(np.diff(timeline.times).astype(np.int64), timeline.n)
    parameters = (
        sd_parameter(f"sd({label})", scope.sd_y),
        Parameter((f"rho({label})",), "rho", pc_corr(0.5, 0.5), 0.5),
    )
    block = Block(label, template, np.zeros(timeline.n, dtype=np.int64), parameters)
    codes, _, _ = timeline.locate(scope.numbers(piece, label))
    return AutoregressiveTerm(label, piece, timeline, one_hot(codes, timeline.n), block)
