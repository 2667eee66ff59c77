"""What every precision template provides: mathematics only, no data frames."""

from __future__ import annotations

from typing import Protocol

import jax

from lgm.pattern import Pattern


class Template(Protocol):
    """The unit-scale precision ``R(shape)`` of one block of latent effects.

    The block's precision is ``D^-1 R D^-1`` with ``D`` the diagonal of standard deviations, which the posterior whitens
    away. Templates are JAX pytrees: sizes and patterns are static, numbers are arguments of compiled functions.
    """

    @property
    def n(self) -> int:
        """Number of effects."""

    @property
    def n_shape(self) -> int:
        """Number of shape parameters (correlations, rho, ...)."""

    @property
    def pattern(self) -> Pattern:
        """Positions of the stored entries of R, the same for every shape."""

    def values(self, shape: jax.Array) -> jax.Array:
        """Entries of R in pattern order; ``shape`` has ``n_shape`` numbers in natural space."""

    def logdet(self, shape: jax.Array) -> jax.Array:
        """Log of the product of the non-zero eigenvalues of R, constants included."""
