r"""Small groups of effects of which every row has at most one, independent given all the others.

The levels of a group ``(1|g)`` or ``(1 + x|g)`` are leaves: given the other effects s (the spine) they are independent,
so

    p(y, s | theta) = exp(J_s(s)) prod_g I_g(s),

    I_g(s) = int exp( sum_{i in g} [l_i(eta_i + a_i't) - l_i(eta_i)] - t'R_g t / 2 ) dt

where ``J_s`` is the joint log density with the leaves at zero. Each integral is of one, two or three dimensions, and
`lgm.posterior.nodes` does it. Where outcomes are few and the variance large, the leaves' densities are far from normal,
and this is what Laplace's approximation gets wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm.arrays import IntArray, Numbers
from lgm.linalg.likelihoods import Likelihood as Known
from lgm.linalg.rows import Rows
from lgm.linalg.small import roots
from lgm.pattern import Pattern
from lgm.posterior.functionals import Sums
from lgm.posterior.inner import slope_of

if TYPE_CHECKING:
    from lgm.terms.block import Block

MOST = 3  # effects of a leaf
CLIMBS, TRIED_ENDS = 6, 10  # that find the top and the ends
FAR_OUT = 5.0  # times the fall that is wanted
TRIED = np.array([1.0, 0.5, 0.25, 0.125])  # parts of Newton's step

Loglik: TypeAlias = Callable[[jax.Array], jax.Array]  # of one column of linear predictors (n,), elementwise


class Likelihood(NamedTuple):
    """That of the rows, and the kernel's if that has it."""

    loglik: Loglik
    known: Known | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Leaves:
    """Which effects are leaves, and which of them each row has.

    Parameters
    ----------
    columns : int array (G, k)
        Places of the leaves' effects in u.
    pairs : int array (G, k, k)
        Places of the pairs of a leaf in the pattern of H; beyond its end where they have none.
    member : Rows
        One where a row (n,) has a leaf (G,).
    entry : float array (n, k)
        What multiplies the leaf's effects in each row.
    """

    columns: Numbers
    pairs: Numbers
    member: Rows
    entry: Numbers

    @property
    def size(self) -> int:
        """Number of leaves."""
        return int(self.columns.shape[0])

    @property
    def order(self) -> int:
        """Number of effects of each."""
        return int(self.columns.shape[1])

    @classmethod
    def of(cls, a: sp.csr_array, blocks: Sequence[Block], p: int, pattern: Pattern) -> Leaves | None:
        """Those of the group with most levels, if there is one.

        Parameters
        ----------
        a : sparse array (n, p + q)
            Columns of all effects.
        blocks : sequence of Block
        p : int
            Number of fixed effects, which come first.
        pattern : Pattern
            Of H.
        """
        best: IntArray | None = None
        for columns in _candidates(a, blocks, p):
            if best is None or columns.shape[0] > best.shape[0]:
                best = columns
        return None if best is None else cls.at(a, best, pattern)

    @classmethod
    def at(cls, a: sp.csr_array, columns: IntArray, pattern: Pattern) -> Leaves:
        """Those with effects at these columns (G, k) of a."""
        own = sp.coo_array(a[:, columns.ravel()])
        leaf, place = np.divmod(own.col, columns.shape[1])
        entry = np.zeros((a.shape[0], columns.shape[1]))
        entry[own.row, place] = own.data
        which = np.full(a.shape[0], -1)
        which[own.row] = leaf
        found = pattern.find(*np.broadcast_arrays(columns[:, :, None], columns[:, None, :]))
        pairs = np.where(found < 0, pattern.nnz, found)
        return cls(columns, pairs, _members(which, columns.shape[0]), entry)

    def by_leaf(self, values: jax.Array) -> jax.Array:
        """Sums (G, c) over the rows of each leaf of values (n, c)."""
        return self.member.transposed_times(values, self.size, derivatives=False)

    def by_row(self, values: jax.Array) -> jax.Array:
        """The leaf's value (G, c) in each row (n, c), zero where there is none."""
        return self.member.times(values, derivatives=False)

    def pushed(self, push: jax.Array, t: jax.Array) -> jax.Array:
        """What leaves t (G, k, c) add to the rows (n, c), where those of one add ``push`` (n, k)."""
        return sum((push[:, j, None] * self.by_row(t[:, j]) for j in range(self.order)), jnp.zeros(()))

    def blocks(self, values: jax.Array) -> jax.Array:
        """Their blocks (G, k, k) of a symmetric matrix in pattern order."""
        return values.at[self.pairs].get(mode="fill", fill_value=0.0)

    def inside(self, sums: Sums, d: int) -> jax.Array:
        """Which sums of d effects have effects of leaves (m,)."""
        return jnp.any(self._leaf(sums, d) < self.size, axis=1)

    def _leaf(self, sums: Sums, d: int) -> jax.Array:
        """The leaf of each effect (m, s), ``size`` for those of none."""
        return jnp.full(d, self.size).at[self.columns].set(jnp.arange(self.size)[:, None])[sums.index]

    def variances(self, sums: Sums, scale: jax.Array, cov: jax.Array) -> jax.Array:
        """What leaves add to the variances of sums (m,), given the others.

        Parameters
        ----------
        sums : Sums
        scale : float array (d,)
            From whitened effects to natural ones.
        cov : float array (G, k, k)
            Of the whitened effects of each leaf.
        """
        leaf = self._leaf(sums, scale.shape[0])
        place = jnp.zeros(scale.shape, int).at[self.columns].set(jnp.arange(self.order))[sums.index]
        weights = jnp.where(leaf < self.size, sums.weights * scale[sums.index], 0.0)
        one, other = leaf[:, :, None], leaf[:, None, :]
        pair = jnp.where(one == other, cov.at[one, place[:, :, None], place[:, None, :]].get(mode="clip"), 0.0)
        return jnp.einsum("ma,ma->m", weights, jnp.einsum("mab,mb->ma", pair, weights))


