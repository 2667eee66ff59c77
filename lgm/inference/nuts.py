"""NUTS on theta, in coordinates whitened at the mode.

(The coordinates are those of `lgm.inference.coordinates`.)
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lgm.arrays import FloatArray
from lgm.errors import ConvergenceWarning, warn
from lgm.inference import progress, sampler
from lgm.inference.agreement import compared
from lgm.inference.chains import Chains
from lgm.inference.compile import Plan, floats
from lgm.inference.coordinates import Bend, Whitened, Working, whitened
from lgm.inference.corrected import brings_effects, corrected
from lgm.inference.corrected import programs as correcting
from lgm.inference.draws import Expected, Run
from lgm.inference.importance import EVALUATIONS
from lgm.inference.keys import key, keys
from lgm.inference.mode import Mode, evaluated, evaluation, find_mode
from lgm.inference.sampler import ParamInfo, Schedule
from lgm.inference.scales import folded_scale
from lgm.inference.start import from_points, from_thetas
from lgm.posterior.density import Marginal
from lgm.xla import own_settings

WARMUP = 150  # draws that find the step size; NumPyro restarts its search after the first 100
ADAPTATION = 300  # draws that find the metric as well
TARGET_ACCEPT = 0.95  # posteriors of two sds can be thin arcs, where longer steps diverge; costs 10 to 30 % more steps
MAX_TREE_DEPTH = 8
QUICK = 2000  # normal effects up to which a draw takes a millisecond or less

_log = logging.getLogger(__name__)


def _shapes(post: Marginal, how: Schedule) -> tuple[Any, ...]:
    """Whitened coordinates, a start, the metric and a key."""
    d = post.hyper.working_size
    target = Whitened(post, Bend(floats(d), post.hyper.folded), floats(d), floats(d, d))  # type: ignore[arg-type]
    return target, ParamInfo(floats(d), floats(), floats(d)), floats(d, d), key(0)


@dataclass(frozen=True)
class Nuts:
    """Draw theta from its posterior by NUTS.

    Parameters
    ----------
    chains, draws : int
        Number of chains and of kept draws per chain.
    warmup : int or None
        Draws that adapt step size and metric. None for 150 that adapt the step size alone, because the metric and the
        chains' starts are those of weighted points around the mode (`lgm.inference.start`); 300 of both kinds if the
        chains start elsewhere.
    seed : int
        The same seed gives the same bits in the same environment (machine and versions of packages).
    progress : bool
        Whether to show a progress bar on stderr.

    Notes
    -----
    Ctrl-C stops at the next block of 10 draws, of 50 where they take no time; if warm-up is over, what was drawn is
    returned with a warning.

    Few divergences are compared with weighted points around the mode (`lgm.inference.agreement`).
    """

    chains: int
    draws: int
    warmup: int | None
    seed: int
    progress: bool

    moves = True

    def expected(self, post: Marginal) -> Expected:
        """As many thetas as draws, none of them with effects; where weights bring these, draws of repeated ones."""
        thetas = self.chains * self.draws
        return Expected(0, 1) if brings_effects(post, thetas) else Expected(thetas, thetas)

    def programs(self, post: Marginal) -> list[Plan]:
        """What `run` will call; see `lgm.inference.sampler.advance`."""
        moving = Plan(sampler.advance, self._schedule(post, adapt_metric=self.warmup is not None))
        return [moving, evaluation(Working(post)), *correcting(post, self.chains * self.draws)]

    def run(self, post: Marginal, start: FloatArray) -> Run[Chains]:
        """See `lgm.inference.engine.Engine`."""
        return self.run_from(post, find_mode(post, start))

    def run_from(self, post: Marginal, found: Mode, thetas: FloatArray | None = None) -> Run[Chains]:
        """Draw with coordinates scaled at a mode, from starts near it or from given ones (chains, k), natural scale."""
        how = self._schedule(post, adapt_metric=self.warmup is not None or thetas is not None)
        with own_settings():
            self._forecast(post, found, how)
            target = whitened(post, found, np.asarray(folded_scale(post.hyper, found.x)))
            begun = from_points(target, self.chains, self.seed) if thetas is None else from_thetas(target, thetas)
            points = map(ParamInfo, begun.z, -begun.value, -begun.grad)
            each = zip(points, keys(self.seed, size=self.chains), strict=True)
            states = [sampler.begin(how, target, point, begun.metric, key) for point, key in each]
            made = sampler.run(how, target, states, self.draws, shown=self.progress)
        if made.stopped:
            warn(made.stopped, ConvergenceWarning)
        chains = Chains(made.drawn, made.stats, bool(made.stopped), made.step_size, made.warmup)
        draws = corrected(post, chains, self.seed, progress=self.progress)
        if chains.few and thetas is None:  # given ones come from points that were not to be trusted
            draws = compared(post, found, draws, chains.theta[chains.stats["diverging"]], self.seed)
        return Run(found, draws, "nuts")

    def _forecast(self, post: Marginal, found: Mode, how: Schedule) -> None:
        """Say what the run will take, if that is long; the function is the one that found the mode."""
        if not self.progress:
            return
        gradient = progress.seconds(partial(evaluated(Working(post)), found.x))
        draws = how.warmup + self.draws
        words = progress.forecast(gradient, chains=self.chains, draws=draws, values=EVALUATIONS)
        if words:
            _log.warning(words)  # a warning, because others go nowhere unless a program has asked for them

    def _schedule(self, post: Marginal, *, adapt_metric: bool) -> Schedule:
        warmup = self.warmup or (ADAPTATION if adapt_metric else WARMUP)
        length = sampler.BLOCK_OF_QUICK if post.data.normal and post.dim <= QUICK else sampler.BLOCK
        return Schedule(warmup, adapt_metric, True, TARGET_ACCEPT, MAX_TREE_DEPTH, _shapes, length)
