"""Symbolic analysis of a sparse symmetric matrix: what can be known from its pattern, found once on the host."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pymetis
import scipy.sparse as sp
from scipy.sparse.csgraph import reverse_cuthill_mckee

from lgm.arrays import FloatArray, IntArray
from lgm.linalg._ffi import kernel
from lgm.pattern import Pattern

Order = npt.NDArray[np.int32]
OrderingName = Literal["auto", "natural", "rcm", "amd", "metis"]

_MAX_INDEX = 2**31 - 1
# Nested dissection takes longer than minimum degree and wins on large problems only.
_FLOPS_WORTH_METIS = 20e6
# Part of the key, to be raised when the kernel's plan for the same pattern and ordering changes.
_PLAN_VERSION = 1


class Analysis:
    """Immutable symbolic Cholesky factorisation of all matrices with one pattern; made by `analyse`.

    Analyses compare and hash by content (pattern and ordering), so one can be a static argument of a compiled
    function or static data in a pytree. Pickling keeps pattern and ordering; the rest is found again.

    Attributes
    ----------
    pattern : Pattern
        The stored positions; values given to the verbs of `lgm.linalg` are in this order.
    order : int32 array (n,)
        ``order[k]`` is the row that is eliminated k-th, before the kernel refines it without changing the fill.
    ordering : str
        Where that order came from.
    nnz_factor : int
        Number of nonzeros of the Cholesky factor.
    flops : float
        Floating-point operations of one factorisation.
    workspace_bytes : int
        Memory that one evaluation uses beside its arguments and results.
    """

    __slots__ = ("_key", "flops", "nnz_factor", "order", "ordering", "pattern", "workspace_bytes")

    pattern: Pattern
    order: Order
    ordering: str
    nnz_factor: int
    flops: float
    workspace_bytes: int
    _key: str

    def __init__(self, pattern: Pattern, order: npt.ArrayLike, ordering: str) -> None:
        own = np.array(order, dtype=np.int32)
        own.setflags(write=False)
        content = pattern.key + own.tobytes() + bytes([_PLAN_VERSION])
        key = hashlib.blake2b(content, digest_size=16).hexdigest()
        # Known to the kernel from here on; in a process that unpickles this, __init__ runs again.
        facts = kernel.register_analysis(key, pattern.indptr, pattern.indices, own)
        for name, value in {
            "pattern": pattern,
            "order": own,
            "ordering": ordering,
            "nnz_factor": int(facts["nnz_factor"]),
            "flops": float(facts["flops"]),
            "workspace_bytes": int(facts["workspace_bytes"]),
            "_key": key,
        }.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Analysis does not change")

    @property
    def n(self) -> int:
        """Order of the matrix."""
        return self.pattern.n

    @property
    def nnz(self) -> int:
        """Number of stored positions (lower triangle)."""
        return self.pattern.nnz

    @property
    def key(self) -> str:
        """Content address under which the kernel knows this analysis, the same in every process."""
        return self._key

    def values(self, matrix: sp.sparray | sp.spmatrix) -> FloatArray:
        """Values of a symmetric sparse matrix in pattern order; see `Pattern.values`."""
        return self.pattern.values(matrix)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Analysis) and self._key == other._key and self.pattern == other.pattern

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[Callable[..., Analysis], tuple[Any, ...]]:
        pattern = self.pattern
        return _restore, (pattern.n, pattern.indptr, pattern.indices, self.order, self.ordering)

    def __repr__(self) -> str:
        return (
            f"Analysis(n={self.n}, nnz={self.nnz}, nnz_factor={self.nnz_factor}, flops={self.flops:.3g}, "
            f"ordering={self.ordering!r})"
        )


def _restore(n: int, indptr: IntArray, indices: IntArray, order: Order, ordering: str) -> Analysis:
    return Analysis(Pattern(n, indptr, indices), order, ordering)


def analyse(
    matrix: sp.sparray | sp.spmatrix | Pattern,
    *,
    last: Sequence[int] | npt.NDArray[np.integer[Any]] = (),
    ordering: OrderingName | npt.NDArray[np.integer[Any]] = "auto",
    memory_limit: int | None = None,
) -> Analysis:
    """Analyse the pattern of a symmetric matrix for all factorisations to come.

    Nearly dense rows come last: those in `last` (fixed effects, say) and any with more than ``max(100, 10 sqrt(n))``
    neighbours. The others are ordered to keep the factor ``P Q P' = L L'`` sparse: in their natural order, by reverse
    Cuthill-McKee, by approximate minimum degree, or, if that still takes many operations, by nested dissection;
    whichever is predicted to take the fewest operations.

    Parameters
    ----------
    matrix : sparse matrix or array (n, n), or Pattern
        Only the pattern counts; explicit zeros belong to it, missing diagonal entries are added.
    last : sequence of int
        Rows to eliminate last.
    ordering : {"auto", "natural", "rcm", "amd", "metis"} or int array (n,)
        One ordering instead of the best, or an elimination order of all rows.
    memory_limit : int, optional
        Largest factor in bytes. By default three quarters of the machine's memory.

    Returns
    -------
    Analysis

    Raises
    ------
    MemoryError
        If the factor would not fit; found before memory of that size is asked for.
    ValueError
        If the matrix is empty or not square, or the ordering is unknown or not a permutation.

    References
    ----------
    Amestoy, Davis & Duff (1996), SIAM J. Matrix Anal. Appl. 17, 886-905 (minimum degree); Gilbert, Ng & Peyton
    (1994), SIAM J. Matrix Anal. Appl. 15, 1075-1091 (column counts); Liu (1992), SIAM Review 34, 82-109 (multifrontal
    method).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> sym = analyse(sp.diags_array([[2.0] * 4, [-1.0] * 3], offsets=[0, 1]))
    >>> sym.n, sym.nnz, sym.nnz_factor
    (4, 7, 7)
    """
    pattern = matrix if isinstance(matrix, Pattern) else Pattern.of(matrix)
    if pattern.n == 0:
        raise ValueError("a matrix without rows has no factor")
    if pattern.n > _MAX_INDEX or pattern.nnz > _MAX_INDEX:
        raise MemoryError(f"{pattern.n} rows and {pattern.nnz} entries: the kernel takes at most 2^31 - 1 of each")
    if isinstance(ordering, str):
        name, order, cost = _best_order(pattern, np.asarray(last, dtype=np.int64), ordering)
    else:
        name, order = "given", np.asarray(ordering, dtype=np.int32)
        cost = kernel.predict_cost(pattern.indptr, pattern.indices, order)
    _refuse_if_huge(pattern, cost, memory_limit)
    return Analysis(pattern, order, name)


def _refuse_if_huge(pattern: Pattern, cost: Mapping[str, Any], memory_limit: int | None) -> None:
    limit = memory_limit if memory_limit is not None else _physical_memory() * 3 // 4
    needed = 8 * int(cost["stored"]) + 8 * int(cost["row_entries"])
    if needed <= limit and int(cost["largest_front"]) <= _MAX_INDEX:
        return
    raise MemoryError(
        f"the Cholesky factor of this {pattern.n} x {pattern.n} matrix with {pattern.nnz} stored entries has "
        f"{int(cost['nnz_factor'])} nonzeros: {needed / 2**30:.3g} GiB and {float(cost['flops']):.2g} operations per "
        f"factorisation, where at most {limit / 2**30:.3g} GiB and 2^31 - 1 entries per dense block are allowed. "
        "Fill like this comes from crossed factors with many levels or from dense columns"
    )


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not known on this system
        return 16 * 2**30


def _best_order(pattern: Pattern, last: IntArray, wanted: str) -> tuple[str, Order, dict[str, Any]]:
    """Name, order and cost of the ordering that takes the fewest operations (or of the one that is wanted)."""
    if wanted != "auto" and wanted not in _ORDERINGS:
        raise ValueError(f"ordering {wanted!r} is not one of 'auto', {', '.join(map(repr, _ORDERINGS))}")
    dense = _rows_to_go_last(pattern, last)
    sparse = np.setdiff1d(np.arange(pattern.n), dense, assume_unique=True)
    graph = _graph(pattern, sparse)
    best: tuple[str, Order, dict[str, Any]] | None = None
    for name in _ORDERINGS if wanted == "auto" else (wanted,):
        if name == "metis" and best is not None and best[2]["flops"] < _FLOPS_WORTH_METIS:
            continue
        order = np.concatenate([sparse[_ORDERINGS[name](graph)], dense]).astype(np.int32)
        cost = kernel.predict_cost(pattern.indptr, pattern.indices, order)
        if best is None or cost["flops"] < best[2]["flops"]:
            best = (name, order, cost)
    assert best is not None
    return best


def _rows_to_go_last(pattern: Pattern, last: IntArray) -> IntArray:
    if last.size and (last.min() < 0 or last.max() >= pattern.n):
        raise ValueError(f"rows to go last must be between 0 and {pattern.n - 1}")
    below = pattern.rows != pattern.cols
    degree = np.bincount(pattern.rows[below], minlength=pattern.n) + np.diff(pattern.indptr) - 1
    crowded = np.flatnonzero(degree > max(100.0, 10.0 * np.sqrt(pattern.n)))
    return np.union1d(last, crowded).astype(np.int64)


def _graph(pattern: Pattern, vertices: IntArray) -> sp.csr_array:
    """Adjacency of some rows: both directions, no loops, ascending."""
    place = np.full(pattern.n, -1, dtype=np.int32)
    place[vertices] = np.arange(vertices.size, dtype=np.int32)
    i, j = place[pattern.rows], place[pattern.cols]
    keep = (i >= 0) & (j >= 0) & (i != j)
    ij, ji = np.concatenate([i[keep], j[keep]]), np.concatenate([j[keep], i[keep]])
    graph = sp.csr_array((np.ones(ij.size, dtype=np.int8), (ij, ji)), shape=(vertices.size, vertices.size))
    graph.sort_indices()
    return graph


def _natural(graph: sp.csr_array) -> IntArray:
    return np.arange(graph.shape[0], dtype=np.int64)


def _rcm(graph: sp.csr_array) -> IntArray:
    return np.asarray(reverse_cuthill_mckee(sp.csr_matrix(graph), symmetric_mode=True), dtype=np.int64)


def _amd(graph: sp.csr_array) -> IntArray:
    order = kernel.minimum_degree(graph.indptr.astype(np.int64), graph.indices.astype(np.int32))
    return np.asarray(order, dtype=np.int64)


def _metis(graph: sp.csr_array) -> IntArray:
    if graph.shape[0] == 0:
        return np.empty(0, dtype=np.int64)
    order, _ = pymetis.nested_dissection(adjacency=pymetis.CSRAdjacency(graph.indptr, graph.indices))
    return np.asarray(order, dtype=np.int64)


# In the order in which they are tried; of equals the first wins. Nested dissection is last, see _FLOPS_WORTH_METIS.
_ORDERINGS: dict[str, Callable[[sp.csr_array], IntArray]] = {
    "natural": _natural,
    "amd": _amd,
    "rcm": _rcm,
    "metis": _metis,
}
