"""Symbolic analysis of a sparse symmetric matrix: what can be known from its pattern, found once on the host."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.linalg._ffi import kernel
from lgm.linalg._library import Cost
from lgm.linalg.ordering import Order, OrderingName, best_order, multipliers
from lgm.pattern import Pattern

_MAX_INDEX = 2**31 - 1
# Part of the key, to be raised when the kernel's plan for the same pattern and ordering changes.
_PLAN_VERSION = 2


class Analysis:
    """What is known of all symmetric matrices with one pattern before their values.

    The verbs of `lgm.linalg` dispatch on its class: a `SparseAnalysis` (from `analyse`) has them done by the sparse
    kernel, a `DenseAnalysis` (from `analyse_dense`) by dense algebra. Every analysis is immutable, pickles, and
    compares and hashes by content, so one can be a static argument of a compiled function or static data in a pytree.

    Attributes
    ----------
    pattern : Pattern
        The stored positions; values given to the verbs are in this order.
    constraints : int
        k: the last 2k rows are the border of k constraints (`lgm.linalg.constrained`).
    exact : bool
        Whether determinants, and the inverse on the whole pattern, are exact up to rounding.
    """

    __slots__ = ()

    pattern: Pattern
    constraints: int
    exact: bool = True

    @property
    def n(self) -> int:
        """Order of the matrix."""
        return self.pattern.n

    @property
    def nnz(self) -> int:
        """Number of stored positions (lower triangle)."""
        return self.pattern.nnz

    def values(self, matrix: sp.sparray | sp.spmatrix) -> FloatArray:
        """Values (nnz,) of a symmetric sparse matrix in pattern order; see `Pattern.values`."""
        return self.pattern.values(matrix)


class SparseAnalysis(Analysis):
    """Symbolic Cholesky factorisation of all matrices with one pattern; made by `analyse`.

    Content is pattern, constraints and ordering. Pickling keeps these; the rest is found again.

    Attributes
    ----------
    pattern : Pattern
        The stored positions; values given to the verbs of `lgm.linalg` are in this order.
    constraints : int
        k: the last 2k rows are the border of k constraints.
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

    __slots__ = ("_key", "constraints", "flops", "nnz_factor", "order", "ordering", "pattern", "workspace_bytes")

    pattern: Pattern
    constraints: int
    order: Order
    ordering: str
    nnz_factor: int
    flops: float
    workspace_bytes: int
    _key: str

    def __init__(self, pattern: Pattern, order: npt.ArrayLike, ordering: str, constraints: int = 0) -> None:
        own = np.array(order, dtype=np.int32)
        own.setflags(write=False)
        content = pattern.key + own.tobytes() + constraints.to_bytes(4) + bytes([_PLAN_VERSION])
        key = hashlib.blake2b(content, digest_size=16).hexdigest()
        # Known to the kernel from here on; in a process that unpickles this, __init__ runs again.
        negative = multipliers(pattern.n, constraints)
        cost, workspace_bytes = kernel.register_analysis(key, pattern.indptr, pattern.indices, own, negative)
        for name, value in {
            "pattern": pattern,
            "constraints": constraints,
            "order": own,
            "ordering": ordering,
            "nnz_factor": cost.nnz_factor,
            "flops": cost.flops,
            "workspace_bytes": workspace_bytes,
            "_key": key,
        }.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Analysis does not change")

    @property
    def key(self) -> str:
        """Content address under which the kernel knows this analysis, the same in every process."""
        return self._key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SparseAnalysis) and self._key == other._key and self.pattern == other.pattern

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[Callable[..., SparseAnalysis], tuple[Any, ...]]:
        pattern = self.pattern
        return _restore, (pattern.n, pattern.indptr, pattern.indices, self.order, self.ordering, self.constraints)

    def __repr__(self) -> str:
        return (
            f"SparseAnalysis(n={self.n}, nnz={self.nnz}, nnz_factor={self.nnz_factor}, flops={self.flops:.3g}, "
            f"ordering={self.ordering!r})"
        )


def _restore(
    n: int, indptr: IntArray, indices: IntArray, order: Order, ordering: str, constraints: int
) -> SparseAnalysis:
    return SparseAnalysis(Pattern(n, indptr, indices), order, ordering, constraints)


