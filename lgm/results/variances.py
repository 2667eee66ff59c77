"""The variance of effects given theta, averaged over some of the draws of theta: as few as tell it well enough."""

from __future__ import annotations

import jax
import numpy as np
import scipy  # of which parts that are slow to read come when first needed
from scipy.special import ndtri

from lgm.arrays import FloatArray
from lgm.inference.compile import Plan, compiled, floats
from lgm.inference.keys import normals
from lgm.posterior import density
from lgm.posterior.density import Marginal
from lgm.results.drawing import Drawing
from lgm.results.progress import bar
from lgm.xla import own_settings

CHUNK_BYTES = 64e6  # of intermediate results held at once
MOST = 200  # thetas
SD_ERROR = 0.005  # relative Monte Carlo error of every sd at which the average is good enough


@compiled(
    shapes=lambda post, how: (
        post,
        floats(how, post.hyper.size),
        floats(post.dim, post.dim - post.prior.q),
        floats(how, post.n_normals, post.data.pairs),
    )
)
def _chunk(
    how: int, post: Marginal, thetas: jax.Array, functionals: jax.Array, z: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return jax.vmap(lambda theta, z: density.variances(post, theta, functionals, z=z))(thetas, z)


def _shape(post: Marginal, thetas: int) -> int:
    """Evaluations in one call."""
    return int(np.clip(CHUNK_BYTES // (8 * 8 * post.dim), 1, min(50, thetas)))


def programs(post: Marginal, thetas: int) -> list[Plan]:
    """What `averaged` will call for so many thetas."""
    return [Plan(_chunk, _shape(post, thetas))]


def averaged(drawing: Drawing, spread: FloatArray) -> FloatArray:
    """Average conditional variance of the printed effects, chunk by chunk until it is known well enough.

    ``spread`` is the other part of the total variance.
    """
    thetas, post, functionals = drawing.thetas, drawing.analysed.marginal, drawing.functionals
    chunk = _shape(post, len(thetas))
    parts = min(MOST, len(thetas)) // chunk
    chosen = np.linspace(0, len(thetas) - 1, parts * chunk).astype(int)
    controls = _controls(thetas)
    rows: list[FloatArray] = []
    with bar(parts * chunk, "standard deviations", progress=drawing.progress) as shown:
        for part in range(parts):
            at = chosen[part::parts]  # every chunk is spread over all draws
            z = normals(drawing.seed, 4, numbers=at, size=post.n_normals * post.data.pairs)
            with own_settings():
                z = z.reshape(chunk, post.n_normals, -1)
                printed, fixed = _chunk(chunk, post, thetas[at], functionals, z)
            rows.append(np.concatenate([np.asarray(fixed), np.asarray(printed)], axis=1))
            used = np.concatenate([chosen[done::parts] for done in range(part + 1)])
            average, error = controlled_mean(np.concatenate(rows), controls[used])
            shown.update(chunk)
            if np.all(error <= 2.0 * SD_ERROR * (spread + average)):  # an sd's relative error is half its square's
                break
    return average


def _controls(thetas: FloatArray) -> FloatArray:
    """Normal scores of theta and their squares, standardised over all thetas; zero for what is held.

    Ranks, because the local scales of a horseshoe have no moments: a few far thetas would be all that a regression on
    theta itself sees.
    """
    moves = np.ptp(thetas, axis=0) > 0
    if not np.any(moves):
        return np.zeros((len(thetas), 2 * moves.size))
    scores = ndtri((scipy.stats.rankdata(thetas, axis=0) - 0.5) / len(thetas))
    centred = np.where(moves, scores - scores.mean(axis=0), 0.0)
    linear = np.divide(centred, centred.std(axis=0), out=np.zeros_like(centred), where=moves)
    return np.concatenate([linear, linear**2 - np.mean(linear**2, axis=0)], axis=1)


def controlled_mean(values: FloatArray, controls: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean over all thetas of what is known at some (n, m), and its Monte Carlo error.

    By regression on control variates (n, c) whose mean over all thetas is zero (Owen 2013, Monte Carlo theory, methods
    and examples, sec. 8.9): a conditional variance is a smooth function of theta, so little is left to chance.
    """
    n, c = controls.shape
    design = np.column_stack([np.ones(n), controls]) if n > 2 * (c + 1) else np.ones((n, 1))
    coefficients = np.linalg.lstsq(design, values, rcond=1e-8)[0]
    residual = values - design @ coefficients
    error = np.sqrt(np.sum(residual**2, axis=0) / max(n - design.shape[1], 1) / n)
    return np.maximum(coefficients[0], 0.0), error
