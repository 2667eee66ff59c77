"""Elementwise functions of likelihoods whose values and derivatives keep their digits far out; for traced arrays."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

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


def log_one_minus_exp(q: Any) -> Any:
    """``log(1 - exp(-q))`` for q > 0."""
    small = q < 1e-4
    near, away = jnp.where(small, q, 1e-4), jnp.where(small, 1.0, q)
    return jnp.where(small, jnp.log(near) - 0.5 * near + near * near / 24.0, jnp.log(-jnp.expm1(-away)))


def log_rising(x: Any, y: Any) -> Any:
    """``log Gamma(x + y) - log Gamma(x)`` for x > 0 and y >= 0.

    The difference of two values of log Gamma loses its digits for large x, and its derivatives sooner. Here x is moved
    up by ``Gamma(x + 1) = x Gamma(x)``, and Stirling's series is subtracted term by term (Abramowitz & Stegun 6.1.15,
    6.1.40).
    """
    z = x + _SHIFT
    moved = sum(jnp.log1p(y / (x + k)) for k in range(_SHIFT))
    return y * jnp.log(z) + ((z + y - 0.5) * jnp.log1p(y / z) - y) + (_tail(z + y) - _tail(z)) - moved


def _tail(z: Any) -> Any:
    """Of Stirling's series: ``1 / (12 z) - 1 / (360 z^3) + ...``, to rounding for z >= 8."""
    square = 1.0 / (z * z)
    total: Any = 0.0
    for coefficient in reversed(_STIRLING):
        total = coefficient + square * total
    return total / z
