"""Compound symmetry: effects of which all pairs have the same correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from lgm.precision.correlated import sound
from lgm.precision.template import Theta


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Exchangeable:
    r"""``C = (1 - r) I + r 11'``, positive definite for r in ``(-1 / (q - 1), 1)``.

    With ``s = 1 + (q - 1) r``,

        C^-1 = (I - (r / s) 11') / (1 - r),   log|C| = (q - 1) log(1 - r) + log s

    The hyperparameter is ``rho``.

    Examples
    --------
    >>> with jax.enable_x64(True):
    ...     inverse, logdet = Exchangeable().inverse({"rho": jnp.array([0.6])}, 2)
    >>> inverse.round(4).tolist(), round(float(jnp.exp(logdet)), 4)
    ([[1.5625, -0.9375], [-0.9375, 1.5625]], 0.64)
    """

    def matrix(self, theta: Theta, q: int) -> Any:
        """C itself."""
        r = theta["rho"][..., None]
        xp = r.__array_namespace__()
        return xp.where(xp.eye(q, dtype=bool), 1.0, r)

    def inverse(self, theta: Theta, q: int) -> tuple[jax.Array, jax.Array]:
        """In closed form."""
        r = jnp.asarray(theta["rho"])[0]
        s = 1.0 + (q - 1) * r
        inside = (r < 1.0) & (s > 0.0)
        r, s = jnp.where(inside, r, jnp.nan), jnp.where(inside, s, jnp.nan)
        return sound((jnp.eye(q) - (r / s) * jnp.ones((q, q))) / (1.0 - r), (q - 1) * jnp.log1p(-r) + jnp.log(s))
