r"""Hard linear constraints: a precision bordered by its constraints, exact, sparse, without jitter.

Wanted: the Gaussian with precision ``H`` on the set ``{u : C u = 0}``, where ``H`` may be singular along the directions
that ``C`` removes. Per constraint one diagonal entry is raised, ``Ht = H + E diag(kappa) E'`` (``E``: k unit vectors),
so that ``Ht`` is positive definite and as sparse as ``H``, and a slack takes this anchor off again:

        [ Ht            C'   E diag(kappa) ]    effects u
    K = [ C             0    0             ]    multipliers, with negative pivots
        [ diag(kappa)E' 0    diag(kappa)   ]    slacks a

The slacks are Gaussian variables, ``a | u ~ N(-E'u, 1 / kappa)``, so that integrated out they leave H. Then

    K^-1 [b; 0; 0] = [u*; ..],   the leading block of K^-1 is the covariance S of u,
    log|H|_C = log|det K| - sum log kappa - log|C C'|,

where ``|H|_C`` is the determinant of ``H`` on the null space of ``C``. With every multiplier eliminated after what it
constrains, and every slack after the multipliers of its effect, ``K = L D L'`` exists for D with these signs, and it
is about as sparse as the factor of ``Ht``: hundreds of constraints on hundreds of copies of a walk cost what their
non-zeros cost. (Conditioning by kriging, Rue & Held 2005, sec. 2.3.3, is the same with all multipliers last, and dense
in them. Symmetric quasi-definite matrices: Vanderbei 1995, SIAM J. Optim. 5, 100-113.)
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from lgm.arrays import FloatArray, IntArray, Numbers
from lgm.linalg.analysis import SparseAnalysis, analyse
from lgm.pattern import Pattern


@dataclass(frozen=True)
class Border:
    """The border of a precision with this pattern.

    Parameters
    ----------
    pattern : Pattern
        Of K.
    inner : int array (nnz of H,)
        Positions in it of the entries of H.
    values : float array (nnz of K,)
        What the border adds: anchors, constraints, slacks.
    constraints : int
        k.
    log_scale : float
        ``sum log kappa + log|C C'|``.
    """

    pattern: Pattern
    inner: IntArray
    values: FloatArray
    constraints: int
    log_scale: float

    @classmethod
    def of(cls, pattern: Pattern, null_space: sp.csc_array, anchors: IntArray, kappa: FloatArray) -> Border:
        """From the pattern of H (n, n), the constraints as columns (n, k), and the anchors (k,) with their sizes."""
        n, k = null_space.shape
        if not k:
            return cls(pattern, np.arange(pattern.nnz), np.zeros(pattern.nnz), 0, 0.0)
        c = sp.coo_array(null_space)
        multipliers, slacks = n + c.col.astype(np.int64), n + k + np.arange(k)
        whole = Pattern.from_entries(
            n + 2 * k,
            np.concatenate([pattern.rows, multipliers, slacks]),
            np.concatenate([pattern.cols, c.row, anchors]),
        )
        values = np.zeros(whole.nnz)
        values[whole.positions(multipliers, c.row)] = c.data
        values[whole.positions(slacks, anchors)] = kappa
        values[whole.positions(slacks, slacks)] = kappa
        np.add.at(values, whole.positions(anchors, anchors), kappa)
        inner = whole.positions(pattern.rows, pattern.cols)
        return cls(whole, inner, values, k, float(np.sum(np.log(kappa))) + _log_gram(null_space))

    def analyse(self) -> SparseAnalysis:
        """The symbolic factorisation of K."""
        return analyse(self.pattern, constraints=self.constraints)

    def around(self, values: FloatArray) -> FloatArray:
        """K (nnz,) of H, both in their pattern orders."""
        out = self.values.copy()
        out[self.inner] += values
        return out


def _log_gram(null_space: sp.csc_array) -> float:
    """``log|C C'|``."""
    gram = splu(sp.csc_matrix(null_space.T @ null_space))
    return float(np.sum(np.log(np.abs(gram.U.diagonal()))))


def extended(v: jax.Array, anchors: Numbers) -> jax.Array:
    """Effects v (d, m) within the constraints, multipliers at zero and slacks at their means (d + 2k, m).

    The quadratic form of K is there that of H, and ``K`` times this is ``H v`` in its first rows, zero in the others.
    """
    return jnp.concatenate([bordered(v, anchors.shape[0])[: -anchors.shape[0]], -v[anchors]]) if anchors.size else v


def normals(z: jax.Array, d: int, k: int) -> jax.Array:
    """Standard normals of effects and slacks (d + k, m) in their places (d + 2k, m); multipliers need none."""
    return jnp.concatenate([bordered(z[:d], k)[: d + k], z[d : d + k]])


def bordered(x: jax.Array, k: int) -> jax.Array:
    """Right-hand sides or functionals of effects x (d, m) with zeros for the border of k constraints (d + 2k, m)."""
    return jnp.pad(x, ((0, 2 * k), *[(0, 0)] * (x.ndim - 1)))
