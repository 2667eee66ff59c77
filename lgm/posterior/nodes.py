r"""The densities of leaves at the nodes of lattices: integrals, moments and draws (`lgm.posterior.leaves`).

The integrands are smooth and fall off on all sides, for which the trapezoidal rule converges faster than any power of
the step (Trefethen & Weideman 2014, SIAM Review 56, 385-458). In two or three dimensions it is that of a lattice whose
edges lie along a leaf's axes, summed over one axis after the other: no array has all nodes of all leaves.

Where the variance of leaves is large, nodes are further apart than the likelihood takes to rise, and what each sum is
off by depends on where between two nodes that is. Leaves that are alike would all be off alike. So nodes of one leaf
lie between those of others, and where sums are part of a weight, at random: over a lattice whose place is uniform, the
expectation of the sum is the integral itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import Numbers
from lgm.linalg.likelihoods import Integrals, draws_along
from lgm.linalg.likelihoods import Likelihood as Known
from lgm.posterior.inner import slope_of
from lgm.posterior.leaves import Frame, Given, Leaves, Likelihood, quadratic

GOLDEN = 0.6180339887498949  # multiples of which are spread evenly between whole numbers
FINER = 8  # points between two nodes where draws are made
TOGETHER = 64  # leaves that are gone through at once, so that what they have at all nodes stays near the processor


class Rule(NamedTuple):
    """Nodes along each axis, and from the top to the ends of the axis the fall in log density."""

    nodes: int
    fall: float
    rough: int  # nodes where a proposal is all that comes of it


# By the number of effects of a leaf. Of four binary outcomes that are alike, with sds of 3, 2 and 2, the logs of the
# integrals are off by 4e-7, 3e-6 and 3e-5 at the median, and at most by 5e-6, 2e-5 and 3e-4.
RULES = {1: Rule(21, 16.0, 11), 2: Rule(15, 12.5, 9), 3: Rule(11, 12.0, 7)}

Index: TypeAlias = tuple[Any, ...]  # of a node, along each axis


class Lattice(NamedTuple):
    """Places ``corner + sum_a i_a edge_a`` of nodes, each ``i_a`` from 0 to K - 1."""

    corner: jax.Array  # (G, k, c)
    edges: jax.Array  # one in each row (G, k, k, c), zero above the diagonal; or one for all columns (G, k, k, 1)

    @classmethod
    def over(cls, frame: Frame, nodes: int) -> Lattice:
        """That with so many nodes along each axis of a frame, in one column."""
        corner = frame.top + jnp.einsum("ga,gab->gb", frame.low, frame.axes)
        edges = frame.axes * ((frame.high - frame.low) / (nodes - 1))[..., None]
        return cls(corner[..., None], edges[..., None])

    def moved(self, axis: int, by: jax.Array) -> Lattice:
        """The same from further along an axis, by so many edges (G, c)."""
        return self._replace(corner=self.corner + self.edges[:, axis] * by[:, None])

    def apart(self) -> Lattice:
        """The same with nodes of each leaf between those of others, by up to half an edge."""
        at = GOLDEN * np.arange(self.corner.shape[0], dtype=float)
        return self.shifted((at - np.floor(at) - 0.5)[:, None, None])

    def shifted(self, by: Numbers) -> Lattice:
        """The same from further along each axis, by so many edges (G, k or 1, c)."""
        k = self.edges.shape[1]
        by = jnp.broadcast_to(by, (by.shape[0], k, by.shape[2]))
        return self._replace(corner=sum((by[:, a, None] * self.edges[:, a] for a in range(k)), self.corner))

    def chosen(self, columns: jax.Array) -> Lattice:
        """That of some columns (c,)."""
        return Lattice(self.corner[..., columns], self.edges[..., columns] if self.own else self.edges)

    @property
    def own(self) -> bool:
        """Whether each of several columns has edges of its own."""
        return self.edges.shape[-1] > 1

    def halved(self, axis: int) -> Lattice:
        """The same with edges half as long along an axis."""
        return self._replace(edges=self.edges.at[:, axis].multiply(0.5))


class _Sums(NamedTuple):
    """Of the density over the nodes along some axes: log of the sum, moments in units of edges."""

    log_mass: jax.Array  # (G, c)
    mean: jax.Array  # (m, G, c)
    cov: jax.Array  # (m, m, G, c)


class Nodes(NamedTuple):
    """The density of each leaf on its lattice."""

    given: Given
    lattice: Lattice
    height: jax.Array  # log densities along the first axis, summed over the others (K, G, c)
    log_integral: jax.Array  # log I_g (G, c)
    mean: jax.Array  # (G, k, c)
    cov: jax.Array  # (G, k, k, c)


def nodes(leaves: Leaves, likelihood: Likelihood, given: Given, lattice: Lattice, count: int) -> Nodes:
    """All leaves on lattices with so many nodes along each axis."""
    if likelihood.known is not None and leaves.order == 1:
        return _by_kernel(leaves, likelihood.known, given, lattice, count)
    height = _Heights(leaves, likelihood, given, lattice)
    along = _along(height, (), (count,) * leaves.order)
    total = _summed(along)
    edges = lattice.edges
    volume = jnp.sum(jnp.log(jnp.diagonal(edges, axis1=1, axis2=2)), axis=2)  # (G, c or 1)
    base = height.without()
    k = leaves.order
    mean = lattice.corner + sum(edges[:, a] * total.mean[a][:, None] for a in range(k))
    cov: Any = 0.0
    for a in range(k):
        for b in range(k):
            cov = cov + edges[:, a, :, None] * edges[:, b, None] * total.cov[a, b][:, None, None]
    return Nodes(given, lattice, along.log_mass, total.log_mass - base + volume, mean, cov)


def _by_kernel(leaves: Leaves, known: Known, given: Given, lattice: Lattice, count: int) -> Nodes:
    """The same of leaves with one effect, in one native call."""
    push, r = given.push[:, 0], given.precision[:, 0, 0]

    def integrals(eta: jax.Array, corner: jax.Array, edge: jax.Array) -> Integrals:
        return known.integrals(leaves.member, eta, push, r, corner, edge, nodes=count)

    corner, edges = lattice.corner[:, 0], lattice.edges[:, 0, 0]
    if lattice.own:
        each = jax.vmap(integrals, -1, -1)(given.eta[:, None], corner[:, None], edges)
        found = Integrals(*(x[..., 0, :] for x in each))
    else:
        found = integrals(given.eta, corner, edges[:, 0])
    moments = found.mean[:, None], found.variance[:, None, None]
    return Nodes(given, lattice, found.heights, found.log_integral, *moments)


def averaged(leaves: Leaves, likelihood: Likelihood, found: Nodes) -> tuple[jax.Array, jax.Array]:
    """Means over the leaves of ``l'`` and ``-l''`` of each row (n,), where there is one column."""
    slope = slope_of(likelihood.loglik)
    curvature = slope_of(slope)
    height = _Heights(leaves, likelihood, found.given, found.lattice)
    eta = found.given.eta[:, 0]
    # beside the rows without leaves: these sums have constants that the kernel's, of which the total is, have not
    total = jax.nn.logsumexp(found.height, axis=0) - height.without()
    empty = leaves.by_leaf(likelihood.loglik(eta)[:, None])

    def one(sums: tuple[jax.Array, jax.Array], index: jax.Array) -> tuple[Any, None]:
        rows = height.rows(tuple(index))
        share = leaves.by_row(jnp.exp(height.of(rows, tuple(index)) - empty - total))[:, 0]
        at = rows[:, 0]
        return (sums[0] + share * slope(at), sums[1] - share * curvature(at)), None

    alone = jnp.diff(leaves.member.starts) == 0
    start = (jnp.where(alone, slope(eta), 0.0), jnp.where(alone, -curvature(eta), 0.0))
    everywhere = np.indices((found.height.shape[0],) * leaves.order, dtype=float).reshape(leaves.order, -1).T
    return jax.lax.scan(one, start, jnp.asarray(everywhere))[0]


