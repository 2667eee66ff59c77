"""Sparse rows in JAX: products with them, and ``A'WA`` in the pattern of a symmetric matrix.

What a likelihood that is not Gaussian needs of its columns A (n, d) at every step, where W changes each time. All are
native calls, linear in what A is applied to, with derivatives of any order by that and none by A.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
import scipy.sparse as sp

from lgm.arrays import Numbers
from lgm.linalg import _calls
from lgm.linalg._jax import linear_map
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
        entries = np.arange(a.indices.size)
        first = np.repeat(a.indptr[:-1].astype(np.int64), np.diff(a.indptr))  # of the row of each
        counts = entries - first + 1
        one = np.repeat(entries, counts)
        other = np.arange(one.size) - np.repeat(np.cumsum(counts) - counts - first, counts)
        where = pattern.positions(a.indices[one], a.indices[other])
        return cls(np.asarray(a.data, dtype=float), *(x.astype(np.int32) for x in (a.indices, a.indptr, where)))

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.starts.shape[0]) - 1

    def times(self, x: jax.Array, *, derivatives: bool = True) -> jax.Array:
        """``A x`` (n, m) for x (d, m); without derivatives it is faster to trace."""
        d, m = x.shape
        if not derivatives:
            return self._times(x)
        return linear_map(self._times, partial(self._transposed_times, d), x, (self.n, m))

    def transposed_times(self, g: jax.Array, d: int, *, derivatives: bool = True) -> jax.Array:
        """``A'g`` (d, m) for g (n, m); without derivatives it is faster to trace."""
        if not derivatives:
            return self._transposed_times(d, g)
        return linear_map(partial(self._transposed_times, d), self._times, g, (d, g.shape[1]))

    def gram(self, w: jax.Array, nnz: int) -> jax.Array:
        """``A' diag(w) A`` (nnz,) in pattern order, for w (n,)."""
        return linear_map(partial(self._gram, 1.0, nnz), partial(self._quadratic, 1.0), w, (nnz,))

    def quadratic(self, z: jax.Array) -> jax.Array:
        """``a_i' Z a_i`` (n,) for a symmetric Z given in pattern order (nnz,)."""
        return linear_map(partial(self._quadratic, 2.0), partial(self._gram, 2.0, z.shape[0]), z, (self.n,))

    # The kernel's. An entry of the pattern off its diagonal stands for two of the matrix: the product there counts once
    # in A'WA and twice in a quadratic form, and `factor` says so.

    def _times(self, x: jax.Array) -> jax.Array:
        return self._call("lgm_rows_times", self.entries, x, (self.n, x.shape[-1]))

    def _transposed_times(self, d: int, g: jax.Array) -> jax.Array:
        return self._call("lgm_rows_transposed_times", self.entries, g, (d, g.shape[-1]))

    def _gram(self, factor: float, nnz: int, w: jax.Array) -> jax.Array:
        return self._call("lgm_rows_gram", (*self.entries, self.pairs), w, (nnz,), factor=np.float64(factor))

    def _quadratic(self, factor: float, z: jax.Array) -> jax.Array:
        return self._call("lgm_rows_quadratic", (*self.entries, self.pairs), z, (self.n,), factor=np.float64(factor))

    @staticmethod
    def _call(target: str, arrays: Any, x: jax.Array, shape: tuple[int, ...], **attributes: Any) -> jax.Array:
        call = _calls.shared(target, arrays, lambda batch: [((*batch, *shape), np.float64)], **attributes)
        return call(x)[0]

    @property
    def entries(self) -> tuple[Any, ...]:
        """Without the pairs."""
        return self.data, self.columns, self.starts