def _members(which: IntArray, size: int) -> Rows:
    """Rows with a one in the column that ``which`` (n,) says, and none where that is -1."""
    inside = which >= 0
    a = sp.csr_array(
        (np.ones(int(inside.sum())), which[inside], np.concatenate([[0], np.cumsum(inside)])), shape=(which.size, size)
    )
    return Rows.of(a, Pattern.diagonal(size))


def _candidates(a: sp.csr_array, blocks: Sequence[Block], p: int) -> list[IntArray]:
    """Columns (G, k) of effects that could be leaves: those of a block, or of several over the same levels."""
    found: list[IntArray] = []
    start = p
    for block in blocks:
        own = np.arange(start, start + block.n)
        start += block.n
        if block.constraint is not None:
            continue
        for k in range(1, MOST + 1):
            if block.n % k == 0 and _apart(block, k) and _at_most_one(a, own.reshape(-1, k)):
                found.append(own.reshape(-1, k))
                break
    joined: list[IntArray] = []
    for columns in found:
        for at, other in enumerate(joined):
            if len(other) == len(columns) and other.shape[1] + columns.shape[1] <= MOST:
                both = np.hstack([other, columns])
                if _at_most_one(a, both):
                    joined[at] = both
                    break
        else:
            joined.append(columns)
    return joined


