"""The effects given the data: one draw per kept theta, and their means and variances as mixtures over theta."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.inference.compile import Plan, compiled, floats, wholes
from lgm.inference.draws import Draws, Expected, Mixture
from lgm.inference.keys import key
from lgm.posterior.assemble import Analysed
from lgm.posterior.density import Marginal, effects, variances

CHUNK_BYTES = 64e6  # of intermediate results held at once
MANY, FEW = 250, 16  # thetas in one call that draws u
VARIANCE_DRAWS = 200  # most thetas over which conditional variances are averaged
SD_ERROR = 0.005  # relative Monte Carlo error of every sd at which the average is good enough


@dataclass(frozen=True)
class EffectDraws:
    """Effects ``u = (beta, b)`` on their printed scale.

    Parameters
    ----------
    draws : float array (S, p + q)
        One draw for each of the S kept thetas.
    mean : float array (p + q,)
        ``E[u | y]``: the average of the exact conditional means over all S thetas (Rao-Blackwell).
    sd : float array (p + number of printed effects of terms,)
        Of what tables show: the fixed effects, then the variables of the terms (`Predictor.printed`).
        From the law of total variance: the variance of the conditional means over all thetas plus the average
        conditional variance over some of them, as many as bring its Monte Carlo error below half a percent of every
        sd, but at most 200.
    """

    draws: FloatArray
    mean: FloatArray
    sd: FloatArray


@compiled(shapes=lambda post, size: (post, floats(size, post.hyper.size), key(0), wholes(size)))
def _draw_chunk(
    size: int, post: Marginal, thetas: jax.Array, key: jax.Array, counters: jax.Array
) -> tuple[jax.Array, jax.Array]:
    def one(theta: jax.Array, counter: jax.Array) -> tuple[jax.Array, jax.Array]:
        # one key per kept theta, so that the draws do not depend on how they are chunked
        z = jax.random.normal(jax.random.fold_in(key, counter), (post.n_normals, 1))
        found = effects(post, theta, z)
        return found.mean, found.draws[:, 0]

    return jax.vmap(one)(thetas, counters)


@compiled(shapes=lambda post, size: (post, floats(size, post.hyper.size), floats(post.dim, _fixed(post))))
def _variance_chunk(
    size: int, post: Marginal, thetas: jax.Array, functionals: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return jax.vmap(lambda theta: variances(post, theta, functionals))(thetas)


def _draw_size(post: Marginal, thetas: int) -> int:
    """Thetas in one call: as many as bounded memory allows, one of two sizes so that two programs serve all."""
    return int(np.clip(CHUNK_BYTES // (8 * 4 * post.n_normals), 1, MANY if thetas >= MANY else FEW))


def _variance_size(post: Marginal, thetas: int) -> int:
    return int(np.clip(CHUNK_BYTES // (8 * 8 * post.dim), 1, min(50, thetas)))


def _fixed(post: Marginal) -> int:
    """Number of fixed effects."""
    return post.dim - post.prior.q


def programs(post: Marginal, expected: Expected) -> list[Plan]:
    """What `draw_effects` will call for the draws of a run."""
    drawing = [Plan(_draw_chunk, _draw_size(post, expected.draws))] if expected.draws else []
    return [*drawing, Plan(_variance_chunk, _variance_size(post, expected.thetas))]


def draw_effects(analysed: Analysed, drawn: Draws, seed: int) -> EffectDraws:
    """One draw of u for every draw of theta; means and variances as mixtures over theta.

    Effects that the engine computed along with its weights are used where they suffice.

    Parameters
    ----------
    analysed : Analysed
    drawn : Draws
        Of theta.
    seed : int
    """
    thetas = drawn.theta.reshape(-1, drawn.theta.shape[-1])
    known = drawn.effects_at()
    if known is None:
        mean, spread, draws = _from_conditionals(analysed, thetas, seed)
    else:
        mean, spread, draws = _from_points(analysed, *known, thetas, seed)
    return EffectDraws(draws, mean, np.sqrt(spread + _mean_variances(analysed, thetas, spread)))


def _from_conditionals(analysed: Analysed, thetas: FloatArray, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean and variance of the conditional means over theta, and draws, chunk by chunk."""
    draws = np.empty((len(thetas), analysed.marginal.dim))
    total, square = np.zeros(draws.shape[1]), np.zeros(())
    first = np.zeros(0)
    for place, mean, draw in _conditionals(analysed.marginal, thetas, np.arange(len(thetas)), seed):
        draws[place] = analysed.natural(draw)
        means = analysed.natural(mean)
        first = first if first.size else means[0]  # a shift, against cancellation in the variance
        total += np.sum(means - first, axis=0)
        square = square + np.sum(analysed.printed(means - first) ** 2, axis=0)
    average = total / len(thetas)
    spread = square / len(thetas) - analysed.printed(average) ** 2
    return first + average, np.maximum(spread, 0.0), draws


