"""Correlated effects within each level of a group."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

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


class Structure(Protocol):
    """A class of correlation matrices C; a pytree."""

    def matrix(self, theta: Theta, q: int) -> Any:
        """C (..., q, q) at hyperparameters (..., number of a kind), NumPy's or traced."""

    def inverse(self, theta: Theta, q: int) -> tuple[jax.Array, jax.Array]:
        """``C^-1`` (q, q) and ``log|C|``; NaN where C is not positive definite, or is so only by rounding."""


def sound(inverse: jax.Array, logdet: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The same, or NaN where an effect has no variance to speak of given the others."""
    mark = jnp.where(jnp.max(jnp.diagonal(inverse)) < 1.0 / LEAST_VARIANCE, 1.0, jnp.nan)
    return mark * inverse, mark * logdet  # a product, so that derivatives are NaN too


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Unstructured:
    """Any correlation matrix: ``corr`` has its lower triangle, row by row."""

    def matrix(self, theta: Theta, q: int) -> Any:
        """C itself."""
        return correlation_matrix(theta["corr"], q)

    def inverse(self, theta: Theta, q: int) -> tuple[jax.Array, jax.Array]:
        """By a factorisation."""
        found = factor(correlation_matrix(jnp.asarray(theta["corr"]), q))
        return sound(found.inverse, found.logdet)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Correlated:
    """``R = I_J (x) C^-1``: in each of ``levels`` levels, ``q`` unit-variance effects with correlation matrix C.

    The effects are ordered level by level, so R is block diagonal with dense q x q blocks.

    Parameters
    ----------
    levels, q : int
        Number of levels J and of effects per level.
    structure : Structure
        What kind of correlation matrix C is; by default any, with ``corr``, its ``q (q - 1) / 2`` correlations, row by
        row below the diagonal.

    Notes
    -----
    Hyperparameters: ``sd``, (q,) or one for all effects, and those of the structure. ``log|R| = -J log|C|``. Where C is
    not positive definite, or nearly singular (`LEAST_VARIANCE`), the values are NaN.

    Examples
    --------
    >>> found = Correlated(1, 2).whiten({"sd": np.array([1.0, 2.0]), "corr": np.array([0.6])})
    >>> found.values.round(4).tolist(), found.scale.tolist()
    ([1.5625, -0.9375, 1.5625], [1.0, 2.0])
    """

    levels: int = field(metadata={"static": True})
    q: int = field(metadata={"static": True})
    structure: Structure = Unstructured()

    @property
    def n(self) -> int:
        """Number of effects, ``levels * q``."""
        return self.levels * self.q

    @property
    def pattern(self) -> Pattern:
        """Block diagonal, dense blocks of order q."""
        return Pattern.from_entries(self.q, *np.tril_indices(self.q)).repeated(self.levels)

    def whiten(self, theta: Theta) -> Whitened:
        """Entries of R, shape (levels * q (q + 1) / 2,)."""
        inverse, log_det = self.structure.inverse(theta, self.q)
        cols, rows = np.triu_indices(self.q)  # column by column of the lower triangle
        values = jnp.tile(inverse[rows, cols], self.levels)
        scale = jnp.tile(jnp.broadcast_to(theta["sd"], (self.q,)), self.levels)
        return Whitened(scale, values, -self.levels * log_det)