def _apart(block: Block, k: int) -> bool:
    """Whether the prior ties nothing but k effects that follow each other."""
    pattern = block.template.pattern
    return bool(np.all(pattern.rows // k == pattern.cols // k))


def _at_most_one(a: sp.csr_array, columns: IntArray) -> bool:
    """Whether every row has effects of one leaf at most, if columns (G, k) are leaves."""
    own = sp.csr_array(a[:, columns.ravel()])
    leaf = own.indices // columns.shape[1]
    row = np.repeat(np.arange(own.shape[0]), np.diff(own.indptr))
    return bool(np.all((np.diff(leaf) == 0) | (np.diff(row) > 0)))


class Given(NamedTuple):
    """What leaves are given."""

    eta: jax.Array  # rows' linear predictors without them (n, c)
    push: jax.Array  # what leaves of one add to them (n, k)
    precision: jax.Array  # of the leaves' prior (G, k, k)


class Frame(NamedTuple):
    """Where the density of each leaf is: its top, and how far it reaches from there along some axes."""

    top: jax.Array  # (G, k)
    axes: jax.Array  # one in each row (G, k, k)
    low: jax.Array  # in units of each axis, negative (G, k)
    high: jax.Array  # (G, k)


def framed(leaves: Leaves, loglik: Loglik, given: Given, start: jax.Array, fall: float) -> Frame:
    """The frame of each leaf, for one column ``given``: axes that the curvature at the top makes orthogonal.

    Parameters
    ----------
    start : float array (G, k)
        Where the search for the top begins.
    fall : float
        In log density, from the top to the ends.

    Notes
    -----
    The density is concave, and at least as much as the prior's: along an axis d it has fallen by f within
    ``sqrt(2 f / d'Rd)``. Where it has fallen by as much is found by Newton's method on the root of the fall, which is
    linear for a normal density, or on its log where it is much too large, as it is of exponentials. The last step is
    from where the fall is right within one, and its result not looked at.
    """
    eta, push, r = given.eta[:, 0], given.push, given.precision
    slope = slope_of(loglik)
    curvature = slope_of(slope)
    k = leaves.order
    both = jnp.concatenate([push[:, a, None] * push for a in range(k)], axis=1)  # (n, k k)

    def height(t: jax.Array) -> jax.Array:
        at = jax.vmap(loglik, 1, 1)(given.eta + leaves.pushed(push, t))
        return leaves.by_leaf(at) - quadratic(r, t)

    def system(t: jax.Array) -> tuple[jax.Array, jax.Array]:
        at = eta + leaves.pushed(push, t[..., None])[:, 0]
        g = leaves.by_leaf(push * slope(at)[:, None]) - jnp.einsum("gab,gb->ga", r, t)
        return g, roots(r - leaves.by_leaf(both * curvature(at)[:, None]).reshape(r.shape))

    def climb(t: jax.Array, _: None) -> tuple[jax.Array, None]:
        g, root = system(t)
        step = jnp.einsum("gab,ga->gb", root, jnp.einsum("gab,gb->ga", root, g))
        length = jnp.sqrt(2.0 * quadratic(r, step[..., None]))  # in sds of the prior
        tried = t[..., None] + step[..., None] * TRIED * (2.0 / jnp.maximum(length, 2.0))[..., None]
        best = jnp.argmax(height(tried), axis=1)[:, None, None]
        return jnp.take_along_axis(tried, best, axis=2)[..., 0], None

    top = jax.lax.scan(climb, start, None, length=CLIMBS)[0]
    axes = system(top)[1]
    highest = height(top[..., None])
    ways = jnp.concatenate([-axes, axes], axis=1).swapaxes(1, 2)  # (G, k, 2k)
    along = leaves.pushed(push, ways)  # (n, 2k)
    widest = jnp.sqrt(fall / quadratic(r, ways))

    def nearer(ends: _Ends, _: None) -> tuple[_Ends, None]:
        inside, outside, s, done = ends
        t = top[..., None] + s[:, None] * ways
        d = highest - height(t)
        at = given.eta + leaves.pushed(push, t)
        tied = jnp.sum(ways * jnp.einsum("gab,gbc->gac", r, t), axis=1)
        rate = tied - leaves.by_leaf(along * jax.vmap(slope, 1, 1)(at))
        inside, outside = jnp.where(d < fall, s, inside), jnp.where(d < fall, outside, s)
        far = d > FAR_OUT * fall
        step = jnp.where(far, d * jnp.log(fall / d), 2.0 * (jnp.sqrt(fall * d) - d)) / rate
        within = (s + step > inside) & (s + step < outside)
        tried = jnp.where(within, s + step, 0.5 * (inside + outside))
        last = jnp.abs(d - fall) < 1.0
        moved = jnp.where(last, jnp.minimum(s + step, widest), tried)
        return _Ends(inside, outside, jnp.where(done, s, moved), done | last), None

    start_of_ends = jnp.minimum(jnp.sqrt(2.0 * fall), widest)
    begin = _Ends(jnp.zeros_like(widest), widest, start_of_ends, jnp.zeros_like(widest, bool))
    found = jax.lax.scan(nearer, begin, None, length=TRIED_ENDS)[0]
    far = jnp.where(found.done, found.s, found.outside)
    return Frame(top, axes, -far[:, :k], far[:, k:])


class _Ends(NamedTuple):
    """Places along ways from the tops, in units of axes (G, 2k)."""

    inside: jax.Array  # where the density has not fallen far enough
    outside: jax.Array  # where it has
    s: jax.Array
    done: jax.Array  # whether that is the end


def quadratic(r: jax.Array, t: jax.Array) -> jax.Array:
    """``t'R t / 2`` (G, c) for R (G, k, k) and t (G, k, c)."""
    k = t.shape[1]
    out: Any = 0.0
    for a in range(k):
        out = out + 0.5 * r[:, a, a, None] * jnp.square(t[:, a])
        for b in range(a):
            out = out + r[:, a, b, None] * t[:, a] * t[:, b]
    return out
