"""The effects given the data: one draw per kept theta, and their means and variances as mixtures over theta."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from lgm.analyse import Analysed
from lgm.pattern import FloatArray
from lgm.posterior import Posterior, effects, variances

CHUNK_BYTES = 64e6  # of intermediate results held at once
VARIANCE_DRAWS = 200  # thetas over which conditional variances are averaged


@dataclass(frozen=True)
class EffectDraws:
    """Effects ``u = (beta, b)`` on their printed scale.

    Parameters
    ----------
    draws : float array (S, p + q)
        One draw for each of the S kept thetas.
    mean : float array (p + q,)
        ``E[u | y]``: the average of the exact conditional means over all S thetas (Rao-Blackwell).
    sd : float array (p + q,)
        From the law of total variance: the variance of the conditional means over all thetas plus the average conditional
        variance over at most 200 of them, evenly spaced.
    """

    draws: FloatArray
    mean: FloatArray
    sd: FloatArray


@partial(jax.jit, static_argnames="n_normals")
def _draw_chunk(
    post: Posterior, thetas: jax.Array, key: jax.Array, counters: jax.Array, n_normals: int
) -> tuple[jax.Array, jax.Array]:
    def one(theta: jax.Array, counter: jax.Array) -> tuple[jax.Array, jax.Array]:
        # one key per kept theta, so that the draws do not depend on how they are chunked
        z = jax.random.normal(jax.random.fold_in(key, counter), (n_normals, 1))
        found = effects(post, theta, z)
        return found.mean, found.draws[:, 0]

    return jax.vmap(one)(thetas, counters)


@jax.jit
def _variance_chunk(post: Posterior, thetas: jax.Array, functionals: jax.Array) -> tuple[jax.Array, jax.Array]:
    own, other = jax.vmap(lambda theta: variances(post, theta, functionals))(thetas)
    return jnp.sum(own, axis=0), jnp.sum(other, axis=0)


def draw_effects(analysed: Analysed, thetas: FloatArray, seed: int) -> EffectDraws:
    """Draw u from its conditional for every theta, in chunks of bounded memory.

    Parameters
    ----------
    analysed : Analysed
    thetas : float array (S, k)
        Kept draws of theta, natural scale.
    seed : int
    """
    post, p = analysed.posterior, analysed.reference.size
    n_normals = post.n_normals
    chunk = int(np.clip(CHUNK_BYTES // (8 * 4 * n_normals), 1, 250))
    total = len(thetas)
    with jax.enable_x64(True):
        key = jax.random.fold_in(jax.random.key(seed), 1)
        means, draws = np.empty((total, post.dim)), np.empty((total, post.dim))
        for start in range(0, total, chunk):
            at = np.minimum(np.arange(start, start + chunk), total - 1)  # the last chunk has the same shape
            mean, draw = _draw_chunk(post, jnp.asarray(thetas[at]), key, jnp.asarray(at), n_normals)
            stop = min(start + chunk, total)
            means[start:stop], draws[start:stop] = mean[: stop - start], draw[: stop - start]
        conditional = _mean_variances(analysed, thetas, min(chunk, 50))
    means = analysed.natural(means)
    sd = np.sqrt(means.var(axis=0) + conditional)
    mean = means.mean(axis=0)
    del means
    return EffectDraws(analysed.natural(draws), mean, sd)


def _mean_variances(analysed: Analysed, thetas: FloatArray, chunk: int) -> FloatArray:
    """Average conditional variance of the printed effects over evenly spaced thetas."""
    post, p = analysed.posterior, analysed.reference.size
    functionals = np.zeros((post.dim, p))
    functionals[:p] = analysed.basis.T
    n = min(VARIANCE_DRAWS, len(thetas)) // chunk * chunk or min(VARIANCE_DRAWS, len(thetas))
    chosen = thetas[np.linspace(0, len(thetas) - 1, n).astype(int)]
    total = np.zeros(post.dim)
    for start in range(0, n, chunk):
        own, fixed = _variance_chunk(post, jnp.asarray(chosen[start : start + chunk]), jnp.asarray(functionals))
        total += np.concatenate([np.asarray(fixed), np.asarray(own)[p:]])
    return total / n
