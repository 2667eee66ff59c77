"""Meshes: what is accepted, and where places are, against every triangle in turn."""

import pickle

import numpy as np
import pytest
from matplotlib.tri import Triangulation
from scipy.spatial import Delaunay

import lgm
from lgm.data.mesh import Mesh, as_mesh, extent, is_foreign, within

SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])
HALVES = np.array([[0, 1, 2], [0, 3, 2]])  # the second one is clockwise


def scattered(n=60, seed=3):
    """With triangles of very different sizes, and one corner cut out so that it is not convex."""
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.uniform(0, 1, (n, 2)), 0.01 * rng.uniform(0, 1, (n, 2)), [[5.0, 5.0], [-4.0, 3.0]]])
    triangles = Delaunay(points).simplices
    centre = points[triangles].mean(axis=1)
    triangles = triangles[~((centre[:, 0] > 0.5) & (centre[:, 1] > 0.5))]
    used, inverse = np.unique(triangles, return_inverse=True)
    return Mesh(points[used], inverse.reshape(-1, 3))


def test_a_mesh_keeps_its_triangles_counter_clockwise():
    mesh = Mesh(SQUARE, HALVES)
    np.testing.assert_allclose(mesh.areas, 1.0)
    assert mesh.n == 4 and mesh.diameter == pytest.approx(np.sqrt(5))
    assert mesh.edge() == pytest.approx(2.0) and mesh.edge(np.array([1])) == pytest.approx(2.0)
    assert repr(mesh) == "Mesh: 4 nodes, 2 triangles, over x from 0 to 2 and y from 0 to 1"
    with pytest.raises(ValueError, match="read-only"):
        mesh.points[0] = 1.0


def test_equal_by_content():
    mesh = Mesh(SQUARE, HALVES)
    assert mesh == Mesh(SQUARE.tolist(), HALVES.tolist()) == pickle.loads(pickle.dumps(mesh))
    assert hash(mesh) == hash(Mesh(SQUARE, HALVES)) and mesh != Mesh(SQUARE + 1.0, HALVES) and mesh != 3


def test_places_are_found_in_their_triangle():
    mesh = scattered()
    rng = np.random.default_rng(0)
    places = np.concatenate([rng.uniform(-5, 6, (300, 2)), rng.uniform(0, 1.2, (300, 2)), 0.01 * rng.random((300, 2))])
    triangle, weights = mesh.locate(places)
    corners = mesh.points[mesh.triangles]
    for place, found, weight in zip(places, triangle, weights, strict=True):
        system = np.concatenate([corners, np.ones((len(corners), 3, 1))], axis=2).transpose(0, 2, 1)
        depth = np.linalg.solve(system, np.append(place, 1.0)[:, None])[:, :, 0].min(axis=1)
        assert (found >= 0) == (depth.max() >= 0)
        if found >= 0:
            assert depth[found] >= -1e-9
            np.testing.assert_allclose(weight @ corners[found], place, atol=1e-12)
            assert weight.min() >= 0 and weight.sum() == pytest.approx(1.0, abs=1e-12)


def test_nodes_and_edges_belong_to_the_mesh():
    mesh = scattered()
    np.testing.assert_allclose(mesh.weights(mesh.points).toarray(), np.eye(mesh.n), atol=1e-9)
    middles = mesh.points[mesh.triangles[:, :2]].mean(axis=1)
    assert np.all(mesh.locate(middles)[0] >= 0)


def test_a_function_that_is_linear_is_interpolated_exactly():
    mesh = scattered()
    shares = np.random.default_rng(1).dirichlet([1.0, 1.0, 1.0], len(mesh.triangles))[:50]
    places = np.einsum("ij,ijk->ik", shares, mesh.points[mesh.triangles[:50]])
    weights = mesh.weights(places)
    assert weights.shape == (50, mesh.n)
    np.testing.assert_allclose(weights @ (mesh.points @ [2.0, -1.0] + 3.0), places @ [2.0, -1.0] + 3.0, atol=1e-12)
    assert mesh.weights([[100.0, 0.0], [np.inf, 0.0]]).nnz == 0
    assert mesh.weights(np.empty((0, 2))).shape == (0, mesh.n)


def test_meshes_of_other_tools():
    points = np.random.default_rng(2).uniform(0, 1, (20, 2))
    delaunay = Delaunay(points)

    class Meshio:
        points = np.column_stack([SQUARE, np.zeros(4)])
        cells_dict = {"triangle": HALVES, "line": np.array([[0, 1]])}

    for foreign in (delaunay, Triangulation(points[:, 0], points[:, 1], delaunay.simplices), Meshio()):
        assert is_foreign(foreign) and isinstance(as_mesh(foreign), Mesh)
    assert as_mesh(Meshio()) == Mesh(SQUARE, HALVES) == as_mesh((SQUARE, HALVES)) == as_mesh([SQUARE, HALVES])
    assert not is_foreign(SQUARE)
    for other in (3, SQUARE, "mesh"):
        with pytest.raises(lgm.DataError, match=r"not made from .* Accepted: lgm.mesh\(points\), a pair"):
            as_mesh(other)


@pytest.mark.parametrize(
    ("points", "triangles", "message"),
    [
        (SQUARE[:, :1], HALVES, r"an array \(n, 2\), not of shape \(4, 1\)"),
        (np.column_stack([SQUARE, [0, 0, 1, 0]]), HALVES, r"not of shape \(4, 3\)"),
        ([["a", "b"]], HALVES, "are numbers"),
        (np.where(SQUARE == 2.0, np.nan, SQUARE), HALVES, "points of the mesh are not finite: 1, 2"),
        (SQUARE, [[0, 1]], r"an array \(m, 3\) of positions, not of shape \(1, 2\)"),
        (SQUARE, np.empty((0, 3)), r"not of shape \(0, 3\)"),
        (SQUARE, HALVES + 0.5, "are whole numbers"),
        (SQUARE, HALVES + 1, r"name points 1 to 4, and there are points 0 to 3. Positions are counted from 0"),
        (SQUARE, [[0, 1, 9]], "name points 0 to 9, and there are points 0 to 3$"),
        (SQUARE, [[0, 1, 2]], "points of the mesh belong to no triangle: 3. Leave them out"),
        (SQUARE, [[0, 1, 2], [0, 3, 3]], r"1 triangle\(s\) of the mesh have no area: 1 \(points 0, 3, 3\)"),
        (SQUARE, [[0, 1, 2], [0, 1, 3]], "overlap: two are on the same side of the edge from point 0 to 1"),
        ([*SQUARE, [0.0, 0.0]], [*HALVES, [4, 1, 2]], "points 0 and 4 of the mesh are at the same place"),
    ],
)
def test_what_is_no_mesh(points, triangles, message):
    with pytest.raises(lgm.DataError, match=message):
        Mesh(points, triangles)


def test_extent_in_words_and_inside_of_polygons():
    assert extent(SQUARE - 0.5) == "x from -0.5 to 1.5 and y from -0.5 to 0.5"
    assert within(SQUARE, np.array([[1.0, 0.5], [2.5, 0.5], [0.0, 0.0]])).tolist() == [True, False, True]
