"""Areal effects on a graph of regions: ``icar(region, graph)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.graph import Graph, as_graph
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.formula.tokens import without_backticks
from lgm.parameter import standard_deviation
from lgm.precision.icar import icar
from lgm.terms.block import Block
from lgm.terms.term import Encoded, Signature, Term, Variable, arguments, one_hot
from lgm.terms.view import Map, View
from lgm.words import counted

SIGNATURE = Signature(("region",), others=("graph",))


@dataclass(frozen=True)
class ComponentLevels:
    """What the levels of the components of two or more regions differ by from that of one of them, the reference.

    Parameters
    ----------
    component : int array (n,)
        Of each region.
    names : dict of str by int
        Of the components that have a column.
    """

    component: IntArray
    names: dict[int, str]

    @classmethod
    def of(cls, graph: Graph, codes: IntArray, label: str) -> ComponentLevels:
        """The reference has the most rows, then the most regions; ``codes`` (rows,) are the regions of the rows.

        Where all rows are on islands there is none: nothing is known of the level of any component.
        """
        component = graph.components
        sizes, rows = np.bincount(component), np.bincount(component[codes], minlength=graph.n_components)
        large = np.flatnonzero(sizes > 1)
        first = np.unique(component, return_index=True)[1]
        reference = np.lexsort((sizes[large], rows[large]))[-1]
        others = (np.delete(large, reference) if rows[large[reference]] else large).tolist()
        return cls(component, {k: f"{label}[component of {graph.nodes[first[k]]}]" for k in others})

    def columns(self, codes: IntArray) -> dict[str, FloatArray]:
        """Indicators of the components, at rows of these regions."""
        mine = self.component[codes]
        return {name: (mine == k).astype(float) for k, name in self.names.items()}


@dataclass(frozen=True)
class ArealTerm(Term):
    """Intrinsic CAR effects, one per node of the graph, whether the data have that region or not.

    Effects sum to zero within each connected component. The level of a component, less that of the one with the most
    rows, is a fixed effect such as ``icar(region)[component of r7]`` (r7 is its first region), unless the fixed part
    has it already. A region without neighbours has an independent effect, around the level of the component with the
    most rows. The standard deviation is that of a typical effect (geometric mean over the nodes of a component).
    """

    label: str
    piece: Expression
    graph: Graph
    z: sp.csc_array
    block: Block
    levels: ComponentLevels
    null_columns: dict[str, FloatArray]

    @property
    def null(self) -> Mapping[str, FloatArray]:
        """The levels of the components."""
        return self.null_columns

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The effects by region."""
        return (Variable(self.label, np.arange(self.graph.n), self.piece.text, region_labels(self.graph)),)

    @property
    def centred(self) -> bool:
        """In each component."""
        return True

    @property
    def view(self) -> View:
        """A map."""
        return Map(self.graph)

    @property
    def size(self) -> str:
        """The graph in words."""
        return graph_in_words(self.graph)

    def encode(self, scope: Scope) -> Encoded:
        """Columns at other rows; every region of the graph is known."""
        codes = region_codes(scope, self.piece, self.graph, self.label)
        return Encoded(one_hot(codes, self.graph.n), self.levels.columns(codes))


def region_labels(graph: Graph) -> np.ndarray[Any, Any]:
    """The nodes as an array: numbers if all are, else objects."""
    labels = np.empty(graph.n, dtype=object)
    labels[:] = graph.nodes
    return labels.astype(np.int64) if all(isinstance(node, int) for node in graph.nodes) else labels


def graph_in_words(graph: Graph) -> str:
    """Such as ``"49 regions, 115 edges, 1 component"``."""
    islands = f", {counted(len(graph.islands), 'island')}" if graph.islands else ""
    components = counted(graph.n_components, "component")
    return f"{graph.n} regions, {counted(len(graph.edges), 'edge')}, {components}{islands}"


def region_codes(scope: Scope, piece: Expression, graph: Graph, label: str) -> IntArray:
    """Node of each row.

    Raises
    ------
    DataError
        If a region is not in the graph.
    """
    column = scope.column(piece, f"the region of {label}")
    try:
        return graph.index(column.tolist())
    except DataError as error:
        raise DataError(f"{label}: {error}.") from None


def read_graph(scope: Scope, piece: Expression, label: str) -> Graph:
    """The graph that an argument stands for, in any form that `lgm.graph` takes."""
    try:
        return as_graph(scope.value(piece))
    except DataError as error:
        name = without_backticks(piece.text)
        if name in scope.columns:
            message = f"{label}: `{name}` is a column of the data, and those come before other names."
            raise scope.formula.error(
                message, piece.span, "a graph with a name that no column has.", DataError
            ) from None
        raise DataError(f"{label}: {error}.") from None


def build(call: Call, scope: Scope, label: str, yardstick: float) -> ArealTerm:
    """Read ``icar(region, graph)`` against the data."""
    given = arguments(call, scope, SIGNATURE)
    graph = read_graph(scope, given["graph"], label)
    return areal_term(given["region"], graph, region_codes(scope, given["region"], graph, label), label, yardstick)


def areal_term(
    piece: Expression,
    graph: Graph,
    codes: IntArray,
    label: str,
    yardstick: float,
    make: type[ArealTerm] = ArealTerm,
) -> ArealTerm:
    """The term of a graph, of which the rows have these regions."""
    structure = icar(graph.edges, graph.components)
    template, factors = structure.scaled(label)
    parameters = (standard_deviation(label, yardstick),)
    block = Block(template, parameters, structure.constraint, factors)
    levels = ComponentLevels.of(graph, codes, label)
    return make(label, piece, graph, one_hot(codes, graph.n), block, levels, levels.columns(codes))
