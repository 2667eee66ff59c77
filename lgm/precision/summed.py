"""Independent effects of which each has a sum of precisions: tensor products of smooths."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from lgm.arrays import Numbers
from lgm.pattern import Pattern
from lgm.precision.template import Theta, Whitened


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Summed:
    """``R = I``; effect i of a copy has the precision ``sum_j weights_ij / sd_j^2``, with the copy's own sds.

    Parameters
    ----------
    weights : float array (K, J)
        Not negative, and some of each row positive.
    copies : int
        Effects are ordered copy by copy, and so are the ``copies * J`` sds.

    Notes
    -----
    With ``a_j = sd_j / sqrt(weights_ij)`` and the least of them m, the scale is ``m / sqrt(sum_j (m / a_j)^2)``: its
    ratios are at most one, so that an sd of zero is an ordinary point, which takes out what it penalises.

    Examples
    --------
    >>> import numpy as np
    >>> block = Summed(np.array([[1.0, 0.0], [0.25, 0.25]]))
    >>> block.whiten({"sd": np.array([3.0, 4.0])}).scale.tolist(), block.whiten({"sd": np.zeros(2)}).scale.tolist()
    ([3.0, 4.8], [0.0, 0.0])
    """

    weights: Numbers
    copies: int = field(default=1, metadata={"static": True})

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.copies * int(self.weights.shape[0])

    @property
    def pattern(self) -> Pattern:
        """The diagonal."""
        return Pattern.diagonal(self.n)

    def whiten(self, theta: Theta) -> Whitened:
        """Entries of one."""
        weights = jnp.asarray(self.weights)
        sd = jnp.asarray(theta["sd"]).reshape(self.copies, 1, weights.shape[1])
        sees = jnp.broadcast_to(weights > 0.0, (self.copies, *weights.shape))
        alone = sd / jnp.sqrt(jnp.where(weights > 0.0, weights, 1.0))
        least = jnp.min(jnp.where(sees, alone, jnp.inf), axis=2)
        other = sees & (alone > least[..., None])
        ratios = jnp.where(other, least[..., None] / jnp.where(other, alone, 1.0), sees)
        scale = least / jnp.sqrt(jnp.sum(ratios**2, axis=2))
        return Whitened(scale.ravel(), jnp.ones(self.n), jnp.zeros(()))
