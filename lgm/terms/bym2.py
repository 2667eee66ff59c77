"""Areal effects, partly spatial and partly independent: ``bym2(region, graph)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.data.graph import Graph
from lgm.data.scope import Scope
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import PROPORTION, Parameter, standard_deviation
from lgm.pc_priors import Distance
from lgm.precision import bym2
from lgm.precision.icar import icar
from lgm.priors import Prior, pc_phi
from lgm.terms.block import Block
from lgm.terms.icar import ComponentLevels, graph_in_words, read_graph, region_codes, region_labels
from lgm.terms.term import Component, Encoded, Signature, Term, Variable, arguments, one_hot
from lgm.terms.view import Map, View

SIGNATURE = Signature(("region",), others=("graph",), copied=False)


@dataclass(frozen=True)
class MixedArealTerm(Term):
    """Effects ``sd (sqrt(1 - phi) v + sqrt(phi) u*)`` of the regions of a graph (Riebler et al. 2016).

    v is independent, u* an intrinsic CAR of unit typical variance with one sum-to-zero constraint in each connected
    component, whose level is a fixed effect as that of ``icar(region, graph)`` is; a region without neighbours has
    independent effects only. ``sd`` is that of a typical region's total, and ``phi`` the share of its variance that is
    spatial. Tables show the total of each region, and its spatial part.
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
        """The total by region, and its spatial part."""
        n, labels = self.graph.n, region_labels(self.graph)
        parts = np.column_stack([np.arange(n), n + np.arange(n)])
        return (
            Variable(self.label, parts, self.piece.text, labels),
            Variable(f"{self.label}[spatial]", parts[:, 1], self.piece.text, labels),
        )

    @property
    def centred(self) -> bool:
        """The spatial part is, in each component, and the other part has mean zero."""
        return True

    @property
    def components(self) -> tuple[Component, ...]:
        """The variance of the part that is not spatial, ``sd^2 (1 - phi)``."""
        return (Component((f"sd({self.label})", f"phi({self.label})"), np.arange(self.graph.n)),)

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
        return Encoded(_columns(codes, self.graph), self.levels.columns(codes))


def _columns(codes: IntArray, graph: Graph) -> sp.csc_array:
    """Each row has both parts of its region."""
    one = one_hot(codes, graph.n)
    return sp.csc_array(sp.hstack([one, one], format="csc"))


def _default(distance: Distance) -> Prior:
    """``P(phi < 1/2) = 2/3`` (Riebler et al. 2016), or more on the rare graphs where there is no such prior.

    That is where hubs with very many neighbours make most of the distance lie near ``phi = 1``.
    """
    least = distance.least(0.5)
    return pc_phi(0.5, 2.0 / 3.0 if least < 0.6 else 0.5 * (1.0 + least)).on(distance)


def build(call: Call, scope: Scope, label: str, yardstick: float) -> MixedArealTerm:
    """Read ``bym2(region, graph)`` against the data; the graph in any form that `lgm.graph` takes."""
    given = arguments(call, scope, SIGNATURE)
    graph = read_graph(scope, given["graph"], label)
    codes = region_codes(scope, given["region"], graph, label)
    structure = icar(graph.edges, graph.components)
    spatial, factors = structure.scaled(label)
    distance = bym2.distance(structure, spatial)
    phi = Parameter(
        names=(f"phi({label})",),
        kind="phi",
        domain=PROPORTION,
        default=_default(distance),
        start=0.5,
        places=((label, "phi"),),
        distance=distance,
    )
    parameters = (standard_deviation(label, yardstick), phi)
    block = Block(bym2.Bym2(spatial), parameters, bym2.constraint_of(structure), factors)
    levels, z = ComponentLevels.of(graph, codes, label), _columns(codes, graph)
    return MixedArealTerm(label, given["region"], graph, z, block, levels, levels.columns(codes))
