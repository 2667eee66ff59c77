"""The mesher: what it covers, how good its triangles are, where it has nodes."""

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.data.mesher import mesh

RNG = np.random.default_rng(5)
CLOUDS = {
    "square": RNG.uniform(0, 10, (150, 2)),
    "two places": np.array([[3.0, 4.0], [5.0, 9.0]]),
    "a line": np.column_stack([np.linspace(0, 10, 40), np.linspace(0, 3, 40)]),
    "far from zero": RNG.uniform(0, 1, (60, 2)) + [5e5, 4e6],
    "many at one place": np.repeat(RNG.uniform(0, 1, (8, 2)), 5, axis=0),
}
clouds = pytest.mark.parametrize("name", CLOUDS)


def smallest_angles(made):
    corners = made.points[made.triangles]
    found = []
    for k in range(3):
        u, v = corners[:, (k + 1) % 3] - corners[:, k], corners[:, (k + 2) % 3] - corners[:, k]
        cosine = np.sum(u * v, axis=1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
        found.append(np.degrees(np.arccos(cosine)))
    return np.min(found, axis=0)


@clouds
def test_it_covers_the_points_and_what_is_around_them(name):
    points = CLOUDS[name]
    made = mesh(points)
    diameter = np.hypot(*np.ptp(points, axis=0))
    around = points[:, None] + 0.29 * diameter * np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [0.7, 0.7]])
    assert np.all(made.locate(np.concatenate([points, around.reshape(-1, 2)]))[0] >= 0)
    # one piece without holes (Euler) or thin triangles
    edges = np.sort(np.concatenate([made.triangles[:, [i, j]] for i, j in ((0, 1), (1, 2), (2, 0))]), axis=1)
    assert made.n - len(np.unique(edges, axis=0)) + len(made.triangles) == 1
    assert smallest_angles(made).min() > 15.0


@clouds
def test_edges_inside_are_short(name):
    points = CLOUDS[name]
    edge = 0.05 * np.hypot(*np.ptp(points, axis=0))
    made = mesh(points, edge)
    inside = made.triangles[np.unique(made.locate(points)[0])]
    sides = made.points[inside] - made.points[np.roll(inside, 1, axis=1)]
    assert np.hypot(sides[..., 0], sides[..., 1]).max() < 1.8 * edge


def test_nodes_move_to_points_that_are_close():
    points = CLOUDS["square"]
    still, moved = mesh(points, 0.7, cutoff=0.0), mesh(points, 0.7, cutoff=0.3)

    def at_points(made):
        return np.count_nonzero(np.min(np.hypot(*(points[:, None] - made.points).transpose(2, 0, 1)), axis=1) < 1e-12)

    assert at_points(still) == 0 and at_points(moved) > 30


def test_the_size_is_that_of_the_wishes():
    points = pd.DataFrame({"x": CLOUDS["square"][:, 0], "y": CLOUDS["square"][:, 1]})
    near, far = mesh(points, 0.5, extension=0.0), mesh(points, 0.5, extension=20.0)
    assert near.n < mesh(points, 0.5).n < far.n < 3 * near.n
    assert near.diameter < 17 and far.diameter > 50
    np.testing.assert_array_equal(mesh(points).points, mesh(points.to_numpy()).points)


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (np.zeros((5, 2)), {}, "points at two places at least"),
        (np.zeros((5, 3)), {}, "two columns of numbers, not of shape"),
        ([["a", "b"]], {}, "two columns of numbers"),
        ([[0.0, np.nan], [1.0, 1.0]], {}, "missing or not finite"),
        (CLOUDS["square"], {"edge": 0.0}, "edge=0.0: it must be a positive number"),
        (CLOUDS["square"], {"edge": "fine"}, "edge='fine'"),
        (CLOUDS["square"], {"extension": -1.0}, "extension=-1.0: it must be a non-negative number"),
        (CLOUDS["square"], {"edge": 1.0, "cutoff": 0.6}, "cutoff=0.6: it must be less than half an edge, 0.5"),
        (CLOUDS["square"], {"edge": 1e-3}, r"edge=0.001 would make .*e\+08 nodes"),
    ],
)
def test_what_it_does_not_take(points, options, message):
    with pytest.raises(lgm.DataError, match=message):
        lgm.mesh(points, **options)
