"""The data side of no rows at all: with it, the posterior is the prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp

from lgm import linalg
from lgm.arrays import FloatArray
from lgm.linalg import constrained
from lgm.linalg.constrained import normals
from lgm.linalg.rows import Rows
from lgm.posterior.density import Marginal
from lgm.posterior.every_row import EveryRow
from lgm.posterior.functionals import Effects, Linear, Sums
from lgm.posterior.gaussian import System
from lgm.posterior.latent_prior import LatentPrior, Places
from lgm.posterior.variances import normal_rows, normal_variances


def without_rows(post: Marginal) -> Marginal:
    """The prior of theta and of the effects, in the form of a posterior.

    Fixed effects need proper priors: without rows nothing else says where they are.
    """
    return replace(post, data=NoRows(post.data.places))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NoRows:
    """Says nothing: ``p(y | theta) = 1``.

    Parameters
    ----------
    places : Places
        Of the family's parameters in theta.
    """

    places: Places = field(metadata={"static": True})

    normal = True  # the effects given theta
    exact = True
    bent = False
    pairs = 1
    extra_normals = 0
    least_residual = 0.0
    scaled_rows = 0.0

    def lost(self, theta: FloatArray) -> None:
        """Nothing is."""

    def started(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> NoRows:
        """The same."""
        return self

    def columns(self, draws: int) -> int:
        """Columns of normals that give so many draws."""
        return draws

    def log_likelihood(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> jax.Array:
        """Zero."""
        return jnp.zeros(())

    def conditional(
        self,
        prior: LatentPrior,
        analysis: linalg.Analysis,
        theta: jax.Array,
        z: jax.Array,
        draws: int | None = None,
    ) -> tuple[jax.Array, Effects]:
        """Zero, and the effects given theta, one draw per column of standard normals z."""
        at, d = self.system(prior, analysis, theta), prior.dim
        _, solved, noise = linalg.solve_and_sample(analysis, at.values, at.rhs, normals(z, d, prior.k))
        mean = solved[:d, 0]
        drawn = at.scale[:, None] * (mean[:, None] + noise[:d])
        return jnp.zeros(()), Effects(at.scale * mean, drawn, jnp.zeros(()))

    def variances(
        self,
        prior: LatentPrior,
        analysis: linalg.Analysis,
        theta: jax.Array,
        functionals: jax.Array,
        sums: Sequence[Sums],
        z: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Variances of sums of few effects, and of linear functionals (p + q, m) of u, given theta."""
        at = self.system(prior, analysis, theta)
        return normal_variances(prior, analysis, at.values, at.scale, functionals, sums)

    def linear(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, a: Rows) -> Linear:
        """Means and variances of ``A u`` for rows whose pairs of columns are in the pattern of H."""
        at = self.system(prior, analysis, theta)
        return normal_rows(prior, analysis, at.values, at.scale, at.rhs, a)

    def keeping(self, rows: EveryRow, counted: jax.Array, nnz: int) -> NoRows:
        """The same."""
        return self

    def answering(self, rows: EveryRow) -> NoRows:
        """The same."""
        return self

    def given(self, analysis: linalg.Analysis, theta: jax.Array, u: jax.Array) -> jax.Array:
        """Zero."""
        return jnp.zeros(())

    def information(self, analysis: linalg.Analysis, theta: jax.Array, u: jax.Array) -> jax.Array:
        """Zeros in pattern order."""
        return jnp.zeros(analysis.pattern.nnz)

    def mode(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> jax.Array:
        """The whitened prior mean of the effects."""
        at = self.system(prior, analysis, theta)
        return linalg.solve(analysis, at.values, at.rhs)[: prior.dim, 0]

    def system(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> System:
        """See `GaussianData.system`: here it is that of the prior."""
        at = prior.whiten(theta)
        return System(at.values, constrained.bordered(prior.pull[:, None], prior.k), at.scale, at.logdet)
