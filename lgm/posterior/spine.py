r"""Weighted points of the spine, with the leaves integrated out at each (`lgm.posterior.leaves`).

The proposal is normal: the mode and precision H' of all effects, with slopes and curvatures of the likelihood averaged
over the leaves. With ``H_s`` what H' leaves of the spine, and v^ Laplace's mode, a point s has the weight

    exp( J_s(s) - J(v^) + s'H_s s / 2 ) prod_g I_g(s) |H'_gg / 2 pi|^1/2  |H'(v^)|^1/2 / |H'|^1/2

whose average estimates ``p(y | theta) / p_L(y | theta)`` without bias, as the nodes of ``I_g`` lie at random places,
but for what is beyond their ends: next to nothing where s is near the centre, and the larger the further out it is.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lgm import linalg
from lgm.linalg.likelihoods import Centres
from lgm.linalg.likelihoods import Likelihood as Known
from lgm.linalg.small import roots
from lgm.posterior.approximation import approximate
from lgm.posterior.inner import Inner, Point, derivatives
from lgm.posterior.latent_prior import LOG_2PI
from lgm.posterior.leaves import Frame, Given, Leaves, Likelihood, framed
from lgm.posterior.nodes import RULES, Lattice, Nodes, Rule, averaged, draw, nodes
from lgm.posterior.points import Points, Skew, antithetic, log_mean, natural, noise
from lgm.posterior.stretch import Stretch, Tails

PLACES = 2  # where leaves are integrated out, on the way to where the spine is then
LONGEST = 4.0  # times the last step


class _Centre(NamedTuple):
    """Leaves at one place of the spine: lattices for points around it, means, the rows' average slope and curvature."""

    lattice: Lattice
    mean: jax.Array  # (G, k)
    slope: jax.Array  # (n,)
    w: jax.Array  # (n,)


class Found(NamedTuple):
    """What all points at one theta have in common."""

    mode: jax.Array  # Laplace's (d,)
    value: jax.Array  # log p_L(y | theta)
    v: jax.Array  # the proposal's centre (d,)
    values: jax.Array  # and its precision H', bordered
    centre: _Centre
    stretch: Stretch | None


def found(inner: Inner, leaves: Leaves, start: jax.Array, tails: Tails | None) -> Found:
    """By a search for the mode that begins at the start (d,), and some steps from there."""
    mode, value = approximate(inner, start)
    v, centre = _centred(inner, leaves, mode)
    values = inner.curvature(centre.w)
    stretch = None if tails is None else stretched(inner, leaves, v, values, centre.mean, tails)
    return Found(mode, value, v, values, centre, stretch)


def stretched(inner: Inner, leaves: Leaves, v: jax.Array, values: jax.Array, mean: jax.Array, tails: Tails) -> Stretch:
    """How points about v (d,) with the precision H' follow long tails; leaves have the means (G, k) there."""

    def height(v: jax.Array) -> jax.Array:
        lattice = _around(inner, leaves, v, mean).apart()
        each = nodes(leaves, _likelihood(inner), _given(inner, leaves, v), lattice, RULES[leaves.order].nodes)
        without = inner.joint(v.at[leaves.columns].set(0.0), derivatives=False)
        return without + jnp.sum(each.log_integral, axis=0)

    return Stretch.of(inner, values, v, tails, height)


