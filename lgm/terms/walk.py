"""Random walks over time or another ordered variable: ``rw1(t)`` and ``rw2(t)``, on a line or on a circle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lgm.arrays import FloatArray
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import standard_deviation
from lgm.precision import continuation, rw
from lgm.precision.intrinsic import Structure, require_apart
from lgm.terms import circular
from lgm.terms.block import Block
from lgm.terms.clock import clock_of
from lgm.terms.series import SeriesTerm
from lgm.terms.term import Draw, Encoded, Signature, arguments, one_hot
from lgm.terms.timeline import Timeline, novel, require_ordinary

SIGNATURE = Signature(("t",), options=("cyclic", "period", "freq"))
_STRUCTURES: dict[str, Callable[[npt.ArrayLike], Structure]] = {"rw1": rw.rw1, "rw2": rw.rw2}
_FEWEST = {"rw1": 2, "rw2": 3}


@dataclass(frozen=True)
class WalkTerm(SeriesTerm):
    """An intrinsic random walk over the distinct values of a variable, which may be irregular.

    Effects sum to zero over the distinct values; for ``rw2`` the straight line is taken out as well and becomes the
    fixed effect ``rw2(t)[linear]``. The standard deviation is that of a typical effect (geometric mean over the
    distinct values), not of a step.
    """

    order: str
    lines: dict[str, FloatArray]

    @property
    def null(self) -> Mapping[str, FloatArray]:
        """The straight line of a walk of order two."""
        return self.lines

    @property
    def centred(self) -> bool:
        """Over its distinct values."""
        return True

    @property
    def size(self) -> str:
        """Number of distinct values."""
        return f"{self.timeline.n} distinct values{self.clock.counted}"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; at new values the walk is interpolated or continued, given the fitted effects."""
        values = self.clock.read(scope, self.piece, f"the variable of {self.label}")
        require_ordinary(np.append(self.timeline.times, values), self.piece, self.label)
        null = {name: values for name in self.null}
        codes, new, where = self.timeline.locate(values, self.timeline.rounding)
        z = one_hot(codes, self.timeline.n)
        if new.size == 0:
            return Encoded(z, null)
        added = new if self.order == "rw1" else self.timeline.walked(new)
        return Encoded(z, null, novel(self.piece, new, where, added, self._continuation(added)))

    def _continuation(self, added: FloatArray) -> Draw:
        times, factors = self.timeline.times, self.block.factors
        assert factors is not None

        def draw(theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
            scale = theta["sd"][:, 0] / np.sqrt(factors[0])  # the fitted walk has precision factor * R / sd^2
            if self.order == "rw1":
                return continuation.markov(times, added, continuation.brownian(scale), b, normals)
            return continuation.Slopes.of(times, added).draw(b, scale, normals)

        return draw


def build(call: Call, scope: Scope, label: str, yardstick: float) -> WalkTerm | circular.CircularTerm:
    """Read ``rw1(t)`` or ``rw2(t)``, or either with ``cyclic=True``, against the data."""
    given = arguments(call, scope, SIGNATURE)
    piece, freq, role = given["t"], given.get("freq"), f"the variable of {label}"
    if _closed(call, scope, given):
        clock = clock_of(scope, piece, role, freq, whole=True)
        return circular.build(scope, piece, clock, given.get("period"), int(call.name[-1]), label, yardstick)
    clock = clock_of(scope, piece, role, freq, whole=False)
    values = clock.read(scope, piece, role)
    timeline = Timeline.of(values)
    if timeline.n < _FEWEST[call.name]:
        raise DataError(
            f"{label} needs at least {_FEWEST[call.name]} distinct values, `{piece.text}` has {timeline.n}."
        )
    require_ordinary(timeline.times, piece, label)
    require_apart(timeline.gaps, label)
    structure = _STRUCTURES[call.name](timeline.times)
    template, factors = structure.scaled(label)
    block = Block(template, (standard_deviation(label, yardstick),), structure.constraint, factors)
    lines = {f"{label}[linear]": values} if call.name == "rw2" else {}
    codes, _, _ = timeline.locate(values)
    return WalkTerm(label, piece, clock, timeline, one_hot(codes, timeline.n), block, call.name, lines)


def _closed(call: Call, scope: Scope, given: Mapping[str, Expression]) -> bool:
    """Whether the walk is on a circle."""
    accepted = f"{call.name}(t, cyclic=True), or {call.name}(t, cyclic=True, period=12) where one turn has 12 times."
    value = scope.value(given["cyclic"]) if "cyclic" in given else False
    if not isinstance(value, (bool, np.bool_)):
        raise scope.formula.error(
            f"cyclic={given['cyclic'].text} is neither True nor False.", given["cyclic"].span, accepted
        )
    if "period" in given and not value:
        raise scope.formula.error("period= is for walks on a circle.", given["period"].span, accepted)
    return bool(value)
