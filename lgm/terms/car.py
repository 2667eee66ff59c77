"""Proper effects on a graph of regions: ``car(region, graph)``, ``leroux(region, graph)``, ``sar(region, graph)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lgm.data.graph import Graph
from lgm.data.scope import Scope
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import AUTOCORRELATION, PROPORTION, Parameter, one, standard_deviation
from lgm.precision import car
from lgm.precision.icar import icar
from lgm.precision.sar import sar
from lgm.priors import uniform
from lgm.terms.block import Block
from lgm.terms.icar import graph_in_words, read_graph, region_codes, region_labels
from lgm.terms.term import Encoded, Signature, Term, Variable, arguments, one_hot
from lgm.terms.view import Map, View

SIGNATURE = Signature(("region",), others=("graph",))


@dataclass(frozen=True)
class ProperArealTerm(Term):
    """Effects of the regions of a graph that need no constraint: how alike neighbours are is estimated.

    Degrees are ``D_w``, neighbours W; ``tau`` is a precision.

    - ``car(region, graph)``: precision ``tau (D_w - rho W)``, rho in (0, 1). The mean of an effect given the others is
      ``rho`` times the mean of its neighbours, so neighbours are much alike only where rho is near one; at one it is
      ``icar(region, graph)``.
    - ``leroux(region, graph)``: precision ``tau ((1 - lambda) I + lambda (D_w - W))``, lambda in (0, 1): from
      independent effects to those of ``icar(region, graph)`` (Leroux, Lei & Breslow 2000; CARBayes calls lambda rho).
    - ``sar(region, graph)``: ``b = rho V b + e``, where V takes the mean of the neighbours, rho in (-1, 1), and ``sd``
      is that of the independent e: precision ``(I - rho V)'(I - rho V) / sd^2``, the error model of spatialreg.

    For ``car`` and ``leroux``, ``sd`` is that of a typical effect of a component (geometric mean) at both ends of rho
    or lambda, w: ``tau = 1 / (sd^2 ((1 - w) p + w / f))``, where p is one for leroux and the geometric mean of the
    numbers of neighbours for car, and f the factor in ``fit.scales``, that of ``icar``.

    Effects do not sum to zero, and the level of every component is one of them. A region without neighbours has an
    independent effect with standard deviation ``sd``.
    """

    label: str
    piece: Expression
    graph: Graph
    z: sp.csc_array
    block: Block

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The effects by region."""
        return (Variable(self.label, np.arange(self.graph.n), self.piece.text, region_labels(self.graph)),)

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
        return Encoded(one_hot(region_codes(scope, self.piece, self.graph, self.label), self.graph.n))


def build(call: Call, scope: Scope, label: str, yardstick: float) -> ProperArealTerm:
    """Read ``car``, ``leroux`` or ``sar`` against the data; the graph in any form that `lgm.graph` takes."""
    given = arguments(call, scope, SIGNATURE)
    graph = read_graph(scope, given["graph"], label)
    codes = region_codes(scope, given["region"], graph, label)
    block = _block(call.name, graph, label, standard_deviation(label, yardstick))
    return ProperArealTerm(label, given["region"], graph, one_hot(codes, graph.n), block)


def _block(name: str, graph: Graph, label: str, sd: Parameter) -> Block:
    if name == "sar":
        # Not that of ar1(): its sd is that of what is new, so that near one effects are as large as one likes.
        rho = one("rho", label, AUTOCORRELATION, uniform(-1.0, 1.0), 0.5)
        return Block(sar(graph.edges, graph.components), (sd, rho))
    kind, make = {"car": ("rho", car.car), "leroux": ("lambda", car.leroux)}[name]
    structure = icar(graph.edges, graph.components)
    _, factors = structure.scaled(label)
    share = one(kind, label, PROPORTION, uniform(0.0, 1.0), 0.5)
    return Block(make(structure, factors), (sd, share), factors=factors)
