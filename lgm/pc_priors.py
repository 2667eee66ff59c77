"""Penalised-complexity priors: exponential in the distance from a simpler model (Simpson et al. 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import scipy  # of which parts that are slow to read come when first needed
from numpyro.distributions import constraints
from scipy.optimize import brentq
from scipy.special import expit, logit

from lgm.arrays import FloatArray
from lgm.errors import PriorError
from lgm.xla import own_settings


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


class PcCorrelationToOne(dist.Distribution):
    """Density ``rate exp(-rate d) / (2 d (1 - exp(-sqrt(2) rate)))`` on (-1, 1) with ``d = sqrt(1 - r)``.

    The distance of an AR(1) with correlation r from one that does not change is proportional to d, at most ``sqrt(2)``
    (Sorbye & Rue 2017, base model 1). The density has no bound at one, as that of any exponential distance there.
    """

    arg_constraints = {"rate": constraints.positive}
    support = constraints.interval(-1.0, 1.0)
    pytree_data_fields = ("rate",)

    def __init__(self, rate: Any, *, validate_args: bool | None = None) -> None:
        self.rate = rate
        super().__init__(batch_shape=jnp.shape(rate), validate_args=validate_args)

    def log_prob(self, value: Any) -> jax.Array:
        """Log density."""
        left = 1.0 - value
        log_mass = jnp.log(-jnp.expm1(-math.sqrt(2.0) * self.rate))
        return jnp.log(0.5 * self.rate) - self.rate * jnp.sqrt(left) - 0.5 * jnp.log(left) - log_mass

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draws: d is exponential, cut off at its largest value."""
        u = jax.random.uniform(key, sample_shape + self.batch_shape)
        d = -jnp.log1p(u * jnp.expm1(-math.sqrt(2.0) * self.rate)) / self.rate
        return 1.0 - d * d


class PcPrecision(dist.Distribution):
    """Density ``(rate / 2) x^(-3/2) exp(-rate / sqrt(x))``: ``1 / sqrt(x)`` is exponential."""

    arg_constraints = {"rate": constraints.positive}
    support = constraints.positive
    pytree_data_fields = ("rate",)

    def __init__(self, rate: Any, *, validate_args: bool | None = None) -> None:
        self.rate = rate
        super().__init__(batch_shape=jnp.shape(rate), validate_args=validate_args)

    def log_prob(self, value: Any) -> jax.Array:
        """Log density."""
        return jnp.log(0.5 * self.rate) - 1.5 * jnp.log(value) - self.rate / jnp.sqrt(value)

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draws."""
        return jnp.square(self.rate / jax.random.exponential(key, sample_shape + self.batch_shape))


class PcRange(dist.Distribution):
    """Density ``(d / 2) rate x^(-d/2 - 1) exp(-rate x^(-d/2))``: ``x^(-d/2)`` is exponential."""

    arg_constraints = {"rate": constraints.positive, "dimension": constraints.positive}
    support = constraints.positive
    pytree_data_fields = ("rate", "dimension")

    def __init__(self, rate: Any, dimension: Any, *, validate_args: bool | None = None) -> None:
        self.rate, self.dimension = rate, dimension
        super().__init__(batch_shape=jnp.shape(rate), validate_args=validate_args)

    def log_prob(self, value: Any) -> jax.Array:
        """Log density."""
        half = 0.5 * self.dimension
        return jnp.log(half * self.rate) - (half + 1.0) * jnp.log(value) - self.rate * jnp.power(value, -half)

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draws."""
        shape = sample_shape + self.batch_shape
        return jnp.power(self.rate / jax.random.exponential(key, shape), 2.0 / self.dimension)


