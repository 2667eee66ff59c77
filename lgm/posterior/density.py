r"""The posterior of theta with all effects integrated out, and the effects given theta.

Notation, used in all of lgm:

    y (n,)            response          theta (k,)   hyperparameters, natural scale
    X (n, p), Z (n, q), A = [X|Z]       sparse       eta = A u + offset
    u = (beta, b)     all effects       Q(theta)     prior precision of u, block diagonal
    H = Q + A'WA      precision of u given y and theta, W = diag(weights) / sigma^2 for a Gaussian response

(lme4's ``u`` is spherical and its ``b`` is ours; lme4's ``theta`` is the relative factor, ours are hyperparameters.)

It is hyperparameters x latent prior x data side: priors of theta (`lgm.posterior.hyperparameters`), the prior
of u given theta (`lgm.posterior.latent_prior`), and what the rows say of u (`lgm.posterior.gaussian` or
`lgm.posterior.laplace`). Six functions of this file, ``log_likelihood``, ``value_and_grad``,
``log_likelihood_and_effects``, ``effects``, ``variances`` and ``normal_moments``, are all that engines, tables and
predictions use of it; criteria that leave rows out ask for ``linear`` and ``keeping``, and models of others, in which
response or offset move, for ``answering``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, cast

import jax
import jax.numpy as jnp

from lgm import linalg
from lgm.arrays import FloatArray
from lgm.linalg.rows import Rows
from lgm.posterior.every_row import EveryRow
from lgm.posterior.functionals import Effects, FixedNormal, Linear, Sums
from lgm.posterior.gaussian import GaussianData, System
from lgm.posterior.hyperparameters import Hyperparameters
from lgm.posterior.latent_prior import LatentPrior, Places
from lgm.posterior.variances import means_and_variances
from lgm.xla import LOOPS, own_settings


class DataSide(Protocol):
    """What the rows say of the effects, whatever the family."""

    @property
    def places(self) -> Places:
        """Of the family's parameters in theta."""

    @property
    def least_residual(self) -> float:
        """Least value of the family's scale that double precision can tell from zero beside the effects."""

    @property
    def scaled_rows(self) -> float:
        """Number of rows of which the family's scale is the sd of the residual; zero where it is something else."""

    def lost(self, theta: FloatArray) -> str | None:
        """What is wrong with a theta (k,) where rounding takes the place of the effects, with its remedy; else None."""

    def log_likelihood(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> jax.Array:
        """``log p(y | theta)``; NaN where it is undefined."""

    def started(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> DataSide:
        """The same, fastest near a theta."""

    @property
    def normal(self) -> bool:
        """Whether the effects given theta are exactly normal."""

    @property
    def exact(self) -> bool:
        """Whether `log_likelihood` is all that is known of the density; else effects come with what it lacks."""

    @property
    def bent(self) -> bool:
        """Whether each point of the effects costs a factorisation, and was made from a normal draw of all of them."""

    @property
    def pairs(self) -> int:
        """Columns of normals of which one draw is made."""

    @property
    def extra_normals(self) -> int:
        """Normals in a column beside those of effects and constraints."""

    def columns(self, draws: int) -> int:
        """Columns of normals that give so many draws, and the density with the accuracy that engines want."""

    def conditional(
        self,
        prior: LatentPrior,
        analysis: linalg.Analysis,
        theta: jax.Array,
        z: jax.Array,
        draws: int | None = None,
    ) -> tuple[jax.Array, Effects]:
        """The same and the effects given theta, by default one draw per column of standard normals z."""

    def given(self, analysis: linalg.Analysis, theta: jax.Array, u: jax.Array) -> jax.Array:
        """``log p(y | u, theta)`` at effects u (p + q,)."""

    def information(self, analysis: linalg.Analysis, theta: jax.Array, u: jax.Array) -> jax.Array:
        """Minus its second derivative by u, in pattern order."""

    def mode(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> jax.Array:
        """The most probable whitened effects (p + q,) given theta."""

    def variances(
        self,
        prior: LatentPrior,
        analysis: linalg.Analysis,
        theta: jax.Array,
        functionals: jax.Array,
        sums: Sequence[Sums],
        z: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Conditional variances of sums of effects and of linear functionals."""

    def linear(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, a: Rows) -> Linear:
        """Means and variances of ``A u`` for rows whose pairs of columns are in the pattern of H."""

    def keeping(self, rows: EveryRow, counted: jax.Array, nnz: int) -> DataSide:
        """The data side of those of all rows that have a one (n,), of the same structure for any of them."""

    def answering(self, rows: EveryRow) -> DataSide:
        """The data side of all rows, one by one, with responses and offsets of their own."""


class NormalSide(DataSide, Protocol):
    """Where the effects given theta are exactly normal."""

    def system(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> System:
        """Whose solution is their mean, and whose matrix is their precision, in whitened coordinates."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Marginal:
    """All that an evaluation needs: numbers are arguments of compiled functions, structure is static.

    Parameters
    ----------
    hyper : Hyperparameters
        Priors of theta.
    prior : LatentPrior
        Of u given theta.
    data : DataSide
    printed : tuple of Sums
        The effects of terms that tables show.
    analysis : linalg.Analysis
        Of the bordered pattern of H.
    """

    hyper: Hyperparameters
    prior: LatentPrior
    data: DataSide
    printed: tuple[Sums, ...]
    analysis: linalg.Analysis = field(metadata={"static": True})

    @property
    def dim(self) -> int:
        """Number of effects, p + q."""
        return self.prior.dim

    @property
    def n_normals(self) -> int:
        """Standard normals in a column: one per effect and one per constraint, and what the data side adds."""
        return self.dim + self.prior.k + self.data.extra_normals


def started(post: Marginal, theta: FloatArray) -> Marginal:
    """The same posterior whose evaluations are fastest near a theta (k,), which is best its mode; on the host.

    Where the effects given theta have to be searched for, searches start from a line through what is found here. They
    find the same up to rounding, and the result goes through the same compiled functions.
    """
    if post.data.normal:
        return post
    with own_settings():
        return replace(post, data=_started(post, jnp.asarray(theta)))


@partial(jax.jit, compiler_options=LOOPS)
def _started(post: Marginal, theta: jax.Array) -> DataSide:
    return post.data.started(post.prior, post.analysis, theta)


def log_likelihood(post: Marginal, theta: jax.Array) -> jax.Array:
    """``log p(y | theta)``, every constant kept; NaN where H is not positive definite."""
    return post.data.log_likelihood(post.prior, post.analysis, theta)


def log_density(post: Marginal, theta: jax.Array) -> jax.Array:
    """``log p(y | theta) + log p(theta)`` on the natural scale, without a Jacobian; -inf where it is undefined."""
    prior = post.hyper.log_prior(theta)
    value = log_likelihood(post, theta) + prior
    return jnp.where(jnp.isfinite(prior) & jnp.isfinite(value), value, -jnp.inf)


def log_density_working(post: Marginal, x: jax.Array) -> jax.Array:
    """Log density of the working coordinates x, Jacobian included; NaN where it is undefined."""
    return log_likelihood(post, post.hyper.natural(x)) + post.hyper.log_prior_working(x)


def value_and_grad(post: Marginal, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Log density of the working coordinates and its gradient; ``(-inf, 0)`` where either is undefined."""
    value, grad = jax.value_and_grad(log_density_working, argnums=1)(post, x)
    fine = jnp.isfinite(value) & jnp.all(jnp.isfinite(grad))
    return jnp.where(fine, value, -jnp.inf), jnp.where(fine, grad, 0.0)


def log_likelihood_and_effects(
    post: Marginal, theta: jax.Array, z: jax.Array, draws: int | None = None
) -> tuple[jax.Array, Effects]:
    """``log p(y | theta)`` and the effects given theta, from one factorisation.

    Where the likelihood is an estimate, it is unbiased on its own scale, so that weights which have it are exact.

    Where the likelihood is undefined the effects are zero, so that a weight of zero takes them out of an average, which
    NaN would spoil.

    Parameters
    ----------
    z : float array (n_normals, m)
        Standard normals, in as many columns as the data side wants for the draws.
    draws : int, optional
        How many draws of u, by default one per column.

    Notes
    -----
    The fixed effects are relative to the reference that the design subtracts.
    """
    value, found = post.data.conditional(post.prior, post.analysis, theta, z, draws)
    return value, Effects(*(jnp.where(jnp.isfinite(value), part, 0.0) for part in found))


def log_likelihood_and_fixed(post: Marginal, theta: jax.Array) -> tuple[jax.Array, FixedNormal]:
    """``log p(y | theta)`` and the fixed effects given theta where these are normal, from one factorisation.

    Where the likelihood is undefined both moments are zero, as in `log_likelihood_and_effects`.
    """
    assert isinstance(post.data, GaussianData)
    value, found = post.data.fixed(post.prior, post.analysis, theta)
    return value, FixedNormal(*(jnp.where(jnp.isfinite(value), part, 0.0) for part in found))


def effects(post: Marginal, theta: jax.Array, z: jax.Array, draws: int | None = None) -> Effects:
    """Conditional mean of u given theta, and draws: by default one per column of normals ``z`` (n_normals, m)."""
    return post.data.conditional(post.prior, post.analysis, theta, z, draws)[1]


def variances(
    post: Marginal,
    theta: jax.Array,
    functionals: jax.Array,
    sums: Sequence[Sums] | None = None,
    z: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Conditional variances given theta: of sums of few effects, and of some linear functionals of u.

    Exact where these are normal, else an estimate.

    Parameters
    ----------
    functionals : float array (p + q, m)
        One functional per column, in the coordinates of `effects`.
    sums : sequence of Sums, optional
        By default the printed effects of terms.
    z : float array (n_normals, m), optional
        Standard normals for an estimate.

    Returns
    -------
    variances : float arrays (number of sums,), (m,)
    """
    normals = jnp.zeros((post.n_normals, post.data.pairs)) if z is None else z
    wanted = post.printed if sums is None else sums
    return post.data.variances(post.prior, post.analysis, theta, functionals, wanted, normals)


def normal_moments(post: Marginal, theta: jax.Array, functionals: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Conditional mean of u given theta before `variances`, from one factorisation, where u is exactly normal."""
    assert post.data.normal
    at = cast("NormalSide", post.data).system(post.prior, post.analysis, theta)
    return means_and_variances(post.prior, post.analysis, at.values, at.scale, at.rhs, functionals, post.printed)


def linear(post: Marginal, theta: jax.Array, a: Rows) -> Linear:
    """Mean and variance given theta of ``a_i'u`` for rows ``a_i`` of the fit, by one selected inverse.

    Exact where the effects are normal; else mode and variance of the normal approximation, and the shift to the mean.

    Parameters
    ----------
    a : Rows
        In the coordinates of `effects`, all pairs of columns of a row in the pattern of H.
    """
    return post.data.linear(post.prior, post.analysis, theta, a)


def keeping(post: Marginal, rows: EveryRow, counted: jax.Array) -> Marginal:
    """The posterior from those of all rows that have a one (n,); it is of one structure for any of them.

    Parameters
    ----------
    rows : EveryRow
        As `lgm.posterior.assemble.every_row` makes them.
    """
    return replace(post, data=post.data.keeping(rows, counted, post.analysis.pattern.nnz))


def answering(post: Marginal, rows: EveryRow, y: jax.Array | None, offset: jax.Array | None) -> Marginal:
    """The posterior of another response of all rows, or with more in their linear predictors; differentiable in both.

    Parameters
    ----------
    rows : EveryRow
        As `lgm.posterior.assemble.every_row` makes them.
    y : float array (n,), optional
        Numbers of the family, as `lgm.families.response.Response.value`; by default those of the rows.
    offset : float array (n,), optional
        Added to the linear predictors.
    """
    observed = rows.observed
    if y is not None:
        observed = replace(observed, y=replace(observed.y, value=y))
    if offset is not None:
        observed = replace(observed, offset=jnp.asarray(observed.offset) + offset)
    return replace(post, data=post.data.answering(rows._replace(observed=observed)))
