"""Sparse rows in JAX: products with them, and ``A'WA`` in the pattern of a symmetric matrix.

What a likelihood that is not Gaussian needs of its columns A (n, d) at every step, where W changes each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm.arrays import Numbers
from lgm.pattern import Pattern


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Rows:
    """Rows of A, and where the products of pairs of their entries stand in the pattern of a symmetric matrix.

    Parameters
    ----------
    data : float array (nnz,)
        Entries row by row.
    columns : int array (nnz,)
        Column of each.
    starts : int array (n + 1,)
        Where each row begins.
    pairs : int array (m,)
        Position in the pattern of the product of each entry with each one of its row up to itself.
    """

    data: Numbers
    columns: Numbers
    starts: Numbers
    pairs: Numbers

    @classmethod
    def of(cls, a: sp.csr_array, pattern: Pattern) -> Rows:
        """Of a sparse matrix whose ``A'A`` has its place in the pattern."""
        a = sp.csr_array(a)
        a.sum_duplicates()
        found = cls(np.asarray(a.data, dtype=float), a.indices.astype(np.int32), a.indptr.astype(np.int32), np.zeros(0))
        counts = np.diff(a.indptr)
        m = int(np.sum(counts * (counts + 1) // 2))
        one, other, _ = (np.asarray(part) for part in found._products(m))
        where = pattern.positions(a.indices[one], a.indices[other]).astype(np.int32)
        return cls(found.data, found.columns, found.starts, where)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.starts.shape[0]) - 1

    def times(self, x: jax.Array) -> jax.Array:
        """``A x`` (n, m) for x (d, m)."""
        terms = jnp.asarray(self.data)[:, None] * x[self.columns]
        return jax.ops.segment_sum(terms, self._row(), self.n, indices_are_sorted=True)

    def transposed_times(self, g: jax.Array, d: int) -> jax.Array:
        """``A'g`` (d, m) for g (n, m)."""
        terms = jnp.asarray(self.data)[:, None] * g[self._row()]
        return jnp.zeros((d, g.shape[1])).at[self.columns].add(terms)

    def gram(self, w: jax.Array, nnz: int) -> jax.Array:
        """``A' diag(w) A`` (nnz,) in pattern order, for w (n,)."""
        one, other, row = self._products(self.pairs.shape[0])
        data = jnp.asarray(self.data)
        return jnp.zeros(nnz).at[self.pairs].add(data[one] * data[other] * w[row])

    def quadratic(self, z: jax.Array) -> jax.Array:
        """``a_i' Z a_i`` (n,) for a symmetric Z given in pattern order (nnz,)."""
        one, other, row = self._products(self.pairs.shape[0])
        data = jnp.asarray(self.data)
        terms = jnp.where(one == other, 1.0, 2.0) * data[one] * data[other] * z[self.pairs]
        return jax.ops.segment_sum(terms, row, self.n, indices_are_sorted=True)

    def _row(self) -> jax.Array:
        """The row of each entry."""
        return jnp.searchsorted(self.starts, jnp.arange(self.columns.shape[0]), side="right") - 1

    def _products(self, m: int) -> _Products:
        row = self._row()
        starts = jnp.asarray(self.starts)
        ends = jnp.cumsum(jnp.arange(row.shape[0]) - starts[row] + 1)
        one = jnp.searchsorted(ends, jnp.arange(m), side="right")
        other = one - (ends[one] - 1 - jnp.arange(m))
        return _Products(one, other, row[one])


class _Products(NamedTuple):
    """Which entries are multiplied, and in which row."""

    one: jax.Array
    other: jax.Array
    row: jax.Array
