"""The ordered distinct values that walks and autoregressions live on, and their continuation to new values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.pattern import Pattern

_CHUNK = 250  # posterior draws handled at once, which bounds the memory of their dense conditional precisions


@dataclass(frozen=True)
class Timeline:
    """Increasing distinct values."""

    times: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> Timeline:
        """The distinct values of a column."""
        return cls(np.unique(values))

    @property
    def n(self) -> int:
        """Number of distinct values."""
        return self.times.size

    def locate(self, values: FloatArray) -> tuple[IntArray, FloatArray, IntArray]:
        """Position of each value (-1 if new), the distinct new values, where each row is among these (-1 if known)."""
        at = np.minimum(np.searchsorted(self.times, values), self.n - 1)
        known = self.times[at] == values
        new, new_codes = np.unique(values[~known], return_inverse=True)
        where = np.full(values.size, -1, dtype=np.int64)
        where[~known] = new_codes
        return np.where(known, at, -1), new, where

    def merged(self, new: FloatArray) -> tuple[FloatArray, IntArray, IntArray]:
        """All values in order, and the places of the old and of the new ones."""
        whole = np.concatenate([self.times, new])
        order = np.argsort(whole, kind="stable")
        place = np.argsort(order)
        return whole[order], place[: self.n], place[self.n :]


def conditional_draw(
    pattern: Pattern,
    values: FloatArray,
    old: IntArray,
    new: IntArray,
    b: FloatArray,
    scale: FloatArray,
    normals: FloatArray,
) -> FloatArray:
    """Draws of new effects given old ones: ``N(-Q_nn^-1 Q_no b, scale^2 Q_nn^-1)``.

    Parameters
    ----------
    pattern : Pattern
        Of the precision over old and new values together.
    values : float array (1, nnz) or (S, nnz)
        Its entries, the same for all posterior draws or one row each.
    old, new : int arrays (n,), (m,)
        Places of the old and the new effects.
    b : float array (S, n)
        The old effects.
    scale : float array (S,)
        Standard deviation that multiplies the unit-scale precision.
    normals : float array (S, m)
        Standard normals.
    """
    local = np.full(pattern.n, -1, dtype=np.int64)
    local[new] = np.arange(new.size)
    position = np.zeros(pattern.n, dtype=np.int64)
    position[old] = np.arange(old.size)
    i, j = pattern.rows, pattern.cols
    inner = np.flatnonzero((local[i] >= 0) & (local[j] >= 0))
    cross = np.flatnonzero((local[i] >= 0) != (local[j] >= 0))
    fresh = np.where(local[i[cross]] >= 0, i[cross], j[cross])
    gather = sp.csr_array((np.ones(cross.size), (np.arange(cross.size), local[fresh])), shape=(cross.size, new.size))
    neighbours = position[i[cross] + j[cross] - fresh]
    out = np.empty((b.shape[0], new.size))
    for start in range(0, b.shape[0], _CHUNK):
        part = slice(start, start + _CHUNK)
        entries = values if values.shape[0] == 1 else values[part]
        q_nn = np.zeros((entries.shape[0], new.size, new.size))
        q_nn[:, local[i[inner]], local[j[inner]]] = entries[:, inner]
        q_nn[:, local[j[inner]], local[i[inner]]] = entries[:, inner]
        pull = (entries[:, cross] * b[part][:, neighbours]) @ gather
        upper = np.swapaxes(np.linalg.cholesky(q_nn), 1, 2)
        out[part] = _solved(upper, normals[part]) * scale[part, None] - _solved(q_nn, pull)
    return out


def _solved(matrices: FloatArray, rhs: FloatArray) -> FloatArray:
    """``M^-1 r`` for each row r (S, m), with one matrix for all of them or one each; one is factored once."""
    if matrices.shape[0] == 1:
        return np.asarray(np.linalg.solve(matrices[0], rhs.T).T)
    return np.asarray(np.linalg.solve(matrices, rhs[:, :, None])[:, :, 0])
