"""Correlated effects within each level of a group."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lgm.linalg.small import factor
from lgm.pattern import Pattern
from lgm.precision.template import Theta, Whitened

# Least variance of an effect given the others. C^-1 grows as its inverse, and rounding with it: the log likelihood is
# then wrong by 1e-6 or so, and by more than one at 1e-15, where an optimiser would take the error for a mode.
LEAST_VARIANCE = 1e-9


def correlation_matrix(corr: Any, q: int) -> Any:
    """The correlation matrices (..., q, q) with lower triangles ``corr``, row by row: (1,0), (2,0), (2,1), ..."""
    xp = corr.__array_namespace__()
    rows, cols = np.tril_indices(q, -1)
    place = np.zeros((q, q), dtype=np.int64)
    place[rows, cols] = place[cols, rows] = 1 + np.arange(rows.size)
    return xp.concat([xp.ones_like(corr[..., :1]), corr], axis=-1)[..., place]


def _inverse_and_logdet(c: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``C^-1`` and ``log|C|``; NaN where C is not positive definite, or is so only by rounding."""
    found = factor(c)
    mark = jnp.where(jnp.max(jnp.diagonal(found.inverse)) < 1.0 / LEAST_VARIANCE, 1.0, jnp.nan)
    return mark * found.inverse, mark * found.logdet  # a product, so that derivatives are NaN too


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
    Hyperparameters: ``sd`` (q,) and ``corr``, the ``q (q - 1) / 2`` correlations, row by row below the diagonal.
    ``log|R| = -J log|C|``. Where C is not positive definite, or nearly singular (`LEAST_VARIANCE`), the values are NaN.

    Examples
    --------
    >>> found = Correlated(1, 2).whiten({"sd": np.array([1.0, 2.0]), "corr": np.array([0.6])})
    >>> found.values.round(4).tolist(), found.scale.tolist()
    ([1.5625, -0.9375, 1.5625], [1.0, 2.0])
    """

    levels: int = field(metadata={"static": True})
    q: int = field(metadata={"static": True})

    @property
    def n(self) -> int:
        """Number of effects, ``levels * q``."""
        return self.levels * self.q

    @property
    def pattern(self) -> Pattern:
        """Block diagonal, dense blocks of order q."""
        block = Pattern.from_entries(self.q, *np.tril_indices(self.q))
        return Pattern.block_diagonal([block] * self.levels)

    def whiten(self, theta: Theta) -> Whitened:
        """Entries of R, shape (levels * q (q + 1) / 2,)."""
        inverse, log_det = _inverse_and_logdet(correlation_matrix(jnp.asarray(theta["corr"]), self.q))
        cols, rows = np.triu_indices(self.q)  # column by column of the lower triangle
        values = jnp.tile(inverse[rows, cols], self.levels)
        return Whitened(jnp.tile(theta["sd"], self.levels), values, -self.levels * log_det)
