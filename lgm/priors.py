"""Priors: NumPyro distributions with the names and parameters that modellers use, and their working scales.

Priors of theta (standard deviations, correlations, ...) are densities of the quantity that is printed. NUTS moves in
*working* coordinates, the whole real line; `Hyperparameters` maps between the two and accounts for the Jacobian. Priors
of fixed effects are normal or flat, because fixed effects are integrated out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import biject_to, constraints
from numpyro.distributions.transforms import CorrCholeskyTransform
from scipy.special import betaln

from lgm.errors import PriorError


@dataclass(frozen=True)
class Prior:
    """A prior of one hyperparameter: a NumPyro distribution and the words that a fit prints for it."""

    distribution: dist.Distribution
    label: str

    def __repr__(self) -> str:
        return self.label


@dataclass(frozen=True)
class Normal:
    """Normal prior of a fixed effect."""

    mean: float
    sd: float

    def __repr__(self) -> str:
        return f"normal({self.mean:.6g}, {self.sd:.6g})"


@dataclass(frozen=True)
class Flat:
    """Improper flat prior: log p(y) is undefined; with all fixed effects flat, p(y | theta) is the REML likelihood."""

    def __repr__(self) -> str:
        return "flat()"


@dataclass(frozen=True)
class Lkj:
    """LKJ prior of the correlations of one group."""

    concentration: float

    def __repr__(self) -> str:
        return f"lkj({self.concentration:.6g})"


@dataclass(frozen=True)
class Fixed:
    """A hyperparameter held at a value."""

    value: float

    def __repr__(self) -> str:
        return f"fixed({self.value:.6g})"


FixedEffectPrior = Normal | Flat
_HALF_LINES = (type(constraints.positive), type(constraints.nonnegative))
ThetaPrior = Prior | Lkj | Fixed | Flat


def _positive(**values: float) -> list[float]:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise PriorError(f"{name}={value} must be a positive number")
    return [float(v) for v in values.values()]


def _probability(**values: float) -> list[float]:
    for name, value in values.items():
        if not 0 < value < 1:
            raise PriorError(f"{name}={value} must lie between 0 and 1")
    return [float(v) for v in values.values()]


def _prior(label: str, make: type[dist.Distribution], *args: float) -> Prior:
    with jax.enable_x64(True):  # some distributions store arrays, which must be float64
        return Prior(make(*args), label)


def normal(mean: float = 0.0, sd: float = 1.0) -> Normal:
    """Normal prior of a fixed effect, on the scale of the printed coefficient.

    Examples
    --------
    >>> normal(0, 10)
    normal(0, 10)
    """
    if not math.isfinite(mean):
        raise PriorError(f"mean={mean} must be a finite number")
    return Normal(float(mean), *_positive(sd=sd))


def flat() -> Flat:
    """Flat (improper) prior of a fixed effect, or of a standard deviation at its mode (``method="mode"``).

    With flat priors everywhere the mode is the REML estimate.
    """
    return Flat()


def fixed(value: float) -> Fixed:
    """Hold a hyperparameter at ``value`` (natural scale).

    Examples
    --------
    >>> fixed(1.5)
    fixed(1.5)
    """
    if not math.isfinite(value):
        raise PriorError(f"value={value} must be a finite number")
    return Fixed(float(value))


def exponential(rate: float) -> Prior:
    """Exponential prior with mean ``1 / rate``."""
    (rate,) = _positive(rate=rate)
    return _prior(f"exponential({rate:.6g})", dist.Exponential, rate)


def pc_sd(U: float, alpha: float = 0.05) -> Prior:
    """Penalised-complexity prior of a standard deviation: exponential with ``P(sd > U) = alpha``.

    The rate is ``-log(alpha) / U`` (Simpson et al. 2017, sec. 3.3).

    Examples
    --------
    >>> pc_sd(1.0, 0.05)
    pc_sd(1, 0.05)
    """
    (U,), (alpha,) = _positive(U=U), _probability(alpha=alpha)
    return _prior(f"pc_sd({U:.6g}, {alpha:.6g})", dist.Exponential, -math.log(alpha) / U)


def half_normal(sd: float) -> Prior:
    """Half-normal prior; ``sd`` is that of the normal which is folded."""
    (sd,) = _positive(sd=sd)
    return _prior(f"half_normal({sd:.6g})", dist.HalfNormal, sd)


def half_student_t(df: float, scale: float) -> Prior:
    """Half Student t prior with ``df`` degrees of freedom."""
    df, scale = _positive(df=df, scale=scale)
    with jax.enable_x64(True):
        folded = dist.FoldedDistribution(dist.StudentT(df, 0.0, scale))
    return Prior(folded, f"half_student_t({df:.6g}, {scale:.6g})")


def gamma(shape: float, rate: float) -> Prior:
    """Gamma prior with mean ``shape / rate``."""
    shape, rate = _positive(shape=shape, rate=rate)
    return _prior(f"gamma({shape:.6g}, {rate:.6g})", dist.Gamma, shape, rate)


def beta(a: float, b: float) -> Prior:
    """Beta prior on (0, 1)."""
    a, b = _positive(a=a, b=b)
    return _prior(f"beta({a:.6g}, {b:.6g})", dist.Beta, a, b)


def uniform(low: float, high: float) -> Prior:
    """Uniform prior."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise PriorError(f"uniform({low}, {high}) needs two finite numbers, the smaller one first")
    return _prior(f"uniform({low:.6g}, {high:.6g})", dist.Uniform, float(low), float(high))