def analyse(
    matrix: sp.sparray | sp.spmatrix | Pattern,
    *,
    last: Sequence[int] | npt.NDArray[np.integer[Any]] = (),
    ordering: OrderingName | npt.NDArray[np.integer[Any]] = "auto",
    constraints: int = 0,
    memory_limit: int | None = None,
) -> SparseAnalysis:
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
        One ordering instead of the best, or an elimination order of all rows. Nested dissection is METIS's, through
        pymetis; on the few platforms where that cannot be installed the best is that of the others.
    constraints : int
        k: the last 2k rows are the border of k linear constraints (`lgm.linalg.constrained`), k multipliers and then k
        slacks. These are eliminated after what they border, and the pivots of multipliers are negative. Determinants
        are then those of the absolute value, and draws keep the constraints.
    memory_limit : int, optional
        Largest factor in bytes. By default three quarters of the machine's memory.

    Returns
    -------
    SparseAnalysis

    Raises
    ------
    MissingPackageError
        If ordering is "metis" and pymetis cannot be imported.
    MemoryError
        If the factor would not fit; found before memory of that size is asked for.
    ValueError
        If the matrix is empty or not square, or the ordering is unknown or not a permutation.

    References
    ----------
    Amestoy, Davis & Duff (1996), SIAM J. Matrix Anal. Appl. 17, 886-905 (minimum degree); Gilbert, Ng & Peyton
    (1994), SIAM J. Matrix Anal. Appl. 15, 1075-1091 (column counts); Liu (1992), SIAM Review 34, 82-109 (multifrontal
    method); Karypis & Kumar (1998), SIAM J. Sci. Comput. 20, 359-392 (nested dissection).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> sym = analyse(sp.diags_array([[2.0] * 4, [-1.0] * 3], offsets=[0, 1]))
    >>> sym.n, sym.nnz, sym.nnz_factor
    (4, 7, 7)
    """
    pattern = pattern_to_factor(matrix)
    if pattern.n > _MAX_INDEX or pattern.nnz > _MAX_INDEX:
        raise MemoryError(f"{pattern.n} rows and {pattern.nnz} entries: the kernel takes at most 2^31 - 1 of each")
    if isinstance(ordering, str):
        name, order, cost = best_order(pattern, np.asarray(last, dtype=np.int64), ordering, constraints)
    else:
        name, order = "given", np.asarray(ordering, dtype=np.int32)
        cost = kernel.predict_cost(pattern.indptr, pattern.indices, order, multipliers(pattern.n, constraints))
    _refuse_if_huge(pattern, cost, memory_limit)
    return SparseAnalysis(pattern, order, name, constraints)


def pattern_to_factor(matrix: sp.sparray | sp.spmatrix | Pattern) -> Pattern:
    """The pattern of a matrix, or the pattern that is given; ValueError if it has no rows."""
    pattern = matrix if isinstance(matrix, Pattern) else Pattern.of(matrix)
    if pattern.n == 0:
        raise ValueError("a matrix without rows has no factor")
    return pattern


def allowed_bytes(memory_limit: int | None) -> int:
    """The limit that the user gives, or three quarters of the machine's memory."""
    return memory_limit if memory_limit is not None else _physical_memory() * 3 // 4


def _refuse_if_huge(pattern: Pattern, cost: Cost, memory_limit: int | None) -> None:
    limit = allowed_bytes(memory_limit)
    needed = 8 * (cost.stored + cost.row_entries)
    if needed <= limit and cost.largest_front <= _MAX_INDEX:
        return
    raise MemoryError(
        f"the Cholesky factor of this {pattern.n} x {pattern.n} matrix with {pattern.nnz} stored entries has "
        f"{cost.nnz_factor} nonzeros: {needed / 2**30:.3g} GiB and {cost.flops:.2g} operations per "
        f"factorisation, where at most {limit / 2**30:.3g} GiB and 2^31 - 1 entries per dense block are allowed. "
        "Fill like this comes from crossed factors with many levels or from dense columns"
    )


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not known on this system
        return 16 * 2**30
