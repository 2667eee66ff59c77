"""The engines behind ``method=``: NUTS, importance sampling, the mode, NUTS on theta and effects, the prior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from lgm.arrays import FloatArray
from lgm.errors import ConvergenceWarning, warn
from lgm.inference.at_mode import AllFixed, AtMode
from lgm.inference.chains import Chains
from lgm.inference.compile import Plan
from lgm.inference.draws import Expected, Run
from lgm.inference.from_prior import FromPrior, Independent
from lgm.inference.held import Held
from lgm.inference.importance import Importance
from lgm.inference.joint import JointNuts
from lgm.inference.nuts import Nuts
from lgm.inference.weighted import Weighted
from lgm.posterior.density import Marginal

AnyDraws = Chains | Weighted | Held | Independent


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


class Engine(Protocol):
    """Draws theta from its posterior; made from settings, it serves any model."""

    @property
    def moves(self) -> bool:
        """Whether it moves theta, for which there must be something to move."""

    def expected(self, post: Marginal) -> Expected:
        """What `run` will leave to the tables."""

    def programs(self, post: Marginal) -> list[Plan]:
        """The compiled functions that `run` will call."""

    def run(self, post: Marginal, start: FloatArray) -> Run[AnyDraws]:
        """Find the mode and draw.

        Parameters
        ----------
        post : Marginal
        start : float array (k,)
            First guess of theta, natural scale.
        """


@dataclass(frozen=True)
class WithFallback:
    """Importance sampling, and what takes over where its weights are not to be trusted."""

    first: Importance
    then: Nuts

    moves = True

    def expected(self, post: Marginal) -> Expected:
        """What the first engine expects."""
        return self.first.expected(post)

    def programs(self, post: Marginal) -> list[Plan]:
        """Those of the first engine."""
        return self.first.programs(post)

    def run(self, post: Marginal, start: FloatArray) -> Run[AnyDraws]:
        """With the first engine; where it is doubted, with the other one from its mode and draws."""
        run = self.first.run(post, start)
        doubt = None if run.draws.interrupted else run.draws.points.doubt()
        if doubt is None:
            return run
        assert run.mode is not None
        warn(f"{doubt}: continuing with NUTS from these draws", ConvergenceWarning)
        return self.then.run_from(post, run.mode, run.draws.theta[0, : self.then.chains])


def _nuts(settings: Settings) -> Nuts:
    return Nuts(settings.chains, settings.draws, settings.warmup, settings.seed, settings.progress)


def _importance(settings: Settings) -> Importance | WithFallback:
    first = Importance(settings.chains * settings.draws, settings.seed, settings.progress)
    return WithFallback(first, _nuts(settings)) if settings.fallback else first


def _mode(settings: Settings) -> AtMode:
    return AtMode(settings.chains * settings.draws)


def _joint(settings: Settings) -> JointNuts:
    return JointNuts(settings.chains, settings.draws, settings.warmup, settings.seed, settings.progress)


def _prior(settings: Settings) -> FromPrior:
    return FromPrior(settings.chains * settings.draws, settings.seed)


ENGINES: dict[str, Callable[[Settings], Engine]] = {
    "nuts": _nuts,
    "importance": _importance,
    "mode": _mode,
    "joint": _joint,
    "prior": _prior,
}


def engine(post: Marginal, settings: Settings) -> Engine:
    """The engine that the settings name; where no hyperparameter moves, draws of u are exact without it."""
    kept = settings.method == "prior" or (settings.method == "joint" and not post.data.normal)
    if post.hyper.working_size == 0 and not kept:
        return AllFixed(settings.chains * settings.draws, settings.method)
    return ENGINES[settings.method](settings)
