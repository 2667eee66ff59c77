r"""The likelihood of theta and the fixed effects: ``p(y | theta, beta)``, with the effects of terms integrated out.

Effects of terms may be known as fixed ones are, if they are all of a block's.

Where fixed effects are known they are part of the offset, and what is left of them in u has a scale of zero. That is an
ordinary point (`lgm.posterior.latent_prior`): the same matrix is factored, and its determinant is that of the terms'
effects alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import IntArray
from lgm.linalg import constrained, products
from lgm.posterior.density import Marginal
from lgm.posterior.gaussian import GaussianData
from lgm.posterior.laplace import LaplaceData
from lgm.posterior.latent_prior import LatentPrior, Whitened


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pinned(LatentPrior):
    """A prior of the terms' effects whose fixed effects, and those of some blocks, are zero.

    Parameters
    ----------
    known : int array
        Positions in u of all that are.
    """

    known: IntArray

    def whiten(self, theta: jax.Array) -> Whitened:
        """With known effects of scale zero."""
        found = super().whiten(theta)
        return found._replace(scale=found.scale.at[self.known].set(0.0))


def pinned(post: Marginal, blocks: Sequence[slice] = ()) -> Marginal:
    """A posterior of theta and the terms' effects, for fixed effects, and those of blocks, that `likelihood` is given.

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
    known = np.concatenate([np.arange(p), *(p + np.arange(block.start, block.stop) for block in blocks)])
    return replace(post, prior=Pinned(**{**given, **changed}, known=known.astype(np.int64)))


def likelihood(post: Marginal, theta: jax.Array, known: jax.Array) -> jax.Array:
    """``log p(y | theta, beta)`` at known effects, of a `pinned` posterior; NaN where it is undefined.

    Known are the internal fixed effects (p,), and after them those of the blocks that are.

    Exact for a Gaussian response with the identity link, elsewhere by Laplace's approximation, as is lme4's.
    """
    prior, analysis = post.prior, post.analysis
    assert isinstance(prior, Pinned)
    u = jnp.zeros(prior.dim).at[prior.known].set(known)
    data = post.data
    if isinstance(data, GaussianData):
        wide = constrained.bordered(u[:, None], prior.k)
        moved = products.multiply(analysis, jnp.asarray(data.gram), wide)[: prior.dim, 0]
        square = data.square - 2.0 * jnp.vdot(data.projection, u) + jnp.vdot(u, moved)
        rest = replace(data, projection=data.projection - moved, square=square)
        return rest.log_likelihood(prior, analysis, theta)
    assert isinstance(data, LaplaceData)
    observed = replace(data.observed, offset=data.observed.eta(u))
    return replace(data, observed=observed, rung="laplace").log_likelihood(prior, analysis, theta)
