"""Fields of reduced rank: whole, they are the intrinsic field; cut, its smoothest functions."""

import numpy as np
import pytest

from lgm.smooths import markov
from lgm.smooths.basis import typical

EDGES = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (1, 3), (5, 6), (6, 7)]
COMPONENTS = np.array([0] * 5 + [1] * 3)
CODES = np.array([0, 0, 1, 2, 3, 3, 3, 4, 5, 6, 7, 7])


def penalty(edges: list[tuple[int, int]], n: int) -> np.ndarray:
    out = np.zeros((n, n))
    for i, j in edges:
        out[[i, j], [i, j]] += 1.0
        out[[i, j], [j, i]] -= 1.0
    return out


def test_whole_it_is_the_intrinsic_field() -> None:
    found = markov.reduced(penalty(EDGES, 8), CODES, COMPONENTS, 8)
    levels = np.equal.outer(COMPONENTS, [0, 1]).astype(float)
    counts = np.bincount(CODES, minlength=8)

    def centred(f):
        return f - levels @ ((levels.T @ (counts[:, None] * f)) / (levels.T @ counts)[:, None])

    expected = centred(centred(np.linalg.pinv(penalty(EDGES, 8))).T)
    np.testing.assert_allclose(found.scale * found.columns @ found.columns.T, expected, atol=1e-12)
    assert typical(np.sum(found.columns[CODES] ** 2, axis=1)) == pytest.approx(1.0)


def test_cut_it_has_the_smoothest_functions() -> None:
    """Relative to the rows: minimisers of ``f'Sf / sum counts f^2``, of which a region without rows counts one."""
    codes = CODES[CODES != 2]
    counts = np.maximum(np.bincount(codes, minlength=8), 1)
    S = penalty(EDGES, 8)
    values, vectors = np.linalg.eigh(S / np.sqrt(np.outer(counts, counts)))
    f = vectors / np.sqrt(counts)[:, None]
    found = markov.reduced(S, codes, COMPONENTS, 5)
    levels = np.equal.outer(COMPONENTS, [0, 1]).astype(float)
    weights = np.bincount(codes, minlength=8)
    smooth = f[:, 2:5] / np.sqrt(values[2:5])
    smooth = smooth - levels @ ((levels.T @ (weights[:, None] * smooth)) / (levels.T @ weights)[:, None])
    np.testing.assert_allclose(found.scale * found.columns @ found.columns.T, smooth @ smooth.T, atol=1e-12)
    assert found.k == 5 and found.columns.shape == (8, 3)
