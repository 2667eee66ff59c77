"""Importance sampling of theta: the same posterior from a thousand values of its density.

theta is low-dimensional and its posterior smooth, so draws from a wide proposal around the mode, weighted by the exact
density, represent it; every value is one factorisation, and all are independent. The proposal is a multivariate Student
t in coordinates that respect the boundary: a standard deviation is proposed on its own scale and folded at zero, where
its posterior density is finite (on the log scale it has an exponential tail that no Gaussian covers). Draws are
scrambled Sobol points; weights are Pareto-smoothed; if their tail is heavy the proposal is refitted to the weighted
draws, and all draws are pooled under the mixture of the proposals (Cornuet et al. 2012).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import gammaln, logsumexp
from tqdm import tqdm

from lgm import posterior
from lgm.inference import pareto
from lgm.inference.ahead import LOOPS, jit
from lgm.inference.draws import Draws, Points
from lgm.inference.folded import FoldedMode
from lgm.pattern import FloatArray
from lgm.posterior import Posterior

EVALUATIONS = 1024  # per round; a power of two, as Sobol points want it
ROUNDS = 4  # the first and three refits
GOOD_K = 0.5  # no refit if k is below this, where the variance of the weights is finite,
GOOD_ESS = 0.5  # and the effective number of points is above this share
BATCH = 64  # thetas in one vectorised call
DF = 5.0  # of the Student t proposal
STORED_BYTES = 1e9  # effects drawn along with the values are kept up to this size, else drawn in a second pass


@dataclass(frozen=True)
class Proposal:
    """Multivariate t around ``centre`` with scale ``root @ root.T``, folded at zero where ``folded`` says so."""

    centre: FloatArray
    root: FloatArray
    folded: tuple[bool, ...]

    def draw(self, n: int, seed: int) -> FloatArray:
        """``n`` scrambled Sobol points of the unfolded t, folded; shape (n, d)."""
        d = self.centre.size
        points = stats.qmc.Sobol(d + 1, scramble=True, rng=np.random.default_rng(seed)).random(n)
        points = np.clip(points, 1e-12, 1.0 - 1e-12)
        normals = stats.norm.ppf(points[:, :d])
        stretch = np.sqrt(DF / stats.chi2.ppf(points[:, d], DF))
        x = self.centre + (normals * stretch[:, None]) @ self.root.T
        return np.where(self.folded, np.abs(x), x)

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density of folded points: the sum over all signs of the folded coordinates."""
        d = self.centre.size
        where = np.flatnonzero(self.folded)
        inverse = np.linalg.inv(self.root)
        constant = (
            gammaln((DF + d) / 2) - gammaln(DF / 2) - d / 2 * np.log(DF * np.pi) - np.linalg.slogdet(self.root)[1]
        )
        terms = []
        for signs in itertools.product((1.0, -1.0), repeat=where.size):
            flipped = x.copy()
            flipped[:, where] *= signs
            square = np.sum(((flipped - self.centre) @ inverse.T) ** 2, axis=1)
            terms.append(constant - (DF + d) / 2 * np.log1p(square / DF))
        return logsumexp(terms, axis=0)


class _Round(NamedTuple):
    """Points of one round: proposal coordinates, natural scale, log density, and the effects given theta."""

    x: FloatArray  # (S, d)
    theta: FloatArray  # (S, k)
    log_density: FloatArray  # (S,), of the proposal coordinates
    mean: FloatArray  # (S, p + q), or (S, 0) if not kept
    draws: FloatArray  # (S, p + q, m)


