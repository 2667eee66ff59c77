"""Products ``A'WA`` of sparse columns of which some are stored in full, such as those of numeric predictors.

Among full columns the product is dense, and dense algebra is a hundred times faster there than sparse algebra.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray


def gram(a: sp.csc_array, weights: FloatArray | None = None) -> sp.coo_array:
    """Lower triangle of ``A' diag(weights) A``.

    An entry is stored wherever some row stores both columns; scipy leaves out some that are exactly zero.

    Examples
    --------
    >>> a = sp.csc_array([[1.0, 2.0], [1.0, 0.0], [1.0, 3.0]])
    >>> gram(a, np.array([1.0, 1.0, 2.0])).toarray().tolist()
    [[4.0, 0.0], [8.0, 22.0]]
    """
    root = np.ones(a.shape[0]) if weights is None else np.sqrt(weights)
    full, columns, rest = _split(a)
    others = np.setdiff1d(np.arange(a.shape[1]), full)
    columns = columns * root[:, None]
    rest = sp.csc_array((rest.data * root[rest.indices], rest.indices, rest.indptr), shape=rest.shape)
    i, j = np.tril_indices(full.size)
    stored = np.flatnonzero(np.diff(rest.indptr))
    one, other = np.repeat(others[stored], full.size), np.tile(full, stored.size)
    within = sp.coo_array(sp.tril(rest.T @ rest))
    rows = np.concatenate([full[i], np.maximum(one, other), others[within.row]])
    cols = np.concatenate([full[j], np.minimum(one, other), others[within.col]])
    data = [(columns.T @ columns)[i, j], (rest.T @ columns)[stored].ravel(), within.data]
    return sp.coo_array((np.concatenate(data), (rows, cols)), shape=(a.shape[1], a.shape[1]))


def dense_gram(x: sp.csc_array, weights: FloatArray | None = None) -> FloatArray:
    """All of ``X' diag(weights) X``, for few columns."""
    lower = gram(x, weights).toarray()
    return np.asarray(lower + np.tril(lower, -1).T)


def _split(a: sp.csc_array) -> tuple[IntArray, FloatArray, sp.csc_array]:
    """Numbers and values of the columns that store every row, and the other columns."""
    a = a if a.has_sorted_indices else a.sorted_indices()
    is_full = np.diff(a.indptr) == a.shape[0]
    full = np.flatnonzero(is_full)
    data = [a.data[a.indptr[j] : a.indptr[j + 1]] for j in full]
    columns = np.array(data, dtype=float).reshape(full.size, a.shape[0]).T
    return full, columns, sp.csc_array(a[:, np.flatnonzero(~is_full)])
