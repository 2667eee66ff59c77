"""The operations of `lgm.linalg.backend` by dense algebra: slow for large matrices, short and plainly right.

Any hardware can run it, and it is the oracle of the sparse kernel. Derivatives are those of the dense factorisation
``Q = L L'`` (`lgm.linalg.small`), to any order.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import scipy.sparse as sp

from lgm.linalg import backend
from lgm.linalg.analysis import Analysis, allowed_bytes, pattern_to_factor
from lgm.linalg.small import Factored, factor
from lgm.pattern import Pattern


@dataclass(frozen=True)
class DenseAnalysis(Analysis):
    """An analysis whose verbs are done by dense algebra; made by `analyse_dense`.

    Attributes
    ----------
    pattern : Pattern
        The stored positions; values given to the verbs of `lgm.linalg` are in this order.
    """

    pattern: Pattern


def analyse_dense(matrix: sp.sparray | sp.spmatrix | Pattern, *, memory_limit: int | None = None) -> DenseAnalysis:
    """Have the verbs of `lgm.linalg` done by dense algebra: a check of the sparse kernel, or a way round it.

    One call costs of the order of n^3 operations and n^2 memory, whatever the pattern. The results are those of
    `analyse` up to rounding, except draws, which are others of the same distribution.

    Parameters
    ----------
    matrix : sparse matrix or array (n, n), or Pattern
        Only the pattern counts, as in `analyse`.
    memory_limit : int, optional
        Largest factor in bytes. By default three quarters of the machine's memory.

    Returns
    -------
    DenseAnalysis

    Raises
    ------
    MemoryError
        If a dense factor would not fit.
    ValueError
        If the matrix is empty or not square.

    Examples
    --------
    >>> import jax, numpy as np, scipy.sparse as sp
    >>> from lgm.linalg import solve
    >>> Q = sp.csc_array([[4.0, 2.0], [2.0, 5.0]])
    >>> sym = analyse_dense(Q)
    >>> with jax.enable_x64(True):
    ...     x = solve(sym, sym.values(Q), np.array([4.0, 2.0]))
    >>> x.round(6).tolist()
    [1.0, 0.0]
    """
    pattern = pattern_to_factor(matrix)
    needed, limit = 8 * pattern.n**2, allowed_bytes(memory_limit)
    if needed > limit:
        raise MemoryError(
            f"a dense factor of this {pattern.n} x {pattern.n} matrix takes {needed / 2**30:.3g} GiB, where at most "
            f"{limit / 2**30:.3g} GiB are allowed; analyse(Q) keeps it sparse"
        )
    return DenseAnalysis(pattern)


@backend.logdet_quad.register
def _logdet_quad(sym: DenseAnalysis, q: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    found = _factor(sym, q)
    x = _solved(found, b)
    return found.logdet, b.T @ x, x


@backend.solve.register
def _solve(sym: DenseAnalysis, q: jax.Array, b: jax.Array) -> jax.Array:
    return _solved(_factor(sym, q), b)


@backend.solve_and_invert.register
def _solve_and_invert(sym: DenseAnalysis, q: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    found = _factor(sym, q)
    return found.logdet, _solved(found, b), found.inverse[sym.pattern.rows, sym.pattern.cols]


@backend.solve_and_sample.register
def _solve_and_sample(
    sym: DenseAnalysis, q: jax.Array, b: jax.Array, z: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    found = _factor(sym, q)
    return found.logdet, _solved(found, b), found.root.T @ z


@backend.factor_info.register
def _factor_info(sym: DenseAnalysis, q: jax.Array) -> jax.Array:
    """By bisection: leading blocks that end before the pivot have a factor, those that include it have none."""
    full, place = _matrix(sym, q), jnp.arange(sym.n)

    def fails(order: jax.Array | int) -> jax.Array:
        inside = (place < order)[:, None] & (place < order)
        block = jnp.where(inside, full, jnp.eye(sym.n))
        return ~jnp.isfinite(factor(block).logdet)

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        below, above = bounds
        middle = (below + above) // 2
        failed = fails(middle)
        return jnp.where(failed, below, middle), jnp.where(failed, middle, above)

    first = jax.lax.fori_loop(0, sym.n.bit_length(), halve, (jnp.int32(0), jnp.int32(sym.n)))[1]
    return jnp.where(fails(sym.n), first, 0)


def _matrix(sym: DenseAnalysis, q: jax.Array) -> jax.Array:
    lower = jnp.zeros((sym.n, sym.n)).at[sym.pattern.rows, sym.pattern.cols].set(q)
    return lower + jnp.tril(lower, -1).T


def _factor(sym: DenseAnalysis, q: jax.Array) -> Factored:
    """All NaN if Q is not positive definite. An infinite entry, which LAPACK lets pass, is made NaN first."""
    return factor(_matrix(sym, q * jnp.where(jnp.all(jnp.isfinite(q)), 1.0, jnp.nan)))


def _solved(found: Factored, b: jax.Array) -> jax.Array:
    return found.root.T @ (found.root @ b)
