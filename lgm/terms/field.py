"""A Markov random field as a smooth: ``s(region, bs="mrf", graph=g, k=20)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.scope import Scope
from lgm.formula.python import Expression
from lgm.parameter import standard_deviation
from lgm.precision.icar import icar
from lgm.precision.iid import Iid
from lgm.smooths import markov
from lgm.smooths.basis import require_dimension
from lgm.terms.block import Block
from lgm.terms.icar import (
    ArealTerm,
    ComponentLevels,
    areal_term,
    graph_in_words,
    read_graph,
    region_codes,
    region_labels,
)
from lgm.terms.term import Encoded, Smooth, Term, Variable


@dataclass(frozen=True)
class FieldTerm(ArealTerm):
    """The smoothest functions on a graph, with the penalty of ``icar(region, graph)``, centred over the rows.

    The levels of connected components beside the first are fixed effects, as those of ``icar`` are. Tables show the
    effect of each region.
    """

    columns: FloatArray  # (regions, r)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The effects by region, each the sum of all functions there."""
        index = np.broadcast_to(np.arange(self.block.n), self.columns.shape)
        return (Variable(self.label, index, self.piece.text, region_labels(self.graph), weights=self.columns),)

    @property
    def smooths(self) -> tuple[Smooth, ...]:
        """Itself."""
        return (Smooth(self.label, np.arange(self.block.n), tuple(self.levels.names.values()), (self.piece,)),)

    @property
    def size(self) -> str:
        """The graph in words."""
        return f"{graph_in_words(self.graph)}, k={self.block.n + self.graph.n_components}"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; every region of the graph is known."""
        codes = region_codes(scope, self.piece, self.graph, self.label)
        return Encoded(sp.csc_array(self.columns[codes]), self.levels.columns(codes))


@dataclass(frozen=True)
class WholeFieldTerm(ArealTerm):
    """All functions on a graph: ``icar(region, graph)`` as a smooth."""

    @property
    def smooths(self) -> tuple[Smooth, ...]:
        """Itself."""
        constraint = self.block.constraint
        lost = 0 if constraint is None else constraint.anchors.size
        fixed = tuple(self.levels.names.values())
        return (Smooth(self.label, np.arange(self.block.n), fixed, (self.piece,), lost=lost),)


def build(
    pieces: tuple[Expression, ...],
    given: Mapping[str, Expression],
    k: int | None,
    scope: Scope,
    label: str,
    yardstick: float,
) -> Term:
    """Read ``s(region, bs="mrf", graph=g)`` against the data: all of the field, which is ``icar``'s, or k functions.

    Raises
    ------
    FormulaError, DataError
        If there is no graph, a region is not in it, or k is impossible.
    """
    if "graph" not in given or len(pieces) != 1:
        accepted = 's(region, bs="mrf", graph=g), with a graph in any form that lgm.graph takes.'
        raise scope.formula.error(f"{label} is a field on the regions of a graph.", pieces[0].span, accepted)
    (piece,) = pieces
    graph = read_graph(scope, given["graph"], label)
    codes = region_codes(scope, piece, graph, label)
    if k is None or k == graph.n:
        return areal_term(piece, graph, codes, label, yardstick, WholeFieldTerm)
    smallest = graph.n_components + 2
    k = require_dimension(k, smallest, graph.n, "mrf", label, f"the graph has only {graph.n} regions")
    structure = icar(graph.edges, graph.components)
    penalty = structure.pattern.matrix(structure.entries).toarray()
    islands = np.flatnonzero(structure.component < 0)
    penalty[islands, islands] = 0.0  # an island is a component like any other, with a level and no more
    found = markov.reduced(penalty, codes, graph.components, k)
    block = Block(Iid(k - graph.n_components), (standard_deviation(label, yardstick),), factors=np.array([found.scale]))
    levels = ComponentLevels.of(graph, codes, label)
    z = sp.csc_array(found.columns[codes])
    return FieldTerm(label, piece, graph, z, block, levels, levels.columns(codes), found.columns)
