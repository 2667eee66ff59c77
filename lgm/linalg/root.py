"""A sparse square root of one matrix, found on the host: for what the verbs, which keep no factor, cannot be asked."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from lgm.arrays import FloatArray
from lgm.errors import NotPositiveDefiniteError
from lgm.linalg.analysis import Analysis, SparseAnalysis
from lgm.linalg.rows import Rows


def square_root(sym: Analysis, values: FloatArray) -> Rows:
    """S (n, n) with ``S S' = Q``, as rows; ``P' L P`` with the Cholesky factor L in the order of the analysis.

    ``Q^-1 S z`` then has covariance ``Q^-1`` for standard normal z, and both factors have transposes. The number of
    entries follows from the analysis alone.

    Parameters
    ----------
    sym : Analysis
    values : float array (nnz,)
        Q in pattern order.

    Raises
    ------
    NotPositiveDefiniteError
        If Q is not positive definite.
    """
    n, pattern = sym.n, sym.pattern
    order = sym.order if isinstance(sym, SparseAnalysis) else np.arange(n)
    place = np.argsort(order)
    rows, cols = place[pattern.rows], place[pattern.cols]
    below = sp.csc_matrix((values, (np.maximum(rows, cols), np.minimum(rows, cols))), shape=(n, n))
    whole = below + sp.tril(below, -1).T
    # without pivoting, SuperLU's factors of a symmetric matrix are L D^-1/2 and D^1/2 L'
    try:
        found = splu(whole.tocsc(), "NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        pivots = found.U.diagonal()
    except RuntimeError:  # a pivot is exactly zero
        pivots = np.zeros(n)
    if not np.all(pivots > 0.0):
        raise NotPositiveDefiniteError(f"the {n} x {n} matrix has no square root: it is not positive definite")
    lower = sp.coo_array(found.L)
    data = lower.data * np.sqrt(pivots[lower.col])
    root = sp.csr_array((data, (order[lower.row], order[lower.col])), shape=(n, n))
    root.eliminate_zeros()
    return _padded(root, entries(sym))


def entries(sym: Analysis) -> int:
    """How many entries the square root has, some of which may be zero."""
    return sym.nnz_factor if isinstance(sym, SparseAnalysis) else sym.n * (sym.n + 1) // 2


def _padded(root: sp.csr_array, size: int) -> Rows:
    """With zeros in its last row up to so many entries."""
    more = size - root.nnz
    data, columns = np.pad(root.data, (0, more)), np.pad(root.indices, (0, more))
    starts = root.indptr.astype(np.int32)
    starts[-1] = size
    return Rows(data, columns.astype(np.int32), starts, np.zeros(0, dtype=np.int32))