@dataclass(frozen=True)
class Distance:
    """Distance d of a model with share x in (0, 1) from that with share zero, tabulated over ``t = logit x``.

    Below the first node d is proportional to x; above the last one x is not allowed.

    Parameters
    ----------
    nodes : float array (m,)
        Equally spaced t.
    values : float array (m,)
        d there.
    end_slope : float
        ``d log d / dt`` at the last node.
    """

    nodes: FloatArray
    values: FloatArray
    end_slope: float

    def coefficients(self) -> FloatArray:
        """Of the cubic spline of log d, (4, m - 1)."""
        ends = ((1, expit(-self.nodes[0])), (1, self.end_slope))
        return np.asarray(scipy.interpolate.CubicSpline(self.nodes, np.log(self.values), bc_type=ends).c)

    def at(self, x: float) -> float:
        """Distance at a share."""
        with own_settings():
            found = _log_distance(jnp.asarray(self.nodes), jnp.asarray(self.coefficients()), jnp.asarray(logit(x)))
        return float(np.exp(found[0]))

    def least(self, U: float) -> float:
        """The smallest probability that an exponential distribution of d, cut off at the last node, gives to x < U."""
        return self.at(U) / float(self.values[-1])

    def rate(self, U: float, alpha: float) -> float:
        """Rate of the exponential distribution of d, cut off at the last node, with ``P(x < U) = alpha``.

        Raises
        ------
        PriorError
            If no rate gives that: in the limit of zero, the probability is ``d(U) / d(last node)``.
        """
        if U >= expit(self.nodes[-1]):
            raise PriorError(f"pc_phi({U:g}, {alpha:g}): U must be less than {expit(self.nodes[-1]):.6f}.")
        at, end = self.at(U), float(self.values[-1])
        if alpha <= at / end:
            raise PriorError(
                f"pc_phi({U:g}, {alpha:g}): on this graph alpha, the probability that phi is below {U:g}, must be more "
                f"than {at / end:.3g}."
            )
        found = brentq(lambda x: np.expm1(-x * at) / np.expm1(-x * end) - alpha, 1e-8 / end, 1e3 / at)
        return float(found)


@partial(jax.jit, inline=True)  # outside a trace each of its steps would be compiled by itself
def _log_distance(nodes: jax.Array, coefficients: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``log d`` and its derivative in t."""
    i = jnp.clip(jnp.floor((t - nodes[0]) / (nodes[1] - nodes[0])).astype(jnp.int32), 0, nodes.shape[0] - 2)
    u = jnp.maximum(t, nodes[0]) - nodes[i]
    a, b, c, d = coefficients[:, i]
    inside, slope = ((a * u + b) * u + c) * u + d, (3.0 * a * u + 2.0 * b) * u + c
    below = inside + jax.nn.log_sigmoid(jnp.minimum(t, nodes[0])) - jax.nn.log_sigmoid(nodes[0])
    return jnp.where(t < nodes[0], below, inside), jnp.where(t < nodes[0], jax.nn.sigmoid(-t), slope)


class PcDistance(dist.Distribution):
    """Density ``rate exp(-rate d(x)) d'(x) / (1 - exp(-rate d(end)))`` on (0, end), for a tabulated distance d."""

    arg_constraints = {"rate": constraints.positive}
    pytree_data_fields = ("rate", "nodes", "coefficients", "end", "log_mass", "_support")

    def __init__(self, distance: Distance, U: float, alpha: float) -> None:
        self.rate = distance.rate(U, alpha)
        self.nodes, self.coefficients = distance.nodes, distance.coefficients()
        self.end = float(expit(distance.nodes[-1]))
        self.log_mass = float(np.log(-np.expm1(-self.rate * distance.values[-1])))
        self._support = constraints.interval(0.0, self.end)
        super().__init__(batch_shape=())

    @property
    def support(self) -> Any:
        """From zero to the last node."""
        return self._support

    def log_prob(self, value: Any) -> jax.Array:
        """Log density; with t = logit x it is that of t less ``log x (1 - x)``."""
        log_d, slope = self._log_distance(jnp.log(value) - jnp.log1p(-value))
        density = jnp.log(self.rate) - self.rate * jnp.exp(log_d) + log_d + jnp.log(slope) - self.log_mass
        return density - jnp.log(value) - jnp.log1p(-value)

    def _log_distance(self, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        nodes, coefficients = jnp.asarray(self.nodes), jnp.asarray(self.coefficients)
        return jnp.vectorize(lambda t: _log_distance(nodes, coefficients, t))(t)

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draws: d is exponential up to the last node, and x follows by bisection in logit x."""
        u = jax.random.uniform(key, sample_shape, minval=jnp.finfo(jnp.result_type(float)).tiny)
        wanted = jnp.log(-jnp.log1p(-u * jnp.exp(self.log_mass)) / self.rate)

        def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            low, high = ends
            middle = 0.5 * (low + high)
            short = self._log_distance(middle)[0] < wanted
            return jnp.where(short, middle, low), jnp.where(short, high, middle)

        ends = (jnp.full_like(wanted, -80.0), jnp.full_like(wanted, self.nodes[-1]))
        low, high = jax.lax.fori_loop(0, 60, halve, ends)
        return jax.nn.sigmoid(0.5 * (low + high))
