"""Correlated effects within each level of a group."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from lgm.pattern import Pattern

# Least variance of an effect given the others. C^-1 grows as its inverse, and rounding with it: the log likelihood is
# then wrong by 1e-6 or so, and by more than one at 1e-15, where an optimiser would take the error for a mode.
LEAST_VARIANCE = 1e-9


def correlation_matrix(corr: jax.Array, q: int) -> jax.Array:
    """The q x q correlation matrix with lower triangle ``corr``, row by row: (1,0), (2,0), (2,1), ..."""
    rows, cols = np.tril_indices(q, -1)
    place = np.zeros((q, q), dtype=np.int64)
    place[rows, cols] = place[cols, rows] = 1 + np.arange(rows.size)
    place[np.arange(q), np.arange(q)] = 0
    return jnp.concatenate([jnp.ones(1), corr])[place]


@jax.custom_jvp
def _inverse_and_logdet(c: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``C^-1`` and ``log|C|``; NaN where C is not positive definite, or is so only by rounding.

    The rule below, ``d C^-1 = -C^-1 dC C^-1`` and ``d log|C| = tr(C^-1 dC)``, needs no further factorisation; JAX's own
    through the Cholesky factor compiles to five times as much code.
    """
    factor = jnp.linalg.cholesky(c, symmetrize_input=False)
    root = jax.scipy.linalg.solve_triangular(factor, jnp.eye(c.shape[0], dtype=c.dtype), lower=True)
    inverse, log_det = root.T @ root, 2.0 * jnp.sum(jnp.log(jnp.diagonal(factor)))
    fine = jnp.max(jnp.diagonal(inverse)) < 1.0 / LEAST_VARIANCE
    return jnp.where(fine, inverse, jnp.nan), jnp.where(fine, log_det, jnp.nan)


@_inverse_and_logdet.defjvp
def _inverse_and_logdet_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    inverse, log_det = _inverse_and_logdet(*primals)
    return (inverse, log_det), (-inverse @ tangents[0] @ inverse, jnp.sum(inverse * tangents[0]))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Correlated:
    """``R = I_J (x) C^-1``: in each of ``levels`` levels, ``q`` unit-variance effects with correlation matrix C.

    The effects are ordered level by level, so R is block diagonal with dense q x q blocks.

    Parameters
    ----------
    levels, q : int
        Number of levels J and of effects per level.

    Notes
    -----
    Shape parameters: the ``q (q - 1) / 2`` correlations, row by row below the diagonal. ``log|R| = -J log|C|``. Where C
    is not positive definite, or nearly singular (`LEAST_VARIANCE`), the values are NaN.

    Examples
    --------
    >>> Correlated(1, 2).values(np.array([0.6])).round(4).tolist()
    [1.5625, -0.9375, 1.5625]
    """

    levels: int = field(metadata={"static": True})
    q: int = field(metadata={"static": True})

    @property
    def n(self) -> int:
        """Number of effects, ``levels * q``."""
        return self.levels * self.q

    @property
    def n_shape(self) -> int:
        """Number of correlations."""
        return self.q * (self.q - 1) // 2

    @property
    def pattern(self) -> Pattern:
        """Block diagonal, dense blocks of order q."""
        block = Pattern.from_entries(self.q, *np.tril_indices(self.q))
        return Pattern.block_diagonal([block] * self.levels)

    def values(self, shape: jax.Array) -> jax.Array:
        """Entries of R, shape (levels * q (q + 1) / 2,)."""
        inverse = _inverse_and_logdet(correlation_matrix(shape, self.q))[0]
        cols, rows = np.triu_indices(self.q)  # column by column of the lower triangle
        return jnp.tile(inverse[rows, cols], self.levels)

    def logdet(self, shape: jax.Array) -> jax.Array:
        """``-J log|C|``."""
        return -self.levels * _inverse_and_logdet(correlation_matrix(shape, self.q))[1]
