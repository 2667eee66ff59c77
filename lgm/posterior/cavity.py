r"""What all other rows say of the linear predictor of one, given theta: its cavity, and what the row says against it.

With mean (or mode) and variance s of ``eta_i`` given all rows, and slope g and curvature W of the row's own
log-likelihood there, the others by themselves say

    v = s / (1 - s W),   m = eta_i - v g,   p(y_i | y_-i, theta) = int p(y_i | eta) N(eta; m, v) deta

For a Gaussian response that is exact, and the integral is known. For others it is Laplace's approximation taken apart
(Vehtari, Mononen, Tolvanen, Sivula & Winther 2016, JMLR 17(103), sec. 3.5), about the mean of the others' density
instead of its mode: with l3 the row's third derivative and delta the first-order shift of ``eta_i``, the mean is off by
``(v / s) (delta - s^2 l3 / 2)``, what all rows shift less what this one does. The integral is by the
trapezoidal rule between places where the integrand has fallen to nothing, which converges faster than any power of its
step (Trefethen & Weideman 2014, SIAM Review 56, 385-458).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lgm.posterior.functionals import Linear
from lgm.posterior.inner import Observed, derivatives
from lgm.posterior.latent_prior import LOG_2PI

UNKNOWN = 1e-10  # of what is known of a row's linear predictor, the others' share that rounding cannot tell from none
FALL = 28.0  # in log density, to the ends of integrals
NODES, WIDE_NODES = 31, 201  # where the integrand has one top, and where it may have several
CLIMBS, BISECTIONS = 4, 12


class Cavity(NamedTuple):
    """The linear predictors of rows given all other rows, and the rows' log densities; NaN where these do not tell."""

    mean: jax.Array  # of eta (n,)
    variance: jax.Array  # (n,)
    log_density: jax.Array  # log p(y_i | y_-i, theta) (n,)
    log_density_given_all: jax.Array  # log p(y_i | y, theta): of a new response in the same row (n,)
    doubt: jax.Array  # how far the log density may be off (n,)


def cavities(rows: Observed, theta: jax.Array, found: Linear) -> Cavity:
    """From what is known of the rows given all of them."""
    loglik = rows.loglik(theta)
    eta = found.mean + rows.offset
    slope, second, third = derivatives(loglik, eta, 3)
    s = found.variance
    share = 1.0 + s * second
    v = jnp.where(share > UNKNOWN, s / share, jnp.nan)
    mean = eta - v * slope
    if rows.family.conjugate:
        return Cavity(mean, v, _normal(rows, theta, mean, v), _normal(rows, theta, eta, s), jnp.zeros_like(s))
    move = (found.shift - 0.5 * jnp.square(s) * third) / share
    own = integrated(loglik, mean + move, v, log_concave=rows.family.log_concave)
    return Cavity(mean + move, v, *own, 0.5 * jnp.abs(move * (mean - eta) / v))


def predicted(rows: Observed, theta: jax.Array, found: Linear) -> Cavity:
    """From what is known of rows that were left out."""
    loglik = rows.loglik(theta)
    mean, v = found.mean + found.shift + rows.offset, found.variance
    if rows.family.conjugate:
        value = _normal(rows, theta, mean, v)
        return Cavity(mean, v, value, value, jnp.zeros_like(v))
    own = integrated(loglik, mean, v, log_concave=rows.family.log_concave)
    return Cavity(mean, v, *own, jnp.zeros_like(v))


def _normal(rows: Observed, theta: jax.Array, mean: jax.Array, variance: jax.Array) -> jax.Array:
    """Log densities where response and linear predictor are jointly normal."""
    slope, second = derivatives(rows.loglik(theta), mean, 2)
    total = variance - 1.0 / second
    return -0.5 * (LOG_2PI + jnp.log(total) + jnp.square(slope / second) / total)


def integrated(
    loglik: Callable[[jax.Array], jax.Array], mean: jax.Array, variance: jax.Array, *, log_concave: bool
) -> tuple[jax.Array, jax.Array]:
    """Logs of ``int p(y|eta) N(eta) deta`` and of ``int p(y|eta)^2 N(eta) deta`` over the former (n,).

    The first is the density of a response that is yet to come, the second that of another like it once it is there.
    """
    sd = jnp.sqrt(variance)

    def row(t: jax.Array) -> jax.Array:
        return loglik(mean + sd * t)

    def height(t: jax.Array) -> jax.Array:
        return row(t) - 0.5 * jnp.square(t)

    def climb(t: jax.Array, _: None) -> tuple[jax.Array, None]:
        g, h = derivatives(height, t, 2)
        tried = t + g / jnp.maximum(-h, 1.0) * jnp.array([1.0, 0.5, 0.25, 0.1])[:, None]
        heights = jax.vmap(height)(tried)
        best = jnp.argmax(jnp.where(jnp.isnan(heights), -jnp.inf, heights), axis=0)
        return jnp.take_along_axis(tried, best[None], axis=0)[0], None

    top = jax.lax.scan(climb, jnp.zeros_like(mean), None, length=CLIMBS)[0]
    if log_concave:
        low, high = (_reach(height, top, side) for side in (-1.0, 1.0))
    else:  # all of the cavity, and as much around the top
        widest = jnp.sqrt(2.0 * FALL)
        low, high = widest + jnp.maximum(top, 0.0), widest + jnp.maximum(-top, 0.0)
    nodes = NODES if log_concave else WIDE_NODES
    peak, step = height(top), (low + high) / (nodes - 1)

    def add(sums: tuple[jax.Array, jax.Array], i: Any) -> tuple[tuple[jax.Array, jax.Array], None]:
        t = top - low + i * step
        own = row(t)
        mass = jnp.exp(own - 0.5 * jnp.square(t) - peak)
        return (sums[0] + mass, sums[1] + mass * jnp.exp(own - own_at_top)), None

    own_at_top = row(top)
    nothing = jnp.zeros_like(mean)
    (mass, twice), _ = jax.lax.scan(add, (nothing, nothing), jnp.arange(nodes, dtype=float))
    return peak + jnp.log(mass * step) - 0.5 * LOG_2PI, own_at_top + jnp.log(twice / mass)


def _reach(height: Callable[[jax.Array], jax.Array], top: jax.Array, side: float) -> jax.Array:
    """How far from the top on one side the height has fallen (n,): it is concave, at least as much as ``-t^2 / 2``."""
    wanted = height(top) - FALL

    def halve(ends: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], None]:
        inside, outside = ends
        middle = 0.5 * (inside + outside)
        still = height(top + side * middle) > wanted
        return (jnp.where(still, middle, inside), jnp.where(still, outside, middle)), None

    widest = jnp.full_like(top, jnp.sqrt(2.0 * FALL))
    return jax.lax.scan(halve, (jnp.zeros_like(top), widest), None, length=BISECTIONS)[0][1]
