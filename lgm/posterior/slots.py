"""Parts of theta that have a prior together, and the maps between their coordinates.

Working coordinates are those of NumPyro's bijection onto the support: any real numbers, none for what is held.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import gammaln, xlogy
from numpyro.distributions import biject_to, constraints
from numpyro.distributions.transforms import CorrCholeskyTransform, StickBreakingTransform
from scipy.special import betaln

from lgm.parameter import Parameter
from lgm.priors import Constant, Dirichlet, Flat, Lkj, ThetaPrior
from lgm.xla import QUICK, own_settings

_HALF_LINES = (type(constraints.positive), type(constraints.nonnegative))


class _FlatPositive(dist.Distribution):
    """Improper: density one on the positive half line."""

    support = constraints.positive

    def log_prob(self, value: Any) -> jax.Array:
        return jnp.zeros(jnp.shape(value))


class _LkjCorrelation(dist.Distribution):
    """The one correlation of two effects under an LKJ prior: density proportional to ``(1 - r^2)^(concentration - 1)``.

    That is ``(r + 1) / 2 ~ Beta(concentration, concentration)``; the normalising constant is kept as a number, so that
    evaluations do not compute it again.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.interval(-1.0, 1.0)
    pytree_data_fields = ("concentration", "log_constant")

    def __init__(self, concentration: float) -> None:
        self.concentration = concentration
        self.log_constant = float(-(2.0 * concentration - 1.0) * np.log(2.0) - betaln(concentration, concentration))
        super().__init__(batch_shape=())

    def log_prob(self, value: Any) -> jax.Array:
        return self.log_constant + (self.concentration - 1.0) * jnp.log1p(-jnp.square(value))

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        return 2.0 * jax.random.beta(key, self.concentration, self.concentration, sample_shape) - 1.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scalars:
    """One hyperparameter with its distribution, or several with the same one, independent of each other.

    Parameters
    ----------
    distribution : Distribution
        Of one value.
    size : int
        How many: one expression serves them all.
    rises : bool
        Whether the density of positive values has a pole at zero.
    """

    distribution: dist.Distribution
    size: int = field(default=1, metadata={"static": True})
    rises: bool = field(default=False, metadata={"static": True})

    @property
    def working_size(self) -> int:
        """Number of working coordinates."""
        return self.size

    @property
    def half_line(self) -> bool:
        """Whether the values are those from zero up, and zero is an ordinary point of their density."""
        return isinstance(self.distribution.support, _HALF_LINES) and not self.rises

    @property
    def proper(self) -> bool:
        """Whether draws can be made of them."""
        return not isinstance(self.distribution, _FlatPositive)

    def natural(self, x: jax.Array) -> jax.Array:
        """Working (size,) to natural (size,)."""
        return biject_to(self.distribution.support)(x)

    def working(self, value: jax.Array) -> jax.Array:
        """Natural (size,) to working (size,)."""
        return biject_to(self.distribution.support).inv(value)

    def log_jacobian(self, x: jax.Array) -> jax.Array:
        """``log |d natural / d working|``."""
        transform = biject_to(self.distribution.support)
        return jnp.sum(transform.log_abs_det_jacobian(x, transform(x)))

    def log_prior(self, value: jax.Array) -> jax.Array:
        """Log density of the natural values; -inf outside the support, to which zero belongs as a half line's end."""
        support = constraints.nonnegative if self.half_line else self.distribution.support
        density = self.distribution.log_prob(value)
        return jnp.sum(jnp.where(support(value) & ~jnp.isnan(density), density, -jnp.inf))

    def log_prior_working(self, x: jax.Array) -> jax.Array:
        """Log density of the working values, Jacobian included."""
        return jnp.sum(self.distribution.log_prob(self.natural(x))) + self.log_jacobian(x)

    def sample(self, key: jax.Array) -> jax.Array:
        """One natural draw (size,)."""
        return self.distribution.sample(key, (self.size,))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Held:
    """A hyperparameter that does not move: it has no working coordinate."""

    value: jax.Array

    size = 1
    working_size = 0
    half_line = False
    proper = True

    def natural(self, x: jax.Array) -> jax.Array:
        """The value, shape (1,)."""
        return jnp.reshape(self.value, (1,))

    def working(self, value: jax.Array) -> jax.Array:
        """Nothing, shape (0,)."""
        return jnp.zeros(0)

    def log_jacobian(self, x: jax.Array) -> jax.Array:
        """Zero."""
        return jnp.zeros(())

    def log_prior(self, value: jax.Array) -> jax.Array:
        """Zero at the value, -inf elsewhere."""
        return jnp.where(jnp.all(value == self.value), 0.0, -jnp.inf)

    def log_prior_working(self, x: jax.Array) -> jax.Array:
        """Zero."""
        return jnp.zeros(())

    def sample(self, key: jax.Array) -> jax.Array:
        """The value, shape (1,)."""
        return jnp.reshape(self.value, (1,))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Correlations:
    """The correlations of a group of q >= 3 effects under an LKJ prior.

    Natural: the lower triangle of the correlation matrix C, row by row. Working: signed stick breaking, which gives the
    rows of the factor L of ``C = L L'``.
    """

    concentration: jax.Array
    q: int = field(metadata={"static": True})

    half_line = False
    proper = True

    @property
    def size(self) -> int:
        """Number of correlations."""
        return self.q * (self.q - 1) // 2

    @property
    def working_size(self) -> int:
        """Number of working coordinates."""
        return self.size

    def natural(self, x: jax.Array) -> jax.Array:
        """Working (size,) to natural (size,)."""
        return self._correlations(CorrCholeskyTransform()(x))

    def working(self, value: jax.Array) -> jax.Array:
        """Natural (size,) to working (size,)."""
        return CorrCholeskyTransform().inv(self._factor(value))

    def log_jacobian(self, x: jax.Array) -> jax.Array:
        """``log |d natural / d working|``: that of the map to L, then of L to ``L L'``."""
        transform = CorrCholeskyTransform()
        factor = transform(x)
        powers = np.arange(self.q - 1, -1, -1.0)  # |d(LL') / dL| = prod L_kk^(q - k), k from 1
        return transform.log_abs_det_jacobian(x, factor) + jnp.sum(powers * jnp.log(jnp.diagonal(factor)))

    def log_prior(self, value: jax.Array) -> jax.Array:
        """LKJ log density of the correlations; -inf where the matrix is not positive definite."""
        log_det = 2.0 * jnp.sum(jnp.log(jnp.diagonal(self._factor(value))))
        at_identity = dist.LKJ(self.q, self.concentration).log_prob(jnp.eye(self.q))  # the normalising constant
        density = at_identity + (self.concentration - 1.0) * log_det
        return jnp.where(jnp.isfinite(log_det), density, -jnp.inf)

    def log_prior_working(self, x: jax.Array) -> jax.Array:
        """Log density of the working coordinates, Jacobian included; it keeps its digits where C is nearly singular."""
        transform = CorrCholeskyTransform()
        factor = transform(x)
        density = dist.LKJCholesky(self.q, self.concentration).log_prob(factor)
        return density + transform.log_abs_det_jacobian(x, factor)

    def sample(self, key: jax.Array) -> jax.Array:
        """One natural draw (size,)."""
        return self._correlations(dist.LKJCholesky(self.q, self.concentration).sample(key))

    def _correlations(self, factor: jax.Array) -> jax.Array:
        return (factor @ factor.T)[np.tril_indices(self.q, -1)]

    def _factor(self, value: jax.Array) -> jax.Array:
        lower = jnp.zeros((self.q, self.q)).at[np.tril_indices(self.q, -1)].set(value)
        return jnp.linalg.cholesky(lower + lower.T + jnp.eye(self.q))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Shares:
    """Shares that sum to one under a Dirichlet prior; densities are those of all but the last. Working: stick breaking.

    Parameters
    ----------
    concentration : float array ()
    size : int
    """

    concentration: jax.Array
    size: int = field(metadata={"static": True})

    half_line = False
    proper = True

    @property
    def working_size(self) -> int:
        """Number of working coordinates."""
        return self.size - 1

    def natural(self, x: jax.Array) -> jax.Array:
        """Working (size - 1,) to natural (size,)."""
        return StickBreakingTransform()(x)

    def working(self, value: jax.Array) -> jax.Array:
        """Natural (size,) to working (size - 1,)."""
        return StickBreakingTransform().inv(value)

    def log_jacobian(self, x: jax.Array) -> jax.Array:
        """``log |d natural / d working|``."""
        transform = StickBreakingTransform()
        return transform.log_abs_det_jacobian(x, transform(x))

    def log_prior(self, value: jax.Array) -> jax.Array:
        """Log density; -inf where a value is not a share, or they do not sum to one."""
        inside = jnp.all(value >= 0.0) & (jnp.abs(jnp.sum(value) - 1.0) < 1e-9)
        return jnp.where(inside, self._density(value), -jnp.inf)

    def log_prior_working(self, x: jax.Array) -> jax.Array:
        """Log density of the working coordinates, Jacobian included."""
        return self._density(self.natural(x)) + self.log_jacobian(x)

    def sample(self, key: jax.Array) -> jax.Array:
        """One natural draw (size,)."""
        return jax.random.dirichlet(key, jnp.full(self.size, self.concentration))

    def _density(self, value: jax.Array) -> jax.Array:
        constant = gammaln(self.size * self.concentration) - self.size * gammaln(self.concentration)
        return constant + jnp.sum(xlogy(self.concentration - 1.0, value))


