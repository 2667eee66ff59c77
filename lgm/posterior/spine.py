r"""Weighted points of the spine, with the leaves integrated out at each (`lgm.posterior.leaves`).

The proposal is normal: the mode and precision H' of all effects, with slopes and curvatures of the likelihood averaged
over the leaves. With ``H_s`` what H' leaves of the spine, and v^ Laplace's mode, a point s has the weight

    exp( J_s(s) - J(v^) + s'H_s s / 2 ) prod_g I_g(s) sqrt(H'_gg / 2 pi)  |H'(v^)|^1/2 / |H'|^1/2

whose average estimates ``p(y | theta) / p_L(y | theta)`` without bias.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lgm.posterior.approximation import approximate
from lgm.posterior.inner import Inner, Point
from lgm.posterior.latent_prior import LOG_2PI
from lgm.posterior.leaves import NODES, Given, Leaves, averaged, ends, nodes
from lgm.posterior.points import Points, antithetic, log_mean, natural, noise

STEPS = 2  # towards where the spine is once leaves are integrated out


class _Centre(NamedTuple):
    """Leaves at one place of the spine: their nodes and means (G,), and the rows' average slope and curvature (n,)."""

    low: jax.Array
    step: jax.Array
    mean: jax.Array
    slope: jax.Array
    w: jax.Array


def weighted(inner: Inner, leaves: Leaves, start: jax.Array, z: jax.Array) -> Points:
    """Antithetic points of the spine and their weights, from columns of normals z (d + k, m)."""
    mode, value = approximate(inner, start)
    columns = leaves.columns
    v = jax.lax.scan(lambda v, _: (_climbed(inner, leaves, v), None), mode, None, length=STEPS)[0]
    centre = _integrated(inner, leaves, v)
    values = inner.curvature(centre.w)
    drawn = noise(inner, values, z)
    product = inner.times(drawn.v) + inner.pull(centre.w[:, None] * drawn.eta)  # H' z
    precision = values[leaves.diagonal]
    away = product[columns] / precision[:, None]  # of each leaf from its mean given the spine
    quad = jnp.sum(drawn.v * product, axis=0) - jnp.sum(precision[:, None] * jnp.square(away), axis=0)
    spine, first = antithetic(v, drawn.v), antithetic(centre.low, drawn.v[columns] - away)
    step = jnp.broadcast_to(centre.step[:, None], first.shape)
    each = nodes(leaves, inner.observed.loglik(inner.theta), _given(inner, leaves, spine), first, step)
    top = inner.joint(mode[:, None])[0]
    logdet_mode = inner.logdet - 2.0 * (value - top)
    known = 0.5 * (logdet_mode - drawn.logdet + jnp.sum(jnp.log(precision)) - leaves.size * LOG_2PI) - top
    log_weights = inner.joint(spine.at[columns].set(0.0)) + known + 0.5 * jnp.tile(quad, 2)
    log_weights = log_weights + jnp.sum(each.log_integral, axis=0)
    mean, draws = natural(inner, spine.at[columns].set(each.moments()[0]), drawn.v)
    return Points(value, log_mean(log_weights), values, mean, draws, log_weights, each)


def _climbed(inner: Inner, leaves: Leaves, v: jax.Array) -> jax.Array:
    """One step of the spine up the density with the leaves integrated out, and the leaves' means."""
    here = _integrated(inner, leaves, v)
    mean = v.at[leaves.columns].set(here.mean)
    slope = inner.slope(here.slope, mean).at[leaves.columns].set(0.0)
    return mean + inner.step(Point(here.slope, slope, inner.curvature(here.w)))


def _integrated(inner: Inner, leaves: Leaves, v: jax.Array) -> _Centre:
    loglik, given = inner.observed.loglik(inner.theta), _given(inner, leaves, v[:, None])
    low, high = ends(leaves, loglik, given, v[leaves.columns])
    step = (high - low) / (NODES - 1)
    found = nodes(leaves, loglik, given, low[:, None], step[:, None])
    return _Centre(low, step, found.moments()[0][:, 0], *averaged(leaves, loglik, given, found))


def _given(inner: Inner, leaves: Leaves, v: jax.Array) -> Given:
    """What leaves are given at columns of v (d, c)."""
    push = leaves.entry * leaves.by_row(inner.scale[leaves.columns])
    return Given(inner.eta(v.at[leaves.columns].set(0.0)), push, inner.values[leaves.diagonal])