def lkj(concentration: float) -> Lkj:
    """LKJ prior of a correlation matrix, density proportional to ``|C|^(concentration - 1)``.

    One is uniform over correlation matrices, more pulls towards independence (Lewandowski, Kurowicka & Joe 2009).
    """
    return Lkj(*_positive(concentration=concentration))


def pc_corr(U: float = 0.5, alpha: float = 0.5) -> Prior:
    """Penalised-complexity prior of a correlation, base model 0: ``P(|rho| > U) = alpha``.

    Examples
    --------
    >>> pc_corr(0.5, 0.5)
    pc_corr(0.5, 0.5)
    """
    (U,), (alpha,) = _probability(U=U), _probability(alpha=alpha)
    rate = -math.log(alpha) / math.sqrt(-math.log1p(-U * U))
    return _prior(f"pc_corr({U:.6g}, {alpha:.6g})", PcCorrelation, rate)


class PcCorrelation(dist.Distribution):
    """Density ``(rate / 2) exp(-rate mu) |r| / (mu (1 - r^2))`` on (-1, 1) with ``mu = sqrt(-log(1 - r^2))``.

    The distance of an AR(1) with correlation r from white noise is proportional to mu (Sorbye & Rue 2017, base model
    0); at ``r = 0`` the density is continuous, ``|r| / mu -> 1``.
    """

    arg_constraints = {"rate": constraints.positive}
    support = constraints.interval(-1.0, 1.0)
    pytree_data_fields = ("rate",)

    def __init__(self, rate: Any, *, validate_args: bool | None = None) -> None:
        self.rate = rate
        super().__init__(batch_shape=jnp.shape(rate), validate_args=validate_args)

    def log_prob(self, value: Any) -> jax.Array:
        """Log density, with finite value and gradient at zero."""
        square = jnp.square(value)
        near = square < 1e-8  # mu^2 = r^2 + r^4 / 2 + ..., so mu / |r| = 1 + r^2 / 4 + O(r^4)
        away = jnp.where(near, 0.5, square)
        mu_away = jnp.sqrt(-jnp.log1p(-away))
        size = jnp.abs(value)
        mu = jnp.where(near, size * (1.0 + square / 4.0), mu_away)
        log_ratio = jnp.where(near, -square / 4.0, 0.5 * jnp.log(away) - jnp.log(mu_away))
        return jnp.log(self.rate / 2.0) - self.rate * mu + log_ratio - jnp.log1p(-square)

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draws: mu is exponential, the sign is a fair coin."""
        key_mu, key_sign = jax.random.split(key)
        shape = sample_shape + self.batch_shape
        mu = jax.random.exponential(key_mu, shape) / self.rate
        return jax.random.rademacher(key_sign, shape) * jnp.sqrt(-jnp.expm1(-mu * mu))


class FlatPositive(dist.Distribution):
    """Improper: density one on the positive half line."""

    support = constraints.positive

    def log_prob(self, value: Any) -> jax.Array:
        """Zero."""
        return jnp.zeros(jnp.shape(value))


class LkjCorrelation(dist.Distribution):
    """The one correlation of two effects under an LKJ prior: density proportional to ``(1 - r^2)^(concentration - 1)``.

    That is ``(r + 1) / 2 ~ Beta(concentration, concentration)``; the normalising constant is kept as a number, so that
    evaluations do not compute it again.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.interval(-1.0, 1.0)
    pytree_data_fields = ("concentration", "log_constant")

    def __init__(self, concentration: float, *, validate_args: bool | None = None) -> None:
        self.concentration = concentration
        self.log_constant = float(-(2.0 * concentration - 1.0) * np.log(2.0) - betaln(concentration, concentration))
        super().__init__(batch_shape=(), validate_args=validate_args)

    def log_prob(self, value: Any) -> jax.Array:
        """Log density."""
        return self.log_constant + (self.concentration - 1.0) * jnp.log1p(-jnp.square(value))

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draws from the stretched beta distribution."""
        return 2.0 * jax.random.beta(key, self.concentration, self.concentration, sample_shape) - 1.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scalar:
    """One hyperparameter with its distribution; the working scale is NumPyro's bijection onto the support."""

    distribution: dist.Distribution

    size = 1
    working_size = 1

    def natural(self, x: jax.Array) -> jax.Array:
        """Working (1,) to natural (1,)."""
        return biject_to(self.distribution.support)(x)

    def working(self, value: jax.Array) -> jax.Array:
        """Natural (1,) to working (1,)."""
        return biject_to(self.distribution.support).inv(value)

    def log_prior(self, value: jax.Array) -> jax.Array:
        """Log density of the natural value; -inf outside the support, to which zero belongs as a half line's end."""
        support = self.distribution.support
        if isinstance(support, type(constraints.positive)):
            support = constraints.nonnegative
        density = self.distribution.log_prob(value[0])
        return jnp.where(support(value[0]) & ~jnp.isnan(density), density, -jnp.inf)

    def log_prior_working(self, x: jax.Array) -> jax.Array:
        """Log density of the working value, Jacobian included."""
        transform = biject_to(self.distribution.support)
        value = transform(x[0])
        return self.distribution.log_prob(value) + transform.log_abs_det_jacobian(x[0], value)

    def sample(self, key: jax.Array) -> jax.Array:
        """One natural draw (1,)."""
        return jnp.reshape(self.distribution.sample(key), (1,))

    @property
    def folded(self) -> tuple[bool, ...]:
        """Whether the proposal coordinate is the value itself with a sign that does not matter."""
        return (isinstance(self.distribution.support, _HALF_LINES),)

    def from_folded(self, x: jax.Array) -> jax.Array:
        """Proposal (1,) to natural (1,)."""
        return jnp.abs(x) if self.folded[0] else self.natural(x)

    def to_folded(self, value: jax.Array) -> jax.Array:
        """Natural (1,) to proposal (1,)."""
        return value if self.folded[0] else self.working(value)

    def log_jacobian_folded(self, x: jax.Array) -> jax.Array:
        """``log |d natural / d proposal|``."""
        if self.folded[0]:
            return jnp.zeros(())
        transform = biject_to(self.distribution.support)
        return transform.log_abs_det_jacobian(x[0], transform(x[0]))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Held:
    """A hyperparameter that does not move."""

    value: jax.Array

    size = 1
    working_size = 0

    def natural(self, x: jax.Array) -> jax.Array:
        """The value, shape (1,)."""
        return jnp.reshape(self.value, (1,))

    def working(self, value: jax.Array) -> jax.Array:
        """Nothing, shape (0,)."""
        return jnp.zeros(0)

    def log_prior(self, value: jax.Array) -> jax.Array:
        """Zero at the value, -inf elsewhere."""
        return jnp.where(jnp.all(value == self.value), 0.0, -jnp.inf)

    def log_prior_working(self, x: jax.Array) -> jax.Array:
        """Zero."""
        return jnp.zeros(())

    def sample(self, key: jax.Array) -> jax.Array:
        """The value, shape (1,)."""
        return jnp.reshape(self.value, (1,))

    @property
    def folded(self) -> tuple[bool, ...]:
        """No coordinates."""
        return ()

    def from_folded(self, x: jax.Array) -> jax.Array:
        """The value, shape (1,)."""
        return jnp.reshape(self.value, (1,))

    def to_folded(self, value: jax.Array) -> jax.Array:
        """Nothing, shape (0,)."""
        return jnp.zeros(0)

    def log_jacobian_folded(self, x: jax.Array) -> jax.Array:
        """Zero."""
        return jnp.zeros(())


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Correlations:
    """The correlations of a group of q >= 3 effects under an LKJ prior; natural: lower triangle, row by row."""

    concentration: jax.Array
    q: int = field(metadata={"static": True})

    @property
    def size(self) -> int:
        """Number of correlations."""
        return self.q * (self.q - 1) // 2

    @property
    def working_size(self) -> int:
        """Number of working coordinates."""
        return self.size

    def natural(self, x: jax.Array) -> jax.Array:
        """Working to natural: Cholesky factor by signed stick breaking, then its crossproduct."""
        factor = CorrCholeskyTransform()(x)
        return (factor @ factor.T)[np.tril_indices(self.q, -1)]

    def working(self, value: jax.Array) -> jax.Array:
        """Natural to working."""
        return CorrCholeskyTransform().inv(jnp.linalg.cholesky(self._matrix(value)))

    def log_prior(self, value: jax.Array) -> jax.Array:
        """LKJ log density of the correlations; -inf where the matrix is not positive definite."""
        factor = jnp.linalg.cholesky(self._matrix(value))
        log_det = 2.0 * jnp.sum(jnp.log(jnp.diagonal(factor)))
        at_identity = dist.LKJ(self.q, self.concentration).log_prob(jnp.eye(self.q))  # the normalising constant
        density = at_identity + (self.concentration - 1.0) * log_det
        return jnp.where(jnp.isfinite(log_det), density, -jnp.inf)

    def log_prior_working(self, x: jax.Array) -> jax.Array:
        """Log density of the working coordinates, Jacobian included."""
        transform = CorrCholeskyTransform()
        factor = transform(x)
        density = dist.LKJCholesky(self.q, self.concentration).log_prob(factor)
        return density + transform.log_abs_det_jacobian(x, factor)

    def sample(self, key: jax.Array) -> jax.Array:
        """One natural draw."""
        factor = dist.LKJCholesky(self.q, self.concentration).sample(key)
        return (factor @ factor.T)[np.tril_indices(self.q, -1)]

    @property
    def folded(self) -> tuple[bool, ...]:
        """None of the coordinates."""
        return (False,) * self.size

    def from_folded(self, x: jax.Array) -> jax.Array:
        """Proposal to natural: as for NUTS."""
        return self.natural(x)

    def to_folded(self, value: jax.Array) -> jax.Array:
        """Natural to proposal: as for NUTS."""
        return self.working(value)

    def log_jacobian_folded(self, x: jax.Array) -> jax.Array:
        """``log |d natural / d proposal|``: that of the working map to L, then of L to ``L L'``."""
        transform = CorrCholeskyTransform()
        factor = transform(x)
        powers = np.arange(self.q - 1, -1, -1.0)  # |d(LL') / dL| = prod L_kk^(q - k), k from 1
        return transform.log_abs_det_jacobian(x, factor) + jnp.sum(powers * jnp.log(jnp.diagonal(factor)))

    def _matrix(self, value: jax.Array) -> jax.Array:
        lower = jnp.zeros((self.q, self.q)).at[np.tril_indices(self.q, -1)].set(value)
        return lower + lower.T + jnp.eye(self.q)


