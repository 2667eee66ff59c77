r"""The likelihood of theta and the fixed effects: ``p(y | theta, beta)``, with the effects of terms integrated out.

Where fixed effects are known they are part of the offset, and what is left of them in u has a scale of zero. That is an
ordinary point (`lgm.posterior.latent_prior`): the same matrix is factored, and its determinant is that of the terms'
effects alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import jax
import jax.numpy as jnp
import numpy as np

from lgm.linalg import constrained, products
from lgm.posterior.density import Marginal
from lgm.posterior.gaussian import GaussianData
from lgm.posterior.laplace import LaplaceData
from lgm.posterior.latent_prior import LatentPrior, Whitened


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pinned(LatentPrior):
    """A prior of the terms' effects whose fixed effects are zero."""

    def whiten(self, theta: jax.Array) -> Whitened:
        """With fixed effects of scale zero."""
        found = super().whiten(theta)
        return found._replace(scale=found.scale.at[: self.dim - self.q].set(0.0))


def pinned(post: Marginal) -> Marginal:
    """A posterior of theta and the terms' effects, for fixed effects that `likelihood` is given.

    They are independent standard normal before their scale, and so integrate to one.
    """
    prior, pattern = post.prior, post.analysis.pattern
    p = prior.dim - prior.q
    inner = pattern.rows < p  # the row is the larger index: both are fixed effects
    base = np.array(prior.base)
    base[inner] = np.where(pattern.rows[inner] == pattern.cols[inner], 1.0, 0.0)
    zero = np.zeros(())
    given = {f.name: getattr(prior, f.name) for f in fields(prior)}
    changed = {"base": base, "pull": np.zeros(prior.dim), "constant": zero, "flat": zero}
    return replace(post, prior=Pinned(**{**given, **changed}))


def likelihood(post: Marginal, theta: jax.Array, fixed: jax.Array) -> jax.Array:
    """``log p(y | theta, beta)`` at internal fixed effects (p,), of a `pinned` posterior; NaN where it is undefined.

    Exact for a Gaussian response with the identity link, elsewhere by Laplace's approximation, as is lme4's.
    """
    prior, analysis = post.prior, post.analysis
    u = jnp.concatenate([fixed, jnp.zeros(prior.q)])
    data = post.data
    if isinstance(data, GaussianData):
        wide = constrained.bordered(u[:, None], prior.k)
        moved = products.multiply(analysis, jnp.asarray(data.gram), wide)[: prior.dim, 0]
        square = data.square - 2.0 * jnp.vdot(data.projection, u) + jnp.vdot(u, moved)
        known = replace(data, projection=data.projection - moved, square=square)
        return known.log_likelihood(prior, analysis, theta)
    assert isinstance(data, LaplaceData)
    observed = replace(data.observed, offset=data.observed.eta(u))
    return replace(data, observed=observed, rung="laplace").log_likelihood(prior, analysis, theta)
