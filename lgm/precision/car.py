"""Proper autoregressions on a graph: between independent effects and the intrinsic ones of `lgm.precision.icar`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.pattern import Pattern
from lgm.precision.intrinsic import Structure
from lgm.precision.template import Theta, Whitened

MOST_EIGENVALUES = 3000  # regions; for more, a sparse factorisation takes less time than eigenvalues even in long runs


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Car:
    r"""Conditional autoregression ``R(w) = (1 - w) D + w (D_w - W)`` with the degrees ``D_w`` of a graph W.

    With ``D = D_w`` that is ``D_w - w W``, the proper CAR; with ``D = I`` it is that of Leroux, Lei & Breslow (2000).
    Both are proper for w in [0, 1), a node without neighbours has ``R = 1``.

    Parameters
    ----------
    independent, structure : float array (nnz,)
        D and ``D_w - W`` in pattern order.
    typical : float array (2, n)
        Typical precision, one over the geometric mean of the variances, in the component of each node: of D, and of
        ``D_w - W`` under its constraint.
    eigenvalues : float array (n,), optional
        Of ``D^-1/2 (D_w - W) D^-1/2``. Without them R is to be factored.
    log_det : float
        ``log|D|``.
    pattern : Pattern
    kind : str
        Of w: ``"rho"`` or ``"lambda"``.

    Notes
    -----
    Hyperparameters: ``sd``, and w. ``log|R| = log|D| + sum_k log(1 - w + w g_k)`` with the eigenvalues g.

    The effects are ``b = sd sqrt((1 - w) typical_0 + w typical_1) v``, so that at both ends sd is that of a typical
    effect: the geometric mean of its variances over a component is ``sd^2``, at ``w = 1`` that of departures from the
    component's level.
    """

    independent: jax.Array | FloatArray
    structure: jax.Array | FloatArray
    typical: jax.Array | FloatArray
    eigenvalues: jax.Array | FloatArray | None
    log_det: jax.Array | np.float64
    pattern: Pattern = field(metadata={"static": True})
    kind: str = field(metadata={"static": True})

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.pattern.n

    def whiten(self, theta: Theta) -> Whitened:
        """Scale and precision depend on w."""
        [w] = theta[self.kind]
        scale = theta["sd"] * jnp.sqrt((1.0 - w) * self.typical[0] + w * self.typical[1])
        return Whitened(scale, (1.0 - w) * self.independent + w * self.structure, self._logdet(w))

    def _logdet(self, w: jax.Array) -> jax.Array | None:
        if self.eigenvalues is None:
            return None
        return self.log_det + jnp.sum(jnp.log((1.0 - w) + w * self.eigenvalues))


def car(structure: Structure, factors: FloatArray) -> Car:
    """The proper CAR ``D_w - rho W``.

    Parameters
    ----------
    structure : Structure
        ``D_w - W``, from `lgm.precision.icar.icar`.
    factors : float array (components of two or more nodes,)
        Geometric means of its variances, from `Structure.scaled`.

    Examples
    --------
    >>> from lgm.precision.icar import icar
    >>> s = icar([[0, 1], [1, 2]], [0, 0, 0])
    >>> template = car(s, s.scaled("car")[1])
    >>> with jax.enable_x64(True):
    ...     found = template.whiten({"sd": np.array([1.0]), "rho": np.array([0.5])})
    >>> template.pattern.matrix(found.values).toarray().tolist()
    [[1.0, -0.5, 0.0], [-0.5, 2.0, -0.5], [0.0, -0.5, 1.0]]
    """
    return _between(structure, factors, structure.entries[structure.pattern.indptr[:-1]], "rho")


def leroux(structure: Structure, factors: FloatArray) -> Car:
    """The CAR ``(1 - lambda) I + lambda (D_w - W)``; parameters as for `car`."""
    return _between(structure, factors, np.ones(structure.n), "lambda")


def _between(structure: Structure, factors: FloatArray, independent: FloatArray, kind: str) -> Car:
    joined = structure.component >= 0
    typical = np.ones((2, structure.n))
    for factor, nodes in zip(factors, components(structure.component[joined]), strict=True):
        where = np.flatnonzero(joined)[nodes]
        typical[0, where] = np.exp(np.mean(np.log(independent[where])))
        typical[1, where] = 1.0 / factor
    found = None
    if structure.n <= MOST_EIGENVALUES:
        root = sp.diags_array(1.0 / np.sqrt(independent))
        matrix = sp.csr_array(root @ structure.pattern.matrix(structure.entries) @ root)
        found = eigenvalues(matrix, structure.component)
        found[structure.constraint.anchors] = 0.0  # exactly: the smallest of each component of two or more nodes
    own = np.zeros(structure.pattern.nnz)
    own[structure.pattern.indptr[:-1]] = independent
    log_det = np.float64(np.sum(np.log(independent)))
    return Car(own, structure.entries, typical, found, log_det, structure.pattern, kind)


def components(labels: IntArray) -> Iterator[IntArray]:
    """Positions of each label, labels in their order."""
    order = np.argsort(labels, kind="stable")
    return iter(np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if labels.size else [])


def eigenvalues(matrix: sp.csr_array, labels: IntArray) -> FloatArray:
    """Of a symmetric matrix (n, n), component by component: ascending over the positions of each.

    Parameters
    ----------
    matrix : sparse array (n, n)
    labels : int array (n,)
        Connected component of each position; -1 where it is alone.
    """
    out = np.array(matrix.diagonal())
    joined = np.flatnonzero(labels >= 0)
    for nodes in components(labels[joined]):
        where = joined[nodes]
        out[where] = scipy.linalg.eigvalsh(matrix[where][:, where].toarray())
    return out
