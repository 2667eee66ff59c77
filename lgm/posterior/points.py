r"""Weighted points of the effects at one theta: what the normal approximation leaves out is put back.

With S = H'^-1, v^ the mode and delta the first-order change of the mean (`lgm.posterior.approximation`), pairs
``z ~ N(0, S)`` have the weights

    w(x) = exp( J(v^ + delta + x) - J(v^) + 1/2 x'H'x ),   x = z, -z

whose average is an unbiased estimate of ``p(y | theta) / p_L(y | theta)`` (antithetic importance sampling; Durbin &
Koopman 1997, Biometrika 84, 669-684), and points drawn in proportion to them are draws of the effects. Without weights
the second-order term (Shun & McCullagh 1995, JRSS B 57, 749-760)

    eps = 1/8 sum_i l4_i s_i^2 + 1/2 push'delta + 1/12 sum_ij l3_i l3_j s_ij^3,   push = D A'(s l3) / 2

estimates the log of that ratio.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lgm import linalg
from lgm.linalg.constrained import normals
from lgm.posterior.approximation import Moments, Pairs, known, moments, pairs
from lgm.posterior.inner import Inner, derivatives
from lgm.posterior.nodes import Nodes
from lgm.posterior.stretch import Stretch, Tails

PROBES = 24  # draws that estimate the second-order term


class Points(NamedTuple):
    """Weighted points of the effects at one theta."""

    value: jax.Array  # log p_L(y | theta)
    gain: jax.Array  # log of what p(y | theta) is beside it, as the points say
    values: jax.Array  # the precision H' that they come from, bordered
    mean: jax.Array  # (d, c), natural scale; of leaves, their means given the others
    drawn: jax.Array  # (d, m), natural scale: draws about zero with that precision, from which they were made
    log_weights: jax.Array  # (c,)
    nodes: Nodes | None  # of the leaves at each point
    skew: Skew | None = None
    even: Even | None = None


class Skew(NamedTuple):
    """What log weights are to third order: ``T = sum_i l3_i eta_i^3 / 6 - lean_i eta_i``, odd in the draws.

    With what it has in common with the whitened effects, of which the moments of normal draws are known.
    """

    third: jax.Array  # l3 (n,)
    odd: jax.Array  # T (m,)
    found: jax.Array  # average of T v over the draws (d,)
    known: jax.Array  # its expectation (d,)

    @classmethod
    def of(
        cls,
        inner: Inner,
        values: jax.Array,
        third: jax.Array,
        lean: jax.Array,
        drawn: jax.Array,
        eta: jax.Array,
        spread: jax.Array,
    ) -> Skew:
        """Of draws v (d, m) with the precision H' (its values), which add eta (n, m) of variances (n,) to the rows."""
        odd = third @ (eta * jnp.square(eta)) / 6.0 - lean @ eta
        known = inner.solve(values, inner.pull((0.5 * third * spread - lean)[:, None]))[:, 0]
        return cls(third, odd, drawn @ odd / drawn.shape[1], known)


class Even(NamedTuple):
    """What log weights of bent points are to fourth order, as far as it is a sum over rows, even in the draws.

    They are not such sums, but where rows are many and each says little nearly all of their spread is that of
    ``sum_i c_i s_i He2(eta_i)`` and ``sum_i c_i He4(eta_i)``, for c the fourth derivative and for l3^2 / W. The Hermite
    polynomials are those of the variance s_i, of mean zero.
    """

    rows: jax.Array  # c (2, n)
    spread: jax.Array  # s (n,)
    values: jax.Array  # the sums at each draw (4, m)

    @classmethod
    def of(cls, slopes: list[jax.Array], eta: jax.Array, spread: jax.Array) -> Even:
        """From derivatives of the log-likelihood, the first four, and draws that add eta (n, m) to the rows."""
        _, second, third, fourth = slopes
        curved = second < 0.0
        skewed = jnp.where(curved, jnp.square(third) / jnp.where(curved, -second, 1.0), 0.0)
        rows, s = jnp.stack([fourth, skewed]), spread[:, None]
        square = jnp.square(eta)
        values = [(rows * spread) @ (square - s), rows @ (square * (square - 6.0 * s) + 3.0 * jnp.square(s))]
        return cls(rows, spread, jnp.concatenate(values))


class Noise(NamedTuple):
    """Draws of the normal approximation about zero."""

    v: jax.Array  # (d, m)
    eta: jax.Array  # what they add to the linear predictors (n, m)
    logdet: jax.Array  # log|H'|_C


def noise(inner: Inner, values: jax.Array, z: jax.Array) -> Noise:
    """One draw with the precision H' (its values, bordered) for each column of normals z (d + k, m)."""
    prior, d = inner.prior, inner.prior.dim
    nothing = jnp.zeros((inner.analysis.n, 0))
    logdet, _, drawn = linalg.solve_and_sample(inner.analysis, values, nothing, normals(z, d, prior.k))
    return Noise(drawn[:d], inner.spread(drawn[:d]), logdet - prior.log_border)


