"""Chains whose target was a deterministic approximation of ``p(y | theta)``, put right by weights.

NUTS moves on Laplace's approximation. Each theta that it kept then gets a weight, an unbiased estimate of what
``p(y | theta)`` is beside it, and the chains are resampled by these (Vihola, Helske & Franks 2020, Scandinavian Journal
of Statistics 47, 1339-1376): the pairs of points that give the weight give the effects too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import pandas as pd

from lgm.arrays import FloatArray, IntArray
from lgm.inference import pareto
from lgm.inference.chains import Chains
from lgm.inference.compile import Plan, compiled, floats, wholes
from lgm.inference.draws import Mixture, Verdict, joined, without_density
from lgm.inference.keys import key
from lgm.inference.progress import bar as progress_bar
from lgm.posterior import density
from lgm.posterior.density import Marginal
from lgm.posterior.hyperparameters import Hyperparameters
from lgm.xla import LOOPS, own_settings

BATCH = 64  # thetas in one vectorised call
STORED_BYTES = 5e8  # effects drawn along with the weights are kept up to this size
FEW = 0.25  # of the draws: where weights leave fewer, points that follow the density itself do better
INSTEAD = 'method="importance" has its points where the density itself is.'


@dataclass(frozen=True)
class Corrected(Chains):
    """Chains after resampling by weights; ``stats`` are those of the chains before it.

    Parameters
    ----------
    points : Mixture
        All thetas of the chains with their weights; those of a chain sum to its share.
    index : int array (chains * draws,)
        Which of these each draw is.
    k : float
        Pareto k of the weights.
    ess : float
        Effective number of points, ``1 / sum w^2``, by weights alone.
    failed : int
        Points whose weight could not be evaluated, and is zero.
    """

    points: Mixture
    index: IntArray
    k: float
    ess: float
    failed: int

    def effects_at(self) -> tuple[Mixture, IntArray] | None:  # type: ignore[override]
        """Effects at the points, unless they were too large to keep."""
        return (self.points, self.index) if self.points.draws.shape[1] else None

    def without_effects(self) -> Corrected:
        """The same draws and points, and nothing of u."""
        return replace(self, points=self.points.without_effects())

    def printed(self, hyper: Hyperparameters) -> Corrected:
        """The same, with theta as tables show it."""
        return replace(super().printed(hyper), points=self.points.printed(hyper))

    def facts(self, *, proper: bool) -> dict[str, Any]:
        """Pareto k of the weights, how many points they leave, and how many have none."""
        return {"pareto_k": self.k, "ess": self.ess, "failed": self.failed}

    def verdict(self, summary: pd.DataFrame, *, points: bool = True) -> Verdict:
        """That of the chains, unless the weights are worse."""
        size, limit = len(self.points.theta), pareto.threshold(len(self.points.theta))
        facts = f"weights of the chains: Pareto k {self.k:.2f} (limit {limit:.2f}), {self.ess:.0f} of {size} effective"
        failed = without_density(self.failed, size)
        if not self.k <= limit:
            why = "Chains follow Laplace's approximation, in places too far off for weights to put it right:"
            return Verdict(f"Not reliable: {facts}. {why} {INSTEAD}{failed}", doubted=True)
        found = super().verdict(summary, points=points)
        advice = ""
        if found.doubted and points and self.ess < FEW * size:
            advice = f" Weights leave few of the draws: {INSTEAD}"
        return Verdict(f"{found.text} Corrected by {facts}.{failed}{advice}", found.doubted)


@compiled(shapes=lambda post, _: (post, floats(BATCH, post.hyper.size), key(0), wholes(BATCH)), options=LOOPS)
def _weigh(
    draws: int, post: Marginal, thetas: jax.Array, key: jax.Array, counters: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Log weights (B,), conditional means (B, p + q) and draws (B, m, p + q)."""

    def one(theta: jax.Array, counter: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        z = jax.random.normal(jax.random.fold_in(key, counter), (post.n_normals, post.data.columns(draws)))
        found = density.effects(post, theta, z, draws)
        return found.gain, found.mean, found.draws.T

    return jax.vmap(one)(thetas, counters)


def programs(post: Marginal, thetas: int) -> list[Plan]:
    """What `corrected` will call."""
    return [] if post.data.exact else [Plan(_weigh, _kept(post, thetas))]


def corrected(post: Marginal, chains: Chains, seed: int, *, progress: bool) -> Chains:
    """The chains themselves where the density is exact or nothing corrects it, else resampled by weights."""
    if post.data.exact:
        return chains
    n, draws, size = chains.theta.shape
    thetas = joined(chains.theta)
    parts: list[tuple[FloatArray, ...]] = []
    kept = _kept(post, len(thetas))
    with own_settings(), progress_bar(len(thetas), "weight", shown=progress) as bar:
        for start in range(0, len(thetas), BATCH):
            at = np.minimum(np.arange(start, start + BATCH), len(thetas) - 1)
            gain, mean, drawn = map(np.asarray, _weigh(kept, post, thetas[at], key(seed, 9), at))
            real = min(BATCH, len(thetas) - start)
            parts.append((gain[:real], mean[:real] if kept else mean[:real, :0], drawn[:real]))
            bar.update(real)
    gain, mean, drawn = (np.concatenate(column) for column in zip(*parts, strict=True))
    smoothed = pareto.smooth(np.where(np.isfinite(gain), gain, -np.inf))
    weights = np.exp(smoothed.log_weights).reshape(n, draws)
    weights = weights / (n * weights.sum(axis=1, keepdims=True))
    rng = np.random.default_rng([seed, 9])
    index = np.concatenate([c * draws + _in_order(n * own, draws, rng) for c, own in enumerate(weights)])
    with np.errstate(divide="ignore"):
        points = Mixture(thetas, np.log(weights.ravel()), mean, drawn)
    return Corrected(
        theta=thetas[index].reshape(n, draws, size),
        stats=chains.stats,
        interrupted=chains.interrupted,
        step_size=chains.step_size,
        warmup=chains.warmup,
        points=points,
        index=index,
        k=smoothed.k,
        ess=smoothed.ess,
        failed=int(np.count_nonzero(np.isnan(gain))),
    )


def brings_effects(post: Marginal, thetas: int) -> bool:
    """Whether chains of so many thetas get effects with their weights."""
    return not post.data.exact and _kept(post, thetas) > 0


def _kept(post: Marginal, thetas: int) -> int:
    """One draw of u at each theta, or none if that is too much to keep."""
    return 1 if 16.0 * thetas * post.dim <= STORED_BYTES else 0


def _in_order(weights: FloatArray, n: int, rng: np.random.Generator) -> IntArray:
    """Systematic resampling in the order of the chain, so that neighbours stay neighbours."""
    positions = (np.arange(n) + rng.random()) / n
    return np.minimum(np.searchsorted(np.cumsum(weights), positions), weights.size - 1)
