r"""The posterior of theta with all effects integrated out, and the effects given theta.

Notation, used in all of lgm:

    y (n,)            response          theta (k,)   hyperparameters, natural scale
    X (n, p), Z (n, q), A = [X|Z]       sparse       eta = A u + offset
    u = (beta, b)     all effects       Q(theta)     prior precision of u, block diagonal
    H = Q + A'WA      precision of u given y and theta, W = diag(weights) / sigma^2

(lme4's ``u`` is spherical and its ``b`` is ours; lme4's ``theta`` is the relative factor, ours are hyperparameters.)

Blocks are *whitened*: ``b = D v`` with D the diagonal of standard deviations, so that v has the unit-scale precision R
and

    H' = blockdiag(Q_beta, R_1, ..., R_B) + D A'WA D

All ``log sd`` cancel between prior and posterior, and a standard deviation of zero is an ordinary point. With the
residual ``r = y - offset - X beta_ref`` of a fixed reference (least squares), prior mean m of beta and
``d = m - beta_ref``,

    log p(y|theta) = - 1/2 [ n log 2pi - sum log w + 2 n log sigma + r'Wr + d'Q_beta d - b'v* ]
                     + 1/2 [ log|Q_beta| + sum log|R_j|* - log|H'|_C ] + (p_flat / 2) log 2pi

where ``v* = H'^-1 b`` under the constraints ``C v = 0``, ``b = D A'Wr + Q_beta d``, determinants are over proper
directions, and ``p_flat`` counts flat fixed effects: with all of them flat this is the REML likelihood. Because only
``A'WA``, ``A'Wr`` and ``r'Wr`` enter, an evaluation does not touch n.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lgm import linalg
from lgm.linalg import constrained
from lgm.posterior.hyperparameters import Hyperparameters
from lgm.precision.template import Template

LOG_2PI = 1.8378770664093453


class BlockLayout(NamedTuple):
    """Where a block's hyperparameters stand in theta: standard deviations, then shape parameters."""

    sd: tuple[int, int]
    shape: tuple[int, int]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Posterior:
    """All that an evaluation needs: numbers are arguments of compiled functions, structure is static.

    Parameters
    ----------
    hyper : Hyperparameters
        Priors of theta; the last natural coordinate is sigma.
    templates : tuple of Template
        One per block.
    cross : float array (nnz,)
        ``A' diag(w) A`` in pattern order of H.
    projection : float array (p + q,)
        ``A' diag(w) r``.
    prior_pull : float array (p + q,)
        ``Q_beta d`` for the fixed effects, zero elsewhere.
    constants : float array (5,)
        ``r'diag(w)r``, n, ``sum log w``, ``d'Q_beta d - log|Q_beta| - 2 log|B|`` (B: basis of the fixed effects),
        ``p_flat``.
    base : float array (nnz,)
        What does not depend on theta: ``Q_beta`` and the anchors.
    places : int array
        Positions in H of the entries of the templates, one template after the other.
    sd_of : int array (p + q,)
        Index into ``(1, all sds)``; fixed effects have 0.
    krige : float array (p + q, 2k)
        ``K = [E C']``.
    kappa : float array (k,)
        Anchors.
    logdet_cct : float array ()
        ``log|C C'|``.
    analysis : linalg.Analysis
        Of the pattern of H.
    layout : tuple of BlockLayout
        Places of the blocks' hyperparameters.
    """

    hyper: Hyperparameters
    templates: tuple[Template, ...]
    cross: jax.Array
    projection: jax.Array
    prior_pull: jax.Array
    constants: jax.Array
    base: jax.Array
    places: jax.Array
    sd_of: jax.Array
    krige: jax.Array
    kappa: jax.Array
    logdet_cct: jax.Array
    analysis: linalg.Analysis = field(metadata={"static": True})
    layout: tuple[BlockLayout, ...] = field(metadata={"static": True})

    @property
    def dim(self) -> int:
        """Number of effects, p + q."""
        return self.analysis.n

    @property
    def n_normals(self) -> int:
        """Standard normals that one draw of the effects takes: one per effect and one per constraint."""
        return self.dim + int(self.kappa.shape[0])


class System(NamedTuple):
    """The whitened linear system at one theta."""

    values: jax.Array  # H' + anchors, pattern order
    rhs: jax.Array  # [b K], shape (p + q, 1 + 2k)
    scale: jax.Array  # D, shape (p + q,)
    prior_logdet: jax.Array  # sum log|R_j|*


def _system(post: Posterior, theta: jax.Array) -> System:
    sds = [theta[a:b] for (a, b), _ in post.layout]
    scale = jnp.concatenate([jnp.ones(1), *sds])[post.sd_of]
    shapes = [theta[a:b] for _, (a, b) in post.layout]
    precision = jnp.square(1.0 / theta[-1])
    rows, cols = post.analysis.pattern.rows, post.analysis.pattern.cols
    values = post.base + precision * post.cross * scale[rows] * scale[cols]
    if post.templates:
        entries = [t.values(s) for t, s in zip(post.templates, shapes, strict=True)]
        values = values.at[post.places].add(jnp.concatenate(entries), unique_indices=True)
    b = precision * scale * post.projection + post.prior_pull
    prior_logdet = sum((t.logdet(s) for t, s in zip(post.templates, shapes, strict=True)), jnp.zeros(()))
    return System(values, jnp.concatenate([b[:, None], post.krige], axis=1), scale, prior_logdet)


