"""Where the search for the mode of the effects starts: by a line through the mode at one theta.

The start is a function of theta alone, so that the density which engines see stays one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import Numbers
from lgm.parameter import Parameter

FURTHEST = 2.0  # in any coordinate: beyond, the line is not continued


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Start:
    """A line of starting points.

    Parameters
    ----------
    theta : float array (k,)
        Where it was fitted.
    v : float array (d,)
        The mode there, whitened.
    slopes : float array (d, k)
        Its derivatives, by the log of hyperparameters on a half line and by others themselves.
    positive : bool array (k,)
        Which are on a half line.
    """

    theta: Numbers
    v: Numbers
    slopes: Numbers
    positive: Numbers

    @classmethod
    def nowhere(cls, d: int, parameters: Sequence[Parameter]) -> Start:
        """At zero everywhere, until the mode of some theta is known."""
        domains = [parameter.domain for parameter in parameters for _ in parameter.names]
        positive = np.array([domain.low == 0.0 and math.isinf(domain.high) for domain in domains], dtype=bool)
        k = len(domains)
        return cls(np.ones(k), np.zeros(d), np.zeros((d, k)), positive)

    @classmethod
    def through(cls, before: Start, theta: jax.Array, v: jax.Array, slopes: jax.Array) -> Start:
        """Through the mode v (d,) at theta, with its derivatives (d, k) by theta."""
        by = slopes * jnp.where(before.positive, theta, 1.0)
        fine = jnp.all(jnp.isfinite(v)) & jnp.all(jnp.isfinite(by))
        return cls(theta, jnp.where(fine, v, 0.0), jnp.where(fine, by, 0.0), before.positive)

    def at(self, theta: jax.Array) -> jax.Array:
        """The start (d,) for the search at a theta."""
        move = jnp.clip(self._coordinates(theta) - self._coordinates(jnp.asarray(self.theta)), -FURTHEST, FURTHEST)
        return jnp.asarray(self.v) + jnp.asarray(self.slopes) @ move

    def _coordinates(self, theta: jax.Array) -> jax.Array:
        return jnp.where(self.positive, jnp.log(jnp.maximum(theta, 1e-300)), theta)
