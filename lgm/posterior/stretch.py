r"""Draws of effects that follow long tails of their density.

Where data bound a combination of effects on one side only, as they do the level of an arm without a single success, the
density falls steeply there, and on the other side slowly: as the prior alone does, in the end. Points of the normal
distribution with the curvature at the centre never get far into that tail, and the few weights of those that do cannot
tell what is missing.

With draws ``z ~ N(0, S)`` and J such combinations ``l_j'z`` let ``C C' = L'SL``, so that ``t = C^-1 L'z ~ N(0, I)``.
The map

    z -> z + sum_j a_j (x_j - t_j),    (a_1, ..., a_J) = S L C^-T,

leaves all that the combinations do not foretell as it was. x_j is ``t_j`` put where the two-piece normal density

    q(x) = 2 / (w_j- + w_j+) phi(x / w_j),    with the width w_j- below zero and w_j+ above it,

has as much below it as the normal one has below ``t_j`` (Wallis 2014, Statistical Science 29, 106-112). With a width w
the density ``q`` falls as much as J does from its centre c to some far place ``c + r a_j``: ``J(c) - J(c + r a_j) =
r^2 / (2 w^2)``. Wider than the prior, by ``w^2 a_j'R a_j = 1``, no concave log-likelihood lets it be.

Which combinations these are, the third derivatives at the mode tell: along a direction a with ``a'H'a = 1`` that of J
is ``sum_i l3_i (A D a)_i^3``, and steps ``l <- sum_i l3_i (A D a)_i^2 D A_i`` with ``a ~ S l`` lead to the directions
where it is largest (the symmetric power method: De Lathauwer, De Moor & Vandewalle 2000, SIAM J. Matrix Anal. Appl. 21,
1324-1342).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import ndtr, ndtri

from lgm import linalg
from lgm.arrays import Numbers
from lgm.posterior.approximation import Moments
from lgm.posterior.inner import Inner, derivatives

LEAN = 0.5  # third derivative in sds from which tails are looked at; of a level with p successes about 1 / sqrt(p)
NARROWEST = 0.5  # of widths: what is too wide costs some points, what is too narrow cuts
LEAST_FALL = 1e-3
CLIMBS = 5  # steps to where the density leans most

Height = Callable[[jax.Array], jax.Array]  # log densities (c,) at effects (d, c)


def lean(inner: Inner, found: Moments) -> jax.Array:
    """How much the density leans along each effect at the mode (d,), were all others to stay: its third derivative.

    Along any direction the sum of ``W_i eta_i^2`` is one at most, and ``|eta_i| <= s_i^1/2``. So rows for which
    ``|l3_i| s_i^1/2 / W_i`` is below `LEAN` sum up to less than that, and do not count. In sds of the effects.
    """
    d = inner.prior.dim
    _, second, third = derivatives(inner.observed.loglik(inner.theta), found.eta, 3)
    third = jnp.where(jnp.abs(third) * jnp.sqrt(found.spread) > -LEAN * second, jnp.abs(third), 0.0)
    cubes = replace(inner.observed.a, data=jnp.abs(inner.observed.a.data) ** 3).transposed_times(third[:, None], d)
    sd = jnp.sqrt(linalg.marginal_variances(inner.analysis, found.values)[:d])
    return cubes[:, 0] * (inner.scale * sd) ** 3


class Leaning(NamedTuple):
    """Combinations of effects along which the density leans most nearby."""

    functionals: jax.Array  # l (d, J), of natural effects
    third: jax.Array  # derivatives along them (J,)
    cov: jax.Array  # L'SL (J, J)


def leaning(inner: Inner, found: Moments, start: jax.Array, apart: Numbers) -> Leaning:
    """By steps from some functionals of natural effects (d, J); effects ``apart`` are in none."""
    third = derivatives(inner.observed.loglik(inner.theta), found.eta, 3)[2]

    def along(functionals: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        own = inner.scale[:, None] * functionals
        solved = inner.solve(found.values, own)
        cov = own.T @ solved
        return inner.spread(solved / jnp.sqrt(jnp.diagonal(cov))), solved, cov

    def climb(functionals: jax.Array, _: None) -> tuple[jax.Array, None]:
        eta = along(functionals)[0]
        up = inner.observed.a.transposed_times(third[:, None] * jnp.square(eta), inner.prior.dim)
        up = up.at[apart].set(0.0)
        return up / jnp.max(jnp.abs(up), axis=0), None

    functionals = jax.lax.scan(climb, start, None, length=CLIMBS)[0]
    eta, _, cov = along(functionals)
    return Leaning(functionals, third @ eta**3, cov)


class Tails(NamedTuple):
    """Combinations of effects with a long tail."""

    functionals: Numbers  # l (d, J), of natural effects
    reach: Numbers  # how far from the centre their density is looked at, below and above, in sds (J, 2)


class Stretch(NamedTuple):
    """The map at one theta."""

    functionals: jax.Array  # l (d, J), of whitened effects
    root: jax.Array  # C (J, J)
    axes: jax.Array  # a (d, J)
    widths: jax.Array  # below and above (J, 2)

    @classmethod
    def of(cls, inner: Inner, values: jax.Array, centre: jax.Array, tails: Tails, height: Height) -> Stretch:
        """For draws about a centre (d,) whose precision has the values H'."""
        functionals, reach = inner.scale[:, None] * tails.functionals, jnp.asarray(tails.reach)
        size = functionals.shape[1]
        solved = inner.solve(values, functionals)
        root = jnp.linalg.cholesky(functionals.T @ solved)
        axes = solve_triangular(root, solved.T, lower=True).T
        far = [centre[:, None] + side * reach[:, which] * axes for which, side in enumerate((-1.0, 1.0))]
        top, *heights = jnp.split(height(jnp.concatenate([centre[:, None], *far], axis=1)), [1, 1 + size])
        fall = jnp.maximum(top - jnp.stack(heights, axis=1), LEAST_FALL)
        widest = 1.0 / jnp.sqrt(jnp.sum(axes * inner.times(axes), axis=0))
        widths = jnp.clip(reach / jnp.sqrt(2.0 * fall), NARROWEST, jnp.maximum(widest, 1.0)[:, None])
        return cls(functionals, root, axes, widths)

    def across(self, v: jax.Array) -> jax.Array:
        """What of v (d,) the combinations do not foretell."""
        return v - self.axes @ solve_triangular(self.root, self.functionals.T @ v, lower=True)

    def moved(self, drawn: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Where draws about zero (d, c) come to lie, and the logs of what their density was beside that there (c,)."""
        t = solve_triangular(self.root, self.functionals.T @ drawn, lower=True)
        low, high = self.widths[:, 0, None], self.widths[:, 1, None]
        share = low / (low + high)
        below = ndtr(t) < share
        part = jnp.where(below, ndtr(t) / (2.0 * share), ndtr(-t) / (2.0 * (1.0 - share)))
        normal = ndtri(part)  # negative
        x = normal * jnp.where(below, low, -high)
        ratio = 0.5 * (jnp.square(normal) - jnp.square(t)) - jnp.log(2.0 / (low + high))
        return drawn + self.axes @ (x - t), jnp.sum(ratio, axis=0)
