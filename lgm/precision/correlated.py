"""Correlated effects within each level of a group."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from lgm.pattern import Pattern


def correlation_matrix(corr: jax.Array, q: int) -> jax.Array:
    """The q x q correlation matrix with lower triangle ``corr``, row by row: (1,0), (2,0), (2,1), ..."""
    rows, cols = np.tril_indices(q, -1)
    lower = jnp.zeros((q, q)).at[rows, cols].set(corr)
    return lower + lower.T + jnp.eye(q)


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
    Shape parameters: the ``q (q - 1) / 2`` correlations, row by row below the diagonal. ``log|R| = -J log|C|``. Where C is not
    positive definite the values are NaN.

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
        inverse = jax.scipy.linalg.cho_solve((self._factor(shape), True), jnp.eye(self.q))
        cols, rows = np.triu_indices(self.q)  # column by column of the lower triangle
        return jnp.tile(inverse[rows, cols], self.levels)

    def logdet(self, shape: jax.Array) -> jax.Array:
        """``-J log|C|``."""
        return -2.0 * self.levels * jnp.sum(jnp.log(jnp.diagonal(self._factor(shape))))

    def _factor(self, shape: jax.Array) -> jax.Array:
        return jnp.linalg.cholesky(correlation_matrix(shape, self.q))
