"""The structure of an intrinsic CAR model, with several components and islands."""

import numpy as np
import pytest
from dense_model import icar_structure
from scipy.sparse.csgraph import connected_components

from lgm.precision.icar import icar

GRAPHS = {
    "path": (4, [[0, 1], [1, 2], [2, 3]]),
    "ring and pair": (5, [[0, 1], [3, 4], [1, 2], [0, 2]]),
    "islands": (7, [[1, 5], [5, 2], [3, 6]]),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_structure(name):
    n, edges = GRAPHS[name]
    R = icar_structure(n, edges)
    labels = connected_components(R != 0)[1]
    structure = icar(edges, labels)
    np.testing.assert_array_equal(structure.pattern.matrix(structure.entries).toarray(), R)
    sizes = np.bincount(labels)
    null_space, anchors = structure.constraint.null_space.toarray(), structure.constraint.anchors
    # one level per component of two or more nodes, zero elsewhere; they span the null space of R
    assert null_space.shape == (n, np.count_nonzero(sizes > 1))
    np.testing.assert_array_equal(R @ null_space, 0.0)
    assert n - np.linalg.matrix_rank(R) == null_space.shape[1]
    np.testing.assert_array_equal(null_space.sum(axis=1), sizes[labels] > 1)
    # one anchor in each of them, and the anchored matrix is positive definite
    np.testing.assert_array_equal(null_space[anchors], np.eye(anchors.size))
    R[anchors, anchors] += 1.0
    assert np.linalg.eigvalsh(R).min() > 1e-3
    np.testing.assert_array_equal(structure.component >= 0, sizes[labels] > 1)
