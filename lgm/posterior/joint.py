r"""The posterior of theta and all effects together, in coordinates in which it is about standard normal.

With x the working coordinates of theta and v whitened effects (`lgm.posterior.latent_prior`), the density is

    log p(y | D v, theta) + log p(v | theta) + log p(x),

without approximation. At the mode of theta by Laplace's approximation, effects are about normal with the precision
``H* = R* + G*``, R the prior's and ``G = D A'WA D`` the data's. Coordinates (t, z) are those of

    x = x* + B t,     v = m(x) + E(x)^-1 H*^-1 S z,     S S' = H*,

so that v given theta* is whitened by its sparse precision. Away from theta*, m follows the mode of v along its tangent,
and E the root of each effect's precision, of which the share ``a_i = (H*^-1 G*)_ii`` is the data's:

    E_i^2 = (1 - a_i) R_ii / R_ii* + a_i G_ii / G_ii*,     m = v* + J s(x - x*),

with s the identity near zero, and bounded. E keeps the scale of z where standard deviations are small (v has its prior)
and where they are large (D v is held by the data). Whatever m and E are, the density is exact.

Under constraints ``C v = 0`` the same map gives a free v, of which ``c = C v`` is taken off by kriging at theta*; c
itself is given the normal distribution that it has there, independent of all else.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lgm import linalg
from lgm.arrays import FloatArray, IntArray, Numbers
from lgm.linalg.rows import Rows
from lgm.pattern import Pattern
from lgm.posterior.density import Marginal
from lgm.posterior.latent_prior import Whitened

MOST = 1e4  # times its precision at the mode of theta: how far the data's share of one effect is followed
OF_DATA = 1.0 - 1e-6  # the largest share
FURTHEST = 2.0  # in any working coordinate, that the mode's tangent is followed


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Expansion:
    """What is known at the mode of theta.

    Parameters
    ----------
    values : float array (nnz,)
        H* with anchors and without a border, in the order of its pattern.
    v : float array (d,)
        The mode of whitened effects.
    slopes : float array (d, f)
        Its derivatives by the working coordinates of theta.
    scale : float array (d,)
        D*.
    prior : float array (d,)
        ``R_ii*``.
    data : float array (d,)
        ``(A'WA)_ii``.
    share : float array (d,)
        Of the data in the precision of each effect.
    kriged : float array (d, k)
        What takes off the constrained directions: ``H*^-1 C' (C H*^-1 C')^-1``.
    removed : float array (k, k)
        Their precision, ``(C H*^-1 C')^-1``.
    """

    values: Numbers
    v: Numbers
    slopes: Numbers
    scale: Numbers
    prior: Numbers
    data: Numbers
    share: Numbers
    kriged: Numbers
    removed: Numbers


def free_analysis(post: Marginal) -> linalg.Analysis:
    """Of H without the border of its constraints."""
    if not post.prior.k:
        return post.analysis
    inside, pattern = _inside(post), post.analysis.pattern
    return _analysed(Pattern.from_entries(post.dim, pattern.rows[inside], pattern.cols[inside]))


@functools.lru_cache(maxsize=2)
def _analysed(pattern: Pattern) -> linalg.Analysis:
    return linalg.analyse(pattern)


def _inside(post: Marginal) -> IntArray:
    """Places of its entries in the bordered pattern; both orders are by column."""
    return np.flatnonzero(post.analysis.pattern.rows < post.dim)


def expansion(analysis: linalg.Analysis, post: Marginal, x: jax.Array) -> Expansion:
    """That at working coordinates x (f,), by an analysis of the free pattern."""
    prior, pattern, data, inside = post.prior, analysis.pattern, post.data, _inside(post)

    def mode(x: jax.Array) -> jax.Array:
        return data.mode(prior, post.analysis, post.hyper.natural(x))

    theta, v = post.hyper.natural(x), mode(x)
    at = prior.whiten(theta)
    information = data.information(post.analysis, theta, at.scale * v)[inside]
    ours = information * at.scale[pattern.rows] * at.scale[pattern.cols]
    values = at.values[inside] + ours
    c = prior.constraints.transposed_times(jnp.eye(prior.k), prior.dim)
    _, solved, inverse = linalg.solve_and_invert(analysis, values, c)
    off = jnp.where(pattern.rows == pattern.cols, 0.0, inverse * ours)
    share = jnp.zeros(post.dim).at[pattern.rows].add(inverse * ours).at[pattern.cols].add(off)
    removed = jnp.linalg.inv(c.T @ solved)
    diagonal = pattern.indptr[:-1]
    return Expansion(
        values=values,
        v=v,
        slopes=jax.jacfwd(mode)(x),
        scale=at.scale,
        prior=at.values[inside][diagonal],
        data=information[diagonal],
        share=jnp.clip(share, 0.0, OF_DATA),
        kriged=solved @ removed,
        removed=removed,
    )


class Moved(NamedTuple):
    """Effects for some coordinates, and the log density that these have beside that of the effects."""

    theta: jax.Array
    prior: Whitened
    v: jax.Array
    log_jacobian: jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Joint:
    """The density of the coordinates (t, z), one vector.

    Parameters
    ----------
    post : Marginal
    centre : float array (f,)
        Working coordinates of the mode of theta.
    root : float array (f, f)
        B.
    at : Expansion
        Of the effects there.
    factor : Rows
        S.
    analysis : linalg.Analysis
        Of H without its border.
    """

    post: Marginal
    centre: FloatArray
    root: FloatArray
    at: Expansion
    factor: Rows
    analysis: linalg.Analysis = field(metadata={"static": True})

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return int(self.centre.shape[0]) + self.post.dim

    def drawn(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Theta and the effects (d,), natural scale."""
        moved = self._moved(z)
        return moved.theta, moved.prior.scale * moved.v

    def log_density(self, z: jax.Array) -> jax.Array:
        """Log density of the coordinates up to a constant."""
        post, moved = self.post, self._moved(z)
        likelihood = post.data.given(post.analysis, moved.theta, moved.prior.scale * moved.v)
        effects = post.prior.log_density(moved.prior, post.analysis, moved.v)
        return likelihood + effects + moved.log_jacobian + post.hyper.log_prior_working(self._working(z))

    def _working(self, z: jax.Array) -> jax.Array:
        return jnp.matmul(self.root, z[: self.centre.shape[0]]) + self.centre

    def _moved(self, z: jax.Array) -> Moved:
        post, at, x = self.post, self.at, self._working(z)
        theta = post.hyper.natural(x)
        prior = post.prior.whiten(theta)
        root = self._root(theta, prior)
        mode = at.v + at.slopes @ (FURTHEST * jnp.tanh((x - self.centre) / FURTHEST))
        normals = self.factor.times(z[self.centre.shape[0] :, None])
        free = mode + linalg.solve(self.analysis, at.values, normals)[:, 0] / root
        c = post.prior.constraints.times(free[:, None])[:, 0]
        log_jacobian = -0.5 * (c @ at.removed @ c) - jnp.sum(jnp.log(root))
        return Moved(theta, prior, free - at.kriged @ c, log_jacobian)

    def _root(self, theta: jax.Array, prior: Whitened) -> jax.Array:
        """E at a theta."""
        at, diagonal = self.at, self.post.analysis.pattern.indptr[: self.post.dim]
        of_data = jnp.square(_ratio(prior.scale, at.scale))
        if self.post.data.places:
            information = self.post.data.information(self.post.analysis, theta, at.scale * at.v)
            of_data = of_data * jnp.clip(_ratio(information[diagonal], at.data), 1.0 / MOST, MOST)
        of_prior = _ratio(prior.values[diagonal], at.prior)
        return jnp.sqrt((1.0 - at.share) * of_prior + at.share * of_data)


def _ratio(new: jax.Array, old: Numbers) -> jax.Array:
    """``new / old``; one where nothing was there."""
    there = jnp.asarray(old) > 0.0
    return jnp.where(there, new / jnp.where(there, old, 1.0), 1.0)
