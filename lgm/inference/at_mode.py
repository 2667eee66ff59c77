"""Theta at its mode, the effects given it: what an lme4 user expects (with flat priors the mode is REML)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import FloatArray
from lgm.inference.compile import Compiled
from lgm.inference.draws import Draws, Points
from lgm.inference.folded import FoldedMode
from lgm.inference.keys import key
from lgm.posterior import density
from lgm.posterior.density import Posterior
from lgm.posterior.functionals import Effects


@Compiled
def _effects(post: Posterior, theta: jax.Array, key: jax.Array, *, draws: int) -> Effects:
    return density.effects(post, theta, jax.random.normal(key, (post.n_normals, draws)))


@Compiled
def _spread(post: Posterior, x: jax.Array, root: jax.Array) -> jax.Array:
    jacobian = jax.jacfwd(post.hyper.from_folded)(x)
    return jnp.sqrt(jnp.sum(jnp.square(jacobian @ root), axis=1))


def prepare(post: Posterior, *, draws: int) -> None:
    """Begin to compile what `sample` will call, from shapes alone."""
    d, shape = post.hyper.working_size, jax.ShapeDtypeStruct
    with jax.enable_x64(True):
        _effects.ahead(post, shape((post.hyper.size,), jnp.float64), key(0), draws=draws)
        _spread.ahead(post, shape((d,), jnp.float64), shape((d, d), jnp.float64))


def sample(post: Posterior, mode: FoldedMode, *, draws: int, seed: int) -> Draws:
    """Draws of u at the mode of theta, as one chain in which theta does not move, and standard errors of theta.

    Parameters
    ----------
    post : Posterior
    mode : FoldedMode
        Of the natural density, without Jacobian.
    draws : int
    seed : int
    """
    with jax.enable_x64(True):
        found = _effects(post, mode.theta, key(seed), draws=draws)
    points = Points(
        theta=mode.theta[None],
        log_weights=np.zeros(1),
        k=np.nan,
        ess=np.nan,
        log_evidence=np.nan,
        log_evidence_se=np.nan,
        mean=np.asarray(found.mean)[None],
        draws=np.asarray(found.draws).T[None],
    )
    stats = {"lp": np.full((1, draws), mode.value), "diverging": np.zeros((1, draws), dtype=bool)}
    theta = np.repeat(mode.theta[None], draws, axis=0)[None]
    index = np.zeros(draws, dtype=np.int64)
    return Draws(theta, stats, np.zeros(0), 0, False, points, index, standard_errors(post, mode))


def standard_errors(post: Posterior, mode: FoldedMode) -> FloatArray:
    """Curvature-based standard errors of theta, natural scale, by the delta method; NaN at the end of a range.

    That is an sd of zero, or a correlation of one to all digits: a prior may have a pole there.
    """
    with jax.enable_x64(True):
        spread = np.asarray(_spread(post, mode.x, mode.root))
    return np.where((mode.theta == 0.0) | (mode.theta + spread == mode.theta), np.nan, spread)
