"""Effects in an order, whose correlation depends on how far apart they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lgm.precision.ar import coefficients
from lgm.precision.correlated import sound
from lgm.precision.template import Theta


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Toeplitz:
    r"""``C_ij = r_|i-j|``, by partial autocorrelations ``p_1, ..., p_{q-1}``, each anywhere in (-1, 1).

    The best predictor of an effect from the k before it has coefficients a (Durbin-Levinson)

        a_k = (a_{k-1} - p_k reversed(a_{k-1}), p_k)

    and leaves the variance ``d_k = prod_{m <= k} (1 - p_m^2)``. So ``C^-1 = L' diag(1 / d) L`` with ``L_ii = 1`` and
    minus the predictors' coefficients below, and ``log|C| = sum_k (q - k) log(1 - p_k^2)``. The first partial
    autocorrelation is the correlation of neighbours.

    The hyperparameters are ``pacf`` (q - 1,).

    References
    ----------
    Barndorff-Nielsen & Schou (1973), On the parametrization of autoregressive models by partial autocorrelations,
    Journal of Multivariate Analysis 3, 408-419.

    Examples
    --------
    >>> with jax.enable_x64(True):
    ...     inverse, logdet = Toeplitz().inverse({"pacf": jnp.array([0.6])}, 2)
    >>> inverse.round(4).tolist(), round(float(jnp.exp(logdet)), 4)
    ([[1.5625, -0.9375], [-0.9375, 1.5625]], 0.64)
    """

    def matrix(self, theta: Theta, q: int) -> Any:
        """C itself."""
        r = correlations(theta["pacf"])
        xp = r.__array_namespace__()
        apart = np.abs(np.subtract.outer(np.arange(q), np.arange(q)))
        return xp.concat([xp.ones_like(r[..., :1]), r], axis=-1)[..., apart]

    def inverse(self, theta: Theta, q: int) -> tuple[jax.Array, jax.Array]:
        """In closed form."""
        p = jnp.asarray(theta["pacf"])
        inside = jnp.all(jnp.abs(p) < 1.0)
        p = jnp.where(inside, p, jnp.nan)
        left = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.log1p(-p) + jnp.log1p(p))])  # log d
        zero, one = jnp.zeros(()), jnp.ones(())
        rows = [
            jnp.stack([*(-c for c in reversed(each)), one, *[zero] * (q - 1 - len(each))])
            for each in coefficients([p[k] for k in range(q - 1)])
        ]
        lower = jnp.stack(rows) * jnp.exp(-0.5 * left)[:, None]
        return sound(lower.T @ lower, jnp.sum(left))


def correlations(pacf: Any) -> Any:
    """The correlations ``r_1, ..., r_{q-1}`` of partial autocorrelations (..., q - 1); NumPy's arrays or traced.

    Examples
    --------
    >>> correlations(np.array([0.5, 0.0])).tolist()  # an autoregression of order one
    [0.5, 0.25]
    """
    xp = pacf.__array_namespace__()
    found = [xp.ones_like(pacf[..., 0])]  # r_k is what the best predictor from the k before says
    for each in coefficients([pacf[..., k] for k in range(pacf.shape[-1])])[1:]:
        found.append(sum(c * r for c, r in zip(each, reversed(found), strict=True)))
    return xp.stack(found[1:], axis=-1)