def weighted(inner: Inner, leaves: Leaves, at: Found, z: jax.Array) -> Points:
    """Antithetic points of the spine and their weights, from columns of normals z (d + k, m)."""
    mode, value, v, values, centre, stretch = at
    columns = leaves.columns
    drawn = noise(inner, values, z)
    product = inner.times(drawn.v) + inner.pull(centre.w[:, None] * drawn.eta)  # H' z
    root = roots(leaves.blocks(values))
    half = jnp.einsum("gab,gbm->gam", root, product[columns])
    away = jnp.einsum("gab,gam->gbm", root, half)  # of each leaf from its mean given the spine
    quad = jnp.sum(drawn.v * product, axis=0) - jnp.sum(jnp.square(half), axis=(0, 1))
    if stretch is None:
        spine, gained = antithetic(v, drawn.v), jnp.zeros(())
        lattice = centre.lattice._replace(corner=antithetic(centre.lattice.corner[..., 0], drawn.v[columns] - away))
    else:
        moved, gained = stretch.moved(antithetic(jnp.zeros_like(v), drawn.v))
        spine = v[:, None] + moved
        lattice = _around(inner, leaves, spine, centre.mean)
    lattice = lattice.shifted(_at_random(half))
    each = nodes(leaves, _likelihood(inner), _given(inner, leaves, spine), lattice, RULES[leaves.order].nodes)
    places = jnp.concatenate([mode[:, None], spine.at[columns].set(0.0)], axis=1)
    top, heights = jnp.split(inner.joint(places, derivatives=False), [1])
    logdet_mode = inner.logdet - 2.0 * (value - top[0])
    logdet_leaves = -2.0 * jnp.sum(jnp.log(jnp.diagonal(root, axis1=1, axis2=2)))
    known = 0.5 * (logdet_mode - drawn.logdet + logdet_leaves - columns.size * LOG_2PI) - top[0]
    log_weights = heights + known + 0.5 * jnp.tile(quad, 2) + gained
    log_weights = log_weights + jnp.sum(each.log_integral, axis=0)
    mean, draws = natural(inner, spine.at[columns].set(each.mean), drawn.v)
    skew = None  # where points are stretched, log weights are not what the third derivatives say
    if stretch is None:
        skew = _skew(inner, leaves, values, v.at[columns].set(centre.mean), drawn.v.at[columns].add(-away))
    return Points(value, log_mean(log_weights), values, mean, draws, log_weights, each, skew)


def _at_random(normals: jax.Array) -> jax.Array:
    """Shifts of lattices in edges (G, k, 2m), uniform from -1/2 to 1/2, for pairs of points.

    Parameters
    ----------
    normals : float array (G, k, m)
        Of leaves given the spine, of which nothing else is made.

    Notes
    -----
    The second of a pair is half an edge from the first: what sums are off by has then the other sign.
    """
    first = jax.scipy.special.ndtr(normals)
    return jnp.concatenate([first, jnp.mod(first + 0.5, 1.0)], axis=-1) - 0.5


def _skew(inner: Inner, leaves: Leaves, values: jax.Array, mean: jax.Array, drawn: jax.Array) -> Skew:
    """For draws (d, m) with leaves at their means given the spine.

    Roughly, as the third derivatives of the likelihood are those at one place of the leaves, their mean (d,).
    """
    third = derivatives(inner.observed.loglik(inner.theta), inner.eta(mean[:, None])[:, 0], 3)[2]
    push = leaves.entry * leaves.by_row(inner.scale[leaves.columns])
    root, k = roots(leaves.blocks(values)), leaves.order
    sides = [sum(push[:, b] * leaves.by_row(root[:, a, b, None])[:, 0] for b in range(k)) for a in range(k)]
    given = sum(jnp.square(side) for side in sides)  # variances of rows given the spine
    spread = inner.observed.a.quadratic(inner.whole(linalg.selected_inverse(inner.analysis, values))) - given
    skew = Skew.of(inner, values, third, jnp.zeros_like(third), drawn, inner.spread(drawn), spread)
    own = inner.pull((0.5 * third * spread)[:, None])[leaves.columns, 0]  # not of the leaves, but of their means
    inside = jnp.einsum("gab,ga->gb", root, jnp.einsum("gab,gb->ga", root, own))
    return skew._replace(known=skew.known.at[leaves.columns].add(-inside))


def drawn_leaves(inner: Inner, leaves: Leaves, found: Nodes, chosen: jax.Array, uniform: jax.Array) -> jax.Array:
    """Draws of leaves (G, k, c) given the spine, natural scale: at points ``chosen`` (c,), with uniform numbers."""
    return inner.scale[leaves.columns][..., None] * draw(leaves, _likelihood(inner), found, uniform, chosen)


class _Passed(NamedTuple):
    """A place that was looked at, with the leaves' effects at their means, and the step from there."""

    v: jax.Array  # (d,)
    slope: jax.Array  # of the spine's density
    step: jax.Array
    centre: _Centre