def draw(
    leaves: Leaves, likelihood: Likelihood, found: Nodes, uniform: jax.Array, chosen: jax.Array | None = None
) -> jax.Array:
    """Draws of leaves (G, k, c) by inversion, with uniform numbers (G, k, c): along one axis, then the next given it.

    From columns ``chosen`` (c,), by default one from each. The log density along an axis is a cubic between nodes.
    """
    each = jnp.arange(uniform.shape[-1])
    chosen = each if chosen is None else chosen
    given = found.given._replace(eta=found.given.eta[:, chosen])
    lattice = found.lattice.chosen(chosen)
    heights = found.height
    count = heights.shape[0]
    for axis in range(leaves.order):
        if axis:  # cheap, so that there may be twice as many nodes
            lattice = lattice.halved(axis)
            height = _Heights(leaves, likelihood, given, lattice)
            counts = (2 * count - 1, *(count,) * (leaves.order - axis - 1))
            heights, chosen = _along(height, (0.0,) * axis, counts).log_mass, each
        lattice = lattice.moved(axis, draws_along(heights, uniform[:, axis], chosen, finer=FINER))
    return lattice.corner


class _Heights:
    """The unnormalised log density of leaves at nodes, up to what the rows have without them."""

    def __init__(self, leaves: Leaves, likelihood: Likelihood, given: Given, lattice: Lattice) -> None:
        self._leaves, self._lattice, self._precision = leaves, lattice, given.precision
        self._known = None if lattice.own else likelihood.known
        self._own, self._eta = jax.vmap(likelihood.loglik, 1, 1), given.eta
        self._start = given.eta + leaves.pushed(given.push, lattice.corner)
        self._edges = [leaves.pushed(given.push, lattice.edges[:, a]) for a in range(leaves.order)]

    def rows(self, index: Index) -> jax.Array:
        """Linear predictors (n, c)."""
        return sum((i * edge for i, edge in zip(index, self._edges, strict=True)), self._start)

    def of(self, rows: jax.Array, index: Index) -> jax.Array:
        """Log densities (G, c), where the rows are these."""
        corner, edges = self._lattice
        t = sum((i * edges[:, a] for a, i in enumerate(index)), corner)
        return self._leaves.by_leaf(self._own(rows)) - quadratic(self._precision, t)

    def at(self, index: Index) -> jax.Array:
        """Log densities (G, c)."""
        return self.of(self.rows(index), index)

    def along(self, index: Index, count: int) -> jax.Array:
        """Log densities (K, G, c) at so many nodes along the last axis, given places along the others."""
        if self._known is None:
            return jax.lax.map(lambda i: self.at((*index, i)), jnp.arange(count, dtype=float))
        i = jnp.arange(count, dtype=float)
        corner, edges = self._lattice
        sums = self._by_kernel(self.rows((*index, 0.0)), self._edges[-1][:, 0], count)
        t = jax.vmap(lambda i: sum((j * edges[:, a] for a, j in enumerate((*index, i))), corner))(i)
        return sums - jax.vmap(quadratic, (None, 0))(self._precision, t)

    def without(self) -> jax.Array:
        """What the rows have without leaves (G, c)."""
        if self._known is None:
            return self._leaves.by_leaf(self._own(self._eta))
        return self._by_kernel(self._eta, jnp.zeros_like(self._eta[:, 0]), 1)[0]

    def _by_kernel(self, eta: jax.Array, edge: jax.Array, count: int) -> jax.Array:
        assert self._known is not None
        return self._known.heights(self._leaves.member, self._leaves.size, eta, edge, count)


