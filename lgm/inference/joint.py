"""NUTS on theta and all effects together: exact up to Monte Carlo error for every family, and slow.

In the coordinates of `lgm.posterior.joint`, whitened by the sparse joint precision at the mode (Monnahan, Kristensen,
Thorson & Carpenter 2026).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from lgm.arrays import FloatArray
from lgm.errors import ConvergenceWarning, IdentifiabilityError, NotPositiveDefiniteError, warn
from lgm.inference import sampler
from lgm.inference.compile import Compiled, Plan, floats
from lgm.inference.coordinates import Working
from lgm.inference.draws import Expected, Run
from lgm.inference.keys import key, keys
from lgm.inference.mode import evaluation, find_mode
from lgm.inference.sampled import Sampled
from lgm.inference.sampler import Schedule
from lgm.linalg.root import entries, square_root
from lgm.linalg.rows import Rows
from lgm.posterior.density import Marginal
from lgm.posterior.joint import Expansion, Joint, expansion, free_analysis
from lgm.xla import own_settings

WARMUP = 150  # draws that find the step size: coordinates are of one scale already
TARGET_ACCEPT = 0.8
MAX_TREE_DEPTH = 10
ATTEMPTS = 6  # to start where the density is finite, each half as far from the mode


_expansion = Compiled(expansion, shapes=lambda post, how: ())


def joint(post: Marginal, x: FloatArray, root: FloatArray) -> Joint:
    """The density of theta and effects, in coordinates whitened at the mode of theta.

    Parameters
    ----------
    post : Marginal
    x : float array (f,)
        The mode, working scale.
    root : float array (f, f)
        Of its inverse curvature there.

    Raises
    ------
    IdentifiabilityError
        If effects given theta have no mode there.
    """
    with own_settings():
        analysis = free_analysis(post)
        at = _expansion(analysis, post, x)
    try:
        return Joint(post, x, root, at, square_root(analysis, np.asarray(at.values)), analysis)
    except NotPositiveDefiniteError:
        raise IdentifiabilityError(
            "the density of the effects at the mode of the hyperparameters has no top. Look for effects that the data "
            "cannot tell apart."
        ) from None


def _shapes(post: Marginal, how: Schedule) -> tuple[Any, ...]:
    """The density, a start, the metric and a key."""
    d, f, k = post.dim, post.hyper.working_size, post.prior.k
    analysis = free_analysis(post)
    size = entries(analysis)
    vector: Any = floats(d)
    at: Any = (floats(analysis.nnz), vector, floats(d, f), *[vector] * 4, floats(d, k), floats(k, k))
    factor: Any = (floats(size), *(jax.ShapeDtypeStruct((n,), np.int32) for n in (size, d + 1, 0)))
    centre, root = floats(f), floats(f, f)
    target = Joint(post, centre, root, Expansion(*at), Rows(*factor), analysis)  # type: ignore[arg-type]
    return target, floats(f + d), floats(f + d), key(0)


@dataclass(frozen=True)
class JointNuts:
    """Draw theta and all effects from their joint posterior by NUTS.

    Parameters
    ----------
    chains, draws : int
        Number of chains and of kept draws per chain.
    warmup : int or None
        Draws that adapt the step size; None for 150.
    seed : int
    progress : bool

    Notes
    -----
    Ctrl-C stops at the next block of 10 draws; if warm-up is over, what has been drawn is returned with a warning.
    """

    chains: int
    draws: int
    warmup: int | None
    seed: int
    progress: bool

    moves = False

    def expected(self, post: Marginal) -> Expected:
        """Nothing: effects are among the draws."""
        return Expected(thetas=0, draws=0)

    def programs(self, post: Marginal) -> list[Plan]:
        """What `run` will call."""
        return [Plan(sampler.advance, self._schedule), evaluation(Working(post))]

    def run(self, post: Marginal, start: FloatArray) -> Run[Sampled]:
        """See `lgm.inference.engine.Engine`."""
        found = find_mode(post, start)
        target = joint(post, found.x, found.root)
        with own_settings():
            states = self._begun(target)
            made = sampler.run(self._schedule, target, states, self.draws, shown=self.progress)
        if made.stopped:
            warn(made.stopped, ConvergenceWarning)
        theta, effects = made.drawn
        draws = Sampled(theta, made.stats, bool(made.stopped), made.step_size, made.warmup, effects)
        return Run(found, draws, "joint")

    def _begun(self, target: Joint) -> list[Any]:
        """Chains at draws of the normal approximation, nearer to its centre where the density is not finite there."""
        rng = np.random.default_rng([self.seed, 11])
        z = rng.standard_normal((self.chains, target.size))
        for _ in range(ATTEMPTS):
            each = zip(z, keys(self.seed, size=self.chains), strict=True)
            states = [sampler.begin(self._schedule, target, point, np.ones(target.size), key) for point, key in each]
            away = ~np.isfinite([state.potential_energy for state in states])
            if not np.any(away):
                return states
            z[away] *= 0.5
        raise IdentifiabilityError("the joint density of hyperparameters and effects is not finite around their mode.")

    @property
    def _schedule(self) -> Schedule:
        return Schedule(self.warmup or WARMUP, False, False, TARGET_ACCEPT, MAX_TREE_DEPTH, _shapes)
