"""Independent effects of the levels of factors, written as a smooth: ``s(g, bs="re")``, ``s(x, g, bs="re")``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.scope import Scope
from lgm.data.table import is_number
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.parameter import standard_deviation
from lgm.precision.iid import Iid
from lgm.terms.block import Block
from lgm.terms.levels import Grouping
from lgm.terms.term import Component, Encoded, Novel, Smooth, Term, Variable, one_hot
from lgm.words import counted, listed


@dataclass(frozen=True)
class RandomTerm(Term):
    """The effects of ``(1 | g)``, or of ``(0 + x | g)`` where numbers are among the variables.

    Several factors make the combinations that occur, as ``(1 | a:b)`` has them; several numbers are multiplied.
    """

    label: str
    numbers: tuple[Expression, ...]
    grouping: Grouping
    z: sp.csc_array
    block: Block

    @property
    def group(self) -> str:
        """The factors, such as ``g`` or ``a:b``."""
        return ":".join(factor.text for factor in self.grouping.factors)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The effects by level."""
        slope = "*".join(piece.text for piece in self.numbers) or None
        every = np.arange(self.grouping.n)
        return (Variable(self.label, every, self.group, self.grouping.labels, slope_of=slope),)

    @property
    def components(self) -> tuple[Component, ...]:
        """Their variance."""
        return (Component((f"sd({self.label})",), np.arange(self.grouping.n)),)

    @property
    def smooths(self) -> tuple[Smooth, ...]:
        """Itself."""
        return (Smooth(self.label, np.arange(self.block.n), (), (*self.numbers, *self.grouping.factors)),)

    @property
    def size(self) -> str:
        """Number of levels."""
        return f"{self.grouping.n} levels"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; unknown levels get effects of their own."""
        known, new, labels = self.grouping.codes(scope)
        x = _product(self.numbers, scope, self.label)
        z = _columns(known, x, self.grouping.n)
        if not labels.size:
            return Encoded(z)
        what = f"{counted(len(labels), 'new level')} of {self.group} ({listed(labels.tolist(), 5)})"
        return Encoded(z, novel=Novel(what, _columns(new, x, len(labels)), _drawn, population=True))


def _drawn(theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
    return theta["sd"] * normals


def _product(numbers: tuple[Expression, ...], scope: Scope, label: str) -> FloatArray:
    out = np.ones(scope.n)
    for piece in numbers:
        out = out * scope.numbers(piece, f"the variable of {label}")
    return out


def _columns(codes: IntArray, x: FloatArray, n: int) -> sp.csc_array:
    return sp.csc_array(sp.diags_array(x) @ one_hot(codes, n))


def build(pieces: tuple[Expression, ...], scope: Scope, label: str, yardstick: float) -> RandomTerm:
    """Read ``s(..., bs="re")`` against the data.

    Raises
    ------
    DataError
        If no variable is a factor, or there is one level only.
    """
    numeric = [is_number(scope.column(piece, f"the variable of {label}")) for piece in pieces]
    numbers = tuple(piece for piece, is_one in zip(pieces, numeric, strict=True) if is_one)
    factors = tuple(piece for piece, is_one in zip(pieces, numeric, strict=True) if not is_one)
    if not factors:
        raise DataError(
            f"{label}: bs='re' has an effect for each level of a factor, and {listed([p.text for p in pieces])} holds "
            f"numbers. Accepted: (1 | {pieces[-1].text}), where every number is a level, or a column made text by "
            "astype(str)."
        )
    grouping, codes = Grouping.over(factors, scope)
    if grouping.n == 1:
        raise DataError(
            f"{label}: its factor has one level ({grouping.labels[0]}); a variance between levels needs at least two."
        )
    x = _product(numbers, scope, label)
    if not np.any(x):
        raise DataError(f"{label}: its numbers are zero in every row.")
    spread = float(np.std(x)) if np.ptp(x) > 0.0 else abs(float(x[0]))
    block = Block(Iid(grouping.n), (standard_deviation(label, yardstick / spread),))
    return RandomTerm(label, numbers, grouping, _columns(codes, x, grouping.n), block)
