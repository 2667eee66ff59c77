"""Draws of the effects given theta, block by block.

Draw k has random numbers of its own, so that what is too large to be kept is made again, the same up to rounding.
Where draws are chosen among weighted points, those of one theta in one call are chosen among the points of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.inference.compile import Plan, compiled, floats
from lgm.inference.draws import Expected
from lgm.inference.keys import normals
from lgm.posterior.assemble import Analysed
from lgm.posterior.density import Marginal, effects
from lgm.results import at_theta
from lgm.results.at_theta import AtTheta
from lgm.results.progress import bar
from lgm.xla import LOOPS, own_settings

CHUNK_BYTES = 128e6  # of intermediate results held at once
MANY, FEW = 250, 16  # thetas in one call
SEVERAL, MOST = 4, 64  # draws for each theta in one call, where several have the same
WORTH = 2  # draws for each theta on average, from which on a factorisation saved is worth draws that nobody wants


class Block(NamedTuple):
    """Some draws and their numbers, and the conditional means of their thetas with how many of them each has.

    Natural scale.
    """

    numbers: IntArray  # (B,)
    draws: FloatArray  # (B, p + q)
    means: FloatArray  # (slots, p + q)
    counts: IntArray  # (slots,)
    points: PointsSay | None = None  # where there is one theta and its effects are not normal


class PointsSay(NamedTuple):
    """What the points of a block say beside its draws."""

    gain: float  # log of their share among blocks
    squares: FloatArray  # of printed sums, see `LaplaceData.effects_and_squares`


def normals_shape(post: Marginal, how: tuple[int, int]) -> tuple[int, int, int]:
    """Of the normals of one call, for so many thetas and draws for each: thetas, columns, normals in a column."""
    return how[0], how[1] * columns_each(post, how[1]), post.n_normals


def columns_each(post: Marginal, draws: int) -> int:
    """Columns of normals for each of so many draws at one theta: they are chosen among the points of all."""
    return -(-post.data.pairs // max(draws, 1))


@compiled(
    shapes=lambda post, how: (post, floats(how[0], post.hyper.size), floats(*normals_shape(post, how))), options=LOOPS
)
def _draw_chunk(how: tuple[int, int], post: Marginal, thetas: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Conditional means (slots, p + q) and draws (slots, m, p + q)."""

    def one(theta: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        found = effects(post, theta, z.T, how[1])
        return found.mean, found.draws.T

    return jax.vmap(one)(thetas, z)


def chunk_shape(post: Marginal, thetas: int, draws: int) -> tuple[int, int]:
    """Thetas in one call and draws for each: as many as bounded memory allows, and few programs serve all."""
    columns = columns_at_once(post)
    room = max(columns // post.data.pairs, 1)
    if draws <= MOST:
        return min(room, FEW), 1
    if thetas == 1:
        return 1, min(MOST, columns)
    each = SEVERAL if draws >= WORTH * thetas and room >= SEVERAL else 1
    return min(room // each, MANY if thetas >= MANY else FEW), each


def columns_at_once(post: Marginal) -> int:
    """Columns of normals for which bounded memory has room."""
    return max(int(CHUNK_BYTES // (8 * 4 * post.n_normals)), 1)


def programs(post: Marginal, expected: Expected) -> list[Plan]:
    """What will be called for the draws of a run."""
    return [Plan(_draw_chunk, chunk_shape(post, expected.draws, expected.draws))] if expected.draws else []


@dataclass(frozen=True)
class Drawing:
    """Makes draws of u, one for each theta (S, k), as often as they are asked for."""

    analysed: Analysed
    thetas: FloatArray
    seed: int
    progress: bool

    @property
    def size(self) -> int:
        """Number of draws."""
        return len(self.thetas)

    @property
    def dim(self) -> int:
        """Number of effects, p + q."""
        return self.analysed.marginal.dim

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return self.analysed.reference.size

    @property
    def functionals(self) -> FloatArray:
        """What the fixed effects are of all effects, internal coordinates: (p + q, p)."""
        out = np.zeros((self.dim, self.p))
        out[: self.p] = self.analysed.basis.T
        return out

    @property
    def alike(self) -> bool:
        """Whether all draws have the same theta."""
        return bool(np.all(self.thetas == self.thetas[0]))

    @property
    def normal(self) -> bool:
        """Whether the effects are exactly normal: given one theta, if the data side says so."""
        return self.analysed.marginal.data.normal and self.alike

    @property
    def of_points(self) -> bool:
        """Whether all draws are among weighted points at one theta."""
        return self.alike and not self.analysed.marginal.data.normal

    @cached_property
    def at_theta(self) -> AtTheta:
        """What draws have in common where all are at one theta and not normal."""
        return AtTheta.of(self.analysed.marginal, self.thetas[0])

    def blocks(self, numbers: IntArray) -> Iterator[Block]:
        """The draws with these numbers, those of the same theta from one factorisation if there are several."""
        post = self.analysed.marginal
        distinct, which, counts = np.unique(self.thetas[numbers], axis=0, return_inverse=True, return_counts=True)
        size, each = self._shape(len(distinct), len(numbers))
        theta, number = _slots(which.ravel(), counts, each)
        with bar(len(numbers), "effects", progress=self.progress) as shown:
            for start in range(0, len(theta), size):
                at = np.minimum(np.arange(start, start + size), len(theta) - 1)  # every call has the same shapes
                wanted = number[at]
                wanted[len(theta) - start :] = -1
                idle = self.size + start * each + np.arange(wanted.size).reshape(wanted.shape)
                own = np.where(wanted >= 0, numbers[wanted], idle)  # points of their own where there is no draw
                z = normals(self.seed, 1, numbers=own.ravel(), size=post.n_normals * columns_each(post, each))
                means, draws, points = self._chunk((size, each), distinct[theta[at]], z)
                real = wanted >= 0
                yield Block(
                    numbers[wanted[real]],
                    self.analysed.natural(draws[real]),
                    self.analysed.natural(means),
                    np.count_nonzero(real, axis=1),
                    points,
                )
                shown.update(np.count_nonzero(real))

    def _shape(self, thetas: int, draws: int) -> tuple[int, int]:
        """See `chunk_shape`; few draws, too, are chosen among the points of many."""
        post = self.analysed.marginal
        return (1, min(MOST, columns_at_once(post))) if self.of_points else chunk_shape(post, thetas, draws)

    def _chunk(
        self, how: tuple[int, int], thetas: FloatArray, z: FloatArray
    ) -> tuple[FloatArray, FloatArray, PointsSay | None]:
        """Means (slots, p + q) and draws (slots, m, p + q), internal coordinates."""
        post = self.analysed.marginal
        if not self.of_points:
            with own_settings():
                means, draws = _draw_chunk(how, post, thetas, z.reshape(normals_shape(post, how)))
            return np.asarray(means), np.asarray(draws), None
        at, z = self.at_theta, z.reshape(normals_shape(post, how)[1:])
        with own_settings():
            found, squares = at_theta.draw((how[1], len(z)), post, at.theta, at.found, z)
        mean, draws, gain = map(np.asarray, found)
        return mean[None], draws.T[None], PointsSay(float(gain), np.asarray(squares))


def _slots(which: IntArray, counts: IntArray, each: int) -> tuple[IntArray, IntArray]:
    """Divide draws into slots of one theta and up to ``each`` draws.

    Returns the place of its theta (slots,), and its draws (slots, each), -1 where there is none.
    """
    needed = -(-counts // each)
    theta = np.repeat(np.arange(counts.size), needed)
    order = np.argsort(which, kind="stable")
    rank = np.arange(order.size) - np.repeat(np.cumsum(counts) - counts, counts)
    slot = np.repeat(np.cumsum(needed) - needed, counts) + rank // each
    numbers = np.full((theta.size, each), -1, dtype=np.int64)
    numbers[slot, rank % each] = order
    return theta, numbers
