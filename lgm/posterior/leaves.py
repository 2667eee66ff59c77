r"""Independent effects of which every row has at most one, integrated out by quadrature given all the others.

The levels of a group ``(1|g)`` are leaves: given the other effects s (the spine) they are independent, so

    p(y, s | theta) = exp(J_s(s)) prod_g I_g(s),

    I_g(s) = int exp( sum_{i in g} [l_i(eta_i + a_i t) - l_i(eta_i)] - r_g t^2 / 2 ) dt

where ``J_s`` is the joint log density with the leaves at zero. Each integral is one-dimensional and smooth, and its
integrand falls off at both ends, for which the trapezoidal rule converges faster than any power of the step (Trefethen
& Weideman 2014, SIAM Review 56, 385-458). Where outcomes are few and the variance large, the leaves' densities are
far from normal, and this is what Laplace's approximation gets wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm.arrays import Numbers
from lgm.posterior.inner import slope_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lgm.terms.block import Block

NODES = 21  # of the trapezoidal rule
FALL = 16.0  # in log density, from the top to the ends of the nodes
CLIMBS, BISECTIONS = 6, 10  # that find the top and the ends
FINER = 8  # points between two nodes where draws are made


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Leaves:
    """Which effects are leaves, and which of them each row has.

    Parameters
    ----------
    columns : int array (G,)
        Places of the leaves in u.
    diagonal : int array (G,)
        Places of their diagonal entries in the pattern of H.
    row : int array (n,)
        Which leaf each row has; G where it has none.
    entry : float array (n,)
        What multiplies it there.
    """

    columns: Numbers
    diagonal: Numbers
    row: Numbers
    entry: Numbers

    @property
    def size(self) -> int:
        """Number of leaves."""
        return int(self.columns.shape[0])

    @classmethod
    def of(cls, a: sp.csr_array, blocks: Sequence[Block], p: int, diagonal: Numbers) -> Leaves | None:
        """Those of the block with most leaves, if there is one.

        Parameters
        ----------
        a : sparse array (n, p + q)
            Columns of all effects.
        blocks : sequence of Block
        p : int
            Number of fixed effects, which come first.
        diagonal : int array (p + q,)
            Places of the diagonal in the pattern of H.
        """
        best: Leaves | None = None
        start = p
        for block in blocks:
            own = sp.csr_array(a[:, start : start + block.n])
            counts = np.diff(own.indptr)
            alone = block.template.pattern.nnz == block.n and block.constraint is None
            if alone and counts.max(initial=0) <= 1 and (best is None or block.n > best.size):
                row, entry = np.full(a.shape[0], block.n), np.zeros(a.shape[0])
                row[counts == 1], entry[counts == 1] = own.indices, own.data
                columns = np.arange(start, start + block.n)
                best = cls(columns, np.asarray(diagonal)[columns], row, entry)
            start += block.n
        return best

    def by_leaf(self, values: jax.Array) -> jax.Array:
        """Sums (G, ...) over the rows of each leaf of values (n, ...)."""
        return jax.ops.segment_sum(values, self.row, self.size + 1)[:-1]

    def by_row(self, values: jax.Array) -> jax.Array:
        """The leaf's value in each row (n, ...), zero where there is none."""
        return jnp.concatenate([values, jnp.zeros((1, *values.shape[1:]))])[self.row]


class Given(NamedTuple):
    """What leaves are given."""

    eta: jax.Array  # rows' linear predictors without them (n, c)
    push: jax.Array  # what a leaf of one adds to them (n,)
    precision: jax.Array  # of the leaves' prior (G,)


class Nodes(NamedTuple):
    """Equispaced points of each leaf and its unnormalised log density at them."""

    first: jax.Array  # (G, c)
    step: jax.Array  # (G, c)
    height: jax.Array  # (K, G, c)

    @property
    def log_integral(self) -> jax.Array:
        """``log I_g`` (G, c)."""
        return jax.nn.logsumexp(self.height, axis=0) + jnp.log(self.step)

    @property
    def weights(self) -> jax.Array:
        """Probabilities of the nodes (K, G, c)."""
        return jax.nn.softmax(self.height, axis=0)

    @property
    def places(self) -> jax.Array:
        """Of the nodes (K, G, c)."""
        k = jnp.arange(self.height.shape[0], dtype=float)[:, None, None]
        return self.first + k * self.step

    def moments(self) -> tuple[jax.Array, jax.Array]:
        """Means and variances (G, c)."""
        places, weights = self.places, self.weights
        mean = jnp.sum(weights * places, axis=0)
        return mean, jnp.sum(weights * jnp.square(places - mean), axis=0)

    def take(self, chosen: jax.Array) -> Nodes:
        """Those of some columns."""
        return Nodes(*(part[..., chosen] for part in self))

    def draw(self, uniform: jax.Array) -> jax.Array:
        """Draws (G, c) by inversion, with uniform numbers (G, c): the log density is a cubic between nodes.

        The cell between two nodes by Simpson's rule, the place within it on a finer grid.
        """
        height = self.height - jnp.max(self.height, axis=0)
        ahead, behind = 2.0 * height[0] - height[1], 2.0 * height[-1] - height[-2]
        padded = jnp.concatenate([ahead[None], height, behind[None]])
        a, b, c, d = (padded[k : k + height.shape[0] - 1] for k in range(4))
        middle = (9.0 * (b + c) - a - d) / 16.0
        cells = jnp.cumsum(jnp.exp(b) + 4.0 * jnp.exp(middle) + jnp.exp(c), axis=0)
        wanted = uniform * cells[-1]
        cell = jnp.minimum(jnp.sum(cells < wanted, axis=0), cells.shape[0] - 1)
        ends = jnp.concatenate([jnp.zeros((1, *uniform.shape)), cells])
        low, high = (jnp.take_along_axis(ends, (cell + k)[None], axis=0)[0] for k in (0, 1))
        share = (wanted - low) / (high - low)
        around = [jnp.take_along_axis(padded, (cell + k)[None], axis=0)[0] for k in range(4)]
        return self.first + self.step * (cell + _inside(around, share))


