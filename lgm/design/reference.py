"""About what sums over rows are taken, so that nothing cancels in them: see `lgm.design.sums`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.design.columns import Interactions
from lgm.gram import dense_gram


@dataclass(frozen=True, eq=False)
class Reference:
    """About what sums are taken.

    Parameters
    ----------
    basis : float array (p, p)
        B_0: each column in units of its scale, less a shift times the intercept.
    intercept : int or None
    beta : float array (p,)
        Of the fit, in this basis.
    """

    basis: FloatArray
    intercept: int | None
    beta: FloatArray

    @classmethod
    def of(cls, x: sp.csc_array, y: FloatArray, w: FloatArray, intercept: int | None, fitted: int) -> Reference:
        """That of some rows, of which the first columns are fitted to the response."""
        n, p = x.shape
        basis, scale = np.eye(p), np.ones(p)
        pairs = Interactions.of(sp.csc_array(x[:, :fitted]))
        basis[pairs.indicator, pairs.product] -= pairs.mean
        for j in range(p):
            if j == intercept:
                continue
            values = x.data[x.indptr[j] : x.indptr[j + 1]]
            if j in pairs.product:
                scale[j] = pairs.spread[pairs.product == j][0]
            elif intercept is not None and values.size == n:
                basis[intercept, j] = -values.mean()
                scale[j] = values.std()
            else:
                scale[j] = np.sqrt(np.sum(values**2) / n)
            if scale[j] <= 1e-9 * np.max(np.abs(values), initial=0.0):  # the same in these rows
                scale[j] = np.max(np.abs(values), initial=0.0) or 1.0
        basis /= scale
        first = cls(basis, intercept, np.zeros(p))
        x0, root = sp.csc_array(first.columns(x)[:, :fitted]), np.sqrt(w)
        weighted = sp.csc_array((x0.data * root[x0.indices], x0.indices, x0.indptr), shape=x0.shape)
        left, right = dense_gram(weighted), weighted.T @ (root * y)
        beta = np.zeros(p)
        if fitted:
            beta[:fitted] = np.linalg.lstsq(left, right, rcond=1e-10)[0]
        return cls(basis, intercept, beta)

    def at(self, kept: IntArray) -> Reference:
        """Of some columns, those that are fitted among them."""
        return Reference(self.basis[np.ix_(kept, kept)], self.intercept, self.beta[kept])

    def columns(self, x: sp.csc_array) -> sp.csc_array:
        """``X B_0``."""
        return in_basis(x, self.basis)


def in_basis(x: sp.csc_array, basis: FloatArray) -> sp.csc_array:
    """``X B``; what is stored stays stored, and a column that is moved is stored in every row."""
    n, p = x.shape
    if not p:
        return x
    x = x if x.has_sorted_indices else x.sorted_indices()
    data, rows, starts = [], [], [0]
    for j in range(p):
        part = slice(x.indptr[j], x.indptr[j + 1])
        values, where = x.data[part] * basis[j, j], x.indices[part]
        for i in np.flatnonzero(basis[:, j]).tolist():
            if i != j:
                other = slice(x.indptr[i], x.indptr[i + 1])
                values, where = _plus(values, where, basis[i, j] * x.data[other], x.indices[other])
        data.append(values)
        rows.append(where)
        starts.append(starts[-1] + where.size)
    return sp.csc_array((np.concatenate(data), np.concatenate(rows), np.array(starts)), shape=(n, p))


def _plus(values: FloatArray, where: IntArray, others: FloatArray, there: IntArray) -> tuple[FloatArray, IntArray]:
    """The sum of two sparse columns, which mostly are stored in the same rows."""
    if where.size == there.size and np.array_equal(where, there):
        return values + others, where
    every = np.union1d(where, there)
    out = np.zeros(every.size)
    out[np.searchsorted(every, where)] = values
    out[np.searchsorted(every, there)] += others
    return out, every
