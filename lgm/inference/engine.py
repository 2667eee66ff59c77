"""The engines behind ``method=``: NUTS, importance sampling, the mode."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NamedTuple

from lgm.arrays import FloatArray
from lgm.errors import ConvergenceWarning
from lgm.inference import at_mode, importance, nuts, pareto
from lgm.inference.draws import ENOUGH, Draws
from lgm.inference.folded import find_folded_mode
from lgm.inference.mode import Mode, find_mode
from lgm.posterior.density import Posterior

METHODS = ("nuts", "importance", "mode")


@dataclass(frozen=True)
class Settings:
    """How to draw; see `lgm.fit`."""

    method: str
    chains: int
    draws: int
    warmup: int | None
    seed: int
    progress: bool
    fallback: str | None


class Run(NamedTuple):
    """The mode of the working density, the draws, and the engine that made them."""

    mode: Mode
    draws: Draws
    method: str


class Expected(NamedTuple):
    """What `run` will return: how many different thetas, and how many of them without a draw of u."""

    thetas: int
    draws: int


def prepare(post: Posterior, settings: Settings) -> Expected:
    """Begin to compile what `run` will need last."""
    total = settings.chains * settings.draws
    if settings.method == "mode" or post.hyper.working_size == 0:
        at_mode.prepare(post, draws=total)
        return Expected(1, 0)
    if settings.method == "importance":
        importance.prepare(post, draws=total)
        return Expected(total, 1)  # few, if any: points of large weight may be drawn more often than they have draws
    nuts.prepare(post, chains=settings.chains, warmup=settings.warmup)
    return Expected(total, total)


def run(post: Posterior, start: FloatArray, settings: Settings) -> Run:
    """Find the mode and draw theta with the engine that the settings name.

    Parameters
    ----------
    post : Posterior
    start : float array (k,)
        First guess of theta, natural scale.
    settings : Settings
    """
    total = settings.chains * settings.draws
    if settings.method == "mode" or post.hyper.working_size == 0:
        mode = find_mode(post, start)
        at = find_folded_mode(post, mode, jacobian=False)
        return Run(mode, at_mode.sample(post, at, draws=total, seed=settings.seed), settings.method)
    if settings.method == "importance":
        mode = find_mode(post, start)
        wide = find_folded_mode(post, mode, jacobian=True)
        kept = importance.sample(post, wide, draws=total, seed=settings.seed, progress=settings.progress)
        if kept.interrupted or not _fall_back(kept, settings.fallback):
            return Run(mode, kept, settings.method)
        return Run(mode, _nuts(post, mode, settings, kept.theta[0, : settings.chains]), "nuts")
    mode = find_mode(post, start)
    return Run(mode, _nuts(post, mode, settings, None), settings.method)


def _nuts(post: Posterior, mode: Mode, settings: Settings, start: FloatArray | None) -> Draws:
    return nuts.sample(
        post,
        mode,
        chains=settings.chains,
        draws=settings.draws,
        warmup=settings.warmup,
        seed=settings.seed,
        progress=settings.progress,
        start=start,
    )


def _fall_back(kept: Draws, fallback: str | None) -> bool:
    """Whether the weights are not to be trusted and another engine is wanted; says so in either case."""
    points = kept.points
    assert points is not None
    size = points.log_weights.size
    limit = pareto.threshold(size)
    if points.k > limit:
        found = f"the importance weights are not reliable (Pareto k {points.k:.2f}, limit {limit:.2f})"
    elif points.ess < ENOUGH:
        found = f"only {points.ess:.0f} effective points of {size}"
    else:
        return False
    offer = "continuing with NUTS from these draws" if fallback else 'use method="nuts", or fallback="nuts"'
    warnings.warn(f"{found}: {offer}", ConvergenceWarning, stacklevel=5)
    return fallback is not None