Slot = Scalars | Held | Correlations | Shares


def slot(prior: ThetaPrior, parameter: Parameter) -> Slot:
    """The slot of a hyperparameter, of all correlations of a group, or of several with the same prior.

    Examples
    --------
    >>> from lgm.parameter import correlations
    >>> from lgm.priors import lkj
    >>> slot(lkj(2.0), correlations("g", [("a", "b"), ("a", "c"), ("b", "c")], 3, 2.0)).size
    3
    """
    with own_settings():
        if isinstance(prior, Constant):
            return Held(jnp.asarray(prior.value, dtype=jnp.float64))
        if isinstance(prior, Flat):
            return Scalars(_FlatPositive())
        if isinstance(prior, Dirichlet):
            return Shares(jnp.asarray(prior.concentration, dtype=jnp.float64), len(parameter.names))
        if isinstance(prior, Lkj) and parameter.q > 2:
            return Correlations(jnp.asarray(prior.concentration, dtype=jnp.float64), parameter.q)
        one = _LkjCorrelation(prior.concentration) if isinstance(prior, Lkj) else prior.distribution
        # by NumPy, as JAX compiles a program for each kind of number that it turns into another
        one = jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf, dtype=np.float64)), one)
        return Scalars(one, len(parameter.names), rise_to_zero(one) > 1.0)


def rise_to_zero(one: dist.Distribution) -> float:
    """What a log density of positive values gains close to zero, in 140 powers of ten; minus infinity for others.

    It is zero where the density ends there as that of exponential(1) does, negative where it vanishes, and large where
    it has a pole, as gamma(0.5, 1) has; the density of logs has none.
    """
    if not isinstance(one.support, _HALF_LINES):
        return -np.inf
    one = jax.tree.map(lambda leaf: np.asarray(leaf, dtype=np.float64), one)
    nearer, near = (float(_log_prob(one, np.asarray(value))) for value in (1e-280, 1e-140))
    return nearer - near


@partial(jax.jit, compiler_options=QUICK)
def _log_prob(one: dist.Distribution, value: jax.Array) -> jax.Array:
    return one.log_prob(value)