@partial(jit, static_argnames="draws", compiler_options=LOOPS)
def _evaluate(
    post: Posterior, x: jax.Array, key: jax.Array, counters: jax.Array, draws: int
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Log densities, natural thetas, conditional means and draws of u: one factorisation for each point."""

    def one(x: jax.Array, counter: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        theta = post.hyper.from_folded(x)
        z = jax.random.normal(jax.random.fold_in(key, counter), (post.n_normals, draws))
        log_likelihood, effects = posterior.log_likelihood_and_effects(post, theta, z)
        value = log_likelihood + post.hyper.log_prior(theta) + post.hyper.log_jacobian_folded(x)
        return jnp.where(jnp.isfinite(value), value, -jnp.inf), theta, effects.mean, effects.draws

    return jax.vmap(one)(x, counters)


def sample(post: Posterior, mode: FoldedMode, *, draws: int, seed: int, progress: bool) -> Draws:
    """Represent the posterior of theta by weighted points, and resample it to equally weighted draws in one chain.

    Parameters
    ----------
    post : Posterior
    mode : FoldedMode
        Of the density with Jacobian.
    draws : int
        Number of draws.
    seed : int
    progress : bool
    """
    points, log_density = weighted_points(post, mode, draws=draws, seed=seed, progress=progress)
    index = _resampled(np.exp(points.log_weights), draws, np.random.default_rng(seed))
    stats = {"lp": log_density[index][None], "diverging": np.zeros((1, draws), dtype=bool)}
    return Draws(points.theta[index][None], stats, np.zeros(0), 0, False, points, index)


def weighted_points(
    post: Posterior, mode: FoldedMode, *, draws: int, seed: int, progress: bool
) -> tuple[Points, FloatArray]:
    """The weighted points, and the log density (proposal coordinates) at each of them.

    ``draws``, the number that will be taken, sets how many u are drawn at each point.
    """
    per_point = int(np.ceil(2 * draws / EVALUATIONS))
    if 8.0 * EVALUATIONS * post.dim * (per_point + 1) > STORED_BYTES:
        per_point = 0
    folded = post.hyper.folded
    rounds: list[_Round] = []
    with jax.enable_x64(True), tqdm(total=EVALUATIONS, disable=not progress, desc="lgm", unit="value") as bar:
        proposals = [Proposal(mode.x, _widened(post, mode, per_point), folded)]
        for r in range(ROUNDS):
            x = proposals[-1].draw(EVALUATIONS, seed + r)
            rounds.append(_evaluate_all(post, x, jax.random.fold_in(jax.random.key(seed), 1 + r), per_point, bar))
            pooled = _Round(*(np.concatenate(parts) for parts in zip(*rounds, strict=True)))
            mixture = logsumexp([q.log_density(pooled.x) for q in proposals], axis=0) - np.log(len(proposals))
            raw = pooled.log_density - mixture
            smoothed = pareto.smooth(raw)
            if (smoothed.k < GOOD_K and smoothed.ess > GOOD_ESS * raw.size) or r == ROUNDS - 1:
                break
            proposals.append(_refitted(mode, pooled.x, np.exp(smoothed.log_weights), folded))
            bar.total += EVALUATIONS
    evidence = logsumexp(raw) - np.log(raw.size)
    error = np.std(np.exp(raw - evidence), ddof=1) / np.sqrt(raw.size)
    return Points(
        pooled.theta,
        smoothed.log_weights,
        smoothed.k,
        smoothed.ess,
        float(evidence),
        float(error),
        pooled.mean,
        pooled.draws,
    ), pooled.log_density


def _resampled(weights: FloatArray, n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Systematic resampling, in random order: a point of weight w is taken ``n w`` times, rounded up or down."""
    positions = (np.arange(n) + rng.random()) / n
    index = np.minimum(np.searchsorted(np.cumsum(weights), positions), weights.size - 1)
    return rng.permutation(index)


def _widened(post: Posterior, mode: FoldedMode, per_point: int) -> FloatArray:
    """The root of the inverse curvature with each direction as wide as the wider of its two sides.

    At ``mode +- sqrt(2) root_k`` a Gaussian has fallen by one; where the density has fallen by less, that side is
    ``drop^-1/2`` wide in units of the direction.
    """
    d = mode.x.size
    steps = np.sqrt(2.0) * np.concatenate([mode.root.T, -mode.root.T])
    points = np.tile(mode.x, (-(-2 * d // BATCH) * BATCH, 1))
    points[: 2 * d] += steps
    points = np.where(post.hyper.folded, np.abs(points), points)
    values = _evaluate_all(post, points, jax.random.key(0), per_point).log_density[: 2 * d]
    drop = np.min((mode.value - values).reshape(2, d), axis=0)
    return mode.root * np.clip(drop, 0.1, 1.0) ** -0.5


def _evaluate_all(post: Posterior, x: FloatArray, key: jax.Array, per_point: int, bar: tqdm | None = None) -> _Round:
    """Evaluate proposal points batch by batch; their number is a multiple of the batch."""
    parts = []
    for start in range(0, len(x), BATCH):
        batch = jnp.asarray(x[start : start + BATCH])
        found = _evaluate(post, batch, key, jnp.arange(start, start + BATCH), per_point)
        value, theta, mean, draws = (np.asarray(part) for part in found)
        parts.append((theta, value, mean if per_point else mean[:, :0], draws))
        if bar is not None:
            bar.update(BATCH)
    return _Round(x, *(np.concatenate(column) for column in zip(*parts, strict=True)))


def _refitted(mode: FoldedMode, points: FloatArray, weights: FloatArray, folded: tuple[bool, ...]) -> Proposal:
    """A proposal with the weighted second moment about the mode, which widens it where the posterior is skewed."""
    away = points - mode.x
    moment = away.T @ (weights[:, None] * away)
    return Proposal(mode.x, np.asarray(np.linalg.cholesky(moment), dtype=np.float64), folded)
