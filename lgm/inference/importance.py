"""Importance sampling of theta: the same posterior from a thousand values of its density.

theta is low-dimensional and its posterior smooth, so draws from a wide proposal, weighted by the exact density,
represent it; every value is one factorisation, and all are independent. The proposal is a mixture of Student t's in the
bent coordinates of `lgm.inference.coordinates`, folded where a standard deviation is zero: one around the mode, and one
wherever the density reaches such a zero away from it (`lgm.inference.faces`). Draws are scrambled Sobol points; weights
are Pareto-smoothed; if their tail is heavy the proposal is refitted to the weighted draws, and all draws are pooled
under the mixture of the proposals (Cornuet et al. 2012). Where the density is estimated, the mode that is known is that
of an approximation, and a few points go ahead to find where the posterior is. In large fields, where each costs
factorisations, they come in few at a time, until there are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from lgm.arrays import BoolArray, FloatArray
from lgm.errors import ConvergenceWarning, warn
from lgm.inference import faces, pareto
from lgm.inference.compile import Plan, compiled, floats, wholes
from lgm.inference.coordinates import Bend, Folded, Working, bent
from lgm.inference.draws import ENOUGH, Expected, Points, Run
from lgm.inference.interrupt import interruptible
from lgm.inference.keys import key
from lgm.inference.mode import FoldedMode, Mode, evaluation, find_folded_mode, find_mode
from lgm.inference.progress import bar as progress_bar
from lgm.inference.proposal import Mixture, resampled
from lgm.inference.weighted import Weighted
from lgm.posterior import density
from lgm.posterior.density import Marginal
from lgm.xla import LOOPS, own_settings

EVALUATIONS = 1024  # per round; a power of two, as Sobol points want it
AHEAD = 256  # in the first round, where the density is estimated
ROUNDS = 4  # the first and three refits
GOOD_K = 0.5  # no refit if k is below this, where the variance of the weights is finite, and points are enough
GOOD_SHARE = 0.5  # of the points are effective: no refit above this where the density is estimated
BATCH = 64  # thetas in one vectorised call
AT_ONCE = 2**20  # effects of all thetas in one call, where each takes about a hundred numbers
STORED_BYTES = 1e8  # effects drawn along with the values are kept up to this size, else the fixed ones


class _Round(NamedTuple):
    """Points of one round: proposal coordinates, natural scale, log density, and the effects given theta."""

    x: FloatArray  # (S, d)
    theta: FloatArray  # (S, k)
    log_density: FloatArray  # (S,), of the proposal coordinates
    mean: FloatArray  # (S, p + q), of as many of the first effects as are kept
    draws: FloatArray  # (S, m, p + q), of the same
    cov: FloatArray  # (S, p, p) of the fixed effects, or (S, 0, 0)
    gain: FloatArray  # (S,), what the estimate adds to a deterministic log density
    failed: BoolArray  # (S,), whether there is a prior density, but none of the data


class _Taken(NamedTuple):
    """How many draws of u are kept at each point, and of how many of its effects; none: moments of the fixed ones."""

    draws: int
    effects: int


def _batch(post: Marginal) -> int:
    """Thetas in one call."""
    if not post.data.bent:
        return BATCH
    return min(BATCH, 1 << max(AT_ONCE // post.dim, 1).bit_length() - 1)


@compiled(
    shapes=lambda post, _: (post, floats(_batch(post), post.hyper.working_size), key(0), wholes(_batch(post))),
    options=LOOPS,
)
def _evaluate(
    taken: _Taken, post: Marginal, y: jax.Array, key: jax.Array, counters: jax.Array
) -> tuple[jax.Array, ...]:
    """Log densities, natural thetas, and of u conditional means, draws, covariances and gains: one factorisation each.

    A density is NaN where that of the data is not known.
    """
    target = Folded(post, True)
    draws, first = taken

    def of_u(theta: jax.Array, counter: jax.Array) -> tuple[jax.Array, ...]:
        if not draws:
            log_likelihood, fixed = density.log_likelihood_and_fixed(post, theta)
            return log_likelihood, fixed.mean, jnp.zeros((0, first)), fixed.cov, jnp.zeros(())
        z = jax.random.normal(jax.random.fold_in(key, counter), (post.n_normals, post.data.columns(draws)))
        log_likelihood, effects = density.log_likelihood_and_effects(post, theta, z, draws)
        return log_likelihood, effects.mean[:first], effects.draws[:first].T, jnp.zeros((0, 0)), effects.gain

    def one(y: jax.Array, counter: jax.Array) -> tuple[jax.Array, ...]:
        theta = target.natural(y)
        log_likelihood, *kept = of_u(theta, counter)
        value = target.posterior(log_likelihood, theta, y)
        return jnp.where(value < jnp.inf, value, jnp.nan), theta, *kept

    return jax.vmap(one)(y, counters)


@dataclass(frozen=True)
class Importance:
    """Represent the posterior of theta by weighted points, and resample it to equally weighted draws in one chain.

    Parameters
    ----------
    draws : int
        Number of draws.
    seed : int
    progress : bool

    Notes
    -----
    Ctrl-C stops after the next batch of up to 64 points; with 128 or more, what there is gets weighted.
    """

    draws: int
    seed: int
    progress: bool

    moves = True

    def expected(self, post: Marginal) -> Expected:
        """Nothing of effects that points have; where these are normal, moments, and draws of what is drawn often.

        Where points have the fixed effects alone, the summary asks for no others.
        """
        alone = _taken(post, self.draws).effects < post.dim
        return Expected(0, 0) if alone or not post.data.normal else Expected(self.draws, 1)

    def programs(self, post: Marginal) -> list[Plan]:
        """What `run` will call."""
        searched = [evaluation(Working(post)), evaluation(Folded(post, True))]
        return [Plan(_evaluate, _taken(post, self.draws)), *searched]

    def run(self, post: Marginal, start: FloatArray) -> Run[Weighted]:
        """See `lgm.inference.engine.Engine`."""
        found = find_mode(post, start)
        wide = find_folded_mode(post, found, jacobian=True)
        points, log_density, stopped = weighted_points(
            post, wide, draws=self.draws, seed=self.seed, progress=self.progress
        )
        if stopped:
            warn(f"stopped after {points.size} points; these are kept", ConvergenceWarning)
        index = resampled(np.exp(points.log_weights), self.draws, np.random.default_rng([self.seed, ROUNDS + 1]))
        stats = {"lp": log_density[index][None], "diverging": np.zeros((1, self.draws), dtype=bool)}
        return Run(found, Weighted(points.theta[index][None], stats, stopped, points, index), "importance")


def weighted_points(
    post: Marginal, wide: FoldedMode, *, draws: int, seed: int, progress: bool
) -> tuple[Points, FloatArray, bool]:
    """The weighted points, the log density (proposal coordinates) at each of them, and whether Ctrl-C cut them short.

    ``wide`` is the mode of the density with Jacobian; ``draws``, the number that will be taken, sets how many u are
    drawn at each point.
    """
    taken, estimated = _taken(post, draws), not post.data.exact
    noisy = estimated and post.data.pairs > 1
    sizes = [AHEAD] * estimated + [EVALUATIONS] * ROUNDS
    if post.data.bent:  # where each point costs factorisations, no more of them than are enough
        sizes = [AHEAD] * (ROUNDS * EVALUATIONS // AHEAD)
    rounds: list[_Round] = []
    with (
        own_settings(),
        interruptible("batch of values") as stopped,
        progress_bar(sizes[0], "value", shown=progress) as bar,
    ):
        at = bent(wide, post.hyper.folded)
        proposals = [faces.proposal(post, at)]
        for r, size in enumerate(sizes):
            x = proposals[-1].draw(size, [seed, r])
            rounds.append(_evaluate_all(post, at.bend, x, key(seed, 2 + r), taken, bar, stopped))
            pooled = rounds[0] if r == 0 else _Round(*map(np.concatenate, zip(*rounds, strict=True)))
            raw = pooled.log_density - _log_mixture(proposals, [len(one.x) for one in rounds], pooled.x)
            smoothed = pareto.smooth(raw)
            enough = max(ENOUGH, GOOD_SHARE * raw.size) if estimated else ENOUGH
            tame = smoothed.k < GOOD_K or (noisy and _only_noisy(raw, pooled.gain, smoothed.k))
            if stopped or (tame and smoothed.ess > enough) or r == len(sizes) - 1:
                break
            weights = np.exp(smoothed.log_weights)
            proposals.append(faces.refitted(proposals[-1], pooled.x, weights, recentred=estimated))
            bar.total += sizes[r + 1]
    evidence = logsumexp(raw) - np.log(raw.size)
    error = np.std(np.exp(raw - evidence), ddof=1) / np.sqrt(raw.size)
    points = Points(
        theta=pooled.theta,
        log_weights=smoothed.log_weights,
        mean=pooled.mean,
        draws=pooled.draws,
        cov=pooled.cov,
        k=smoothed.k,
        ess=smoothed.ess,
        log_evidence=float(evidence),
        log_evidence_se=float(error),
        failed=int(np.count_nonzero(pooled.failed)),
    )
    return points, pooled.log_density, bool(stopped)


def new_points(post: Marginal, mode: Mode, seed: int) -> Points | None:
    """Weighted points around a mode of the working density, for what chains do not tell; none if somebody stopped."""
    wide = find_folded_mode(post, mode, jacobian=True)
    points, _, stopped = weighted_points(post, wide, draws=1, seed=seed, progress=False)
    return None if stopped else points


def _only_noisy(raw: FloatArray, gain: FloatArray, k: float) -> bool:
    """Whether weights may be trusted, and the heaviness of their tail is that of the estimates of the density.

    A refit moves the proposal of theta: it mends the tail of the weights without what estimates add to them, no other.
    """
    if k > pareto.threshold(raw.size):
        return False
    return pareto.smooth(raw - np.where(np.isfinite(raw), gain, 0.0)).k < GOOD_K


def _log_mixture(proposals: list[Mixture], counts: list[int], x: FloatArray) -> FloatArray:
    """Log density of the mixture of proposals that as many points each make."""
    parts = [np.log(n) + proposal.log_density(x) for n, proposal in zip(counts, proposals, strict=True)]
    return np.asarray(logsumexp(parts, axis=0) - np.log(sum(counts)))


def _taken(post: Marginal, draws: int) -> _Taken:
    """Twice as many draws of u at each point as will be taken on average.

    If that is too much to keep, then of the fixed effects only; none where they are normal given theta.
    """
    wanted, p = int(np.ceil(2 * draws / EVALUATIONS)), post.dim - post.prior.q
    if 8.0 * EVALUATIONS * post.dim * (wanted + 1) <= STORED_BYTES:
        return _Taken(wanted, post.dim)
    return _Taken(0 if post.data.normal else wanted, p)


def _evaluate_all(
    post: Marginal,
    bend: Bend,
    x: FloatArray,
    key: jax.Array,
    taken: _Taken,
    bar: Any,
    stopped: list[bool],
) -> _Round:
    """Evaluate proposal points batch by batch, until all are done or somebody wants to stop."""
    parts, batch_size = [], _batch(post)
    y, log_jacobian = bend.to_folded(x), bend.log_jacobian(x)
    for start in range(0, len(x), batch_size):
        batch, counters = y[start : start + batch_size], np.arange(start, start + batch_size)
        value, theta, mean, draws, cov, gain = map(np.asarray, _evaluate(taken, post, batch, key, counters))
        failed = np.isnan(value)
        value = np.where(failed, -np.inf, value) + log_jacobian[start : start + batch_size]
        parts.append((theta, value, mean, draws, cov, gain, failed))
        bar.update(batch_size)
        if stopped:
            break
    done = len(parts) * batch_size
    if done < 2 * BATCH < len(x):
        raise KeyboardInterrupt("stopped before there were enough points")
    return _Round(x[:done], *(np.concatenate(column) for column in zip(*parts, strict=True)))
