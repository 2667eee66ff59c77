"""Sparse precision matrices of the kinds that latent Gaussian models make, for the benchmarks of `lgm.linalg`."""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from scipy.spatial import Delaunay


def chain(n: int) -> sp.csc_array:
    """AR(1) process of length n observed with noise: tridiagonal."""
    return sp.csc_array(
        sp.diags_array([np.full(n - 1, -1.0), np.full(n, 2.2), np.full(n - 1, -1.0)], offsets=[-1, 0, 1])
    )


def grid(side: int) -> sp.csc_array:
    """Lattice of side x side with four neighbours."""
    one = sp.eye_array(side)
    return sp.csc_array(sp.kron(chain(side), one) + sp.kron(one, chain(side)))


def small(n: int = 50) -> sp.csc_array:
    """Random sparse matrix with about four entries a row."""
    half = sp.random_array((n, n), density=2 / n, rng=np.random.default_rng(1))
    return sp.csc_array(half + half.T + 10.0 * sp.eye_array(n))


def crossed(rows: int = 73_421, first: int = 2972, second: int = 1128) -> sp.csc_array:
    """Two crossed factors, as students who rate lecturers."""
    rng = np.random.default_rng(1)
    column = np.concatenate([rng.integers(first, size=rows), first + rng.integers(second, size=rows)])
    row = np.tile(np.arange(rows), 2)
    z = sp.csc_array((np.ones(2 * rows), (row, column)), shape=(rows, first + second))
    return sp.csc_array(z.T @ z + sp.eye_array(first + second))


def nested(groups: int = 5000, fixed: int = 10, per_group: int = 6) -> sp.csc_array:
    """An intercept and a slope in each of many groups, and dense fixed effects."""
    rng = np.random.default_rng(1)
    rows = groups * per_group
    group = np.repeat(np.arange(groups), per_group)
    z = sp.csc_array(
        (
            np.concatenate([np.ones(rows), rng.normal(size=rows)]),
            (np.tile(np.arange(rows), 2), np.concatenate([2 * group, 2 * group + 1])),
        ),
        shape=(rows, 2 * groups),
    )
    a = sp.hstack([sp.csc_array(rng.normal(size=(rows, fixed))), z])
    return sp.csc_array(a.T @ a + sp.eye_array(a.shape[1]))


def planar(regions: int) -> sp.csc_array:
    """A field on an irregular planar map: the Laplacian of a triangulation, and one observation per region."""
    points = np.random.default_rng(1).uniform(size=(regions, 2))
    corners = Delaunay(points).simplices
    i, j = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]).T
    edges = sp.csr_array((np.ones(i.size), (i, j)), shape=(regions, regions))
    neighbours = ((edges + edges.T) > 0).astype(float)
    return sp.csc_array(sp.diags_array(neighbours.sum(axis=1)) - neighbours + sp.eye_array(regions))


def bym2(regions: int = 2000) -> sp.csc_array:
    """A spatial and an unstructured effect per region of a planar map."""
    one = sp.eye_array(regions)
    return sp.csc_array(sp.block_array([[3.0 * one, -one], [-one, planar(regions)]]))


def space_time(side: int = 20) -> sp.csc_array:
    """Separable model: an AR(1) process in time of a lattice field in space."""
    return sp.csc_array(sp.kron(chain(side), grid(side)))


CASES: dict[str, Callable[[], sp.csc_array]] = {
    "small 50": small,
    "grid 10^2": lambda: grid(10),
    "grid 32^2": lambda: grid(32),
    "grid 100^2": lambda: grid(100),
    "grid 300^2": lambda: grid(300),
    "crossed": crossed,
    "nested": nested,
    "AR(1) 100,000": lambda: chain(100_000),
    "BYM2 2,000": bym2,
    "space-time 20^3": space_time,
}

# Where the ordering matters most; too slow for the tables that time everything.
LARGE: dict[str, Callable[[], sp.csc_array]] = {
    "grid 500^2": lambda: grid(500),
    "planar 10,000": lambda: planar(10_000),
    "planar 100,000": lambda: planar(100_000),
    "space-time 30^3": lambda: space_time(30),
}