Slot = Scalar | Held | Correlations


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Hyperparameters:
    """The prior of theta, slot by slot, and the maps between natural and working coordinates."""

    slots: tuple[Slot, ...]

    @property
    def size(self) -> int:
        """Number of natural hyperparameters."""
        return sum(s.size for s in self.slots)

    @property
    def working_size(self) -> int:
        """Number of working coordinates (what NUTS moves)."""
        return sum(s.working_size for s in self.slots)

    def natural(self, x: jax.Array) -> jax.Array:
        """Working (working_size,) to natural (size,)."""
        return _join(s.natural(part) for s, part in zip(self.slots, self._working_parts(x), strict=True))

    def working(self, theta: jax.Array) -> jax.Array:
        """Natural (size,) to working (working_size,)."""
        return _join(s.working(part) for s, part in zip(self.slots, self._natural_parts(theta), strict=True))

    def log_prior(self, theta: jax.Array) -> jax.Array:
        """Log prior density of theta on the natural scale, no Jacobian."""
        parts = self._natural_parts(theta)
        return sum((s.log_prior(part) for s, part in zip(self.slots, parts, strict=True)), jnp.zeros(()))

    def log_prior_working(self, x: jax.Array) -> jax.Array:
        """Log prior density of the working coordinates, Jacobian included."""
        parts = self._working_parts(x)
        return sum((s.log_prior_working(part) for s, part in zip(self.slots, parts, strict=True)), jnp.zeros(()))

    def sample(self, key: jax.Array) -> jax.Array:
        """One draw of theta from its prior, natural (size,)."""
        keys = jax.random.split(key, max(len(self.slots), 1))
        return _join(s.sample(k) for s, k in zip(self.slots, keys, strict=False))

    @property
    def folded(self) -> tuple[bool, ...]:
        """Which proposal coordinates are values on a half line, given a sign that does not matter.

        Proposal coordinates are those of importance sampling: a standard deviation is itself (so that zero is an
        ordinary point, and a proposal may straddle it), everything else is on its working scale.
        """
        return tuple(flag for s in self.slots for flag in s.folded)

    def from_folded(self, x: jax.Array) -> jax.Array:
        """Proposal (working_size,) to natural (size,)."""
        return _join(s.from_folded(part) for s, part in zip(self.slots, self._working_parts(x), strict=True))

    def to_folded(self, theta: jax.Array) -> jax.Array:
        """Natural (size,) to proposal (working_size,)."""
        return _join(s.to_folded(part) for s, part in zip(self.slots, self._natural_parts(theta), strict=True))

    def log_jacobian_folded(self, x: jax.Array) -> jax.Array:
        """``log |d natural / d proposal|``."""
        parts = zip(self.slots, self._working_parts(x), strict=True)
        return sum((s.log_jacobian_folded(part) for s, part in parts), jnp.zeros(()))

    def _working_parts(self, x: jax.Array) -> list[jax.Array]:
        return _split(x, [s.working_size for s in self.slots])

    def _natural_parts(self, theta: jax.Array) -> list[jax.Array]:
        return _split(theta, [s.size for s in self.slots])


def _join(parts: Any) -> jax.Array:
    arrays = list(parts)
    return jnp.concatenate(arrays) if arrays else jnp.zeros(0)


def _split(x: jax.Array, sizes: Sequence[int]) -> list[jax.Array]:
    ends = np.cumsum([0, *sizes])
    return [x[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]


def slot(prior: ThetaPrior, q: int = 2) -> Slot:
    """The slot of a prior: ``q`` is the number of correlated effects if the prior is an LKJ one.

    For ``q = 2`` the LKJ prior is that of a single correlation, ``(r + 1) / 2 ~ Beta(concentration, concentration)``.
    """
    with jax.enable_x64(True):
        if isinstance(prior, Fixed):
            return Held(jnp.asarray(prior.value, dtype=jnp.float64))
        if isinstance(prior, Lkj) and q > 2:
            return Correlations(jnp.asarray(prior.concentration, dtype=jnp.float64), q)
        if isinstance(prior, Flat):
            return Scalar(FlatPositive())
        if isinstance(prior, Lkj):
            chosen: dist.Distribution = LkjCorrelation(prior.concentration)
        else:
            chosen = prior.distribution
        return Scalar(jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype=jnp.float64), chosen))
