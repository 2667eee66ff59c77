"""Theta at its mode, the effects given it: what an lme4 user expects (with flat priors the mode is REML)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import FloatArray
from lgm.inference.compile import Plan, compiled, floats
from lgm.inference.draws import Expected, Run
from lgm.inference.held import Conditional, Exact
from lgm.inference.mode import FoldedMode, find_folded_mode, find_mode
from lgm.posterior.density import Marginal


@compiled(
    shapes=lambda post, _: (post, floats(post.hyper.working_size), floats(*(post.hyper.working_size,) * 2)),
)
def _spread(_: None, post: Marginal, x: jax.Array, root: jax.Array) -> jax.Array:
    jacobian = jax.jacfwd(lambda x: post.hyper.printed(post.hyper.from_folded(x)))(x)
    return jnp.sqrt(jnp.sum(jnp.square(jacobian @ root), axis=1))


@dataclass(frozen=True)
class AtMode:
    """Theta at its mode, as one chain in which it does not move, with standard errors; no u is drawn yet."""

    draws: int

    moves = False
    expected = Expected(thetas=1, draws=0)

    def programs(self, post: Marginal) -> list[Plan]:
        """What `run` will call."""
        return [Plan(_spread, None)]

    def run(self, post: Marginal, start: FloatArray) -> Run[Conditional]:
        """See `lgm.inference.engine.Engine`."""
        found = find_mode(post, start)
        at = find_folded_mode(post, found, jacobian=False)
        return Run(found, Conditional(**_held(at, self.draws), standard_errors=standard_errors(post, at)), "mode")


@dataclass(frozen=True)
class AllFixed:
    """Every hyperparameter is fixed: in place of an engine that would move theta."""

    draws: int
    method: str

    moves = False
    expected = Expected(thetas=1, draws=0)

    def programs(self, post: Marginal) -> list[Plan]:
        """Nothing."""
        return []

    def run(self, post: Marginal, start: FloatArray) -> Run[Exact]:
        """See `lgm.inference.engine.Engine`."""
        found = find_mode(post, start)
        at = find_folded_mode(post, found, jacobian=False)
        return Run(found, Exact(**_held(at, self.draws)), self.method)


def _held(at: FoldedMode, draws: int) -> dict[str, Any]:
    """What draws at one theta consist of."""
    stats = {"lp": np.full((1, draws), at.value), "diverging": np.zeros((1, draws), dtype=bool)}
    theta = np.repeat(at.theta[None], draws, axis=0)[None]
    return {"theta": theta, "stats": stats, "interrupted": False}


def standard_errors(post: Marginal, at: FoldedMode) -> FloatArray:
    """Curvature-based standard errors of theta as it is printed, by the delta method; NaN at the end of a range.

    That is an sd of zero, or a correlation of one to all digits: a prior may have a pole there.
    """
    with jax.enable_x64(True):
        spread = np.asarray(_spread(None, post, at.x, at.root))
    theta = post.hyper.printed(at.theta)
    return np.where((theta == 0.0) | (theta + spread == theta), np.nan, spread)
