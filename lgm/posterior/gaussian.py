r"""The data side for a Gaussian response: sufficient statistics, with which an evaluation does not touch n.

With ``r = y - offset - X beta_ref`` for a fixed reference (least squares), prior mean m of beta, ``d = m - beta_ref``,
scales D and prior precision ``blockdiag(Q_beta, R_1, ..., R_B)`` of whitened effects v,

    H' = blockdiag(Q_beta, R_1, ..., R_B) + D A'WA D,     W = diag(weights) / sigma^2

    log p(y|theta) = - 1/2 [ n log 2pi - sum log w + 2 n log sigma + r'Wr + d'Q_beta d - b'v* ]
                     + 1/2 [ log|Q_beta| + sum log|R_j|* - log|H'|_C ] + (p_flat / 2) log 2pi

where ``v* = H'^-1 b`` under the constraints ``C v = 0``, ``b = D A'Wr + Q_beta d``, determinants are over proper
directions, and ``p_flat`` counts flat fixed effects: with all of them flat this is the REML likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm import linalg
from lgm.arrays import FloatArray, Numbers
from lgm.linalg import constrained, products
from lgm.linalg.constrained import normals
from lgm.linalg.rows import Rows
from lgm.posterior.every_row import EveryRow
from lgm.posterior.functionals import Effects, FixedNormal, Linear, Sums
from lgm.posterior.latent_prior import LOG_2PI, LatentPrior, Places, by_kind, quadratic
from lgm.posterior.variances import normal_rows, normal_variances

# Least sigma, beside the response less its fixed effects: the likelihood is a difference of squares of the two.
RESOLVED = 1e-6


class System(NamedTuple):
    """The linear system of one theta, in whitened coordinates."""

    values: jax.Array  # H', bordered, in pattern order
    rhs: jax.Array  # b (p + q + 2k, 1)
    scale: jax.Array  # (p + q,)
    prior_logdet: jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GaussianData:
    """Sufficient statistics of some rows, given the columns A and a reference of the fixed effects.

    Parameters
    ----------
    gram : float array (nnz,)
        ``A' diag(w) A`` in the order of the bordered pattern of H.
    projection : float array (p + q,)
        ``A' diag(w) r``.
    square : float array ()
        ``r' diag(w) r``.
    n : float array ()
        Number of rows.
    sum_log_w : float array ()
    places : Places
        Of sigma in theta.

    Notes
    -----
    Statistics of two sets of rows with the same columns, pattern and reference add up: ``one + other``.
    """

    gram: Numbers
    projection: Numbers
    square: Numbers
    n: Numbers
    sum_log_w: Numbers
    places: Places = field(metadata={"static": True})

    normal = True  # the effects given theta
    exact = True  # the density that engines move on
    bent = False
    pairs = 1
    extra_normals = 0

    @classmethod
    def of(
        cls, blocks: Sequence[sp.csc_array], w: FloatArray, r: FloatArray, gram: FloatArray, places: Places
    ) -> GaussianData:
        """Of rows with columns (n, p + q) in blocks side by side, weights and residuals from the reference (n,)."""
        weighted = w * r
        return cls(
            gram=gram,
            projection=np.concatenate([block.T @ weighted for block in blocks]),
            square=np.asarray(r @ weighted, dtype=float),
            n=np.asarray(r.size, dtype=float),
            sum_log_w=np.asarray(np.sum(np.log(w)) if np.any(w != 1.0) else 0.0, dtype=float),
            places=places,
        )

    @property
    def spread(self) -> float:
        """Root mean square of the residuals from the reference, for a row of weight one."""
        return float(np.sqrt(np.asarray(self.square) / np.asarray(self.n)))

    @property
    def least_residual(self) -> float:
        """Least sigma that double precision can tell from zero beside the effects."""
        return RESOLVED * self.spread

    @property
    def scaled_rows(self) -> float:
        """All rows: sigma is the sd of the residual of each."""
        return float(self.n)

    def lost(self, theta: FloatArray) -> str | None:
        """What is wrong with a sigma that is smaller."""
        sigma = float(by_kind(theta, self.places)["sigma"][0])
        if sigma > 2.0 * self.least_residual:
            return None
        return (
            f"sigma is {sigma:.2g} where the response varies by {self.spread:.2g} beside the fixed effects, so the "
            "effects are lost to rounding. If sigma is to be estimated, the response has no residual: it is constant "
            "within groups, or a function of the predictors, or each row has an effect of its own, as one row for each "
            "time has. Accepted: one row for each group, without the term of that group; a prior of sigma without "
            "density at zero, such as lgm.priors.lognormal(...); or the precision of the measurements, "
            'priors={"sigma": lgm.priors.constant(...)}. If sigma is held by its prior: a larger one.'
        )

    def started(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> GaussianData:
        """The same: nothing has to be searched for."""
        return self

    def __add__(self, other: GaussianData) -> GaussianData:
        return jax.tree.map(jnp.add, self, other)

    def log_likelihood(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> jax.Array:
        """``log p(y | theta)``, every constant kept; NaN where H is not positive definite."""
        system = self.system(prior, analysis, theta)
        logdet, quad, _ = linalg.logdet_quad(analysis, system.values, system.rhs)
        return self._marginal(prior, theta, system, logdet, quad[0, 0])

    def columns(self, draws: int) -> int:
        """Columns of normals that give so many draws."""
        return draws

    def conditional(
        self,
        prior: LatentPrior,
        analysis: linalg.Analysis,
        theta: jax.Array,
        z: jax.Array,
        draws: int | None = None,
    ) -> tuple[jax.Array, Effects]:
        """``log p(y | theta)`` and the effects given theta, one draw per column of standard normals z."""
        system = self.system(prior, analysis, theta)
        d = prior.dim
        logdet, solved, noise = linalg.solve_and_sample(analysis, system.values, system.rhs, normals(z, d, prior.k))
        mean = solved[:d, 0]
        found = Effects(system.scale * mean, system.scale[:, None] * (mean[:, None] + noise[:d]), jnp.zeros(()))
        return self._marginal(prior, theta, system, logdet, system.rhs[:, 0] @ solved[:, 0]), found

    def fixed(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> tuple[jax.Array, FixedNormal]:
        """``log p(y | theta)`` and the distribution of the fixed effects given theta."""
        system, p = self.system(prior, analysis, theta), prior.dim - prior.q
        own = constrained.bordered(jnp.eye(prior.dim, p), prior.k)
        logdet, quad, _ = linalg.logdet_quad(analysis, system.values, jnp.concatenate([system.rhs, own], axis=1))
        scale = system.scale[:p]
        found = FixedNormal(scale * quad[1:, 0], scale[:, None] * quad[1:, 1:] * scale)
        return self._marginal(prior, theta, system, logdet, quad[0, 0]), found

    def variances(
        self,
        prior: LatentPrior,
        analysis: linalg.Analysis,
        theta: jax.Array,
        functionals: jax.Array,
        sums: Sequence[Sums],
        z: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Exact conditional variances of sums of few effects, and of linear functionals (p + q, m) of u."""
        system = self.system(prior, analysis, theta)
        return normal_variances(prior, analysis, system.values, system.scale, functionals, sums)

    def linear(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, a: Rows) -> Linear:
        """Exact means and variances of ``A u`` for rows whose pairs of columns are in the pattern of H."""
        system = self.system(prior, analysis, theta)
        return normal_rows(prior, analysis, system.values, system.scale, system.rhs, a)

    def keeping(self, rows: EveryRow, counted: jax.Array, nnz: int) -> GaussianData:
        """The statistics of those of all rows that have a one (n,)."""
        each = rows.observed
        w = each.weights * counted
        r = each.y.value - each.offset
        return replace(
            self,
            gram=each.a.gram(w, nnz),
            projection=each.a.transposed_times((w * r)[:, None], self.projection.shape[0])[:, 0],
            square=jnp.vdot(r, w * r),
            n=jnp.sum(counted),
            sum_log_w=jnp.vdot(counted, jnp.log(each.weights)),
        )

    def answering(self, rows: EveryRow) -> GaussianData:
        """The statistics of all rows, which have the same columns and weights and other responses or offsets."""
        each = rows.observed
        r = each.y.value - each.offset
        weighted = (each.weights * r)[:, None]
        projection = each.a.transposed_times(weighted, self.projection.shape[0])[:, 0]
        return replace(self, projection=projection, square=jnp.vdot(r, weighted[:, 0]))

    def given(self, analysis: linalg.Analysis, theta: jax.Array, u: jax.Array) -> jax.Array:
        """``log p(y | u, theta)`` at effects u (p + q,)."""
        sigma = self._sigma(theta)
        within = quadratic(analysis, self.gram, constrained.bordered(u, analysis.constraints))
        square = self.square - 2.0 * jnp.vdot(self.projection, u) + within
        normal = self.sum_log_w - self.n * LOG_2PI - 2.0 * self.n * jnp.log(sigma)
        return 0.5 * (normal - square * jnp.square(1.0 / sigma))

    def information(self, analysis: linalg.Analysis, theta: jax.Array, u: jax.Array) -> jax.Array:
        """``A'WA`` in pattern order."""
        return self.gram * jnp.square(1.0 / self._sigma(theta))

    def precision(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> jax.Array:
        """H' (nnz,), bordered, in pattern order."""
        return self.system(prior, analysis, theta).values

    def mode(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> jax.Array:
        """The most probable whitened effects given theta, which are their mean."""
        system = self.system(prior, analysis, theta)
        return linalg.solve(analysis, system.values, system.rhs)[: prior.dim, 0]

    def system(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> System:
        """Whose solution is the mean of the effects given theta, and whose matrix is their precision."""
        whitened = prior.whiten(theta)
        # divided by sigma one by one, as its square may have no place among doubles
        inverse = 1.0 / self._sigma(theta)
        ratio = whitened.scale * inverse
        wide = constrained.bordered(ratio, prior.k)
        values = whitened.values + products.scaled(analysis, jnp.asarray(self.gram), wide)
        b = ratio * (self.projection * inverse) + prior.pull
        return System(values, constrained.bordered(b[:, None], prior.k), whitened.scale, whitened.logdet)

    def _marginal(
        self, prior: LatentPrior, theta: jax.Array, system: System, logdet: jax.Array, quad: jax.Array
    ) -> jax.Array:
        sigma = self._sigma(theta)
        misfit = self.square * jnp.square(1.0 / sigma) - quad + prior.constant
        normal = self.sum_log_w - (self.n - prior.flat) * LOG_2PI - 2.0 * self.n * jnp.log(sigma)
        return 0.5 * (normal - misfit + system.prior_logdet - logdet + prior.log_border)

    def _sigma(self, theta: jax.Array) -> jax.Array:
        return by_kind(theta, self.places)["sigma"][0]