def quadratic(inner: Inner, w: jax.Array, drawn: Noise) -> jax.Array:
    """``z'H'z`` (m,) of draws, for curvatures w (n,) of the likelihood."""
    return jnp.sum(drawn.v * inner.times(drawn.v), axis=0) + w @ jnp.square(drawn.eta)


def weighted(inner: Inner, found: Moments, z: jax.Array, tails: Tails | None = None) -> Points:
    """Antithetic points and their weights, from columns of normals z (d + k, m)."""
    drawn = noise(inner, found.values, z)
    w = -derivatives(inner.observed.loglik(inner.theta), found.eta, 2)[1]
    quad = 0.5 * jnp.tile(quadratic(inner, w, drawn), 2)
    if tails is not None:
        return _stretched(inner, found, drawn, quad, tails)
    v = antithetic(found.v + found.shift, drawn.v)
    heights = inner.joint(jnp.concatenate([found.v[:, None], v], axis=1), derivatives=False)
    return _of_pairs(inner, Pairs(found, drawn.v, heights[1:] - heights[0] + quad))


def weighted_anew(inner: Inner, start: jax.Array, z: jax.Array, tails: Tails | None = None) -> Points:
    """The same where nothing is known of this theta yet; the search for the mode begins at the start (d,)."""
    if known(inner) and tails is None:
        return _of_pairs(inner, pairs(inner, start, z))
    return weighted(inner, moments(inner, start), z, tails)


def stretched(inner: Inner, found: Moments, tails: Tails) -> tuple[jax.Array, Stretch]:
    """The centre (d,) of points that follow long tails, and how they do.

    It is the first-order mean, but for what of its shift follows from those tails.
    """
    stretch = Stretch.of(inner, found.values, found.v, tails, partial(inner.joint, derivatives=False))
    return found.v + stretch.across(found.shift), stretch


def _stretched(inner: Inner, found: Moments, drawn: Noise, quad: jax.Array, tails: Tails) -> Points:
    centre, stretch = stretched(inner, found, tails)
    moved, gained = stretch.moved(antithetic(jnp.zeros_like(centre), drawn.v))
    v = centre[:, None] + moved
    heights = inner.joint(jnp.concatenate([found.v[:, None], v], axis=1), derivatives=False)
    log_weights = heights[1:] - heights[0] + quad + gained
    mean, draws = natural(inner, v, drawn.v)
    return Points(found.value, log_mean(log_weights), found.values, mean, draws, log_weights, None)


def _of_pairs(inner: Inner, made: Pairs) -> Points:
    found, drawn, log_weights = made
    mean, draws = natural(inner, antithetic(found.v + found.shift, drawn), drawn)
    third = derivatives(inner.observed.loglik(inner.theta), found.eta, 3)[2]
    lean = 0.5 * third * found.spread  # points are about the shifted mean
    skew = Skew.of(inner, found.values, third, lean, drawn, inner.spread(drawn), found.spread)
    return Points(found.value, log_mean(log_weights), found.values, mean, draws, log_weights, None, skew)


def normal(inner: Inner, found: Moments, z: jax.Array, *, shifted: bool) -> Points:
    """Points of the normal approximation, of equal weight: about its mode, or about the shifted mean."""
    m = z.shape[1]
    if shifted:  # the same probes everywhere, so that the density is a function of theta
        z = jnp.concatenate([z, jax.random.normal(jax.random.key(0), (z.shape[0], PROBES))], axis=1)
    drawn = noise(inner, found.values, z)
    gain = second_order(inner, found, drawn.eta[:, m:]) if shifted else jnp.zeros(())
    v = antithetic(found.v + found.shift if shifted else found.v, drawn.v[:, :m])
    mean, draws = natural(inner, v, drawn.v[:, :m])
    return Points(found.value, gain, found.values, mean, draws, jnp.zeros(2 * m), None)


def second_order(inner: Inner, found: Moments, eta: jax.Array) -> jax.Array:
    """The second-order term (); its sum over pairs of rows is an average over draws of eta about zero (n, m)."""
    _, _, third, fourth = derivatives(inner.observed.loglik(inner.theta), found.eta, 4)
    m = eta.shape[1] // 3
    x, y, z = (eta[:, k * m : (k + 1) * m] for k in range(3))  # E (sum_i l3_i x_i y_i z_i)^2
    cubes = jnp.mean(jnp.square(third @ (x * y * z))) if m else jnp.zeros(())
    moved = jnp.vdot(found.spread * third, inner.spread(found.shift[:, None])[:, 0])  # 2 push'delta
    return jnp.vdot(fourth, jnp.square(found.spread)) / 8.0 + moved / 4.0 + cubes / 12.0


def log_mean(log_weights: jax.Array) -> jax.Array:
    """Log of the average of the weights."""
    return jax.nn.logsumexp(log_weights) - jnp.log(float(log_weights.shape[0]))


def natural(inner: Inner, v: jax.Array, drawn: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Points (d, c) and draws (d, m) on the natural scale."""
    return inner.scale[:, None] * v, inner.scale[:, None] * drawn


def antithetic(centre: jax.Array, v: jax.Array) -> jax.Array:
    """``centre + v`` and ``centre - v`` (..., 2m) for a centre (...) and v (..., m)."""
    return centre[..., None] + jnp.concatenate([v, -v], axis=-1)
