"""Stationary autoregression of order one."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import IntArray
from lgm.pattern import Pattern
from lgm.precision.template import Theta, Whitened


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Ar1:
    r"""Unit-variance AR(1) at increasing whole times ``t_1 < ... < t_n``: ``corr(u_i, u_j) = rho^|t_i - t_j|``.

    With ``a_i = rho^(t_{i+1} - t_i)``, R is tridiagonal:

        R[i, i+1] = -a_i / (1 - a_i^2),   R[i, i] = 1 + a_{i-1}^2 / (1 - a_{i-1}^2) + a_i^2 / (1 - a_i^2)

    (terms with an index outside 1..n-1 are absent) and ``log|R| = -sum_i log(1 - a_i^2)``.

    Parameters
    ----------
    gaps : int array (n - 1,)
        ``t_{i+1} - t_i``, each at least one; missing times need no effects of their own.
    n : int
        Number of times.

    Notes
    -----
    Hyperparameters: ``sd``, and ``rho`` in (-1, 1), the correlation of times one unit apart. For equal gaps this is Rue
    & Held (2005), sec. 1.1.1, where the innovations have unit variance; here the process has.

    Examples
    --------
    >>> import jax
    >>> with jax.enable_x64(True):
    ...     found = Ar1(np.array([1, 1]), 3).whiten({"sd": np.array([1.0]), "rho": np.array([0.5])})
    >>> found.values.round(4).tolist()
    [1.3333, -0.6667, 1.6667, -0.6667, 1.3333]
    """

    gaps: jax.Array | IntArray
    n: int = field(metadata={"static": True})

    @property
    def pattern(self) -> Pattern:
        """Tridiagonal."""
        i = np.arange(self.n - 1)
        return Pattern.from_entries(self.n, i + 1, i)

    def whiten(self, theta: Theta) -> Whitened:
        """Entries of R, shape (2 n - 1,): diagonal and subdiagonal in turn."""
        a = jnp.power(theta["rho"][0], self.gaps)
        # As a product: compiled code may round 1 - a^2 differently above and below, and near one the two must cancel.
        innovation = (1.0 - a) * (1.0 + a)
        extra = a * a / innovation
        diagonal = 1.0 + jnp.concatenate([extra, jnp.zeros(1)]) + jnp.concatenate([jnp.zeros(1), extra])
        below = jnp.concatenate([-a / innovation, jnp.zeros(1)])
        values = jnp.stack([diagonal, below], axis=1).ravel()[:-1]
        return Whitened(jnp.broadcast_to(theta["sd"], (self.n,)), values, -jnp.sum(jnp.log1p(-a) + jnp.log1p(a)))
