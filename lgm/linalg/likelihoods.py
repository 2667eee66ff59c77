"""Log-likelihoods that the kernel knows, by themselves: at columns of effects, and of leaves at their nodes.

Native calls, one for a batch, without derivatives. What leaves are is in `lgm.posterior.leaves`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from lgm.arrays import Numbers
from lgm.linalg import _calls
from lgm.linalg.rows import Rows


class Centres(NamedTuple):
    """Of leaves with one effect t (G,), and of their rows (n,)."""

    top: jax.Array  # the highest point
    axis: jax.Array  # the sd that the curvature there says
    low: jax.Array  # the ends, in units of that
    high: jax.Array
    mean: jax.Array
    slope: jax.Array  # means of l' and -l'' over the leaf; the derivatives themselves in rows without one
    curvature: jax.Array


class Integrals(NamedTuple):
    """Of leaves with one effect t, in m columns."""

    heights: jax.Array  # log densities at nodes, but for a constant of each leaf and column (K, G, m)
    log_integral: jax.Array  # (G, m)
    mean: jax.Array  # of t, and its variance
    variance: jax.Array


def draws_along(heights: jax.Array, uniform: jax.Array, chosen: jax.Array, *, finer: int) -> jax.Array:
    """Draws (G, c) by inversion from densities at nodes, in units of their distance from the first.

    Parameters
    ----------
    heights : float array (K, G, m)
        Log densities. A cell between two nodes has its mass by Simpson's rule; in it the log density is the cubic of
        Catmull and Rom.
    uniform : float array (G, c)
    chosen : int array (c,)
        The columns that draws are from.
    finer : int
        Into how many parts a cell is cut, with lines between the densities at their ends.
    """
    call = _calls.shared(
        "lgm_leaf_draws", (), lambda batch: [((*batch, *uniform.shape), np.float64)], finer=np.int64(finer)
    )
    return call(heights, uniform, chosen.astype(np.int32))[0]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Likelihood:
    """The likelihood of n rows.

    Parameters
    ----------
    value, weights : float arrays (n,)
    trials : float array (n,) or (0,)
        Empty for single trials, and where there are none.
    own : float array (p,)
        The likelihood's parameters.
    name : str
        As the kernel calls it.
    """

    value: Numbers
    trials: Numbers
    weights: Numbers
    own: jax.Array
    name: str = field(metadata={"static": True})

    def sums(self, rows: Rows, offset: Numbers, x: jax.Array) -> jax.Array:
        """Of the log-likelihoods at the linear predictors ``offset + A x`` (m,), for x (d, m)."""
        m = x.shape[-1]
        common = (*rows.entries, offset, *self._response)
        call = self._call("lgm_log_likelihoods", common, lambda batch: [(*batch, m)])
        return call(x, self.own)[0]

    def heights(self, member: Rows, size: int, eta: jax.Array, edge: jax.Array, count: int) -> jax.Array:
        """Sums over the rows of each leaf (count, G, m), but for constants, at nodes along a line.

        Parameters
        ----------
        member : Rows
            One where a row (n,) has a leaf.
        size : int
            Number G of leaves.
        eta : float array (n, m)
            Linear predictors at the first node.
        edge : float array (n,)
            What they gain from one node to the next.
        count : int
            Number of nodes.
        """
        m = eta.shape[-1]
        call = self._call("lgm_leaf_heights", self._leaves(member), lambda batch: [(*batch, count, size, m)])
        return call(eta, edge, self.own)[0]

    def integrals(
        self,
        member: Rows,
        eta: jax.Array,
        push: jax.Array,
        r: jax.Array,
        corner: jax.Array,
        edge: jax.Array,
        *,
        nodes: int,
    ) -> Integrals:
        """Leaves with the densities ``exp(sum_i [l_i(eta_i + push_i t) - l_i(eta_i)] - r t^2 / 2)``.

        By the trapezoidal rule.

        Parameters
        ----------
        member : Rows
            One where a row has a leaf.
        eta : float array (n, m)
        push : float array (n,)
        r : float array (G,)
            The prior's precision.
        corner, edge : float arrays (G, m), (G,)
            The first of the nodes, and the distance of one from the next.
        nodes : int
        """
        size, m = corner.shape[-2:]

        def shapes(batch: tuple[int, ...]) -> list[tuple[int, ...]]:
            return [(*batch, nodes, size, m)] + [(*batch, size, m)] * 3

        call = self._call("lgm_leaf_integrals", self._leaves(member), shapes)
        return Integrals(*call(eta, push, r, corner, edge, self.own))

    def centres(
        self,
        member: Rows,
        eta: jax.Array,
        push: jax.Array,
        r: jax.Array,
        start: jax.Array,
        *,
        fall: float,
        nodes: int,
    ) -> Centres:
        """Leaves with the densities ``exp(sum_i l_i(eta_i + push_i t) - r t^2 / 2)``, which must have one top.

        Parameters
        ----------
        member : Rows
            One where a row has a leaf.
        eta, push : float arrays (n,)
        r, start : float arrays (G,)
            The prior's precision, and where the search for the top begins.
        fall : float
            In log density, from the top to the ends.
        nodes : int
            Between the ends, for the means.
        """
        n, size = eta.shape[-1], r.shape[-1]

        def shapes(batch: tuple[int, ...]) -> list[tuple[int, ...]]:
            return [(*batch, size)] * 5 + [(*batch, n)] * 2

        attributes = {"fall": np.float64(fall), "nodes": np.int64(nodes)}
        call = self._call("lgm_leaf_centres", self._leaves(member), shapes, **attributes)
        return Centres(*call(eta, push, r, start, self.own))

    @property
    def _response(self) -> tuple[Any, ...]:
        return self.value, self.trials, self.weights

    def _leaves(self, member: Rows) -> tuple[Any, ...]:
        return (member.columns, member.starts, *self._response)

    def _call(self, target: str, common: Any, shapes: Any, **attributes: Any) -> Any:
        return _calls.shared(
            target,
            common,
            lambda batch: [(shape, np.float64) for shape in shapes(batch)],
            family=self.name,
            **attributes,
        )
