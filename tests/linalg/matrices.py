"""Matrices for the tests: named shapes, and random ones drawn by hypothesis."""

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st
from linalg.dense_oracle import positive


def _edges(n: int, edges: list[tuple[int, int]]) -> sp.coo_array:
    i = np.array([e[0] for e in edges] + list(range(n)), dtype=int)
    j = np.array([e[1] for e in edges] + list(range(n)), dtype=int)
    return sp.coo_array((np.ones(i.size), (i, j)), shape=(n, n))


def grid(side: int) -> sp.csc_array:
    """Pattern of a lattice with four neighbours."""
    line = sp.diags_array([np.ones(side - 1)] * 2, offsets=[-1, 1]) if side > 1 else sp.csc_array((side, side))
    one = sp.eye_array(side)
    return sp.csc_array(sp.kron(line, one) + sp.kron(one, line) + sp.eye_array(side * side))


def named(name: str, seed: int = 0) -> sp.csc_array:
    """A positive definite matrix of one of the shapes in `NAMES`."""
    rng = np.random.default_rng(seed)
    return positive(_PATTERNS[name](rng), rng)


def _crossed(rng: np.random.Generator) -> sp.csc_array:
    a, b = rng.integers(30, size=200), 30 + rng.integers(12, size=200)
    z = sp.csc_array((np.ones(400), (np.tile(np.arange(200), 2), np.concatenate([a, b]))), shape=(200, 42))
    return sp.csc_array(z.T @ z + sp.eye_array(42))


def _balanced(rng: np.random.Generator) -> sp.csc_array:
    """Crossed factors of which most pairs of levels occur: leaves that are worth treating together, and some not."""
    pairs = sp.csc_array(rng.random((120, 90)) < np.where(np.arange(120) < 100, 0.9, 0.3)[:, None], dtype=float)
    return sp.csc_array(sp.block_array([[sp.eye_array(120), pairs], [pairs.T, sp.eye_array(90)]]))


def _nested(rng: np.random.Generator) -> sp.csc_array:
    blocks = sp.block_diag([sp.csc_array(np.ones((2, 2)))] * 30)
    dense = sp.csc_array(np.ones((4, 60)))
    return sp.csc_array(sp.block_array([[blocks, dense.T], [dense, np.ones((4, 4))]]))


def _cube(rng: np.random.Generator) -> sp.csc_array:
    line = sp.diags_array([np.ones(6)] * 2, offsets=[-1, 1])
    return sp.csc_array(sp.kron(grid(7), sp.eye_array(7)) + sp.kron(sp.eye_array(49), line))


_PATTERNS = {
    "one": lambda rng: sp.eye_array(1),
    "diagonal": lambda rng: sp.eye_array(7),
    "chain": lambda rng: _edges(40, [(k, k + 1) for k in range(39)]),
    "arrowhead": lambda rng: _edges(25, [(0, k) for k in range(1, 25)]),
    "arrowhead last": lambda rng: _edges(25, [(k, 24) for k in range(24)]),
    "two components": lambda rng: sp.block_diag([grid(4), sp.csc_array(np.ones((5, 5)))]),
    "full": lambda rng: sp.csc_array(np.ones((70, 70))),
    "grid": lambda rng: grid(12),
    "large grid": lambda rng: grid(25),
    "cube": _cube,
    "crossed": _crossed,
    "balanced": _balanced,
    "nested": _nested,
}
NAMES = list(_PATTERNS)


@st.composite
def matrices(draw: st.DrawFn, most: int = 30) -> sp.csc_array:
    """Random patterns: disconnected, with empty rows, dense rows, duplicated and explicitly zero entries."""
    n = draw(st.integers(1, most))
    index = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(index, index), max_size=4 * n))
    for hub in draw(st.lists(index, max_size=2)):
        edges += [(hub, k) for k in range(n)]
    edges += edges[: draw(st.integers(0, 3))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    full = positive(_edges(n, edges), rng)
    coo = sp.coo_array(full)
    zeros = draw(st.lists(st.tuples(index, index), max_size=3))
    row = np.concatenate([coo.row, [z[0] for z in zeros], [z[1] for z in zeros]]).astype(int)
    col = np.concatenate([coo.col, [z[1] for z in zeros], [z[0] for z in zeros]]).astype(int)
    data = np.concatenate([coo.data, np.zeros(2 * len(zeros))])
    split = draw(st.floats(0.25, 0.75))  # every entry is given twice, in two parts
    parts = np.concatenate([split * data, (1 - split) * data])
    return sp.coo_array((parts, (np.tile(row, 2), np.tile(col, 2))), shape=(n, n))
