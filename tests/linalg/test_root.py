"""A square root of one sparse matrix: its square, its size, and what it makes of normals."""

import jax
import numpy as np
import pytest
import scipy.sparse as sp

from lgm.errors import NotPositiveDefiniteError
from lgm.linalg import analyse, analyse_dense, solve
from lgm.linalg.root import entries, square_root


def grid(n):
    """Of a lattice of n by n, which fills in, with an arrow that the ordering moves."""
    line = sp.diags_array([[2.0] * n, [-1.0] * (n - 1)], offsets=[0, 1])
    line = line + sp.triu(line, 1).T
    q = sp.kron(line, sp.eye_array(n)) + sp.kron(sp.eye_array(n), line)
    row = np.linspace(-0.2, 0.3, n * n)[None]
    return sp.csc_array(sp.block_array([[sp.csr_array([[9.0]]), row], [row.T, q]]))


@pytest.mark.parametrize("analysed", [analyse, analyse_dense])
def test_its_square_is_the_matrix(analysed):
    q = grid(6)
    sym = analysed(q)
    root = square_root(sym, sym.values(q))
    assert root.data.shape == (entries(sym),)
    z = np.random.default_rng(1).normal(size=(q.shape[0], 3))
    with jax.enable_x64(True):
        squared = root.times(root.transposed_times(z, q.shape[0]))
        draws = solve(sym, sym.values(q), root.times(z))
    np.testing.assert_allclose(squared, q @ z, rtol=0, atol=1e-12)
    # a root of the inverse: the quadratic form of its draws is that of the normals
    np.testing.assert_allclose(np.sum(draws * (q @ np.asarray(draws)), axis=0), np.sum(z**2, axis=0), rtol=1e-12)


def test_entries_that_cancel_are_padded():
    q = sp.csc_array(np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]))
    pattern = sp.csc_array(np.ones((3, 3)))
    sym = analyse(pattern)
    root = square_root(sym, sym.values(q))
    assert root.data.shape == (6,)
    with jax.enable_x64(True):
        square = root.times(root.transposed_times(np.eye(3), 3))
    np.testing.assert_allclose(square, q.toarray(), atol=1e-15)


@pytest.mark.parametrize("q", [[[1.0, 2.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]]])
def test_what_has_none_is_refused(q):
    sym = analyse(sp.csc_array(np.ones((2, 2))))
    with pytest.raises(NotPositiveDefiniteError, match="no square root"):
        square_root(sym, np.array([q[0][0], q[1][0], q[1][1]]))
