"""The levels of a factor as copies that know nothing of each other: ``replicate=g``, or ``group=iid(g)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.scope import Scope
from lgm.formula.python import Expression
from lgm.formula.tokens import without_backticks
from lgm.parameter import standard_deviation
from lgm.precision.iid import Iid
from lgm.terms.block import Block
from lgm.terms.levels import Grouping
from lgm.terms.term import Encoded, Novel, Signature, Term, Variable, one_hot
from lgm.words import counted, listed

SIGNATURE = Signature(("g",))


@dataclass(frozen=True)
class IndependentTerm(Term):
    """Independent effects of the levels of a factor: only the outer factor of copies, as alone it is ``(1 | g)``."""

    label: str
    piece: Expression
    grouping: Grouping
    z: sp.csc_array
    block: Block

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The effects by level."""
        name = without_backticks(self.piece.text)
        return (Variable(self.label, np.arange(self.grouping.n), name, self.grouping.labels),)

    @property
    def size(self) -> str:
        """Number of levels."""
        return counted(self.grouping.n, "level")

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; unknown levels get effects of their own."""
        known, new, labels = replace(self.grouping, factors=(self.piece,)).codes(scope)
        z = one_hot(known, self.grouping.n)
        if not labels.size:
            return Encoded(z)
        what = f"{counted(len(labels), 'new level')} of {self.variables[0].dim} ({listed(labels.tolist(), 5)})"
        return Encoded(z, novel=Novel(what, one_hot(new, len(labels)), _draw, population=True))


def _draw(theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
    return theta["sd"] * normals


def build(piece: Expression, scope: Scope, label: str) -> IndependentTerm:
    """Read the levels of a factor from the data."""
    grouping, codes = Grouping.over((piece,), scope)
    block = Block(Iid(grouping.n), (standard_deviation(label, 1.0),))
    return IndependentTerm(label, piece, grouping, one_hot(codes, grouping.n), block)
