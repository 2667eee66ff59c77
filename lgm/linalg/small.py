"""Dense positive definite matrices: one factorisation for the inverse, the determinant and a root.

Batched calls of LAPACK that JAX runs at the same time can wait for each other's threads, on two cores for ever (jaxlib
0.10). Here a batch is factored one matrix after the other, each by calls that need no threads of JAX's, and derivatives
are products.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lgm.linalg._jax import sequential_vmap


class Factored(NamedTuple):
    """Of a positive definite C (n, n): ``C^-1``, ``log|C|`` and ``L^-1``, where ``C = L L'``; NaN if it is none."""

    inverse: jax.Array
    logdet: jax.Array
    root: jax.Array


@jax.custom_jvp
def factor(c: jax.Array) -> Factored:
    """Factor a matrix, of which the lower triangle is read.

    Derivatives: ``d C^-1 = -C^-1 dC C^-1``, ``d log|C| = tr(C^-1 dC)``, and with ``P = L^-1 dC L^-T`` the root's is
    ``-Phi(P) L^-1``, where Phi keeps the lower triangle and half of the diagonal.

    Examples
    --------
    >>> import numpy as np
    >>> with jax.enable_x64(True):
    ...     found = factor(jnp.array([[4.0, 0.0], [0.0, 16.0]]))
    >>> np.diagonal(found.inverse).tolist(), np.diagonal(found.root).tolist()
    ([0.25, 0.0625], [0.5, 0.25])
    """
    lower, root = _roots(c)
    return Factored(root.T @ root, 2.0 * jnp.sum(jnp.log(jnp.diagonal(lower))), root)


@sequential_vmap
def _roots(c: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``L`` and ``L^-1``."""
    lower = jnp.linalg.cholesky(c, symmetrize_input=False)
    return lower, jax.scipy.linalg.solve_triangular(lower, jnp.eye(c.shape[0], dtype=c.dtype), lower=True)


@factor.defjvp
def _factor_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[Factored, Factored]:
    found = factor(*primals)
    inverse, _, root = found
    inner = jnp.tril(root @ tangents[0] @ root.T)
    half = inner - 0.5 * jnp.diag(jnp.diagonal(inner))
    return found, Factored(-inverse @ tangents[0] @ inverse, jnp.sum(inverse * tangents[0]), -half @ root)


def roots(c: jax.Array) -> jax.Array:
    """``L^-1`` (..., k, k) of many matrices ``C = L L'`` of few rows, written out; NaN where C is not definite.

    Examples
    --------
    >>> import numpy as np
    >>> with jax.enable_x64(True):
    ...     found = roots(jnp.array([[[4.0, 2.0], [2.0, 5.0]]]))
    >>> found.tolist()
    [[[0.5, 0.0], [-0.25, 0.5]]]
    """
    k = c.shape[-1]
    lower: list[list[jax.Array]] = []
    inverse: list[list[jax.Array]] = []
    for i in range(k):
        row: list[jax.Array] = []
        for j in range(i):
            row.append((c[..., i, j] - sum(row[m] * lower[j][m] for m in range(j))) * inverse[j][j])
        own = 1.0 / jnp.sqrt(c[..., i, i] - sum(one * one for one in row))
        lower.append(row)
        inverse.append([-own * sum(row[m] * inverse[m][j] for m in range(j, i)) for j in range(i)] + [own])
    zero = jnp.zeros(c.shape[:-2], c.dtype)
    return jnp.stack([jnp.stack(row + [zero] * (k - len(row)), axis=-1) for row in inverse], axis=-2)
