r"""Hard linear constraints by *anchored kriging*: exact, sparse, without jitter.

Wanted: the Gaussian with precision ``H`` on the set ``{u : C u = 0}``, where ``H`` may be singular along the directions
that ``C`` removes. One diagonal entry per constraint is raised, ``Ht = H + E diag(kappa) E'`` (``E``: k unit vectors),
so that ``Ht`` is positive definite and as sparse as ``H``; the anchor is then taken out again. With

    K = [E C'],   B = K' Ht^-1 K,   M = B - diag(1 / kappa, 0)

    u*       = x - Ht^-1 K M^-1 K' x,                    x = Ht^-1 b
    S        = Ht^-1 - (Ht^-1 K) M^-1 (Ht^-1 K)'
    log|H|_C = sum log kappa + log|Ht| + log|det(-M)| - log|C C'|

where ``|H|_C`` is the determinant of ``H`` on the null space of ``C``. Everything needed is the Gram matrix of
``[b K]`` under ``Ht^-1``, which `logdet_quad` returns together with ``log|Ht|``. Kriging for constraints: Rue & Held
(2005), sec. 2.3.3; the anchor enters as one more (negative) rank-k update by the determinant lemma.

The functions here are dense algebra of order ``2 k`` on that Gram matrix; without constraints they do nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray


def krige_matrix(null_space: sp.csc_array, anchors: IntArray) -> FloatArray:
    """``K = [E C']``, shape (n, 2k), from a basis of the directions to remove (n, k) and the rows of the anchors."""
    n, k = null_space.shape
    krige = np.zeros((n, 2 * k))
    krige[anchors, np.arange(k)] = 1.0
    krige[:, k:] = null_space.toarray()
    return krige


def log_gram(null_space: sp.csc_array) -> float:
    """``log|C C'|``."""
    if not null_space.shape[1]:
        return 0.0
    return float(np.linalg.slogdet((null_space.T @ null_space).toarray())[1])


class Constrained(NamedTuple):
    """Moments of the constrained Gaussian: ``log|H|_C``, ``b'u*`` and the weights with ``u* = x - Ht^-1 K weights``."""

    logdet: jax.Array
    quad: jax.Array
    weights: jax.Array


def middle(gram: jax.Array, kappa: jax.Array) -> jax.Array:
    """``M = K'Ht^-1 K - diag(1 / kappa, 0)``, of order 2k, from the Gram matrix ``K'Ht^-1 K``."""
    return gram - jnp.diag(jnp.concatenate([1.0 / kappa, jnp.zeros_like(kappa)]))


def condition(logdet: jax.Array, gram: jax.Array, kappa: jax.Array, logdet_cct: jax.Array | float) -> Constrained:
    """Condition on ``C u = 0`` and remove the anchor.

    Parameters
    ----------
    logdet : float array ()
        ``log|Ht|``.
    gram : float array (1 + 2k, 1 + 2k)
        ``[b K]' Ht^-1 [b K]``.
    kappa : float array (k,)
        The anchors.
    logdet_cct : float
        ``log|C C'|``.
    """
    k = (gram.shape[0] - 1) // 2
    if k == 0:
        return Constrained(logdet, gram[0, 0], jnp.zeros(0, gram.dtype))
    m = middle(gram[1:, 1:], kappa)
    weights = jnp.linalg.solve(m, gram[1:, 0])
    log_abs_det = jnp.linalg.slogdet(-m)[1]
    return Constrained(
        jnp.sum(jnp.log(kappa)) + logdet + log_abs_det - logdet_cct, gram[0, 0] - gram[0, 1:] @ weights, weights
    )


def draw(w: jax.Array, solved: jax.Array, k_matrix: jax.Array, kappa: jax.Array, z: jax.Array) -> jax.Array:
    """Turn draws of ``N(0, Ht^-1)`` into draws of the constrained Gaussian (zero mean).

    ``w`` is first kriged onto ``C w = 0``; then ``T E (diag(1 / kappa) - E'T E)^-1/2 z`` is added, where ``T`` is the
    covariance after kriging: that is the variance which the anchor had taken away.

    Parameters
    ----------
    w : float array (n, m)
        Draws of ``N(0, Ht^-1)``, one per column.
    solved : float array (n, 2k)
        ``Ht^-1 K``.
    k_matrix : float array (n, 2k)
        ``K = [E C']``.
    kappa : float array (k,)
        The anchors.
    z : float array (k, m)
        Standard normals.
    """
    k = k_matrix.shape[1] // 2
    if k == 0:
        return w
    e, c = k_matrix[:, :k], k_matrix[:, k:]
    solved_e, solved_c = solved[:, :k], solved[:, k:]
    ccov = c.T @ solved_c
    kriged = w - solved_c @ jnp.linalg.solve(ccov, c.T @ w)
    te = solved_e - solved_c @ jnp.linalg.solve(ccov, c.T @ solved_e)
    missing = jnp.diag(1.0 / kappa) - e.T @ te
    root = jnp.linalg.cholesky(0.5 * (missing + missing.T))
    return kriged + te @ jax.scipy.linalg.solve_triangular(root, z, lower=True, trans="T")


def variance_correction(solved: jax.Array, gram_k: jax.Array, kappa: jax.Array) -> jax.Array:
    """What to take from the diagonal of ``Ht^-1`` to get the constrained marginal variances."""
    if solved.shape[1] == 0:
        return jnp.zeros(solved.shape[0], solved.dtype)
    return jnp.sum(solved * jnp.linalg.solve(middle(gram_k, kappa), solved.T).T, axis=1)
