"""Sparse verbs by dense algebra: slow, short and plainly right, hence the oracle of the sparse kernel.

Every verb has the signature of its sparse counterpart. A symmetric matrix ``Q`` is given by an analysis (its pattern)
and ``values`` in pattern order; derivatives are JAX's own, through the dense factorisation. A matrix that is not
positive definite gives NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from jax.scipy.linalg import cho_solve, solve_triangular

from lgm.arrays import FloatArray
from lgm.pattern import Pattern


@dataclass(frozen=True)
class Analysis:
    """What is known of a matrix before its values: here the pattern alone."""

    pattern: Pattern

    @property
    def n(self) -> int:
        """Order of the matrix."""
        return self.pattern.n

    def values(self, matrix: sp.sparray | sp.spmatrix) -> FloatArray:
        """Entries of a symmetric sparse matrix in pattern order."""
        return self.pattern.values(matrix)


def analyse(matrix: sp.sparray | sp.spmatrix | Pattern) -> Analysis:
    """Keep the pattern of a symmetric sparse matrix; its values are not looked at."""
    return Analysis(matrix if isinstance(matrix, Pattern) else Pattern.of(matrix))


def _cholesky(sym: Analysis, values: jax.Array) -> jax.Array:
    rows, cols = sym.pattern.rows, sym.pattern.cols
    lower = jnp.zeros((sym.n, sym.n), values.dtype).at[rows, cols].set(values)
    return jnp.linalg.cholesky(lower + jnp.tril(lower, -1).T, symmetrize_input=False)


def _logdet(factor: jax.Array) -> jax.Array:
    return 2.0 * jnp.sum(jnp.log(jnp.diagonal(factor)))


def logdet(sym: Analysis, values: jax.Array) -> jax.Array:
    """``log|Q|``."""
    return _logdet(_cholesky(sym, values))


def solve(sym: Analysis, values: jax.Array, b: jax.Array) -> jax.Array:
    """``Q^-1 b`` for ``b`` of shape (n,) or (n, k)."""
    return cho_solve((_cholesky(sym, values), True), b)


def logdet_quad(sym: Analysis, values: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``(log|Q|, b'Q^-1 b, Q^-1 b)``; for ``b`` of shape (n, k) the middle one is the k x k Gram matrix."""
    factor = _cholesky(sym, values)
    x = cho_solve((factor, True), b)
    return _logdet(factor), b.T @ x, x


def solve_and_sample(
    sym: Analysis, values: jax.Array, b: jax.Array, z: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``(log|Q|, Q^-1 b, w)`` from one factorisation, where ``w ~ N(0, Q^-1)`` if ``z`` (n, m) is standard normal."""
    factor = _cholesky(sym, values)
    return _logdet(factor), cho_solve((factor, True), b), solve_triangular(factor, z, lower=True, trans="T")


def sample(
    sym: Analysis, values: jax.Array, key: jax.Array, mean: jax.Array | float = 0.0, shape: tuple[int, ...] = ()
) -> jax.Array:
    """Draws of ``N(mean, Q^-1)``, of shape ``shape + (n,)``."""
    z = jax.random.normal(key, (sym.n, int(np.prod(shape, dtype=int))), dtype=values.dtype)
    w = solve_triangular(_cholesky(sym, values), z, lower=True, trans="T")
    return mean + w.T.reshape((*shape, sym.n))


def selected_inverse(sym: Analysis, values: jax.Array) -> jax.Array:
    """Entries of ``Q^-1`` in pattern order."""
    inverse = cho_solve((_cholesky(sym, values), True), jnp.eye(sym.n, dtype=values.dtype))
    return inverse[sym.pattern.rows, sym.pattern.cols]


def marginal_variances(sym: Analysis, values: jax.Array) -> jax.Array:
    """Diagonal of ``Q^-1``."""
    return selected_inverse(sym, values)[sym.pattern.indptr[:-1]]
