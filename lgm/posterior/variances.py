"""Moments of sums and linear functionals of effects that are normal, within the constraints."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from lgm import linalg
from lgm.errors import LgmError
from lgm.linalg import constrained, products
from lgm.linalg.rows import Rows
from lgm.posterior.functionals import Linear, Sums
from lgm.posterior.latent_prior import LatentPrior


def normal_variances(
    prior: LatentPrior,
    analysis: linalg.Analysis,
    values: jax.Array,
    scale: jax.Array,
    functionals: jax.Array,
    sums: Sequence[Sums],
) -> tuple[jax.Array, jax.Array]:
    """Variances where the whitened effects have the precision H', by one factorisation.

    Parameters
    ----------
    values : float array (nnz,)
        H', bordered, in pattern order.
    scale : float array (d,)
        From whitened effects to natural ones.
    functionals : float array (d, m)
        Of natural effects.
    sums : sequence of Sums

    Returns
    -------
    sums, functionals : float arrays (number of sums,), (m,)
    """
    d, whitened = prior.dim, scale[:, None] * functionals
    _, solved, inverse = linalg.solve_and_invert(analysis, values, constrained.bordered(whitened, prior.k))
    return _of_sums(inverse, scale, sums), jnp.sum(whitened * solved[:d], axis=0)


def means_and_variances(
    prior: LatentPrior,
    analysis: linalg.Analysis,
    values: jax.Array,
    scale: jax.Array,
    rhs: jax.Array,
    functionals: jax.Array,
    sums: Sequence[Sums],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Means of the effects (d,) before the variances, by one factorisation; and a right-hand side, bordered."""
    d, whitened = prior.dim, scale[:, None] * functionals
    both = jnp.concatenate([rhs, constrained.bordered(whitened, prior.k)], axis=1)
    _, solved, inverse = linalg.solve_and_invert(analysis, values, both)
    return scale * solved[:d, 0], _of_sums(inverse, scale, sums), jnp.sum(whitened * solved[:d, 1:], axis=0)


def _of_sums(inverse: jax.Array, scale: jax.Array, sums: Sequence[Sums]) -> jax.Array:
    printed = jnp.zeros(sum(some.place.shape[0] for some in sums))
    for some in sums:
        scales = some.weights * scale[some.index]
        own = jnp.einsum("ma,mab,mb->m", scales, inverse[some.pairs], scales)
        printed = printed.at[some.place].set(own)
    return printed


def normal_rows(
    prior: LatentPrior,
    analysis: linalg.Analysis,
    values: jax.Array,
    scale: jax.Array,
    rhs: jax.Array,
    a: Rows,
) -> Linear:
    """Means and variances of ``A u``, by one factorisation; arguments as above, and a right-hand side, bordered."""
    if not analysis.exact:
        raise LgmError(
            'with solver="iterative" variances of rows would take a solution for each of them, so that there are no '
            'criteria that leave rows out. Accepted: solver="direct".'
        )
    d = prior.dim
    _, solved, inverse = linalg.solve_and_invert(analysis, values, rhs)
    wide = constrained.bordered(scale, prior.k)
    variance = a.quadratic(products.scaled(analysis, inverse, wide))
    mean = a.times(scale[:, None] * solved[:d, :1])[:, 0]
    return Linear(mean, variance, jnp.zeros_like(mean))
