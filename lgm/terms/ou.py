"""Autoregression in continuous time, for times of any spacing: ``ou(t)``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import positive_autocorrelation, standard_deviation
from lgm.precision.ar import Ou, least_gap
from lgm.precision.intrinsic import require_apart
from lgm.terms.block import Block
from lgm.terms.clock import clock_of
from lgm.terms.series import AutoregressiveTerm
from lgm.terms.term import Signature, Term, arguments, one_hot
from lgm.terms.timeline import Timeline, require_ordinary, role_of

SIGNATURE = Signature(("t",), options=("step", "freq"))


@dataclass(frozen=True)
class OrnsteinUhlenbeckTerm(AutoregressiveTerm):
    """Effects with marginal standard deviation ``sd`` and correlation ``rho^(lag / step)``, at times of any spacing.

    ``rho`` is the correlation of effects one step apart. The step is the median spacing of the times, of copies that
    within each, so that their unit does not matter, or what a user says: with ``step=1`` rho is that of one unit of
    time, the ``Phi`` of `corCAR1` in R's nlme.
    """

    is_given: bool  # whether a user says the step

    @property
    def rounding(self) -> float:
        """That of the span."""
        return self.timeline.rounding

    def read(self, scope: Scope) -> FloatArray:
        """Any times."""
        values = self.clock.read(scope, self.piece, role_of(self.label))
        require_ordinary(np.append(self.timeline.times, values), self.piece, self.label)
        return values

    def in_copies(self, copy: IntArray) -> Term:
        """With the median spacing within copies, which does not depend on how many there are."""
        if self.is_given:
            return self
        rows = sp.coo_array(self.z)
        owner, place = np.unique(np.stack([copy[rows.row], rows.col]), axis=1)
        gaps = np.diff(self.timeline.times[place])[np.diff(owner) == 0]
        if gaps.size == 0:
            return self
        step = float(np.median(gaps))
        template = _template(self.timeline, self.label, step)
        return replace(self, step=step, block=replace(self.block, template=template))


def build(call: Call, scope: Scope, label: str, yardstick: float) -> OrnsteinUhlenbeckTerm:
    """Read ``ou(t)`` against the data.

    Raises
    ------
    DataError
        If there are fewer than two times, or some are the same but for rounding.
    FormulaError
        If the step is not a positive number.
    """
    given = arguments(call, scope, SIGNATURE)
    piece = given["t"]
    clock = clock_of(scope, piece, role_of(label), given.get("freq"), whole=False)
    values = clock.read(scope, piece, role_of(label))
    timeline = Timeline.of(values)
    if timeline.n < 2:
        raise DataError(f"{label} needs at least 2 distinct times, `{piece.text}` has {timeline.n}.")
    require_ordinary(timeline.times, piece, label)
    step = _step(scope, given["step"]) if "step" in given else float(np.median(timeline.gaps))
    parameters = (standard_deviation(label, yardstick), positive_autocorrelation(label))
    z = one_hot(timeline.locate(values)[0], timeline.n)
    block = Block(_template(timeline, label, step), parameters)
    return OrnsteinUhlenbeckTerm(label, piece, clock, timeline, z, block, step, "step" in given)


def _template(timeline: Timeline, label: str, step: float) -> Ou:
    require_apart(timeline.gaps, label, step * least_gap(timeline.n))
    return Ou(timeline.gaps / step, timeline.n)


def _step(scope: Scope, piece: Expression) -> float:
    value = scope.value(piece)
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0.0 < value < np.inf:
        raise scope.formula.error(
            f"step={piece.text} is no length of time.",
            piece.span,
            "a positive number of units of the times, as step=1.",
        )
    return float(value)
