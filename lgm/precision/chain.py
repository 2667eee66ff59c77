"""Many short series: autoregressions of order one in each level of a group, at whole times or any."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import BoolArray, FloatArray, IntArray, Numbers
from lgm.pattern import Pattern
from lgm.precision.template import Theta, Whitened


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Chain:
    r"""Series one after the other, each stationary: ``corr(u_i, u_j) = rho^|t_i - t_j|`` within a series.

    With ``a_i = rho^(t_{i+1} - t_i)`` within a series and zero from one to the next, R is tridiagonal,

        R[i, i+1] = -a_i / (1 - a_i^2),   R[i, i] = 1 + a_{i-1}^2 / (1 - a_{i-1}^2) + a_i^2 / (1 - a_i^2)

    and ``log|R| = -sum_i log(1 - a_i^2)``. A series has its own times only: others need no effects.

    Parameters
    ----------
    gaps : int or float array (n - 1,)
        ``t_{i+1} - t_i``, positive; whole numbers where rho may be negative. Where a series ends, any.
    joined : bool array (n - 1,)
        Whether effects i and i + 1 are of one series.
    sd : int array (n,)
        Which standard deviation an effect has.
    rho : int array (n - 1,)
        Which correlation.
    stored : int array (nnz,)
        Of diagonal and subdiagonal in turn, what R has: nothing is between series.
    pattern : Pattern
    whole : bool
        Whether gaps are whole numbers.

    Notes
    -----
    Hyperparameters: ``sd`` and ``rho``, as many as there are; rho is in (-1, 1), or in (0, 1) where gaps are any.

    Examples
    --------
    >>> one = np.zeros(3, dtype=int)
    >>> chain = Chain.of(np.array([1, 1]), np.array([True, False]), one, one[1:])
    >>> with jax.enable_x64(True):
    ...     found = chain.whiten({"sd": np.array([1.0]), "rho": np.array([0.5])})
    >>> found.values.round(4).tolist()
    [1.3333, -0.6667, 1.3333, 1.0]
    """

    gaps: Numbers
    joined: Numbers
    sd: Numbers
    rho: Numbers
    stored: Numbers
    pattern: Pattern = field(metadata={"static": True})
    whole: bool = field(metadata={"static": True})

    @classmethod
    def of(cls, gaps: IntArray | FloatArray, joined: BoolArray, sd: IntArray, rho: IntArray) -> Chain:
        """The template of these series."""
        n, i = sd.size, np.flatnonzero(joined)
        stored = np.sort(np.append(2 * np.arange(n), 2 * i + 1))
        pattern = Pattern.from_entries(n, i + 1, i)
        return cls(np.where(joined, gaps, 1), joined, sd, rho, stored, pattern, gaps.dtype.kind == "i")

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.pattern.n

    def whiten(self, theta: Theta) -> Whitened:
        """Entries of R: of diagonal and subdiagonal in turn, those that are stored."""
        rho = jnp.asarray(theta["rho"])[self.rho]
        if self.whole:
            a = jnp.where(self.joined, jnp.power(rho, self.gaps), 0.0)
            left = (1.0 - a) * (1.0 + a)  # as a product: above and below it must be rounded alike
            logs = jnp.log1p(-a) + jnp.log1p(a)
        else:
            log = jnp.where(self.joined, self.gaps * jnp.log(rho), -1.0)
            a = jnp.where(self.joined, jnp.exp(log), 0.0)
            left = jnp.where(self.joined, -jnp.expm1(2.0 * log), 1.0)
            logs = jnp.log(left)
        extra = a * a / left
        diagonal = 1.0 + jnp.concatenate([extra, jnp.zeros(1)]) + jnp.concatenate([jnp.zeros(1), extra])
        below = jnp.concatenate([-a / left, jnp.zeros(1)])
        values = jnp.stack([diagonal, below], axis=1).ravel()[self.stored]
        return Whitened(jnp.asarray(theta["sd"])[self.sd], values, -jnp.sum(logs))
