"""The effects at one theta where they are not normal: what all draws there have in common is found once.

The mode of the effects, the shifted centre of the points and their precision are the same in every call.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from lgm.arrays import FloatArray
from lgm.inference.compile import compiled, floats
from lgm.posterior.density import Marginal
from lgm.posterior.functionals import Effects, EffectsAtPoints, FixedPoints
from lgm.posterior.laplace import LaplaceData
from lgm.xla import LOOPS, own_settings


class AtTheta(NamedTuple):
    """One theta (k,) and what is common to all points of the effects there."""

    theta: FloatArray
    found: Any

    @classmethod
    def of(cls, post: Marginal, theta: FloatArray) -> AtTheta:
        """By one search."""
        with own_settings():
            return cls(theta, jax.tree.map(np.asarray, find(None, post, theta)))


@compiled(shapes=lambda post, _: (post, floats(post.hyper.size)), options=LOOPS)
def find(how: None, post: Marginal, theta: jax.Array) -> Any:
    """See `LaplaceData.found_at`."""
    return data_of(post).found_at(post.prior, post.analysis, theta)


def shapes(post: Marginal) -> tuple[Any, Any]:
    """Of theta, and of what is found there."""
    return floats(post.hyper.size), find.ahead(post, None)


@compiled(shapes=lambda post, how: (post, *shapes(post), floats(how[1], post.n_normals)), options=LOOPS)
def draw(how: tuple[int, int], post: Marginal, theta: jax.Array, found: Any, z: jax.Array) -> tuple[Effects, jax.Array]:
    """So many draws from so many columns of normals, and squares: see `LaplaceData.effects_and_squares`."""
    data = data_of(post)
    return data.effects_and_squares(post.prior, post.analysis, theta, found, post.printed, z.T, how[0])


@compiled(shapes=lambda post, m: (post, *shapes(post), floats(m, post.n_normals)), options=LOOPS)
def all_points(m: int, post: Marginal, theta: jax.Array, found: Any, z: jax.Array) -> EffectsAtPoints:
    """See `LaplaceData.effects_at_points`."""
    return data_of(post).effects_at_points(post.prior, post.analysis, theta, found, z.T)


@compiled(shapes=lambda post, _: (post, *shapes(post)))
def spread(how: None, post: Marginal, theta: jax.Array, found: Any) -> tuple[jax.Array, jax.Array]:
    """See `LaplaceData.normal_spread`."""
    return data_of(post).normal_spread(post.prior, post.analysis, theta, found, post.printed)


@compiled(
    shapes=lambda post, m: (
        post,
        *shapes(post),
        floats(*(post.dim - post.prior.q,) * 2),
        floats(m, post.n_normals),
    ),
    options=LOOPS,
)
def fixed_points(m: int, post: Marginal, theta: jax.Array, found: Any, basis: jax.Array, z: jax.Array) -> FixedPoints:
    """See `LaplaceData.fixed_points`."""
    return data_of(post).fixed_points(post.prior, post.analysis, theta, found, basis, z.T)


def data_of(post: Marginal) -> LaplaceData:
    """The data side, where effects are not normal given theta."""
    assert isinstance(post.data, LaplaceData)
    return post.data
