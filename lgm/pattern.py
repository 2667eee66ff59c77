"""The positions of the stored entries of a symmetric sparse matrix.

One convention holds everywhere in lgm: a symmetric matrix is stored as its *lower triangle*, column by column, rows
ascending, with every diagonal position present (so the first entry of a column is its diagonal). An array of values
"in pattern order" has one number per stored position; an off-diagonal number stands for both ``(i, j)`` and ``(j, i)``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.errors import DataError


class Pattern:
    """Immutable, hashable positions of the lower triangle of a symmetric ``n x n`` matrix.

    Parameters
    ----------
    n : int
        Order of the matrix.
    indptr : int array (n + 1,)
        ``indptr[j]:indptr[j + 1]`` are the stored entries of column ``j``.
    indices : int array (nnz,)
        Their rows, ascending within a column, each at least ``j``; the diagonal comes first.

    Raises
    ------
    ValueError
        If the arrays do not describe such a triangle.

    Notes
    -----
    Patterns compare and hash by content, so that they serve as static arguments of compiled functions. They come from
    the structure of a model, never from its values: an entry that happens to be zero keeps its place.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> pattern = Pattern.of(sp.csr_array([[2.0, -1.0, 0.0], [-1.0, 2.0, 0.0], [0.0, 0.0, 1.0]]))
    >>> pattern.nnz, pattern.rows.tolist(), pattern.cols.tolist()
    (4, [0, 1, 1, 2], [0, 0, 1, 2])
    """

    __slots__ = ("__dict__", "_key", "indices", "indptr", "n")

    n: int
    indptr: IntArray
    indices: IntArray

    def __init__(self, n: int, indptr: npt.ArrayLike, indices: npt.ArrayLike) -> None:
        ptr = np.ascontiguousarray(indptr, dtype=np.int64)
        idx = np.ascontiguousarray(indices, dtype=np.int64)
        if ptr.shape != (n + 1,) or ptr[0] != 0 or ptr[-1] != idx.size or np.any(np.diff(ptr) < 1):
            raise ValueError(f"indptr must rise from 0 to {idx.size} in {n} steps of at least one (the diagonal)")
        cols = np.repeat(np.arange(n), np.diff(ptr))
        if np.any(idx[ptr[:-1]] != np.arange(n)) or np.any(idx < cols) or np.any(idx >= n):
            raise ValueError("indices must hold the lower triangle with each column's diagonal first")
        if np.any((np.diff(idx) <= 0) & (np.diff(cols) == 0)):
            raise ValueError("the rows of a column must ascend without repeats")
        for array in (ptr, idx, cols):
            array.setflags(write=False)
        self.n, self.indptr, self.indices = int(n), ptr, idx
        self.__dict__["cols"] = cols
        self._key = hashlib.blake2b(ptr.tobytes() + idx.tobytes(), digest_size=16).digest()

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, "_key"):
            raise AttributeError("a Pattern does not change")
        object.__setattr__(self, name, value)

    @classmethod
    def from_entries(cls, n: int, rows: npt.ArrayLike, cols: npt.ArrayLike) -> Pattern:
        """Pattern of entries ``(rows, cols)`` of either triangle; repeats are merged, the diagonal is added."""
        i, j = np.asarray(rows, dtype=np.int64).ravel(), np.asarray(cols, dtype=np.int64).ravel()
        keys = np.concatenate([np.arange(n, dtype=np.int64) * (n + 1), np.minimum(i, j) * n + np.maximum(i, j)])
        keys.sort(kind="stable")  # merges runs: entries mostly come in pieces that are sorted
        keys = keys[np.diff(keys, prepend=-1) > 0]
        indptr = np.searchsorted(keys, np.arange(n + 1) * n)
        return cls(n, indptr, keys - np.repeat(np.arange(n) * n, np.diff(indptr)))

    @classmethod
    def of(cls, matrix: sp.sparray | sp.spmatrix) -> Pattern:
        """Pattern of a sparse matrix, explicit zeros included; either triangle or both may be stored."""
        coo = sp.coo_array(matrix)
        if coo.shape[0] != coo.shape[1]:
            raise ValueError(f"a symmetric matrix is square, this one is {coo.shape[0]} x {coo.shape[1]}")
        return cls.from_entries(coo.shape[0], coo.row, coo.col)

    @classmethod
    def diagonal(cls, n: int) -> Pattern:
        """Pattern of a diagonal matrix."""
        return cls(n, np.arange(n + 1), np.arange(n))

    @classmethod
    def block_diagonal(cls, patterns: Sequence[Pattern]) -> Pattern:
        """Pattern of a block-diagonal matrix; the values are those of the blocks one after the other."""
        starts = np.cumsum([0] + [p.n for p in patterns])
        offsets = np.cumsum([0] + [p.nnz for p in patterns])
        indptr = np.concatenate([[0]] + [p.indptr[1:] + o for p, o in zip(patterns, offsets, strict=False)])
        indices = np.concatenate(
            [np.empty(0, np.int64)] + [p.indices + s for p, s in zip(patterns, starts, strict=False)]
        )
        return cls(int(starts[-1]), indptr, indices)

    def repeated(self, times: int) -> Pattern:
        """Pattern of a block-diagonal matrix with this one in each block.

        Examples
        --------
        >>> Pattern.from_entries(2, [1], [0]).repeated(3) == Pattern.from_entries(6, [1, 3, 5], [0, 2, 4])
        True
        """
        which = np.arange(times)[:, None]
        indptr = np.append(0, (self.indptr[1:] + which * self.nnz).ravel())
        return Pattern(self.n * times, indptr, (self.indices + which * self.n).ravel())

    @property
    def nnz(self) -> int:
        """Number of stored positions (lower triangle)."""
        return int(self.indices.size)

    @property
    def rows(self) -> IntArray:
        """Row of each stored position."""
        return self.indices

    @cached_property
    def cols(self) -> IntArray:
        """Column of each stored position."""
        return np.repeat(np.arange(self.n), np.diff(self.indptr))

    @property
    def key(self) -> bytes:
        """Content address (16 bytes)."""
        return self._key

    def positions(self, rows: npt.ArrayLike, cols: npt.ArrayLike) -> IntArray:
        """Index in pattern order of each entry ``(rows, cols)`` of either triangle.

        Raises
        ------
        DataError
            If an entry has no place in the pattern.
        """
        i, j = np.asarray(rows), np.asarray(cols)
        at = self.find(i, j)
        if np.any(at < 0):
            k = int(np.flatnonzero(at < 0)[0])
            raise DataError(f"entry ({i.flat[k]}, {j.flat[k]}) has no place in the pattern")
        return at

    def find(self, rows: IntArray, cols: IntArray) -> IntArray:
        """The same, with -1 for entries that have no place."""
        # scipy's indices have 32 bits, into which products of two do not fit
        i, j = np.asarray(rows, dtype=np.int64), np.asarray(cols, dtype=np.int64)
        low, high = np.maximum(i, j), np.minimum(i, j)
        if not self.nnz:
            return np.full(low.shape, -1)
        full = np.diff(self.indptr) == self.n - np.arange(self.n)  # columns with every row, such as fixed effects
        out, others = np.asarray(self.indptr[high] + low - high), ~full[high]
        if np.any(others):
            wanted, have = high[others] * self.n + low[others], self.cols * self.n + self.indices
            at = np.minimum(np.searchsorted(have, wanted), have.size - 1)
            out[others] = np.where(have[at] == wanted, at, -1)
        return out

    def values(self, matrix: sp.sparray | sp.spmatrix) -> FloatArray:
        """Values of a symmetric sparse matrix in pattern order; places that it does not store are zero.

        Both triangles or the lower one alone may be stored; duplicates are summed.
        """
        coo = sp.coo_array(sp.csc_array(matrix))
        if coo.shape != (self.n, self.n):
            raise ValueError(f"the pattern is of order {self.n}, the matrix is {coo.shape[0]} x {coo.shape[1]}")
        lower = coo.row >= coo.col
        out = np.zeros(self.nnz)
        out[self.positions(coo.row[lower], coo.col[lower])] = coo.data[lower]
        return out

    def matrix(self, values: npt.ArrayLike) -> sp.csc_array:
        """The full symmetric matrix (both triangles) with these values."""
        lower = sp.csc_array((np.asarray(values, dtype=float), self.indices, self.indptr), shape=(self.n, self.n))
        return sp.csc_array(lower + sp.tril(lower, -1).T)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self._key == other._key and self.n == other.n

    def __hash__(self) -> int:
        return hash((self.n, self._key))

    def __reduce__(self) -> tuple[object, ...]:
        return Pattern, (self.n, self.indptr, self.indices)

    def __repr__(self) -> str:
        return f"Pattern(n={self.n}, nnz={self.nnz})"
