r"""The density of the effects at one theta, whatever the likelihood.

In whitened coordinates ``u = D v`` (`lgm.posterior.latent_prior`)

    J(v) = sum_i l_i(eta_i) - 1/2 v'Rv + v'b + constant,    eta = A D v + offset,    under C v = 0,

with R and b the precision and pull of the prior. Minus its second derivative is ``H' = R + D A'WA D``, ``W = -l''``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lgm import linalg
from lgm.arrays import Numbers
from lgm.families.family import Family
from lgm.families.response import Response
from lgm.linalg import constrained, likelihoods, newton, products
from lgm.linalg.rows import Rows
from lgm.posterior.latent_prior import LOG_2PI, LatentPrior, Places, by_kind


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Observed:
    """Rows with a response, the columns A and the family.

    Parameters
    ----------
    a : Rows
        Columns of all effects, relative to a reference of the fixed effects.
    y : Response
    weights : float array (n,)
    offset : float array (n,)
        That of the formula, and what the reference adds.
    constant : float array ()
        What the log-likelihoods of these rows lack of that of the data (`lgm.design.collapse`).
    family : Family
    places : Places
        Of the family's parameters in theta.
    counted : float array (n,), optional
        Zero for rows that say nothing, else one; by default all rows speak.
    """

    a: Rows
    y: Response
    weights: Numbers
    offset: Numbers
    constant: Numbers
    family: Family = field(metadata={"static": True})
    places: Places = field(metadata={"static": True})
    counted: Numbers | None = None

    def keeping(self, counted: jax.Array) -> Observed:
        """The same rows, of which those with a zero (n,) say nothing; structure and shapes stay."""
        weights = self.weights * counted if self.family.weights_count else self.weights
        return replace(self, weights=weights, counted=counted)

    def eta(self, u: jax.Array) -> jax.Array:
        """Linear predictors (n,) at effects u (d,)."""
        return jnp.asarray(self.offset) + self.a.times(u[:, None])[:, 0]

    def own(self, theta: jax.Array) -> dict[str, jax.Array]:
        """The family's parameters: a number for each kind, or a vector for a kind of several."""
        found = by_kind(theta, self.places)
        return {kind: values[0] if values.shape[0] == 1 else values for kind, values in found.items()}

    def loglik(self, theta: jax.Array) -> Callable[[jax.Array], jax.Array]:
        """The log-likelihoods (n,) as an elementwise function of eta (n,)."""
        own = self.own(theta)
        loglik = _traced_once(self.family, self.y.value.shape)
        return lambda eta: self._spoken(loglik(self.y, eta, own, self.weights))

    def known(self, theta: jax.Array) -> likelihoods.Likelihood | None:
        """The likelihood in the kernel, if that knows it."""
        name = self.family.kernel
        if name is None:
            return None
        trials = newton.no_trials() if self.y.trials is None else self.y.trials
        return likelihoods.Likelihood(self.y.value, trials, self.weights, self.own_vector(theta), name)

    def own_vector(self, theta: jax.Array) -> jax.Array:
        """The family's parameters (p,)."""
        return theta[np.array([place for _, where in self.places for place in where], dtype=int)]

    def information(self, eta: jax.Array, theta: jax.Array) -> jax.Array:
        """The Fisher information of eta (n,)."""
        return self._spoken(self.family.information(self.y, eta, self.own(theta), self.weights))

    def _spoken(self, values: jax.Array) -> jax.Array:
        return values if self.counted is None else jnp.where(self.counted > 0, values, 0.0)


@lru_cache(maxsize=8)
def _traced_once(family: Family, shape: tuple[int, ...]) -> Any:
    """A family's log-likelihood as a jitted function: its derivatives, wanted in many places, are traced once.

    JAX keeps what it traced as long as the function lives, 2 MB for each shape.
    """
    return jax.jit(lambda *args: family.loglik(*args))


