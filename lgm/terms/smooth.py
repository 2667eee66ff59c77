"""Smooth functions of one variable: ``s(x, bs="tp", k=10)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.scope import Scope, option
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import standard_deviation
from lgm.precision.iid import Iid
from lgm.terms import splines
from lgm.terms.block import Block
from lgm.terms.term import Encoded, Signature, Term, Variable, arguments
from lgm.terms.view import Curve, View
from lgm.words import counted

SIGNATURE = Signature(("x",), options=("bs", "k"))
DEFAULT_K = 10
KINDS = ("tp", "cr", "ps")


@dataclass(frozen=True)
class SmoothTerm(Term):
    """A penalised regression spline with mgcv's bases and defaults, in its mixed-model form.

    The straight line is the fixed effect ``s(x)[linear]`` (raw units of x), the rest is ``Z b`` with
    ``b ~ N(0, sd^2 I)``; the columns of Z sum to zero over the rows of the data and are scaled so that sd is that of a
    typical contribution.
    """

    label: str
    piece: Expression
    basis: splines.Basis
    z: sp.csc_array
    block: Block
    lines: dict[str, FloatArray]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The coefficients."""
        n = self.block.n
        return (Variable(self.label, np.arange(n), f"{self.label}_basis", np.arange(1, n + 1)),)

    @property
    def null(self) -> Mapping[str, FloatArray]:
        """The straight line."""
        return self.lines

    @property
    def centred(self) -> bool:
        """Over the rows of the data."""
        return True

    @property
    def view(self) -> View:
        """A curve over the range of the data."""
        return Curve(self.piece)

    @property
    def uncopied(self) -> str:
        """Curves of levels are centred one by one, which `by=` does."""
        return "its effects are coefficients of a basis that sums to zero over all rows, not over those of each copy"

    @property
    def size(self) -> str:
        """The basis in words."""
        return f"{self.basis.kind} basis, k={self.basis.k}"

    def encode(self, scope: Scope) -> Encoded:
        """The basis at other rows; beyond the range of the data it is continued, and a note says so."""
        x = scope.numbers(self.piece, f"the variable of {self.label}")
        outside = int(np.count_nonzero(self.basis.outside(x)))
        low, high = self.basis.range
        note = f"{self.label}: {counted(outside, 'row')} outside the data's range {low:g} to {high:g}: extrapolated"
        return Encoded(
            sp.csc_array(self.basis.evaluate(x)), {name: x for name in self.null}, notes=(note,) if outside else ()
        )


def build(call: Call, scope: Scope, label: str, yardstick: float) -> SmoothTerm:
    """Read ``s(x, bs=..., k=...)`` against the data."""
    given = arguments(call, scope, SIGNATURE)
    kind = option(scope, given["bs"], "bs", KINDS) if "bs" in given else "tp"
    x = scope.numbers(given["x"], f"the variable of {label}")
    k = _dimension(scope, given["k"]) if "k" in given else DEFAULT_K
    basis = splines.build(kind, x, k, name=given["x"].text)
    z = sp.csc_array(basis.evaluate(x))
    parameters = (standard_deviation(label, yardstick),)
    block = Block(Iid(z.shape[1]), parameters, factors=np.array([basis.scale]))
    return SmoothTerm(label, given["x"], basis, z, block, {f"{label}[linear]": x})


def _dimension(scope: Scope, piece: Expression) -> int:
    value = scope.value(piece)
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise scope.formula.error(
            f"k={piece.text} is not a whole number.", piece.span, "the dimension of the basis, such as k=10."
        )
    return DEFAULT_K if value == -1 else int(value)  # -1 is mgcv's spelling of its default
