"""Standard distributions on the line whose tail probabilities have stable logarithms: known, or censored, values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erfc

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
_FAR = -5.0  # below it, the normal cdf by its continued fraction
_LEVELS = 12  # of that fraction
_NODES, _SHARES = np.polynomial.legendre.leggauss(8)


@dataclass(frozen=True)
class Standard:
    """A standard distribution Z; functions of JAX arrays, with derivatives that keep their digits.

    Parameters
    ----------
    density, below, above : callable
        ``log f(z)``, ``log P(Z < z)`` and ``log P(Z > z)``.
    between : callable
        ``log P(z < Z < z + width)``, for a positive width.
    """

    density: Callable[[Any], Any]
    below: Callable[[Any], Any]
    above: Callable[[Any], Any]
    between: Callable[[Any, Any], Any]


def _normal_below(z: Any) -> Any:
    """``log Phi(z)``; far out by Mills' ratio as a continued fraction (Laplace), all of whose terms are positive."""
    far = z < _FAR
    near_z, t = jnp.where(far, _FAR, z), jnp.where(far, -z, -_FAR)
    half = 0.5 * erfc(jnp.where(near_z > 0.0, near_z, -near_z) / math.sqrt(2.0))
    near = jnp.where(near_z > 0.0, jnp.log1p(-half), jnp.log(half))
    fraction = t
    for level in range(_LEVELS, 0, -1):
        fraction = t + level / fraction
    return jnp.where(far, -0.5 * jnp.square(t) - _LOG_SQRT_2PI - jnp.log(fraction), near)


def _normal_between(z: Any, width: Any) -> Any:
    """By quadrature of the density where it hardly changes over the interval, else as a difference of tails."""
    middle = z + 0.5 * width
    narrow = width * (1.0 + jnp.abs(middle)) < 0.5
    h = jnp.where(narrow, width, 0.5)
    centre = jnp.where(narrow, middle, 0.0)
    density = sum(
        0.5 * share * jnp.exp(-0.5 * h * node * (centre + 0.25 * h * node))
        for node, share in zip(_NODES, _SHARES, strict=True)
    )
    inside = jnp.log(h) - 0.5 * jnp.square(centre) - _LOG_SQRT_2PI + jnp.log(density)
    right = middle > 0.0  # the same on the other side, where tails keep their digits
    wide = jnp.where(narrow, 1.0, width)
    upper, lower = _normal_below(
        jnp.stack(jnp.broadcast_arrays(jnp.where(right, -z, z + wide), jnp.where(right, -z - wide, z)))
    )
    return jnp.where(narrow, inside, upper + jnp.log(-jnp.expm1(lower - upper)))


NORMAL = Standard(
    lambda z: -0.5 * jnp.square(z) - _LOG_SQRT_2PI,
    _normal_below,
    lambda z: _normal_below(-z),
    _normal_between,
)


def _extreme_below(z: Any) -> Any:
    """``log(1 - exp(-r))`` for ``r = exp(z)``, by the series of ``log((1 - exp(-r)) / r)`` where r is small."""
    small = z < -2.0
    r = jnp.exp(jnp.where(small, z, -2.0))
    s = jnp.square(r)
    series = z - 0.5 * r + s * (1.0 / 24.0 - s * (1.0 / 2880.0 - s * (1.0 / 181440.0 - s / 9676800.0)))
    return jnp.where(small, series, jnp.log(-jnp.expm1(-jnp.exp(jnp.where(small, 0.0, z)))))


# Of the smallest of many: the logarithm of an exponential variable.
EXTREME = Standard(
    lambda z: z - jnp.exp(z),
    _extreme_below,
    lambda z: -jnp.exp(z),
    lambda z, width: -jnp.exp(z) + _extreme_below(z + width + jnp.log(-jnp.expm1(-width))),
)
