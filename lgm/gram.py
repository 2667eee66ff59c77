"""Products ``A'WA`` of sparse columns of which some are stored in full, such as those of numeric predictors.

Among full columns the product is dense, and dense algebra is a hundred times faster there than sparse algebra.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.sparse import chosen, side_by_side

_FEW = 8  # columns of a row, all pairs of which are gone through
_LARGE = 1e-100  # the square of a number that is larger is not zero


def gram(
    a: sp.csc_array | Sequence[sp.csc_array], weights: FloatArray | None = None, known: FloatArray | None = None
) -> sp.coo_array:
    """Lower triangle of ``A' diag(weights) A``, its entries in the order of `entries` but for those of scipy.

    An entry is stored wherever some row stores both columns; scipy leaves out some that are exactly zero.

    Parameters
    ----------
    a : sparse array (n, p), or several side by side
    weights : float array (n,), optional
    known : float array (k, k), optional
        All of the product of the first k columns, if that is known.

    Examples
    --------
    >>> a = sp.csc_array([[1.0, 2.0], [1.0, 0.0], [1.0, 3.0]])
    >>> gram(a, np.array([1.0, 1.0, 2.0])).toarray().tolist()
    [[4.0, 0.0], [8.0, 22.0]]
    """
    full, columns, rest = _split(a, weights)
    stored, size = _stored(rest), full.size + rest.shape[1]
    rows, cols = _dense_entries(full, rest)
    within = _within(rest)
    others = _others(size, full)
    if known is not None and np.all(full < len(known)):
        product = known if full.size == len(known) else known[np.ix_(full, full)]
    else:
        product = columns.T @ columns
    across = np.empty((stored.size, full.size))
    transposed = sp.csr_array(rest.T)
    for k in range(full.size if stored.size else 0):  # all at once, scipy would copy the columns into rows
        across[:, k] = (transposed @ columns[:, k])[stored]
    data = [by_column(product), across.ravel(), within.data]
    rows, cols = np.concatenate([rows, others[within.row]]), np.concatenate([cols, others[within.col]])
    return sp.coo_array((np.concatenate(data), (rows, cols)), shape=(size, size))


def entries(a: sp.csc_array | Sequence[sp.csc_array], product: sp.coo_array | None = None) -> tuple[IntArray, IntArray]:
    """Rows and columns of the lower triangle of ``A'A`` that are stored for some values of what A stores.

    Parameters
    ----------
    a : sparse array (n, p), or several side by side
    product : sparse array (p, p), optional
        `gram` of the same columns without weights. Sums of positive numbers do not cancel, so that where all sparse
        columns are such, as those of groups, nothing need be multiplied again.

    Examples
    --------
    >>> rows, cols = entries(sp.csc_array([[1.0, 2.0], [1.0, 0.0], [1.0, 3.0]]))
    >>> rows.tolist(), cols.tolist()
    ([0, 1, 1], [0, 0, 1])
    """
    full, _, rest = _split(a)
    if product is not None and rest.data.min(initial=np.inf) > _LARGE:
        return product.row, product.col
    others = _others(full.size + rest.shape[1], full)
    ones = sp.csc_array((np.ones(rest.nnz), rest.indices, rest.indptr), shape=rest.shape)
    within = sp.coo_array(sp.tril(ones.T @ ones))  # sums of ones never cancel
    rows, cols = _dense_entries(full, rest)
    return np.concatenate([rows, others[within.row]]), np.concatenate([cols, others[within.col]])


def _within(a: sp.csc_array) -> sp.coo_array:
    """Lower triangle of ``A'A`` of sparse columns.

    Where rows store equally many columns, as those of groups do, and there are fewer pairs of columns than entries,
    each pair is a cell over which rows are summed.
    """
    n, p = a.shape
    by_row = a.tocsr()
    stored = np.diff(by_row.indptr)
    k = int(stored.max(initial=0))
    if p * p > a.nnz or k > _FEW or np.any(stored != k):
        return sp.coo_array(sp.tril(a.T @ by_row))
    columns, values = by_row.indices.reshape(n, k), by_row.data.reshape(n, k)
    sums, there = np.zeros(p * p), np.zeros(p * p, dtype=bool)
    for i in range(k):
        for j in range(i + 1):  # columns of a row ascend
            cell = columns[:, i].astype(np.int64) * p + columns[:, j]
            sums += np.bincount(cell, values[:, i] * values[:, j], minlength=p * p)
            there[cell] = True
    at = np.flatnonzero(there)
    return sp.coo_array((sums[at], (at // p, at % p)), shape=(p, p))


def _others(size: int, full: IntArray) -> IntArray:
    """All numbers below ``size`` but these."""
    keep = np.ones(size, dtype=bool)
    keep[full] = False
    return np.flatnonzero(keep)


def dense_gram(x: sp.csc_array, weights: FloatArray | None = None) -> FloatArray:
    """All of ``X' diag(weights) X``, for few columns."""
    full, columns, _ = _split(x, weights)
    if full.size == x.shape[1]:
        return np.asarray(columns.T @ columns)
    lower = gram(x, weights).toarray()
    return np.asarray(lower + np.tril(lower, -1).T)


def _dense_entries(full: IntArray, rest: sp.csc_array) -> tuple[IntArray, IntArray]:
    """Rows and columns of the products of full columns, column by column, and then with the others."""
    others = _others(full.size + rest.shape[1], full)
    j, i = np.triu_indices(full.size)
    stored = _stored(rest)
    one, other = np.repeat(others[stored], full.size), np.tile(full, stored.size)
    rows = np.concatenate([full[i], np.maximum(one, other)])
    return rows, np.concatenate([full[j], np.minimum(one, other)])


def by_column(square: FloatArray) -> FloatArray:
    """Lower triangle of a matrix, column by column."""
    return np.asarray(square.T[np.triu(np.ones(square.shape, dtype=bool))])


def from_columns(lower: FloatArray, n: int) -> FloatArray:
    """The symmetric matrix whose lower triangle this is, column by column."""
    upper = np.zeros((n, n))
    upper[np.triu(np.ones((n, n), dtype=bool))] = lower
    return upper + np.triu(upper, 1).T


def _stored(rest: sp.csc_array) -> IntArray:
    return np.flatnonzero(np.diff(rest.indptr))


def _split(
    a: sp.csc_array | Sequence[sp.csc_array], weights: FloatArray | None = None
) -> tuple[IntArray, FloatArray, sp.csc_array]:
    """Numbers and values of the columns that store every row, and the other columns, by the roots of the weights."""
    blocks = a if isinstance(a, Sequence) else [a]
    n = blocks[0].shape[0]
    where, values, others, start = [], [], [], 0
    for block in blocks:
        block = block if block.has_sorted_indices else block.sorted_indices()
        is_full = np.diff(block.indptr) == n
        where.append(start + np.flatnonzero(is_full))
        values.append(chosen(block, is_full).data)
        others.append(chosen(block, ~is_full))
        start += is_full.size
    full, rest = np.concatenate(where), side_by_side(others, n)
    one = [each for each in values if each.size]
    whole = one[0] if len(one) == 1 else np.concatenate([np.zeros(0), *one])
    columns = np.asarray(whole, dtype=float).reshape(full.size, n).T
    if weights is not None and np.any(weights != 1.0):
        root = np.sqrt(weights)
        columns = columns * root[:, None]
        rest = sp.csc_array((rest.data * root[rest.indices], rest.indices, rest.indptr), shape=rest.shape)
    return full, columns, rest
