"""Elementwise functions of likelihoods whose values and derivatives keep their digits far out; for traced arrays."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

_SHIFT = 8
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


@jax.custom_jvp
def logistic(x: Any) -> Any:
    """``1 / (1 + exp(-x))``; derivatives are products, as ``1 - logistic(x)`` would be rounding for large x."""
    return jax.lax.logistic(x)


@logistic.defjvp
def _logistic_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    share = logistic(x)
    return share, share * logistic(-x) * dx


@jax.custom_jvp
def softplus(x: Any) -> Any:
    """``log(1 + exp(x))``."""
    return jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@softplus.defjvp
def _softplus_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    return softplus(x), logistic(x) * dx


@jax.custom_jvp
def softplus_both(x: Any) -> tuple[Any, Any]:
    """``log(1 + exp(x))`` and ``log(1 + exp(-x))``, which share what takes time."""
    shared = jnp.log1p(jnp.exp(-jnp.abs(x)))
    return jnp.maximum(x, 0.0) + shared, jnp.maximum(-x, 0.0) + shared


@softplus_both.defjvp
def _softplus_both_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    return softplus_both(x), (logistic(x) * dx, -logistic(-x) * dx)


def log_one_minus_exp(log_q: Any) -> Any:
    """``log(1 - exp(-q))``."""
    small = log_q < -9.0
    near, away = jnp.where(small, log_q, -9.0), jnp.where(small, 0.0, log_q)
    q = jnp.exp(near)
    return jnp.where(small, near - 0.5 * q + q * q / 24.0, jnp.log(-jnp.expm1(-jnp.exp(away))))


def log_factorial(y: Any) -> Any:
    """``log y!``, exactly zero for y of 0 and 1, so that ``log P(0)`` has all its digits where it is nearly zero."""
    return jnp.where(y < 2.0, 0.0, gammaln(y + 1.0))


def log_rising(log_x: Any, y: Any) -> Any:
    """``log Gamma(x + y) - log Gamma(x)`` for y >= 0, which are data.

    The difference of two values of log Gamma loses its digits for large x, and its derivatives sooner. Here x is moved
    up by ``Gamma(x + 1) = x Gamma(x)``, and Stirling's series is subtracted term by term (Abramowitz & Stegun 6.1.15,
    6.1.40).
    """
    x = jnp.exp(log_x)
    z = x + _SHIFT
    steps = jnp.arange(1.0, _SHIFT)
    moved = softplus(jnp.log(y) - log_x) + jnp.sum(jnp.log1p(y[..., None] / (x[..., None] + steps)), axis=-1)
    return y * jnp.log(z) + ((z + y - 0.5) * jnp.log1p(y / z) - y) + (_tail(z + y) - _tail(z)) - moved


def _tail(z: Any) -> Any:
    """Of Stirling's series: ``1 / (12 z) - 1 / (360 z^3) + ...``, to rounding for z >= 8."""
    square = 1.0 / (z * z)
    total: Any = 0.0
    for coefficient in reversed(_STIRLING):
        total = coefficient + square * total
    return total / z
