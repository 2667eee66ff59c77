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

M is never factored as a whole. By its blocks, with ``F = C'Ht^-1 E``,

    P = C'Ht^-1 C,   S = diag(1 / kappa) - E'Ht^-1 E + F'P^-1 F,   |det M| = |P| |S|

both of order k and positive definite; S is the variance along the anchors that they take away.

The functions here are dense algebra of order k; without constraints they do nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.linalg.small import Factored, factor


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


class Kriging(NamedTuple):
    """What conditioning needs of ``K'Ht^-1 K``: F, and P and S in factored form."""

    cross: jax.Array
    p: Factored
    s: Factored

    def weights(self, g: jax.Array) -> jax.Array:
        """``M^-1 g`` for g (2k, m)."""
        k = self.cross.shape[0]
        first = -self.s.inverse @ (g[:k] - self.cross.T @ (self.p.inverse @ g[k:]))
        return jnp.concatenate([first, self.p.inverse @ (g[k:] - self.cross @ first)])


def kriging(gram: jax.Array, kappa: jax.Array) -> Kriging:
    """Factor what conditioning needs, from ``K'Ht^-1 K`` (2k, 2k) and the anchors (k,)."""
    k = kappa.shape[0]
    p, cross = factor(gram[k:, k:]), gram[k:, :k]
    return Kriging(cross, p, factor(jnp.diag(1.0 / kappa) - gram[:k, :k] + cross.T @ p.inverse @ cross))


class Constrained(NamedTuple):
    """Moments of the constrained Gaussian: ``log|H|_C``, ``b'u*``, the weights with ``u* = x - Ht^-1 K weights``."""

    logdet: jax.Array
    quad: jax.Array
    weights: jax.Array
    kriging: Kriging


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
    found = kriging(gram[1:, 1:], kappa)
    weights = found.weights(gram[1:, :1])[:, 0]
    log_abs_det = jnp.sum(jnp.log(kappa)) + found.p.logdet + found.s.logdet
    return Constrained(logdet + log_abs_det - logdet_cct, gram[0, 0] - gram[0, 1:] @ weights, weights, found)


def draw(w: jax.Array, solved: jax.Array, k_matrix: jax.Array, found: Kriging, z: jax.Array) -> jax.Array:
    """Turn draws of ``N(0, Ht^-1)`` into draws of the constrained Gaussian (zero mean).

    ``w`` is first kriged onto ``C w = 0``; then ``T E S^-1/2 z`` is added, where ``T`` is the covariance after kriging:
    that is the variance which the anchor had taken away.

    Parameters
    ----------
    w : float array (n, m)
        Draws of ``N(0, Ht^-1)``, one per column.
    solved : float array (n, 2k)
        ``Ht^-1 K``.
    k_matrix : float array (n, 2k)
        ``K = [E C']``.
    found : Kriging
    z : float array (k, m)
        Standard normals.
    """
    k = k_matrix.shape[1] // 2
    solved_e, solved_c = solved[:, :k], solved[:, k:]
    kriged = w - solved_c @ (found.p.inverse @ (k_matrix[:, k:].T @ w))
    return kriged + (solved_e - solved_c @ (found.p.inverse @ found.cross)) @ (found.s.root.T @ z)


def variance_correction(cross: jax.Array, found: Kriging) -> jax.Array:
    """What to take from the variances of functionals under ``Ht^-1``, given their covariances with K (m, 2k)."""
    return jnp.sum(cross * found.weights(cross.T).T, axis=1)