def _centred(inner: Inner, leaves: Leaves, mode: jax.Array) -> tuple[jax.Array, _Centre]:
    """Some steps from the mode up the density with the leaves integrated out: all effects (d,), and the leaves there.

    The leaves' effects are at their means, where the slope along them is zero on average: what it is not, few nodes are
    off by, and the step takes what follows for the others out of it.

    Steps are too short or too long by about the same part each: their matrix takes the leaves for normal. How the slope
    changed along the last but one tells by how much, and the last is made as long as it should be. At its end leaves
    are not looked at again: they move with the spine as they do for points around it.
    """
    columns = leaves.columns

    def climb(v: jax.Array, _: None) -> tuple[jax.Array, _Passed]:
        here = _integrated(inner, leaves, v)
        mean = v.at[columns].set(here.mean)
        slope = inner.slope(here.slope, mean)
        step = inner.step(Point(here.slope, slope, inner.curvature(here.w)))
        return mean + step, _Passed(mean, slope.at[columns].set(0.0), step, here)

    passed = jax.lax.scan(climb, mode, None, length=PLACES)[1]
    before, last = jax.tree.map(lambda x: x[-2], passed), jax.tree.map(lambda x: x[-1], passed)
    whole = jnp.vdot(before.step, before.slope)
    left = jnp.where(whole > 0.0, jnp.vdot(before.step, last.slope) / jnp.where(whole > 0.0, whole, 1.0), 0.0)
    step = last.step / jnp.maximum(1.0 - left, 1.0 / LONGEST)
    lattice, mean = last.centre.lattice, last.centre.mean
    moved = lattice._replace(corner=lattice.corner + step[columns][..., None])
    return last.v + step, last.centre._replace(lattice=moved, mean=mean + step[columns])


def _integrated(inner: Inner, leaves: Leaves, v: jax.Array) -> _Centre:
    likelihood, given = _likelihood(inner), _given(inner, leaves, v[:, None])
    rule = RULES[leaves.order]
    if likelihood.known is not None and leaves.order == 1:
        frame, centres = _by_kernel(leaves, likelihood.known, given, v[leaves.columns], rule)
        return _Centre(Lattice.over(frame, rule.nodes), centres.mean[:, None], centres.slope, centres.curvature)
    frame = framed(leaves, likelihood.loglik, given, v[leaves.columns], rule.fall)
    rough = Lattice.over(frame, rule.rough).apart()
    found = nodes(leaves, likelihood, given, rough, rule.rough)
    return _Centre(Lattice.over(frame, rule.nodes), found.mean[..., 0], *averaged(leaves, likelihood, found))


def _by_kernel(leaves: Leaves, known: Known, given: Given, start: jax.Array, rule: Rule) -> tuple[Frame, Centres]:
    """Frames of leaves with one effect, and means over them, in one native call."""
    r = given.precision[:, 0, 0]
    found = known.centres(
        leaves.member, given.eta[:, 0], given.push[:, 0], r, start[:, 0], fall=rule.fall, nodes=rule.rough
    )
    ends = (each[:, None] for each in (found.low, found.high))
    return Frame(found.top[:, None], found.axis[:, None, None], *ends), found


def _around(inner: Inner, leaves: Leaves, v: jax.Array, start: jax.Array) -> Lattice:
    """Lattices where the leaves are at each column of v (d, c): they need not move with the spine by a straight line.

    The search for the tops begins at a start (G, k).
    """
    likelihood, given = _likelihood(inner), _given(inner, leaves, v)
    rule = RULES[leaves.order]

    def one(eta: jax.Array) -> Lattice:
        here = given._replace(eta=eta)
        if likelihood.known is not None and leaves.order == 1:
            frame = _by_kernel(leaves, likelihood.known, here, start, rule)[0]
        else:
            frame = framed(leaves, likelihood.loglik, here, start, rule.fall)
        return Lattice.over(frame, rule.nodes)

    found = jax.vmap(one, -1, -1)(given.eta[:, None])
    return jax.tree.map(lambda x: x[..., 0, :], found)


def _likelihood(inner: Inner) -> Likelihood:
    return Likelihood(inner.observed.loglik(inner.theta), inner.observed.known(inner.theta))


def _given(inner: Inner, leaves: Leaves, v: jax.Array) -> Given:
    """What leaves are given at columns of v (d, c)."""
    push = leaves.entry * leaves.by_row(inner.scale[leaves.columns])
    return Given(inner.eta(v.at[leaves.columns].set(0.0)), push, leaves.blocks(inner.values))
