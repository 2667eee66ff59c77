"""A smooth field over the plane: ``matern(lon, lat)``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.mesh import Mesh, as_mesh, extent
from lgm.data.mesher import mesh as mesh_of
from lgm.data.scope import Scope, option
from lgm.errors import DataError, DataWarning, warn
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import POSITIVE, Parameter, Span, standard_deviation
from lgm.precision.spde import Matern, triangles
from lgm.priors import pc_range
from lgm.terms.block import Block
from lgm.terms.term import Encoded, Signature, Term, Variable, arguments
from lgm.terms.view import Field, View
from lgm.words import listed

SIGNATURE = Signature(("x", "y"), options=("mesh", "alpha"))
SHORTEST = 0.05  # of the diameter of the data: a range below it has probability 5% by default
AROUND = 300.0  # degrees of longitude between the first and the last place, if they may be on both sides of 180


@dataclass(frozen=True)
class FieldTerm(Term):
    """A Gaussian field with Matern covariance of smoothness one over the plane, on a mesh of triangles.

    ``sd`` is the standard deviation of the field at a place, and ``range`` the distance, in units of the coordinates,
    at which the correlation has fallen to about 0.13. Distances are those of the plane: degrees should be projected
    first, to kilometres say.

    The mesh is made for the data unless ``mesh=`` gives one: by `lgm.mesh`, or of any tool, as a pair of points and
    triangles. It should reach beyond the data by about the range, since the variance is too large near its edge, and
    its edges should be a fifth of the range or less: at a tenth, standard deviations are right to two percent, at a
    fifth to six. Between nodes the field is linear, so that it is predicted anywhere in the mesh.

    The default prior of the range says that it is longer than 5% of the diameter of the data, and than two edges of the
    mesh, with probability 95% (Fuglstad et al. 2019); its median is 4.3 times that.

    Fields with ``alpha=1``, of which R packages speak, have no variance at points in the plane and are not available.
    """

    label: str
    pieces: tuple[Expression, Expression]
    mesh: Mesh
    places: FloatArray
    z: sp.csc_array
    block: Block

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The values at the nodes of the mesh, by position."""
        nodes = np.arange(self.mesh.n)
        return (Variable(self.label, nodes, "node", nodes),)

    @property
    def view(self) -> View:
        """Contours over the mesh."""
        x, y = self.pieces
        return Field(self.mesh, self.places, (x.text, y.text))

    @property
    def size(self) -> str:
        """Of the mesh."""
        return f"{self.mesh.n} nodes, {len(self.mesh.triangles)} triangles"

    def encode(self, scope: Scope) -> Encoded:
        """Weights of the nodes at other rows."""
        return Encoded(_weights(self.mesh, _places(scope, self.pieces, self.label), scope, self.label))


def _places(scope: Scope, pieces: tuple[Expression, Expression], label: str) -> FloatArray:
    return np.column_stack([scope.numbers(piece, f"the coordinate of {label}") for piece in pieces])


def _weights(mesh: Mesh, places: FloatArray, scope: Scope, label: str) -> sp.csc_array:
    """Of the nodes, in each row.

    Raises
    ------
    DataError
        If a row is outside of the mesh.
    """
    weights = mesh.weights(places)
    outside = np.flatnonzero(np.bincount(weights.indices, minlength=len(places)) == 0)
    if outside.size:
        x, y = places[outside[0]]
        raise DataError(
            f"{label}: {outside.size} of {len(places)} rows are outside of the mesh (rows "
            f"{listed(scope.frame.index[outside], 5)}; the first is at {x:.6g}, {y:.6g}). It covers "
            f"{extent(mesh.points)}. Make one for the places of the data and of predictions, mesh=lgm.mesh(places)."
        )
    return weights


def _warn_of_degrees(places: FloatArray, pieces: tuple[Expression, Expression], label: str) -> None:
    """Longitudes on both sides of the date line are close together on the globe, and far apart in the plane."""
    x, y = places.T
    degrees = np.max(np.abs(x)) <= 180.0 and np.max(np.abs(y)) <= 90.0
    if degrees and np.ptp(x) > AROUND:
        lon = pieces[0].text
        warn(
            f"{label}: `{lon}` runs from {x.min():.6g} to {x.max():.6g}. If these are degrees, places on both sides of "
            "the date line are taken to be far apart: distances are those of the plane. Shift the longitudes, such as "
            f"({lon} + 360) % 360, or project the coordinates.",
            DataWarning,
        )


def _require_two(scope: Scope, alpha: Expression) -> None:
    if option(scope, alpha, "alpha", (1, 2)) == 1:
        message = "A field with alpha=1 has no variance at points in the plane, so that nothing could be its sd."
        raise scope.formula.error(message, alpha.span, "alpha=2, with smoothness one.")


def _mesh(scope: Scope, piece: Expression | None, places: FloatArray, label: str) -> Mesh:
    try:
        return mesh_of(places) if piece is None else as_mesh(scope.value(piece))
    except DataError as error:
        raise DataError(f"{label}: {error}.") from None


def range_parameter(label: str, diameter: float, edge: float, widest: float, finer: str, dimension: int) -> Parameter:
    """The range of a field, ``range(label)``, with a default prior by the extent of the data.

    Parameters
    ----------
    label : str
    diameter, edge, widest : float
        Of the data, of the elements that they are in, and the diameter of the mesh.
    finer : str
        How a finer mesh is asked for.
    dimension : int
        Of space.
    """
    shortest = float(f"{max(SHORTEST * diameter, 2.0 * edge):.3g}")
    default = pc_range(shortest, 0.05, dimension)
    span = Span(
        edge,
        widest,
        f"shorter than the edges of the mesh ({edge:.3g}). Accepted: a finer mesh, {finer}, or a prior of longer "
        f"ranges, such as lgm.priors.{default!r}",
        f"beyond the domain: the mesh has a diameter of {widest:.3g}. Accepted: a prior in units of the coordinates, "
        f"such as lgm.priors.{default!r}",
    )
    names, places = (f"range({label})",), ((label, "range"),)
    return Parameter(names, "range", POSITIVE, default, 4.0 * shortest, places, span=span)


def _range(label: str, mesh: Mesh, places: FloatArray) -> Parameter:
    diameter = float(math.hypot(*np.ptp(places, axis=0)))
    edge = mesh.edge(np.unique(mesh.locate(places)[0]))
    return range_parameter(label, diameter, edge, mesh.diameter, "lgm.mesh(places, edge=...)", 2)


def build(call: Call, scope: Scope, label: str, yardstick: float) -> FieldTerm:
    """Read ``matern(x, y)`` against the data.

    Raises
    ------
    DataError
        If the mesh is none, or does not cover the data.
    FormulaError
        If alpha is not 2.
    """
    given = arguments(call, scope, SIGNATURE)
    pieces = (given["x"], given["y"])
    if "alpha" in given:
        _require_two(scope, given["alpha"])
    places = _places(scope, pieces, label)
    _warn_of_degrees(places, pieces, label)
    mesh = _mesh(scope, given.get("mesh"), places, label)
    z = _weights(mesh, places, scope, label)
    template = Matern.on(triangles(mesh.points, mesh.triangles), alpha=2)
    parameters = (standard_deviation(label, yardstick), _range(label, mesh, places))
    return FieldTerm(label, pieces, mesh, places, z, Block(template, parameters))
