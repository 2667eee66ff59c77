"""Theta at its mode, the effects given it: what an lme4 user expects (with flat priors the mode is REML)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lgm.arrays import FloatArray
from lgm.inference.compile import Plan
from lgm.inference.coordinates import Working
from lgm.inference.draws import Expected, Run
from lgm.inference.held import Conditional, Exact
from lgm.inference.mode import evaluation, find_mode
from lgm.inference.natural import find_natural_mode, searching
from lgm.inference.probed import Probed
from lgm.inference.scales import natural_scale
from lgm.posterior.density import Marginal
from lgm.posterior.solvers import estimated
from lgm.xla import own_settings


@dataclass(frozen=True)
class AtMode:
    """Theta at its mode, as one chain in which it does not move, with standard errors; no u is drawn yet."""

    draws: int

    moves = False

    def expected(self, post: Marginal) -> Expected:
        """One theta."""
        return Expected(thetas=1, draws=0)

    def programs(self, post: Marginal) -> list[Plan]:
        """Those of the search."""
        return searching(post)

    def run(self, post: Marginal, start: FloatArray) -> Run[Conditional]:
        """See `lgm.inference.engine.Engine`."""
        at = find_natural_mode(post, start)
        held = _held(at.theta, at.value, self.draws)
        draws = Conditional(**held, standard_errors=at.standard_errors, at_end=at.ends, settled=at.settled)
        found = estimated(post, at.theta)
        if found is not None:
            draws = Probed.of(draws, found, at.covariance)
        return Run(None, draws, "mode")


@dataclass(frozen=True)
class AllFixed:
    """Every hyperparameter is fixed: in place of an engine that would move theta."""

    draws: int
    method: str

    moves = False

    def expected(self, post: Marginal) -> Expected:
        """One theta."""
        return Expected(thetas=1, draws=0)

    def programs(self, post: Marginal) -> list[Plan]:
        """The density."""
        return [evaluation(Working(post))]

    def run(self, post: Marginal, start: FloatArray) -> Run[Exact]:
        """See `lgm.inference.engine.Engine`."""
        found = find_mode(post, start)
        with own_settings():
            theta = np.asarray(natural_scale(post.hyper, found.x))
        return Run(found, Exact(**_held(theta, found.value, self.draws)), self.method)


def _held(theta: FloatArray, value: float, draws: int) -> dict[str, Any]:
    """What draws at one theta consist of."""
    stats = {"lp": np.full((1, draws), value), "diverging": np.zeros((1, draws), dtype=bool)}
    return {"theta": np.repeat(theta[None], draws, axis=0)[None], "stats": stats, "interrupted": False}
