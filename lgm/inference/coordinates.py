"""The coordinates of theta in which engines move, and its log density in each of them.

`Hyperparameters` has two: *working* ones, the whole real line with standard deviations on the log scale, and *folded*
ones, where a standard deviation is itself. On the log scale the posterior of a standard deviation that may be zero has
an exponential left tail, which chains enter rarely and leave slowly; on its own scale it has a long right tail, along
which other hyperparameters change exponentially (an autoregression's sd and its rho), and which no later weight can
mend where a proposal misses it. Hence *bent* ones, ``sd = scale * |sinh(x)|``: linear near zero, where x of either sign
means the same, and logarithmic far off. Importance sampling proposes in them, NUTS moves in whitened ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import BoolArray, FloatArray
from lgm.posterior import density
from lgm.posterior.density import Marginal

if TYPE_CHECKING:
    from lgm.inference.mode import FoldedMode, Mode

# Of the posterior's width at the mode: a standard deviation that may be zero is linear all the way from there, and only
# beyond does the logarithm begin.
SCALE = 4.0
LEAST = 0.25  # of the curvature before bending: where bending leaves less, it is not believed

Array = TypeVar("Array", FloatArray, jax.Array)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Bend:
    """``y = scale * sinh(x)`` for folded coordinates y, the identity for others; arrays are NumPy's or traced ones.

    Parameters
    ----------
    scale : float array (d,)
        Where the linear turns into the logarithmic; one where nothing is bent.
    folded : tuple of bool
        Which coordinates are bent (static).
    """

    scale: FloatArray
    folded: tuple[bool, ...] = field(metadata={"static": True})

    @property
    def bent(self) -> BoolArray:
        """``folded`` as an array (d,)."""
        return np.array(self.folded, dtype=bool)

    def to_folded(self, x: Array) -> Array:
        """Bent (..., d) to folded."""
        xp = _namespace(x)
        return xp.where(self.bent, self.scale * xp.sinh(xp.where(self.bent, x, 0.0)), x)

    def from_folded(self, y: Array) -> Array:
        """Folded (..., d) to bent."""
        xp = _namespace(y)
        return xp.where(self.bent, xp.arcsinh(y / self.scale), y)

    def to_working(self, x: Array) -> Array:
        """Bent (..., d), of positive standard deviations, to working: ``log sd`` where folded."""
        xp = _namespace(x)
        return xp.where(self.bent, xp.log(self.scale * xp.sinh(xp.where(self.bent, x, 1.0))), x)

    def from_working(self, u: Array) -> Array:
        """Working (..., d) to bent."""
        xp = _namespace(u)
        return xp.where(self.bent, xp.arcsinh(xp.exp(xp.where(self.bent, u, 0.0)) / self.scale), u)

    def slope(self, x: Array) -> Array:
        """``dy / dx``, for each coordinate."""
        xp = _namespace(x)
        return xp.where(self.bent, self.scale * xp.cosh(xp.where(self.bent, x, 0.0)), 1.0)

    def log_jacobian(self, x: Array) -> Array:
        """``log |dy / dx|``, (...): ``log scale + log cosh x`` summed over the bent coordinates."""
        xp = _namespace(x)
        return xp.sum(xp.log(xp.cosh(xp.where(self.bent, x, 0.0))), axis=-1) + xp.sum(xp.log(self.scale))


def _namespace(x: Any) -> Any:
    return x.__array_namespace__()


class Target(Protocol):
    """The log density of theta in some coordinates; a pytree, so that compiled functions take it."""

    @property
    def post(self) -> Marginal:
        """Whose theta it is."""

    def natural(self, x: jax.Array) -> jax.Array:
        """Theta, natural scale."""

    def log_density(self, x: jax.Array) -> jax.Array:
        """Log density of the coordinates; NaN where it is undefined."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Working:
    """Working coordinates."""

    post: Marginal

    def natural(self, x: jax.Array) -> jax.Array:
        """Theta, natural scale."""
        return self.post.hyper.natural(x)

    def log_density(self, x: jax.Array) -> jax.Array:
        """Log density of x, Jacobian included."""
        return density.log_likelihood(self.post, self.natural(x)) + self.post.hyper.log_prior_working(x)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Folded:
    """Folded coordinates; without their Jacobian the density is that of theta itself, whose mode is REML's."""

    post: Marginal
    jacobian: bool = field(metadata={"static": True})

    def natural(self, y: jax.Array) -> jax.Array:
        """Theta, natural scale."""
        return self.post.hyper.from_folded(y)

    def log_density(self, y: jax.Array) -> jax.Array:
        """Log density at y."""
        theta = self.natural(y)
        return self.posterior(density.log_likelihood(self.post, theta), theta, y)

    def posterior(self, log_likelihood: jax.Array, theta: jax.Array, y: jax.Array) -> jax.Array:
        """Log density at y, where theta is there and ``log p(y | theta)`` are known."""
        value = log_likelihood + self.post.hyper.log_prior(theta)
        return value + self.post.hyper.log_jacobian_folded(y) if self.jacobian else value


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Whitened:
    """Affine coordinates z of bent ones: ``x = centre + root @ z``.

    Parameters
    ----------
    post : Marginal
    bend : Bend
    centre : float array (d,)
    root : float array (d, d)
    """

    post: Marginal
    bend: Bend
    centre: FloatArray
    root: FloatArray

    def natural(self, z: jax.Array) -> jax.Array:
        """Theta, natural scale."""
        return self.post.hyper.from_folded(self.bend.to_folded(self._bent(z)))

    drawn = natural

    def log_density(self, z: jax.Array) -> jax.Array:
        """Log density of z up to ``log|root|``."""
        x = self._bent(z)
        return Folded(self.post, True).log_density(self.bend.to_folded(x)) + self.bend.log_jacobian(x)

    def _bent(self, z: jax.Array) -> jax.Array:
        return jnp.matmul(self.root, z) + self.centre

    def from_working(
        self, u: FloatArray, value: FloatArray, grad: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Points (n, d) of the working scale with their log densities (n,) and gradients (n, d), in coordinates z.

        With ``u = log sd = log(scale sinh x)``: ``du/dx = coth x``, so the density gains ``log coth x`` and the
        gradient ``d log coth x / dx = -2 / sinh 2x``.
        """
        x, bent = self.bend.from_working(u), self.bend.bent
        safe = np.where(bent, x, 1.0)
        coth = np.where(bent, 1.0 / np.tanh(safe), 1.0)
        grad_x = grad * coth - np.where(bent, 2.0 / np.sinh(2.0 * safe), 0.0)
        z = np.asarray(np.linalg.solve(self.root, (x - self.centre).T).T, dtype=np.float64)
        return z, value + np.sum(np.log(coth), axis=1), grad_x @ self.root


def whitened(post: Marginal, mode: Mode, y: FloatArray) -> Whitened:
    """Coordinates whitened at the mode of the working density.

    A standard deviation turns logarithmic at its value at the mode. One that is narrow there may still be zero
    elsewhere: where two share a variance, as those of a region's effect and its one row, the posterior is an arc from
    one zero to the other. It is smooth where both are linear, and has a sharp bend where either is logarithmic.

    Parameters
    ----------
    post : Marginal
    mode : Mode
        On the working scale, where the coordinate of a folded one is ``log sd``.
    y : float array (d,)
        The mode in folded coordinates.
    """
    folded = post.hyper.folded
    bend = Bend(np.where(folded, y, 1.0), folded)
    centre = bend.from_folded(y)
    slope = np.where(folded, np.tanh(centre), 1.0)  # dx / d log sd
    return Whitened(post, bend, centre, slope[:, None] * mode.root)


class BentMode(NamedTuple):
    """About the mode of the density of bent coordinates, and a root of its inverse curvature."""

    bend: Bend
    x: FloatArray
    root: FloatArray


def bent(mode: FoldedMode, folded: tuple[bool, ...]) -> BentMode:
    """Bend around the mode in folded coordinates.

    The density gains ``log cosh x`` for each bent coordinate, with gradient ``g = tanh x`` and curvature ``D = sech^2
    x``. With R the root of the inverse curvature before that, mapped to x, the new inverse curvature is ``R (I - R' D
    R)^-1 R'``, and one Newton step from the old mode is that times g.
    """
    width = np.sqrt(np.sum(mode.root**2, axis=1))
    bend = Bend(np.where(folded, SCALE * width, 1.0), folded)
    x = bend.from_folded(mode.x)
    root = mode.root / bend.slope(x)[:, None]
    within = np.where(folded, x, 0.0)
    gained = np.where(folded, np.cosh(within) ** -2.0, 0.0)
    left, directions = np.linalg.eigh(np.eye(x.size) - root.T @ (gained[:, None] * root))
    root = root @ (directions / np.sqrt(np.maximum(left, LEAST)))
    step = root @ (root.T @ np.tanh(within))
    return BentMode(bend, x + step, root)


def value_and_grad(target: Target, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Log density and its gradient; ``(-inf, 0)`` where either is undefined."""
    value, grad = jax.value_and_grad(lambda x: target.log_density(x))(x)
    fine = jnp.isfinite(value) & jnp.all(jnp.isfinite(grad))
    return jnp.where(fine, value, -jnp.inf), jnp.where(fine, grad, 0.0)


@jax.custom_vjp
def log_density(target: Target, x: jax.Array) -> jax.Array:
    """Log density; -inf with a zero gradient where it is undefined.

    The rule below exists because ``where(fine, value, -inf)`` would send the NaN of the unused branch into the
    gradient.
    """
    return value_and_grad(target, x)[0]


log_density.defvjp(value_and_grad, lambda grad, cotangent: (None, cotangent * grad))
