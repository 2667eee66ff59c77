"""Which combinations of effects have long tails at the mode of theta, for points that follow them.

What these are, and how points follow them, is in `lgm.posterior.stretch`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from lgm.arrays import FloatArray
from lgm.inference.compile import jit
from lgm.posterior.density import Marginal
from lgm.posterior.laplace import LaplaceData
from lgm.posterior.stretch import LEAN, Leaning, Tails

# Tails are followed where they are so many times as long as those of normal points, whose weights have a Pareto k of
# 1 - 1 / w^2 there.
LONG = 1.2
FEW_STARTS, MOST_STARTS = 8, 64  # effects near which directions are looked for: of two numbers, for two programs
SHARE = 4  # where one of so many starts leads to a long tail and others were left out, these may lead to some, too
ALONE = 1 / 27  # of how much they lean together, what each of three effects does that lean alike
FAR, LOOKS = 4.0, 3  # sds from the centre at which their width is measured, after so many looks
NEW = 0.1  # part of the variance of a combination that others must leave it


class Followed(NamedTuple):
    """Long tails, and whether others may be left."""

    tails: Tails
    more: bool


def following(post: Marginal, tails: Tails) -> Marginal:
    """The posterior with points that follow the long tails of some effects."""
    assert isinstance(post.data, LaplaceData)
    return replace(post, data=replace(post.data, tails=tails))


def long_tails(post: Marginal, x: FloatArray, lean: FloatArray) -> Followed | None:
    """Combinations of effects with long tails at the mode of theta, near effects that lean (d,), if there are any."""
    data = post.data
    assert isinstance(data, LaplaceData)
    if data.leaves is not None:
        lean = lean.copy()
        lean[np.asarray(data.leaves.columns)] = 0.0
    near = np.argsort(-lean, kind="stable")
    near = near[lean[near] > LEAN * ALONE]
    if not near.size:
        return None
    size = FEW_STARTS if near.size <= FEW_STARTS else MOST_STARTS
    start = np.zeros((post.dim, size))
    start[np.resize(near, size), np.arange(size)] = 1.0  # what comes twice leads to nothing new
    found = jax.tree.map(np.asarray, _leaning(post, x, start))
    functionals = found.functionals[:, _several(found)]
    reach = np.full((functionals.shape[1], 2), FAR)
    for _ in range(LOOKS):
        if not reach.size:
            return None
        widths = np.asarray(_widths(following(post, Tails(functionals, reach)), x))
        reach = np.maximum(FAR * widths, 1.0)
    long = np.max(widths, axis=1) > LONG
    if not np.any(long):
        return None
    return Followed(Tails(functionals[:, long], reach[long]), bool(near.size > size and np.sum(long) * SHARE >= size))


def no_tails(d: int) -> Followed:
    """Where none of d effects has one."""
    return Followed(Tails(np.zeros((d, 0)), np.zeros((0, 2))), more=False)


def _several(found: Leaning) -> list[int]:
    """Which combinations lean, the most first, without those that earlier ones foretell."""
    chosen: list[int] = []
    for j in np.argsort(-np.abs(found.third), kind="stable"):
        own = found.cov[j, j]
        if chosen:
            given = found.cov[chosen, j]
            own = own - given @ np.linalg.solve(found.cov[np.ix_(chosen, chosen)], given)
        if np.abs(found.third[j]) > LEAN and own > NEW * found.cov[j, j]:
            chosen.append(int(j))
    return chosen


@jit
def _leaning(post: Marginal, x: jax.Array, start: jax.Array) -> Leaning:
    data: Any = post.data
    return data.leaning(post.prior, post.analysis, post.hyper.natural(x), start)


@jit
def _widths(post: Marginal, x: jax.Array) -> jax.Array:
    data: Any = post.data
    return data.widths(post.prior, post.analysis, post.hyper.natural(x))
