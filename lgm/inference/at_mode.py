"""Theta at its mode, the effects given it: what an lme4 user expects (with flat priors the mode is REML)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from lgm.arrays import FloatArray
from lgm.errors import IdentifiabilityError
from lgm.inference.compile import Plan, compiled, floats, jit
from lgm.inference.draws import Expected, Mixture, Run
from lgm.inference.held import Conditional, Exact
from lgm.inference.keys import key
from lgm.inference.mode import find_mode
from lgm.inference.natural import find_natural_mode
from lgm.posterior import density
from lgm.posterior.density import Marginal
from lgm.posterior.functionals import Effects


@compiled(shapes=lambda post, draws: (post, floats(post.hyper.size), key(0)))
def _effects(draws: int, post: Marginal, theta: jax.Array, key: jax.Array) -> Effects:
    return density.effects(post, theta, jax.random.normal(key, (post.n_normals, draws)))


@jit
def _held_theta(post: Marginal, x: jax.Array) -> jax.Array:
    return post.hyper.natural(x)


@dataclass(frozen=True)
class AtMode:
    """Draws of u at the mode of theta, as one chain in which theta does not move, and standard errors of theta."""

    draws: int
    seed: int

    moves = False
    expected = Expected(thetas=1, draws=0)

    def programs(self, post: Marginal) -> list[Plan]:
        """What `run` will call."""
        return [Plan(_effects, self.draws)]

    def run(self, post: Marginal, start: FloatArray) -> Run[Conditional]:
        """See `lgm.inference.engine.Engine`."""
        at = find_natural_mode(post, start)
        drawn = _held(post, at.theta, at.value, draws=self.draws, seed=self.seed)
        draws = Conditional(**drawn, standard_errors=at.standard_errors, ends=at.ends, settled=at.settled)
        return Run(find_mode(post, start), draws, "mode")


@dataclass(frozen=True)
class AllFixed:
    """Draws of u where every hyperparameter is fixed, in place of an engine that would move theta."""

    draws: int
    seed: int
    method: str

    moves = False
    expected = Expected(thetas=1, draws=0)

    def programs(self, post: Marginal) -> list[Plan]:
        """What `run` will call."""
        return [Plan(_effects, self.draws)]

    def run(self, post: Marginal, start: FloatArray) -> Run[Exact]:
        """See `lgm.inference.engine.Engine`."""
        found = find_mode(post, start)
        theta = np.asarray(_held_theta(post, found.x))
        return Run(found, Exact(**_held(post, theta, found.value, draws=self.draws, seed=self.seed)), self.method)


def _held(post: Marginal, theta: FloatArray, value: float, *, draws: int, seed: int) -> dict[str, Any]:
    """What draws at one theta consist of.

    Raises
    ------
    IdentifiabilityError
        If the effects given theta are not finite.
    """
    with jax.enable_x64(True):
        found = _effects(draws, post, theta, key(seed))
    mean, drawn = np.asarray(found.mean), np.asarray(found.draws).T
    if not (np.isfinite(value) and np.all(np.isfinite(mean)) and np.all(np.isfinite(drawn))):
        raise IdentifiabilityError(
            "the effects given the hyperparameters are not finite numbers. Look for effects that the data cannot tell "
            "apart, for priors that fix hyperparameters far from all that the data allow, and for extreme units."
        )
    point = Mixture(theta[None], np.zeros(1), mean[None], drawn[None])
    stats = {"lp": np.full((1, draws), value), "diverging": np.zeros((1, draws), dtype=bool)}
    return {"theta": np.repeat(theta[None], draws, axis=0)[None], "stats": stats, "interrupted": False, "point": point}
