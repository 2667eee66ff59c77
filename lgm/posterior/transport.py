r"""Weighted points of the effects at one theta, bent to follow the skewness of their density.

In a large field each row's likelihood is a little skewed, and the weights of normal points (`lgm.posterior.points`)
spread in proportion to the number of rows. Most of that spread is of third order, and a map takes it out: with draws
``z ~ N(0, S)``, ``eta = A D z`` and likelihoods whose curvature and third derivative at the mode are W and l3,

    T(z) = v^ + z + S D A'psi(eta),
    psi_i(eta) = W_i log cosh(k_i eta) / k_i + l3_i s_i / 3,    k_i = l3_i / (3 W_i)

``psi`` starts as ``l3 (eta^2 / 6 + s / 3)``. Where the density is ``exp(-z'H'z / 2 + sum_i l3_i eta_i^3 / 6)`` this
is the first-order transport of the normal distribution to it: the residual of the change of variables,

    -z'H'phi + div phi + sum_i l3_i eta_i^3 / 6 = 0,    phi = S D A'psi,

vanishes. The Jacobian is sparse, ``|T'(z)| = |R + D A' diag(W + psi'(eta)) A D| / |H'|``, and as ``W + psi' = W (1 +
tanh(k eta))`` is positive, T is one to one whatever z is. So

    w(z) = exp( J(T(z)) - J(v^) + z'H'z / 2 ) |T'(z)|

is an unbiased estimate of ``p(y | theta) / p_L(y | theta)``, one factorisation per point. Transport maps as proposals:
El Moselhy & Marzouk (2012), J. Comput. Phys. 231, 7815-7850; the map itself is ours.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lgm.posterior.approximation import Moments
from lgm.posterior.inner import Inner, derivatives
from lgm.posterior.points import Even, Points, antithetic, log_mean, natural, noise, quadratic

LEAST = 1e-2  # of |k eta|, below which log cosh is its series


class Bend(NamedTuple):
    """``psi`` of every row."""

    w: jax.Array  # (n,)
    k: jax.Array  # (n,)
    level: jax.Array  # l3 s / 3 (n,)

    @classmethod
    def of(cls, w: jax.Array, third: jax.Array, spread: jax.Array) -> Bend:
        """From curvatures, third derivatives and the variances of eta (n,); no bend where nothing is curved."""
        curved = w > 0.0
        return cls(w, jnp.where(curved, third / (3.0 * jnp.where(curved, w, 1.0)), 0.0), third * spread / 3.0)

    def push(self, eta: jax.Array) -> jax.Array:
        """``psi`` (n, c)."""
        x = self.k[:, None] * eta
        square = jnp.square(x)
        near = jnp.abs(x) < LEAST
        # log cosh x / x^2, even and without cancellation
        far = (jnp.abs(x) + jnp.log1p(jnp.exp(-2.0 * jnp.abs(x))) - jnp.log(2.0)) / jnp.where(near, 1.0, square)
        ratio = jnp.where(near, 0.5 - square / 12.0 + jnp.square(square) / 45.0, far)
        return (self.w * self.k)[:, None] * jnp.square(eta) * ratio + self.level[:, None]

    def curvature(self, eta: jax.Array) -> jax.Array:
        """``W + psi'`` (n,)."""
        return self.w * (1.0 + jnp.tanh(self.k * eta))


def weighted(inner: Inner, found: Moments, z: jax.Array) -> Points:
    """Points from antithetic draws and their weights, from columns of normals z (d + k, m)."""
    drawn = noise(inner, found.values, z)
    slopes = derivatives(inner.observed.loglik(inner.theta), found.eta, 4)
    w, third = -slopes[1], slopes[2]
    bend = Bend.of(w, third, found.spread)
    eta = antithetic(jnp.zeros_like(found.eta), drawn.eta)
    v = antithetic(found.v, drawn.v) + inner.solve(found.values, inner.pull(bend.push(eta)))
    # one by one: their matrices together would take many times the memory of the model
    logdet = jax.lax.map(lambda each: inner.log_determinant(inner.curvature(bend.curvature(each))), eta.T)
    heights = inner.joint(jnp.concatenate([found.v[:, None], v], axis=1), derivatives=False)
    log_weights = heights[1:] - heights[0] + 0.5 * jnp.tile(quadratic(inner, w, drawn), 2)
    log_weights = log_weights + logdet - drawn.logdet
    mean, draws = natural(inner, v, drawn.v)
    even = Even.of(slopes, drawn.eta, found.spread)
    return Points(found.value, log_mean(log_weights), found.values, mean, draws, log_weights, None, even=even)
