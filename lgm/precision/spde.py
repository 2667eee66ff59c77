r"""Matern fields as solutions of a stochastic partial differential equation, on meshes of linear elements.

The stationary solutions of ``(kappa^2 - Laplace)^(alpha / 2) (t u) = white noise`` in d dimensions have Matern
covariance with smoothness ``nu = alpha - d / 2`` (Whittle 1954, 1963). With u linear in each element, weights of the
nodes are Gaussian with a sparse precision (Lindgren, Rue & Lindstrom 2011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm import linalg
from lgm.arrays import FloatArray, IntArray
from lgm.pattern import Pattern
from lgm.precision.template import Theta, Whitened


class Elements(NamedTuple):
    """Integrals of the linear elements ``psi_i`` of a mesh.

    Parameters
    ----------
    mass : float array (n,)
        C: the integral of each, the lumped form of those of ``psi_i psi_j``.
    stiffness : sparse array (n, n)
        G: those of ``grad psi_i . grad psi_j``.
    dimension : int
        Of space, d.
    """

    mass: FloatArray
    stiffness: sp.csr_array
    dimension: int


def triangles(points: FloatArray, corners: IntArray) -> Elements:
    """Elements of a triangular mesh.

    With ``e_i`` the side opposite to corner i, a triangle of area A adds ``e_i . e_j / (4 A)`` to ``G_ij`` and
    ``A / 3`` to ``C_i``.

    Parameters
    ----------
    points : float array (n, 2)
    corners : int array (m, 3)

    Examples
    --------
    >>> found = triangles(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([[0, 1, 2]]))
    >>> found.stiffness.toarray().tolist()
    [[1.0, -0.5, -0.5], [-0.5, 0.5, 0.0], [-0.5, 0.0, 0.5]]
    """
    n, at = len(points), points[corners]
    sides = np.roll(at, -2, axis=1) - np.roll(at, -1, axis=1)
    area = 0.5 * np.abs(sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0])
    products = np.einsum("tik,tjk->tij", sides, sides) / (4.0 * area)[:, None, None]
    rows, cols = np.repeat(corners, 3, axis=1).ravel(), np.tile(corners, 3).ravel()
    mass = np.bincount(corners.ravel(), weights=np.repeat(area / 3.0, 3), minlength=n).astype(float)
    return Elements(mass, sp.csr_array((products.ravel(), (rows, cols)), shape=(n, n)), 2)


def intervals(knots: FloatArray) -> Elements:
    """Elements of a line between increasing knots (n,)."""
    gaps = np.diff(knots)
    inverse = 1.0 / gaps
    mass = 0.5 * (np.append(gaps, 0.0) + np.append(0.0, gaps))
    diagonal = np.append(inverse, 0.0) + np.append(0.0, inverse)
    stiffness = sp.diags_array([-inverse, diagonal, -inverse], offsets=[-1, 0, 1])
    return Elements(mass, sp.csr_array(stiffness), 1)


def smoothness(alpha: int, dimension: int) -> float:
    """``nu = alpha - d / 2``; the field has no variance at points unless it is positive."""
    return alpha - 0.5 * dimension


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Matern:
    r"""Weights of a field of unit variance: ``R = t^2 K`` for alpha = 1, ``R = t^2 K C^-1 K`` for 2.

    ``K = kappa^2 C + G`` with ``kappa = sqrt(8 nu) / range`` and

        t^2 = Gamma(nu) / (Gamma(alpha) (4 pi)^(d/2) kappa^(2 nu)),

    with which the variance of the field is one where the edge of the mesh is far away.

    Parameters
    ----------
    mass, stiffness, square : float array (nnz,)
        C, G and ``G C^-1 G`` in pattern order; the last only for alpha = 2.
    own_mass, own_stiffness : float array (nnz of K,)
        C and G in the pattern of K.
    log_mass : float
        ``log|C|``.
    pattern : Pattern
    factored : Analysis
        Of K.
    alpha, dimension : int

    Notes
    -----
    Hyperparameters: ``sd``, and ``range``, the distance at which the correlation has fallen to about 0.13. The
    determinant is that of K: ``log|R| = n log t^2 + alpha log|K| - (alpha - 1) log|C|``; its factor is far sparser than
    that of R.
    """

    mass: jax.Array | FloatArray
    stiffness: jax.Array | FloatArray
    square: jax.Array | FloatArray | None
    own_mass: jax.Array | FloatArray
    own_stiffness: jax.Array | FloatArray
    log_mass: jax.Array | np.float64
    pattern: Pattern = field(metadata={"static": True})
    factored: linalg.Analysis = field(metadata={"static": True})
    alpha: int = field(metadata={"static": True})
    dimension: int = field(metadata={"static": True})

    @classmethod
    def on(cls, elements: Elements, alpha: int) -> Matern:
        """The template of a mesh."""
        mass, stiffness = elements.mass, elements.stiffness
        c = sp.diags_array(mass)
        square = sp.csr_array(stiffness @ sp.diags_array(1.0 / mass) @ stiffness) if alpha == 2 else None
        own = Pattern.of(stiffness)
        pattern = own if square is None else Pattern.of(square)
        return cls(
            mass=pattern.values(c),
            stiffness=pattern.values(stiffness),
            square=None if square is None else pattern.values(square),
            own_mass=own.values(c),
            own_stiffness=own.values(stiffness),
            log_mass=np.float64(np.sum(np.log(mass))),
            pattern=pattern,
            factored=linalg.analyse(own),
            alpha=alpha,
            dimension=elements.dimension,
        )

    @property
    def n(self) -> int:
        """Number of nodes."""
        return self.pattern.n

    def whiten(self, theta: Theta) -> Whitened:
        """The precision depends on the range."""
        nu = smoothness(self.alpha, self.dimension)
        [length] = theta["range"]
        kappa2 = 8.0 * nu / length**2
        constant = math.lgamma(nu) - math.lgamma(self.alpha) - 0.5 * self.dimension * math.log(4.0 * math.pi)
        log_t2 = constant - nu * jnp.log(kappa2)
        values = kappa2 * self.mass + self.stiffness
        if self.square is not None:
            values = kappa2 * (values + self.stiffness) + self.square
        log_k = linalg.logdet(self.factored, kappa2 * self.own_mass + self.own_stiffness)
        logdet = self.n * log_t2 + self.alpha * log_k - (self.alpha - 1) * self.log_mass
        return Whitened(jnp.broadcast_to(theta["sd"], (self.n,)), jnp.exp(log_t2) * values, logdet)