def nodes(leaves: Leaves, loglik: Callable[[jax.Array], jax.Array], given: Given, first: Any, step: Any) -> Nodes:
    """Log densities at equispaced places.

    Parameters
    ----------
    loglik : callable
        Of one column of linear predictors (n,), elementwise.
    given : Given
    first, step : float arrays (G, c)
        The first place of each leaf and the distance between two.
    """
    own = jax.vmap(loglik, in_axes=1, out_axes=1)
    base = leaves.by_leaf(own(given.eta))

    def one(_: None, k: jax.Array) -> tuple[None, jax.Array]:
        t = first + k * step
        here = leaves.by_leaf(own(given.eta + given.push[:, None] * leaves.by_row(t)))
        return None, here - base - 0.5 * given.precision[:, None] * jnp.square(t)

    return Nodes(first, step, jax.lax.scan(one, None, jnp.arange(NODES, dtype=float))[1])


def averaged(
    leaves: Leaves, loglik: Callable[[jax.Array], jax.Array], given: Given, found: Nodes
) -> tuple[jax.Array, jax.Array]:
    """Means over the leaves of ``l'`` and ``-l''`` of each row (n,), for one column ``given``."""
    slope = slope_of(loglik)
    curvature = slope_of(slope)
    eta, alone = given.eta[:, 0], leaves.row == leaves.size

    def one(sums: tuple[jax.Array, jax.Array], node: tuple[jax.Array, jax.Array]) -> tuple[Any, None]:
        place, weight = node
        at, share = eta + given.push * leaves.by_row(place), leaves.by_row(weight)
        return (sums[0] + share * slope(at), sums[1] - share * curvature(at)), None

    start = (jnp.where(alone, slope(eta), 0.0), jnp.where(alone, -curvature(eta), 0.0))
    return jax.lax.scan(one, start, (found.places[..., 0], found.weights[..., 0]))[0]


def ends(
    leaves: Leaves, loglik: Callable[[jax.Array], jax.Array], given: Given, start: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Where the log density of each leaf has fallen far enough on either side (G,), for one column ``given``.

    The density is concave, and at least as much as the prior's: it has fallen by ``f`` within ``sqrt(2 f / r)``.
    """
    eta, push, r = given.eta[:, 0], given.push, given.precision
    slope = slope_of(loglik)
    curvature = slope_of(slope)

    def height(t: jax.Array) -> jax.Array:
        return leaves.by_leaf(loglik(eta + push * leaves.by_row(t))) - 0.5 * r * jnp.square(t)

    def climb(t: jax.Array, _: None) -> tuple[jax.Array, None]:
        at = eta + push * leaves.by_row(t)
        g = leaves.by_leaf(push * slope(at)) - r * t
        h = r - leaves.by_leaf(jnp.square(push) * curvature(at))
        return t + jnp.clip(g / h, -2.0 / jnp.sqrt(r), 2.0 / jnp.sqrt(r)), None

    top = jax.lax.scan(climb, start, None, length=CLIMBS)[0]
    wanted = height(top) - FALL

    def side(sign: float) -> jax.Array:
        def halve(ends: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], None]:
            inside, outside = ends
            middle = 0.5 * (inside + outside)
            still = height(top + sign * middle) > wanted
            return (jnp.where(still, middle, inside), jnp.where(still, outside, middle)), None

        widest = jnp.sqrt(2.0 * FALL / r)
        return jax.lax.scan(halve, (jnp.zeros_like(top), widest), None, length=BISECTIONS)[0][1]

    return top - side(-1.0), top + side(1.0)


def _inside(around: Sequence[jax.Array], share: jax.Array) -> jax.Array:
    """Where in a cell (0 to 1) this share of its mass lies, by the cubic (Catmull & Rom) through four log densities."""
    a, b, c, d = around
    x = (jnp.arange(FINER + 1) / FINER).reshape(-1, *[1] * share.ndim)
    log_density = b + 0.5 * x * (c - a + x * (2.0 * a - 5.0 * b + 4.0 * c - d + x * (3.0 * (b - c) + d - a)))
    density = jnp.exp(log_density - jnp.max(log_density, axis=0))
    mass = jnp.cumsum(0.5 * (density[1:] + density[:-1]), axis=0)
    wanted = share * mass[-1]
    part = jnp.minimum(jnp.sum(mass < wanted, axis=0), FINER - 1)
    ends = jnp.concatenate([jnp.zeros((1, *share.shape)), mass])
    low, high = (jnp.take_along_axis(ends, (part + k)[None], axis=0)[0] for k in (0, 1))
    return (part + jnp.clip((wanted - low) / (high - low), 0.0, 1.0)) / FINER
