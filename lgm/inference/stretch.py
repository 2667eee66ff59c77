"""The coordinates in which NUTS moves: smooth through zero for standard deviations, working scale for the rest.

On the log scale the posterior of a standard deviation that may be zero has an exponential left tail, which chains enter
rarely and leave slowly. Here ``sd = scale * |sinh(x)|``: linear near zero, where x of either sign means the same and
the chain passes from one to the other, and logarithmic far from it, which tames a long right tail.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import FloatArray
from lgm.inference.mode import Mode
from lgm.posterior import density
from lgm.posterior.density import Posterior


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Stretched:
    """Affine coordinates z of a stretched scale: ``x = centre + root @ z``.

    Parameters
    ----------
    post : Posterior
    centre : float array (d,)
    root : float array (d, d)
    scale : float array (d,)
        Where the scale turns from linear to logarithmic; one where it is not stretched.
    folded : tuple of bool
        Which coordinates are stretched (static).
    """

    post: Posterior
    centre: jax.Array
    root: jax.Array
    scale: jax.Array
    folded: tuple[bool, ...] = field(metadata={"static": True})

    def natural(self, z: jax.Array) -> jax.Array:
        """Theta, natural scale."""
        return self.post.hyper.from_folded(self._folded(self.centre + self.root @ z))

    def log_density(self, z: jax.Array) -> jax.Array:
        """Log density of z up to ``log|root|``; NaN where it is undefined."""
        x = self.centre + self.root @ z
        y = self._folded(x)
        hyper, theta = self.post.hyper, self.post.hyper.from_folded(y)
        bend = jnp.sum(jnp.where(np.array(self.folded, dtype=bool), jnp.log(jnp.cosh(x)), 0.0))
        value = density.log_likelihood(self.post, theta) + hyper.log_prior(theta) + hyper.log_jacobian_folded(y)
        return value + bend + jnp.sum(jnp.log(self.scale))

    def _folded(self, x: jax.Array) -> jax.Array:
        return jnp.where(np.array(self.folded, dtype=bool), self.scale * jnp.sinh(x), x)


def around(post: Posterior, mode: Mode, theta: FloatArray) -> Stretched:
    """Coordinates whitened at the mode of the working density.

    A standard deviation turns logarithmic where its posterior is narrow on the log scale, hence far from zero: its
    scale is its value at the mode, times its spread on the log scale if that is below one.

    Parameters
    ----------
    post : Posterior
    mode : Mode
        On the working scale, where the coordinate of a folded one is ``log sd``.
    theta : float array (d,)
        The mode in folded coordinates.
    """
    folded = np.array(post.hyper.folded, dtype=bool)
    spread = np.sqrt(np.sum(mode.root**2, axis=1))
    scale = np.where(folded, theta * np.minimum(spread, 1.0), 1.0)
    centre = np.where(folded, np.arcsinh(theta / scale), theta)
    slope = np.where(folded, np.tanh(centre), 1.0)  # dx / d log sd
    root = slope[:, None] * mode.root
    return Stretched(post, jax.device_put(centre), jax.device_put(root), jax.device_put(scale), post.hyper.folded)


def to_working(target: Stretched, x: FloatArray) -> FloatArray:
    """The working scale of points (n, d) of the stretched scale: ``u = log sd = log(scale sinh x)`` where folded."""
    folded = np.array(target.folded, dtype=bool)
    stretched = np.asarray(target.scale) * np.sinh(np.where(folded, x, 1.0))
    return np.where(folded, np.log(stretched), x)


def from_working(
    target: Stretched, u: FloatArray, value: float, grad: FloatArray
) -> tuple[FloatArray, float, FloatArray]:
    """A point of the working scale with its log density and gradient, in coordinates z.

    With ``u = log sd = log(scale sinh x)``: ``du/dx = coth x``, so the density gains ``log coth x`` and the gradient
    ``d log coth x / dx = -2 / sinh 2x``.
    """
    folded = np.array(target.folded, dtype=bool)
    scale, root = np.asarray(target.scale), np.asarray(target.root)
    x = np.where(folded, np.arcsinh(np.exp(np.where(folded, u, 0.0)) / scale), u)
    safe = np.where(folded, x, 1.0)
    coth = np.where(folded, 1.0 / np.tanh(safe), 1.0)
    grad_x = grad * coth - np.where(folded, 2.0 / np.sinh(2.0 * safe), 0.0)
    z = np.linalg.solve(root, x - np.asarray(target.centre)) if x.size else x
    return z, value + float(np.sum(np.log(coth))), root.T @ grad_x


def value_and_grad(target: Stretched, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Log density and its gradient; ``(-inf, 0)`` where either is undefined."""
    value, grad = jax.value_and_grad(Stretched.log_density, argnums=1)(target, z)
    fine = jnp.isfinite(value) & jnp.all(jnp.isfinite(grad))
    return jnp.where(fine, value, -jnp.inf), jnp.where(fine, grad, 0.0)


@jax.custom_vjp
def log_density(target: Stretched, z: jax.Array) -> jax.Array:
    """Log density of z; -inf with a zero gradient where it is undefined.

    The rule below exists because ``where(fine, value, -inf)`` would send the NaN of the unused branch into the
    gradient.
    """
    return value_and_grad(target, z)[0]


log_density.defvjp(value_and_grad, lambda grad, cotangent: (None, cotangent * grad))
