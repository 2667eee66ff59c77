"""Independent effects."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from lgm.pattern import Pattern


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Iid:
    """``R = I``: independent standard normal effects.

    Parameters
    ----------
    n : int
        Number of effects.

    Examples
    --------
    >>> Iid(3).values(None).tolist()
    [1.0, 1.0, 1.0]
    """

    n: int = field(metadata={"static": True})

    @property
    def n_shape(self) -> int:
        """No shape parameters."""
        return 0

    @property
    def pattern(self) -> Pattern:
        """The diagonal."""
        return Pattern.diagonal(self.n)

    def values(self, shape: jax.Array | None) -> jax.Array:
        """Ones, shape (n,)."""
        return jnp.ones(self.n)

    def logdet(self, shape: jax.Array | None) -> jax.Array:
        """Zero."""
        return jnp.zeros(())
