"""Areal effects on a graph of regions: ``icar(region, graph)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.graph import Graph, as_graph
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.precision.icar import icar
from lgm.terms.block import Block
from lgm.terms.term import Encoded, Signature, Variable, arguments, one_hot, sd_parameter
from lgm.words import counted

SIGNATURE = Signature(("region",), others=("graph",))


@dataclass(frozen=True)
class ArealTerm:
    """Intrinsic CAR effects, one per node of the graph, whether the data have that region or not.

    Effects sum to zero within each connected component; a region without neighbours has an independent effect. The
    standard deviation is that of a typical effect (geometric mean over the nodes of a component).
    """

    label: str
    piece: Expression
    graph: Graph
    z: sp.csc_array
    block: Block
    kind: str = "areal"

    @property
    def null(self) -> dict[str, FloatArray]:
        """None: the level of the field is that of the intercept."""
        return {}

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The effects by region."""
        labels = np.empty(self.graph.n, dtype=object)
        labels[:] = self.graph.nodes
        if all(isinstance(node, int) for node in self.graph.nodes):
            labels = labels.astype(np.int64)
        return (Variable(self.label, np.arange(self.graph.n), self.piece.text, labels),)

    @property
    def size(self) -> str:
        """The graph in words."""
        g = self.graph
        islands = f", {counted(len(g.islands), 'island')}" if g.islands else ""
        return f"{g.n} regions, {counted(len(g.edges), 'edge')}, {counted(g.n_components, 'component')}{islands}"

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; every region of the graph is known."""
        return Encoded(one_hot(_codes(scope, self.piece, self.graph, self.label), self.graph.n))


def _codes(scope: Scope, piece: Expression, graph: Graph, label: str) -> IntArray:
    column = scope.column(piece, f"the region of {label}")
    try:
        return graph.index(column.tolist())
    except DataError as error:
        raise DataError(f"{label}: {error}.") from None


def build(call: Call, scope: Scope, label: str) -> ArealTerm:
    """Read ``icar(region, graph)`` against the data; the graph in any form that `lgm.graph` takes."""
    given = arguments(call, scope, SIGNATURE)
    value = scope.value(given["graph"])
    try:
        graph = as_graph(value)
    except DataError as error:
        raise DataError(f"{label}: {error}.") from None
    codes = _codes(scope, given["region"], graph, label)
    structure = icar(graph.edges, graph.components)
    if not np.any(structure.component >= 0):
        raise DataError(f"{label}: no two regions of the graph are neighbours; use (1|{given['region'].text}) instead.")
    block = Block(label, structure, np.zeros(graph.n, dtype=np.int64), (sd_parameter(f"sd({label})", scope.sd_y),))
    return ArealTerm(label, given["region"], graph, one_hot(codes, graph.n), block)
