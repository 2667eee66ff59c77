"""Independent effects."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from lgm.pattern import Pattern
from lgm.precision.template import Theta, Whitened


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Iid:
    """``R = I``: independent effects, q in each level, each kind with its own sd or all with the same.

    Parameters
    ----------
    levels, q : int
        Number of levels and of effects per level; effects are ordered level by level.

    Examples
    --------
    >>> import numpy as np
    >>> Iid(2, 2).whiten({"sd": np.array([1.0, 3.0])}).scale.tolist()
    [1.0, 3.0, 1.0, 3.0]
    """

    levels: int = field(metadata={"static": True})
    q: int = field(default=1, metadata={"static": True})

    @property
    def n(self) -> int:
        """Number of effects, ``levels * q``."""
        return self.levels * self.q

    @property
    def pattern(self) -> Pattern:
        """The diagonal."""
        return Pattern.diagonal(self.n)

    def whiten(self, theta: Theta) -> Whitened:
        """Entries of one; ``theta["sd"]`` has q entries, or one."""
        scale = jnp.tile(jnp.broadcast_to(theta["sd"], (self.q,)), self.levels)
        return Whitened(scale, jnp.ones(self.n), jnp.zeros(()))