def _conditionals(
    post: Marginal, thetas: FloatArray, counters: IntArray, seed: int
) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
    """Places, conditional means and draws in chunks of bounded memory, internal coordinates."""
    chunk = _draw_size(post, len(thetas))
    with jax.enable_x64(True):
        mixed = key(seed, 1)
        for start in range(0, len(thetas), chunk):
            at = np.minimum(np.arange(start, start + chunk), len(thetas) - 1)  # every chunk has the same shape
            mean, draw = _draw_chunk(chunk, post, thetas[at], mixed, counters[at])
            stop = min(start + chunk, len(thetas))
            yield slice(start, stop), np.asarray(mean)[: stop - start], np.asarray(draw)[: stop - start]


def _from_points(
    analysed: Analysed, points: Mixture, index: IntArray, thetas: FloatArray, seed: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The same from weighted points: means use the weights of all points, not the resampled ones."""
    weights = np.exp(points.log_weights)
    means = analysed.natural(points.mean)
    mean = weights @ means
    spread = weights @ analysed.printed(means - mean) ** 2
    occurrence = _occurrences(index)
    kept = np.flatnonzero(occurrence < points.draws.shape[1])
    draws = np.empty((index.size, analysed.marginal.dim))
    draws[kept] = points.draws[index[kept], occurrence[kept]]
    more = np.flatnonzero(occurrence >= points.draws.shape[1])
    for place, _, draw in _conditionals(analysed.marginal, thetas[more], more, seed):
        draws[more[place]] = draw
    return mean, spread, analysed.natural(draws)


def _occurrences(index: IntArray) -> IntArray:
    """How often each entry has occurred before."""
    order = np.argsort(index, kind="stable")
    ranked = index[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    run = np.arange(index.size) - np.repeat(starts, np.diff(np.concatenate([starts, [index.size]])))
    out = np.empty(index.size, dtype=np.int64)
    out[order] = run
    return out


def _mean_variances(analysed: Analysed, thetas: FloatArray, spread: FloatArray) -> FloatArray:
    """Average conditional variance of the printed effects, chunk by chunk until it is known well enough.

    ``spread`` is the other part of the total variance.
    """
    post, p = analysed.marginal, analysed.reference.size
    functionals = np.zeros((post.dim, p))
    functionals[:p] = analysed.basis.T
    if np.all(thetas == thetas[0]):
        thetas = thetas[:1]
    chunk = _variance_size(post, len(thetas))
    parts = min(VARIANCE_DRAWS, len(thetas)) // chunk
    chosen = np.linspace(0, len(thetas) - 1, parts * chunk).astype(int)
    controls = _controls(thetas)
    rows: list[FloatArray] = []
    for part in range(parts):
        at = chosen[part::parts]  # every chunk is spread over all draws
        with jax.enable_x64(True):
            printed, fixed = _variance_chunk(chunk, post, thetas[at], functionals)
        rows.append(np.concatenate([np.asarray(fixed), np.asarray(printed)], axis=1))
        used = np.concatenate([chosen[done::parts] for done in range(part + 1)])
        average, error = _controlled_mean(np.concatenate(rows), controls[used])
        if np.all(error <= 2.0 * SD_ERROR * (spread + average)):  # the relative error of an sd is half its square's
            break
    return average


def _controls(thetas: FloatArray) -> FloatArray:
    """Theta and its squares, standardised over all thetas; zero for what is held."""
    centred = thetas - thetas.mean(axis=0)
    moves = np.ptp(thetas, axis=0) > 0  # not by the spread, which rounding may leave above zero
    linear = np.divide(centred, centred.std(axis=0), out=np.zeros_like(centred), where=moves)
    return np.concatenate([linear, linear**2 - np.mean(linear**2, axis=0)], axis=1)


def _controlled_mean(values: FloatArray, controls: FloatArray) -> tuple[FloatArray, FloatArray]:
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
