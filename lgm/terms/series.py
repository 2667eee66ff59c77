"""What terms over the distinct times of a variable have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.scope import Scope
from lgm.formula.python import Expression
from lgm.precision import continuation
from lgm.terms.block import Block
from lgm.terms.clock import NUMBERS, Clock
from lgm.terms.term import Draw, Encoded, Term, Variable, one_hot
from lgm.terms.timeline import Timeline, novel
from lgm.terms.view import Curve, View


@dataclass(frozen=True)
class SeriesTerm(Term):
    """One effect for each time of a timeline.

    Attributes
    ----------
    label : str
    piece : Expression
        The variable.
    clock : Clock
        How it is read.
    timeline : Timeline
    z : sparse array (rows, n)
    block : Block
    """

    label: str
    piece: Expression
    clock: Clock
    timeline: Timeline
    z: sp.csc_array
    block: Block

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The effects by time."""
        labels = self.clock.labels(self.timeline.times)
        return (Variable(self.label, np.arange(self.timeline.n), self.piece.text, labels),)

    @property
    def view(self) -> View:
        """A curve through the times, and where these are far apart, between them."""
        return Curve(self.piece, np.union1d(self.timeline.times, self.timeline.between()), self.clock)

    def on_columns(self, names: Sequence[str], by: str) -> Self:
        """The same term, its times read as numbers from a plain column."""
        return replace(self, piece=Expression.column(names[0]), clock=NUMBERS)


@dataclass(frozen=True)
class AutoregressiveTerm(SeriesTerm):
    """A stationary process whose future depends on its last value: correlation ``rho^(lag / step)``.

    Attributes
    ----------
    step : float
        The time that ``rho`` is about.
    """

    step: float

    @property
    def one_series(self) -> bool:
        """All rows share its effects."""
        return True

    @property
    def size(self) -> str:
        """Number of times, and the step that rho is about."""
        return f"{self.timeline.n} times{in_steps(self.clock, self.step)}"

    @property
    @abstractmethod
    def rounding(self) -> float:
        """How close values of the variable are that are taken for one."""

    @abstractmethod
    def read(self, scope: Scope) -> FloatArray:
        """The times of other rows."""

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; new times are interpolated or forecast given the fitted effects."""
        codes, new, where = self.timeline.locate(self.read(scope), self.rounding)
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


def in_steps(clock: Clock, step: float, what: str = "rho") -> str:
    """To append to a number of times: what one step is, where that is not one."""
    plain = clock.unit is None and step == 1
    return "" if plain else f" in steps of {clock.words(step)}; {what} is that of one step"
