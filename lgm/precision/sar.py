"""Simultaneous autoregression on a graph: each effect is a share of the mean of its neighbours, and something new."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from lgm import linalg
from lgm.arrays import FloatArray
from lgm.pattern import Pattern
from lgm.precision.car import MOST_EIGENVALUES, eigenvalues
from lgm.precision.template import Theta, Whitened


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sar:
    r"""``R = (I - rho V)'(I - rho V)`` with the weights ``V = D_w^-1 W`` of a graph W, whose rows sum to one.

    A node without neighbours has ``R = 1``.

    Parameters
    ----------
    one, both, square : float array (nnz,)
        I, ``V + V'`` and ``V'V`` in pattern order.
    degree : float array (n,)
        Numbers of neighbours; one for a node without any.
    eigenvalues : float array (n,), optional
        Of V. Without them ``D_w - rho W`` is factored.
    pattern : Pattern
        Neighbours, and neighbours of neighbours.
    factored : Analysis, optional
        Of ``D_w - rho W``, where there are no eigenvalues.

    Notes
    -----
    Hyperparameters: ``sd``, and ``rho`` in (-1, 1). ``log|R| = 2 sum_k log(1 - rho v_k) = 2 log|D_w - rho W| - 2
    log|D_w|`` with the eigenvalues v of V: a matrix with the graph's own pattern, of much less fill than R, is factored
    (Ord 1975; LeSage & Pace 2009, ch. 4).
    """

    one: jax.Array | FloatArray
    both: jax.Array | FloatArray
    square: jax.Array | FloatArray
    degree: jax.Array | FloatArray
    eigenvalues: jax.Array | FloatArray | None
    pattern: Pattern = field(metadata={"static": True})
    factored: linalg.Analysis | None = field(metadata={"static": True})

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.pattern.n

    def whiten(self, theta: Theta) -> Whitened:
        """The scale is ``sd``, that of what is new."""
        [rho] = theta["rho"]
        values = self.one + rho * (rho * self.square - self.both)
        return Whitened(jnp.broadcast_to(theta["sd"], (self.n,)), values, 2.0 * self._logdet(rho))

    def _logdet(self, rho: jax.Array) -> jax.Array:
        """``log|I - rho V|``."""
        if self.eigenvalues is not None:
            return jnp.sum(jnp.log1p(-rho * self.eigenvalues))
        assert self.factored is not None
        pattern = self.factored.pattern
        values = jnp.full(pattern.nnz, -rho).at[pattern.indptr[:-1]].set(self.degree)
        return linalg.logdet(self.factored, values) - jnp.sum(jnp.log(self.degree))


def sar(edges: npt.ArrayLike, component: npt.ArrayLike) -> Sar:
    """The template of an undirected graph.

    Parameters
    ----------
    edges : int array (m, 2)
        Each undirected edge once.
    component : int array (n,)
        Label of each node's connected component.

    Examples
    --------
    >>> template = sar([[0, 1], [1, 2]], [0, 0, 0])
    >>> with jax.enable_x64(True):
    ...     found = template.whiten({"sd": np.array([1.0]), "rho": np.array([0.5])})
    >>> template.pattern.matrix(found.values).toarray().tolist()
    [[1.0625, -0.75, 0.0625], [-0.75, 1.5, -0.75], [0.0625, -0.75, 1.0625]]
    """
    i, j = np.asarray(edges, dtype=np.int64).reshape(-1, 2).T
    labels = np.asarray(component, dtype=np.int64)
    n = labels.size
    w = sp.csr_array((np.ones(2 * i.size), (np.concatenate([i, j]), np.concatenate([j, i]))), shape=(n, n))
    count = np.asarray(w.sum(axis=1)).ravel()
    degree = np.maximum(count, 1.0)
    v = sp.csr_array(sp.diags_array(1.0 / degree) @ w)
    both, square = sp.csr_array(v + v.T), sp.csr_array(v.T @ v)
    pattern = Pattern.of(sp.csr_array(both + square))
    found, factored = None, None
    if n <= MOST_EIGENVALUES:
        root = sp.diags_array(1.0 / np.sqrt(degree))
        found = eigenvalues(sp.csr_array(root @ w @ root), np.where(count > 0, labels, -1))
    else:
        factored = linalg.analyse(Pattern.from_entries(n, i, j))
    one = pattern.values(sp.eye_array(n))
    return Sar(one, pattern.values(both), pattern.values(square), degree, found, pattern, factored)
