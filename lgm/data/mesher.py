"""A mesh for data: an even lattice where they are, and triangles that grow with the distance around them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, Delaunay, cKDTree

from lgm.arrays import FloatArray
from lgm.data.mesh import Mesh, extent, within
from lgm.errors import DataError

EDGES = 40.0  # of the default length along the diameter of the data
EXTENSION = 0.3  # of the diameter
SNAPPED = 0.25  # of an edge
GROWTH = 1.3  # of edges from one ring to the next
MOST_NODES = 5_000_000
_FLAT = 1e-3  # area over longest edge squared: triangles of the outermost ring that only rounding makes


def mesh(
    points: Any, edge: float | None = None, *, extension: float | None = None, cutoff: float | None = None
) -> Mesh:
    """Make a mesh for a field over places.

    Inside the convex hull of the points, triangles are all but equilateral; around it they grow, so that the edge of
    the mesh, where the variance of a field is too large, is far from the data at a small price.

    Parameters
    ----------
    points : data frame or array (n, 2)
        Places that the mesh shall cover: those of the data, and those of predictions. Distances are taken in the plane,
        so coordinates should be projected, in kilometres say, and not in degrees.
    edge : float, optional
        Length of the edges inside. By default a 40th of the diameter of the points. The mesh serves for fields with a
        range of five edges or more (`lgm.terms.matern`).
    extension : float, optional
        How far it goes beyond the points: at least the range of the field. By default 0.3 of the diameter.
    cutoff : float, optional
        Nodes of the lattice that are so close to a point move there; less than half an edge, by default a quarter.

    Returns
    -------
    Mesh

    Raises
    ------
    DataError
        If the points are not at two places at least, or a length is not what it should be.

    Examples
    --------
    >>> mesh([[0, 0], [10, 0], [10, 10], [0, 10]], edge=1.0, extension=5.0)
    Mesh: 351 nodes, 663 triangles, over x from -6.09207 to 16.0921 and y from -6.09207 to 16.0921
    """
    places = _places(points)
    diameter = float(np.hypot(*np.ptp(places, axis=0)))
    if not diameter > 0.0:
        raise DataError("a mesh needs points at two places at least")
    edge = _length("edge", diameter / EDGES if edge is None else edge)
    extension = _length("extension", EXTENSION * diameter if extension is None else extension, zero=True)
    cutoff = _length("cutoff", SNAPPED * edge if cutoff is None else cutoff, zero=True)
    if not cutoff < 0.5 * edge:
        raise DataError(f"cutoff={cutoff:g}: it must be less than half an edge, {0.5 * edge:g}")
    centre = places.mean(axis=0)
    about = (places - centre) / edge
    hull = _hull(about)
    _require_size(hull, edge)
    nodes = np.concatenate([_snapped(_lattice(hull), about, cutoff / edge), *_rings(hull, extension / edge)])
    found = Delaunay(nodes).simplices
    return Mesh(centre + edge * nodes, found[_has_area(nodes, found)])


def _places(points: Any) -> FloatArray:
    array = np.asarray(points)
    if array.dtype == object:
        array = array.astype(float)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iuf" or not len(array):
        raise DataError(f"points are two columns of numbers, not of shape {array.shape} and type {array.dtype}")
    array = array.astype(float)
    if not np.all(np.isfinite(array)):
        raise DataError("points have coordinates that are missing or not finite; leave them out")
    return np.unique(array, axis=0)


def _length(name: str, value: float, *, zero: bool = False) -> float:
    if not (
        isinstance(value, (int, float, np.number)) and math.isfinite(value) and (value > 0 or (zero and value == 0))
    ):
        raise DataError(f"{name}={value!r}: it must be a {'non-negative' if zero else 'positive'} number")
    return float(value)


def _hull(places: FloatArray) -> FloatArray:
    """Corners, counter-clockwise, of what covers a square of side two around each place; a line has an inside then."""
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    around = (places[:, None, :] + square).reshape(-1, 2)
    return np.asarray(around[ConvexHull(around).vertices])


def _require_size(hull: FloatArray, edge: float) -> None:
    x, y = hull.T
    area = 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    if area > 0.866 * MOST_NODES:
        raise DataError(
            f"edge={edge:g} would make {area / 0.866:.1e} nodes over {extent(edge * hull)} around the centre; at most "
            f"{MOST_NODES:.0e} are made"
        )


def _lattice(hull: FloatArray) -> FloatArray:
    """Corners of equilateral triangles of side one."""
    low, high = hull.min(axis=0), hull.max(axis=0)
    height = math.sqrt(3.0) / 2.0
    columns, rows = np.arange(math.ceil(high[0] - low[0]) + 1), np.arange(math.ceil((high[1] - low[1]) / height) + 1)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    nodes = np.column_stack([(low[0] + x + 0.5 * (y % 2)).ravel(), (low[1] + height * y).ravel()])
    return nodes[within(hull, nodes)]


def _snapped(nodes: FloatArray, places: FloatArray, cutoff: float) -> FloatArray:
    """Nodes that have a place within the cutoff move there; no place is that close to two nodes."""
    distance, nearest = cKDTree(places).query(nodes, distance_upper_bound=cutoff)
    return np.where((distance <= cutoff)[:, None], places[np.minimum(nearest, len(places) - 1)], nodes)


def _rings(hull: FloatArray, extension: float) -> list[FloatArray]:
    """Nodes around the hull, further and further from it and from each other."""
    out, distance, spacing, k = [], 0.6, 1.0, 0
    while True:
        out.append(_ring(hull, distance, spacing, 0.5 * (k % 2)))
        if distance + 1.0 >= extension:  # the hull is one edge from the places
            return out
        spacing, k = spacing * GROWTH, k + 1
        distance += math.sqrt(3.0) / 2.0 * spacing


def _ring(hull: FloatArray, distance: float, spacing: float, shift: float) -> FloatArray:
    """Evenly spaced points at a distance from a convex polygon: straight pieces, and arcs around its corners."""
    side = np.roll(hull, -1, axis=0) - hull
    length = np.hypot(*side.T)
    angle = np.arctan2(side[:, 1], side[:, 0]) - math.pi / 2.0  # of the outward normal of each side
    turn = (np.roll(angle, -1) - angle) % (2.0 * math.pi)
    pieces = np.column_stack([length, distance * turn]).ravel()
    ends = np.cumsum(pieces)
    count = max(math.ceil(ends[-1] / spacing), 8)
    at = (np.arange(count) + shift) * ends[-1] / count
    piece = np.minimum(np.searchsorted(ends, at, side="right"), pieces.size - 1)
    along = (at - (ends - pieces)[piece]) / np.where(pieces[piece] > 0.0, pieces[piece], 1.0)
    k = piece // 2
    arc = piece % 2 == 1
    direction = angle[k] + np.where(arc, along * turn[k], 0.0)
    base = hull[k] + np.where(arc, 1.0, along)[:, None] * side[k]
    return np.asarray(base + distance * np.column_stack([np.cos(direction), np.sin(direction)]))


def _has_area(nodes: FloatArray, triangles: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
    corners = nodes[triangles]
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = 0.5 * np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    longest = np.max(np.sum((corners - np.roll(corners, 1, axis=1)) ** 2, axis=2), axis=1)
    return np.asarray(area > _FLAT * longest)
