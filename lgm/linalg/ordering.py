"""Elimination orders that keep the Cholesky factor of a sparse matrix sparse, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import reverse_cuthill_mckee

from lgm.arrays import IntArray
from lgm.errors import MissingPackageError
from lgm.linalg._ffi import kernel
from lgm.linalg._library import Cost
from lgm.pattern import Pattern

Order = npt.NDArray[np.int32]
OrderingName = Literal["auto", "natural", "rcm", "amd", "metis"]

# Nested dissection takes longer than minimum degree and wins on large problems only.
_FLOPS_WORTH_METIS = 20e6


def multipliers(n: int, constraints: int) -> Order:
    """The rows of the multipliers, before those of as many slacks at the end."""
    return np.arange(n - 2 * constraints, n - constraints, dtype=np.int32)


def best_order(pattern: Pattern, last: IntArray, wanted: str, constraints: int = 0) -> tuple[str, Order, Cost]:
    """Name, order and cost of the ordering that takes the fewest operations (or of the one that is wanted)."""
    if wanted != "auto" and wanted not in _ORDERINGS:
        raise ValueError(f"ordering {wanted!r} is not one of 'auto', {', '.join(map(repr, _ORDERINGS))}")
    dense = _rows_to_go_last(pattern, last)
    sparse = np.setdiff1d(np.arange(pattern.n), dense, assume_unique=True)
    graph = _graph(pattern, sparse)
    best: tuple[str, Order, Cost] | None = None
    if sparse.size == 0 and wanted == "auto":
        wanted = "natural"  # all orders are one
    for name in _ORDERINGS if wanted == "auto" else (wanted,):
        if name == "metis" and best is not None and (best[2].flops < _FLOPS_WORTH_METIS or _pymetis() is None):
            continue
        order = np.concatenate([sparse[_ORDERINGS[name](graph)], dense]).astype(np.int32)
        if constraints:
            order = _border_later(pattern, order, constraints)
        cost = kernel.predict_cost(pattern.indptr, pattern.indices, order, multipliers(pattern.n, constraints))
        if best is None or cost.flops < best[2].flops:
            best = (name, order, cost)
    assert best is not None
    return best


def _border_later(pattern: Pattern, order: Order, constraints: int) -> Order:
    """Every multiplier after all that it constrains, every slack after the multipliers of its effect; others stay."""
    d = pattern.n - 2 * constraints
    turn = np.empty(pattern.n)
    turn[order] = np.arange(pattern.n)
    row, col = pattern.rows, pattern.cols
    of_multiplier = (row >= d) & (row < d + constraints) & (col < d)
    of_slack = (row >= d + constraints) & (col < d)
    np.maximum.at(turn, row[of_multiplier], turn[col[of_multiplier]] + 0.25)
    freed = turn[:d].copy()  # when all multipliers of an effect have been eliminated
    np.maximum.at(freed, col[of_multiplier], turn[row[of_multiplier]])
    np.maximum.at(turn, row[of_slack], freed[col[of_slack]] + 0.25)
    return np.argsort(turn, kind="stable").astype(np.int32)


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
    if graph.shape[0] == 0:
        return np.empty(0, dtype=np.int64)
    return np.asarray(reverse_cuthill_mckee(sp.csr_matrix(graph), symmetric_mode=True), dtype=np.int64)


def _amd(graph: sp.csr_array) -> IntArray:
    order = kernel.minimum_degree(graph.indptr.astype(np.int64), graph.indices.astype(np.int32))
    return np.asarray(order, dtype=np.int64)


def _metis(graph: sp.csr_array) -> IntArray:
    pymetis = _pymetis()
    if pymetis is None:
        raise MissingPackageError(
            "ordering 'metis' (nested dissection) needs pymetis, which cannot be imported: `pip install pymetis`, or "
            "`conda install -c conda-forge pymetis` where PyPI has no wheel; ordering 'auto' does without it"
        )
    if graph.shape[0] == 0:
        return np.empty(0, dtype=np.int64)
    order, _ = pymetis.nested_dissection(adjacency=pymetis.CSRAdjacency(graph.indptr, graph.indices))
    return np.asarray(order, dtype=np.int64)


def _pymetis() -> ModuleType | None:
    """The library of nested dissection; None on the platforms that have no wheel of it."""
    try:
        import pymetis
    except ImportError:
        return None
    return pymetis


# In the order in which they are tried; of equals the first wins. Nested dissection is last, see _FLOPS_WORTH_METIS.
_ORDERINGS: dict[str, Callable[[sp.csr_array], IntArray]] = {
    "natural": _natural,
    "amd": _amd,
    "rcm": _rcm,
    "metis": _metis,
}
