"""Triangular meshes of a part of the plane: where a field is computed, and how it is interpolated between."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.errors import DataError
from lgm.words import some

FLAT = 1e-10  # area of a triangle over its longest edge squared: below, it has none
EDGE = 1e-9  # share of a triangle by which a place may be outside of it, for rounding
AT_ONCE = 200_000  # pairs of a place and a triangle

_ACCEPTED = (
    "lgm.mesh(points), a pair (points, triangles) of arrays (n, 2) and (m, 3), or a triangulation of scipy, matplotlib "
    "or meshio"
)


@dataclass(frozen=True, eq=False, repr=False)
class Mesh:
    """Triangles that meet along whole edges; immutable, compared and hashed by content.

    `lgm.mesh` makes one for data; this constructor takes one that another tool has made.

    Parameters
    ----------
    points : float array (n, 2)
        Nodes. A third coordinate may be there if it is the same for all.
    triangles : int array (m, 3)
        Positions of the corners of each triangle, counted from 0, in either direction; kept counter-clockwise.

    Raises
    ------
    DataError
        If a triangle has no area or names a point that is not there, triangles overlap, two points are at the same
        place, or a point belongs to no triangle.

    Examples
    --------
    >>> square = Mesh([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2], [0, 2, 3]])
    >>> square
    Mesh: 4 nodes, 2 triangles, over x from 0 to 1 and y from 0 to 1
    >>> square.weights([[0.5, 0.25]]).toarray().tolist()
    [[0.5, 0.25, 0.25, 0.0]]
    """

    points: FloatArray
    triangles: IntArray

    def __post_init__(self) -> None:
        points, triangles = _coordinates(self.points), _corners(self.triangles)
        _require_nodes(points, triangles)
        area = _signed_areas(points, triangles)
        triangles = np.where((area < 0)[:, None], triangles[:, ::-1], triangles)
        longest = np.max(np.sum((points[triangles] - points[np.roll(triangles, 1, axis=1)]) ** 2, axis=2), axis=1)
        flat = np.flatnonzero(~(np.abs(area) > FLAT * longest))
        if flat.size:
            corners = ", ".join(map(str, triangles[flat[0]]))
            raise DataError(f"{flat.size} triangle(s) of the mesh have no area: {flat[0]} (points {corners})")
        _require_no_overlap(triangles)
        for name, array in (("points", points), ("triangles", np.ascontiguousarray(triangles))):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def n(self) -> int:
        """Number of nodes."""
        return len(self.points)

    @property
    def areas(self) -> FloatArray:
        """Of the triangles (m,)."""
        return _signed_areas(self.points, self.triangles)

    @property
    def box(self) -> tuple[FloatArray, FloatArray]:
        """Smallest and largest coordinates, (2,) each."""
        return self.points.min(axis=0), self.points.max(axis=0)

    @property
    def diameter(self) -> float:
        """Length of the diagonal of the box around it."""
        low, high = self.box
        return float(np.hypot(*(high - low)))

    def edge(self, triangles: IntArray | None = None) -> float:
        """Median length of the edges of some triangles, by default of all."""
        chosen = self.triangles if triangles is None else self.triangles[triangles]
        sides = self.points[chosen] - self.points[np.roll(chosen, 1, axis=1)]
        return float(np.median(np.sqrt(np.sum(sides**2, axis=2))))

    def locate(self, places: npt.ArrayLike) -> tuple[IntArray, FloatArray]:
        """The triangle in which each place is.

        Parameters
        ----------
        places : float array (rows, 2)

        Returns
        -------
        triangle : int array (rows,)
            -1 outside of the mesh.
        weights : float array (rows, 3)
            Barycentric coordinates: the value at the place of a function that is linear in the triangle is the weighted
            sum of those at its corners.
        """
        xy = np.asarray(places, dtype=float).reshape(-1, 2)
        found, weights = np.full(len(xy), -1), np.zeros((len(xy), 3))
        cell = self._cells.of(xy)
        count = np.where(cell >= 0, np.diff(self._cells.indptr, append=0)[cell], 0)
        ends = np.cumsum(count)
        start = 0
        while start < len(xy):
            before = ends[start] - count[start]
            stop = max(int(np.searchsorted(ends, before + AT_ONCE, side="right")), start + 1)
            part = slice(start, stop)
            found[part], weights[part] = self._among(xy[part], cell[part], count[part])
            start = stop
        return found, weights

    def _among(self, xy: FloatArray, cell: IntArray, count: IntArray) -> tuple[IntArray, FloatArray]:
        """The same, where each place has so many triangles in its cell."""
        row = np.repeat(np.arange(len(xy)), count)
        nth = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
        triangle = self._cells.triangles[self._cells.indptr[cell[row]] + nth]
        weights = _barycentric(self.points[self.triangles[triangle]], xy[row])
        depth = weights.min(axis=1)
        order = np.lexsort((depth, row))
        last = order[np.flatnonzero(np.diff(row[order], append=-1))]  # the deepest of each place
        last = last[depth[last] >= -EDGE]
        found, out = np.full(len(xy), -1), np.zeros((len(xy), 3))
        found[row[last]] = triangle[last]
        inside = np.maximum(weights[last], 0.0)
        out[row[last]] = inside / inside.sum(axis=1, keepdims=True)
        return found, out

    def weights(self, places: npt.ArrayLike) -> sp.csc_array:
        """Weights of the nodes at places, (rows, n), three in each row; rows outside of the mesh are empty."""
        triangle, weights = self.locate(places)
        inside = np.flatnonzero(triangle >= 0)
        entries = (weights[inside].ravel(), (np.repeat(inside, 3), self.triangles[triangle[inside]].ravel()))
        return sp.csc_array(entries, shape=(len(triangle), self.n))

    @cached_property
    def _cells(self) -> _Cells:
        return _Cells.around(self.points, self.triangles)

    def __reduce__(self) -> tuple[Any, ...]:
        return Mesh, (self.points, self.triangles)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mesh):
            return NotImplemented
        return np.array_equal(self.points, other.points) and np.array_equal(self.triangles, other.triangles)

    def __hash__(self) -> int:
        return hash((self.points.tobytes(), self.triangles.tobytes()))

    def __repr__(self) -> str:
        return f"Mesh: {self.n} nodes, {len(self.triangles)} triangles, over {extent(self.points)}"


def extent(points: FloatArray) -> str:
    """Such as ``"x from 0 to 10 and y from -3.5 to 2"``."""
    low, high = points.min(axis=0), points.max(axis=0)
    return " and ".join(f"{name} from {a:.6g} to {b:.6g}" for name, a, b in zip("xy", low, high, strict=True))


@dataclass(frozen=True)
class _Cells:
    """A grid of squares, and which triangles may reach into each: those whose boxes do.

    Parameters
    ----------
    low : float array (2,)
    side : float
    shape : (columns, rows)
    indptr : int array (cells + 1,)
    triangles : int array
        Those of cell k are ``triangles[indptr[k]:indptr[k + 1]]``.
    """

    low: FloatArray
    side: float
    shape: tuple[int, int]
    indptr: IntArray
    triangles: IntArray

    @classmethod
    def around(cls, points: FloatArray, triangles: IntArray) -> _Cells:
        corners = points[triangles]
        low, size = points.min(axis=0), np.ptp(points, axis=0)
        slack = EDGE * np.ptp(corners, axis=1)
        first, last = corners.min(axis=1) - slack - low, corners.max(axis=1) + slack - low
        side = float(np.sqrt(np.prod(size) / len(triangles)))
        while True:  # larger cells where large triangles would be in too many
            columns, rows = (int(k) for k in np.floor(size / side).astype(np.int64) + 1)
            a, b = (np.clip((x / side).astype(np.int64), 0, [columns - 1, rows - 1]) for x in (first, last))
            spans = b - a + 1
            count = spans[:, 0] * spans[:, 1]
            if count.sum() <= 50 * len(triangles) + 1000:
                break
            side *= 2.0
        owner = np.repeat(np.arange(len(triangles)), count)
        nth = np.arange(owner.size) - np.repeat(np.cumsum(count) - count, count)
        column, row = a[owner, 0] + nth % spans[owner, 0], a[owner, 1] + nth // spans[owner, 0]
        cell = row * columns + column
        order = np.argsort(cell, kind="stable")
        indptr = np.searchsorted(cell[order], np.arange(columns * rows + 1))
        return cls(low, side, (columns, rows), indptr, owner[order])

    def of(self, xy: FloatArray) -> IntArray:
        """Cell of each place, -1 outside."""
        at = (xy - self.low) / self.side
        inside = np.all((at > -EDGE) & (at < np.array(self.shape) + EDGE), axis=1)
        column, row = np.clip(np.where(inside[:, None], at, 0.0).astype(np.int64), 0, np.array(self.shape) - 1).T
        return np.where(inside, row * self.shape[0] + column, -1)


def as_mesh(obj: Any) -> Mesh:
    """A mesh of any of the accepted kinds.

    Raises
    ------
    DataError
        If it is none.
    """
    if isinstance(obj, Mesh):
        return obj
    if isinstance(obj, (tuple, list)) and len(obj) == 2:
        return Mesh(obj[0], obj[1])
    if is_foreign(obj):
        if hasattr(obj, "simplices"):
            return Mesh(obj.points, obj.simplices)
        if hasattr(obj, "cells_dict"):
            return Mesh(obj.points, obj.cells_dict.get("triangle", np.empty((0, 3))))
        return Mesh(np.column_stack([obj.x, obj.y]), obj.get_masked_triangles())
    raise DataError(f"a mesh is not made from {type(obj).__name__}. Accepted: {_ACCEPTED}")


def is_foreign(obj: Any) -> bool:
    """Whether it is a triangulation of scipy, meshio or matplotlib."""
    return any(all(hasattr(obj, name) for name in names) for names in _FOREIGN)


_FOREIGN = (("points", "simplices"), ("points", "cells_dict"), ("x", "y", "get_masked_triangles"))


def _coordinates(points: Any) -> FloatArray:
    try:
        array = np.array(points, dtype=float)
    except (TypeError, ValueError):
        raise DataError("the points of a mesh are numbers, an array (n, 2)") from None
    if array.ndim == 2 and array.shape[1] == 3 and array.size and np.ptp(array[:, 2]) == 0.0:
        array = array[:, :2]
    if array.ndim != 2 or array.shape[1] != 2:
        raise DataError(f"the points of a mesh are an array (n, 2), not of shape {array.shape}")
    bad = np.flatnonzero(~np.all(np.isfinite(array), axis=1))
    if bad.size:
        raise DataError(f"points of the mesh are not finite: {some(bad.tolist())}")
    return np.ascontiguousarray(array)


def _corners(triangles: Any) -> IntArray:
    array = np.asarray(triangles)
    if array.ndim != 2 or array.shape[1] != 3 or not len(array):
        raise DataError(f"the triangles of a mesh are an array (m, 3) of positions, not of shape {array.shape}")
    if array.dtype.kind not in "iuf" or not np.all(array == np.floor(array)):
        raise DataError("the triangles of a mesh are whole numbers, the positions of their corners among the points")
    return array.astype(np.int64)


def _require_nodes(points: FloatArray, triangles: IntArray) -> None:
    n = len(points)
    if triangles.min() < 0 or triangles.max() >= n:
        from_one = triangles.min() == 1 and triangles.max() == n
        hint = ". Positions are counted from 0: subtract 1 from those of R" if from_one else ""
        raise DataError(
            f"the triangles of the mesh name points {triangles.min()} to {triangles.max()}, and there are points 0 to "
            f"{n - 1}{hint}"
        )
    unused = np.setdiff1d(np.arange(n), triangles)
    if unused.size:
        raise DataError(f"points of the mesh belong to no triangle: {some(unused.tolist())}. Leave them out")
    order = np.lexsort(points.T)
    same = np.flatnonzero(np.all(np.diff(points[order], axis=0) == 0.0, axis=1))
    if same.size:
        i, j = sorted(order[same[0] : same[0] + 2].tolist())
        raise DataError(f"points {i} and {j} of the mesh are at the same place, and triangles do not meet there")


def _require_no_overlap(triangles: IntArray) -> None:
    """Counter-clockwise neighbours run along their common edge in opposite directions."""
    start, end = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
    edges = pd.Series(start * (triangles.max() + 1) + end)
    twice = np.flatnonzero(edges.duplicated())
    if twice.size:
        k = int(twice[0])
        raise DataError(
            f"triangles of the mesh overlap: two are on the same side of the edge from point {start[k]} to {end[k]}"
        )


def _signed_areas(points: FloatArray, triangles: IntArray) -> FloatArray:
    a, b, c = (points[triangles[:, k]] for k in range(3))
    return 0.5 * np.asarray(_cross(b - a, c - a))


def _cross(u: FloatArray, v: FloatArray) -> FloatArray:
    return np.asarray(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])


def _barycentric(corners: FloatArray, places: FloatArray) -> FloatArray:
    """Of places (m, 2) in triangles (m, 3, 2)."""
    to = corners - places[:, None, :]
    parts = np.stack([_cross(to[:, 1], to[:, 2]), _cross(to[:, 2], to[:, 0]), _cross(to[:, 0], to[:, 1])], axis=1)
    return parts / parts.sum(axis=1, keepdims=True)


def within(polygon: FloatArray, places: FloatArray) -> BoolArray:
    """Which places are inside a convex polygon, corners counter-clockwise."""
    inside = np.ones(len(places), dtype=bool)
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        inside &= _cross(b - a, places - a) >= 0.0
    return inside