class Point(NamedTuple):
    """Newton's system at some v."""

    eta: jax.Array  # (n,)
    slope: jax.Array  # gradient of J (d,)
    values: jax.Array  # H', bordered, in pattern order


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Inner:
    """The density at a theta.

    Parameters
    ----------
    observed : Observed
    prior : LatentPrior
    theta : float array (k,)
    values : float array (nnz,)
        R, bordered, in pattern order.
    scale : float array (d,)
        D.
    logdet : float array ()
        ``log|R|*``.
    analysis : linalg.Analysis
        Of the bordered pattern of H'.
    """

    observed: Observed
    prior: LatentPrior
    theta: jax.Array
    values: jax.Array
    scale: jax.Array
    logdet: jax.Array
    analysis: linalg.Analysis = field(metadata={"static": True})

    @classmethod
    def at(cls, observed: Observed, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> Inner:
        """That of a theta."""
        whitened = prior.whiten(theta)
        return cls(observed, prior, theta, whitened.values, whitened.scale, whitened.logdet, analysis)

    def spread(self, v: jax.Array) -> jax.Array:
        """What v (d, m) adds to the linear predictors (n, m)."""
        return self.observed.a.times(self.scale[:, None] * v)

    def eta(self, v: jax.Array) -> jax.Array:
        """Linear predictors (n, m) at each column of v (d, m)."""
        return jnp.asarray(self.observed.offset)[:, None] + self.spread(v)

    def pull(self, g: jax.Array) -> jax.Array:
        """``D A'g`` (d, m) for g (n, m)."""
        return self.scale[:, None] * self.observed.a.transposed_times(g, self.prior.dim)

    def joint(self, v: jax.Array, *, derivatives: bool = True) -> jax.Array:
        """``J`` (m,) at each column of v (d, m), with all constants but those of the determinants.

        Without derivatives it takes a fraction of the time where the kernel knows the likelihood.
        """
        known = None if derivatives else self.observed.known(self.theta)
        if known is not None:
            found = known.sums(self.observed.a, self.observed.offset, self.scale[:, None] * v)
        else:
            loglik = self.observed.loglik(self.theta)
            # each sum over neighbours in memory, which takes half the time
            found = jax.vmap(lambda eta: jnp.sum(loglik(eta)))(jax.lax.optimization_barrier(self.eta(v).T))
        quad = jnp.sum(v * self.times(v), axis=0)
        prior = self.prior
        return (
            found
            + self.observed.constant
            - 0.5 * quad
            + prior.pull @ v
            - 0.5 * prior.constant
            + 0.5 * prior.flat * LOG_2PI
        )

    def times(self, v: jax.Array) -> jax.Array:
        """``R v`` (d, m) for v within the constraints."""
        x = constrained.extended(v, self.prior.anchors)
        return products.multiply(self.analysis, self.values, x)[: self.prior.dim]

    def curvature(self, w: jax.Array) -> jax.Array:
        """``H'``, bordered, in pattern order, for weights w (n,)."""
        pattern = self.analysis.pattern
        return self.values + self.whole(self.observed.a.gram(w, pattern.nnz))

    def whole(self, values: jax.Array) -> jax.Array:
        """``D M D`` for a symmetric M in pattern order."""
        return products.scaled(self.analysis, values, constrained.bordered(self.scale, self.prior.k))

    def point(self, v: jax.Array, *, fisher: bool = False) -> Point:
        """Newton's system at v (d,); ``fisher`` where curvatures are at least the Fisher information's."""
        eta = self.eta(v[:, None])[:, 0]
        g, second = derivatives(self.observed.loglik(self.theta), eta, 2)
        w = -second
        if fisher:
            w = jnp.maximum(w, self.observed.information(eta, self.theta))
        return Point(eta, self.slope(g, v), self.curvature(w))

    def slope(self, g: jax.Array, v: jax.Array) -> jax.Array:
        """Gradient of J (d,) where the likelihoods have the slopes g (n,)."""
        return self.pull(g[:, None])[:, 0] + self.prior.pull - self.times(v[:, None])[:, 0]

    def log_determinant(self, values: jax.Array) -> jax.Array:
        """``log|H'|_C`` () of bordered values."""
        return linalg.logdet(self.analysis, values) - self.prior.log_border

    def solve(self, values: jax.Array, b: jax.Array) -> jax.Array:
        """``S b`` (d, m) under the constraints, for bordered values of H' and b (d, m)."""
        return linalg.solve(self.analysis, values, constrained.bordered(b, self.prior.k))[: self.prior.dim]

    def step(self, point: Point) -> jax.Array:
        """Newton's (d,), within the constraints."""
        return self.solve(point.values, point.slope[:, None])[:, 0]


def derivatives(function: Callable[[jax.Array], jax.Array], eta: jax.Array, order: int) -> list[jax.Array]:
    """Those of an elementwise function, from the first to that of an order."""
    found: list[jax.Array] = []
    for _ in range(order):
        function = slope_of(function)
        found.append(function(eta))
    return found


def slope_of(function: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], Any]:
    """The derivative of an elementwise function."""
    return lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),))[1]
