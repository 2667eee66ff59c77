"""Independent effects of several kinds, each with its own sd."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from lgm.arrays import Numbers
from lgm.pattern import Pattern
from lgm.precision.template import Theta, Whitened


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Parts:
    """``R = I``; the effects of part j have the standard deviation ``sd_j``.

    Parameters
    ----------
    part : int array (n,)
        Of each effect.
    n : int

    Examples
    --------
    >>> import numpy as np
    >>> Parts(np.array([0, 1, 1]), 3).whiten({"sd": np.array([2.0, 5.0])}).scale.tolist()
    [2.0, 5.0, 5.0]
    """

    part: Numbers
    n: int = field(metadata={"static": True})

    @property
    def pattern(self) -> Pattern:
        """The diagonal."""
        return Pattern.diagonal(self.n)

    def whiten(self, theta: Theta) -> Whitened:
        """Entries of one."""
        return Whitened(jnp.asarray(theta["sd"])[jnp.asarray(self.part)], jnp.ones(self.n), jnp.zeros(()))