def _along(height: _Heights, index: Index, counts: tuple[int, ...]) -> _Sums:
    """Sums at each node along the first of the axes that the index leaves, over the others: (K, ...) in front.

    The axes that are left have so many nodes.
    """
    if len(counts) == 1:
        found = height.along(index, counts[0])
        k, *others = found.shape
        return _Sums(found, jnp.zeros((k, 0, *others)), jnp.zeros((k, 0, 0, *others)))
    return jax.lax.map(lambda i: _summed(_along(height, (*index, i), counts[1:])), jnp.arange(counts[0], dtype=float))


def _summed(along: _Sums) -> _Sums:
    """Over the axis in front too."""
    return _Sums(*_by_few(lambda *parts: tuple(_summed_at_once(_Sums(*parts))), *along))


def _by_few(function: Callable[..., Any], *arrays: jax.Array) -> Any:
    """A function of arrays (..., G, c) with the results (..., G, c), for some leaves after others."""
    if arrays[0].shape[-2] <= TOGETHER:
        return function(*arrays)

    def one(each: tuple[jax.Array, ...]) -> Any:
        return jax.tree.map(lambda x: x[..., 0, :], function(*(x[..., None, :] for x in each)))

    found = jax.lax.map(one, tuple(jnp.moveaxis(x, -2, 0) for x in arrays), batch_size=TOGETHER)
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, -2), found)


def _summed_at_once(along: _Sums) -> _Sums:
    weights = jax.nn.softmax(along.log_mass, axis=0)  # (K, G, c)
    own = jnp.broadcast_to(jnp.arange(len(weights), dtype=float)[:, None, None], weights.shape)
    places = [own, *(along.mean[:, a] for a in range(along.mean.shape[1]))]
    mean = [jnp.sum(weights * place, axis=0) for place in places]
    away = [place - centre for place, centre in zip(places, mean, strict=True)]
    inner = jnp.pad(jnp.sum(weights[:, None, None] * along.cov, axis=0), ((1, 0), (1, 0), (0, 0), (0, 0)))
    cov = jnp.stack([jnp.stack([jnp.sum(weights * one * other, axis=0) for other in away]) for one in away])
    return _Sums(jax.nn.logsumexp(along.log_mass, axis=0), jnp.stack(mean), cov + inner)