def log_likelihood(post: Posterior, theta: jax.Array) -> jax.Array:
    """``log p(y | theta)``, every constant kept; NaN where H is not positive definite."""
    system = _system(post, theta)
    logdet, gram, _ = linalg.logdet_quad(post.analysis, system.values, system.rhs)
    return _marginal(post, theta, system, constrained.condition(logdet, gram, post.kappa, post.logdet_cct))


def _marginal(post: Posterior, theta: jax.Array, system: System, c: constrained.Constrained) -> jax.Array:
    square, n, sum_log_w, prior_const, p_flat = post.constants
    sigma = theta[-1]
    misfit = square / jnp.square(sigma) - c.quad + prior_const
    return 0.5 * (
        sum_log_w - (n - p_flat) * LOG_2PI - 2.0 * n * jnp.log(sigma) - misfit + system.prior_logdet - c.logdet
    )


def log_density(post: Posterior, theta: jax.Array) -> jax.Array:
    """``log p(y | theta) + log p(theta)`` on the natural scale, without a Jacobian; -inf where it is undefined."""
    prior = post.hyper.log_prior(theta)
    value = log_likelihood(post, theta) + prior
    return jnp.where(jnp.isfinite(prior) & jnp.isfinite(value), value, -jnp.inf)


def _log_density_working(post: Posterior, x: jax.Array) -> jax.Array:
    return log_likelihood(post, post.hyper.natural(x)) + post.hyper.log_prior_working(x)


def value_and_grad(post: Posterior, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Log density of the working coordinates and its gradient; ``(-inf, 0)`` where either is undefined."""
    value, grad = jax.value_and_grad(_log_density_working, argnums=1)(post, x)
    fine = jnp.isfinite(value) & jnp.all(jnp.isfinite(grad))
    return jnp.where(fine, value, -jnp.inf), jnp.where(fine, grad, 0.0)


class Effects(NamedTuple):
    """Effects given theta, on their natural scale: the exact conditional mean, and draws."""

    mean: jax.Array  # (p + q,)
    draws: jax.Array  # (p + q, m)


def log_likelihood_and_effects(post: Posterior, theta: jax.Array, z: jax.Array) -> tuple[jax.Array, Effects]:
    """``log p(y | theta)`` and the effects given theta, from one factorisation.

    Where the likelihood is undefined the effects are zero, so that a weight of zero takes them out of an average, which
    NaN would spoil.

    Parameters
    ----------
    z : float array (n_normals, m)
        Standard normals, one column per draw of u.

    Notes
    -----
    The fixed effects are relative to the reference that the design subtracts.
    """
    value, found = _conditional(post, theta, z)
    return value, Effects(*(jnp.where(jnp.isfinite(value), part, 0.0) for part in found))


def effects(post: Posterior, theta: jax.Array, z: jax.Array) -> Effects:
    """Conditional mean of u given theta, and one draw per column of standard normals ``z`` (n_normals, m)."""
    return _conditional(post, theta, z)[1]


def _conditional(post: Posterior, theta: jax.Array, z: jax.Array) -> tuple[jax.Array, Effects]:
    system = _system(post, theta)
    n = post.dim
    logdet, solved, w = linalg.solve_and_sample(post.analysis, system.values, system.rhs, z[:n])
    c = constrained.condition(logdet, system.rhs.T @ solved, post.kappa, post.logdet_cct)
    mean = solved[:, 0] - solved[:, 1:] @ c.weights
    noise = constrained.draw(w, solved[:, 1:], post.krige, post.kappa, z[n:])
    found = Effects(system.scale * mean, system.scale[:, None] * (mean[:, None] + noise))
    return _marginal(post, theta, system, c), found


def variances(post: Posterior, theta: jax.Array, functionals: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Exact conditional variances given theta: of all effects, and of some linear functionals of u.

    Parameters
    ----------
    functionals : float array (p + q, m)
        One functional per column, in the coordinates of `effects`.

    Returns
    -------
    variances : float arrays (p + q,), (m,)
    """
    system = _system(post, theta)
    scale = system.scale
    k = post.krige.shape[1]
    whitened = scale[:, None] * functionals
    solved = linalg.solve(post.analysis, system.values, jnp.concatenate([post.krige, whitened], axis=1))
    solved_k, solved_f = solved[:, :k], solved[:, k:]
    gram = post.krige.T @ solved_k
    diagonal = linalg.marginal_variances(post.analysis, system.values)
    own = diagonal - constrained.variance_correction(solved_k, gram, post.kappa)
    cross = whitened.T @ solved_k
    other = jnp.sum(whitened * solved_f, axis=0) - constrained.variance_correction(cross, gram, post.kappa)
    return jnp.square(scale) * own, other
