"""Variances of sums and linear functionals of effects that are normal, within the constraints."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from lgm import linalg
from lgm.linalg import constrained
from lgm.posterior.functionals import Sums
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
        H' with its anchors, in pattern order.
    scale : float array (d,)
        From whitened effects to natural ones.
    functionals : float array (d, m)
        Of natural effects.
    sums : sequence of Sums

    Returns
    -------
    sums, functionals : float arrays (number of sums,), (m,)
    """
    k = prior.krige.shape[1]
    whitened = scale[:, None] * functionals
    _, solved, inverse = linalg.solve_and_invert(analysis, values, jnp.concatenate([prior.krige, whitened], axis=1))
    solved_k = solved[:, :k]
    kriging = constrained.kriging(prior.krige.T @ solved_k, prior.kappa)

    def corrected(variance: jax.Array, cross: jax.Array) -> jax.Array:
        return variance - constrained.variance_correction(cross, kriging)

    printed = jnp.zeros(sum(some.place.shape[0] for some in sums))
    for some in sums:
        scales = some.weights * scale[some.index]
        own = jnp.einsum("ma,mab,mb->m", scales, inverse[some.pairs], scales)
        cross = jnp.einsum("ma,mak->mk", scales, solved_k[some.index])
        printed = printed.at[some.place].set(corrected(own, cross))
    return printed, corrected(jnp.sum(whitened * solved[:, k:], axis=0), whitened.T @ solved_k)
