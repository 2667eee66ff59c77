"""Intrinsic precisions: of fixed structure, singular along known directions."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.pattern import Pattern


@dataclass(frozen=True)
class Structure:
    """An intrinsic structure matrix as its definition gives it, before it is scaled.

    Parameters
    ----------
    pattern : Pattern
        Positions of R.
    entries : float array (nnz,)
        Its entries.
    null_space : float array (n, k)
        A basis of null(R), which is also the constraint: ``null_space' u = 0``. The rank of R is ``n - k`` by this
        rule, never by looking at eigenvalues.
    anchors : int array (k,)
        Positions whose diagonal entries, once raised, make R positive definite.
    component : int array (n,)
        Connected component of each position, to be scaled by itself; -1 where R is proper and of unit scale already.
    moments : (float array (n,), float), optional
        What `scaled` needs, where a closed form is known: it holds when R is too ill-conditioned to be factored.
    """

    pattern: Pattern
    entries: FloatArray
    null_space: FloatArray
    anchors: IntArray
    component: IntArray
    moments: tuple[FloatArray, float] | None = None

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.pattern.n

    def scaled(self, variances: FloatArray, logdet: float) -> tuple[Intrinsic, FloatArray]:
        """The template whose marginal variances have geometric mean one in every component, and the factors used.

        Parameters
        ----------
        variances : float array (n,)
            Marginal variances of the constrained Gaussian with precision R.
        logdet : float
            ``log|R|*`` (product of the non-zero eigenvalues).

        Returns
        -------
        template : Intrinsic
            With precision ``c R``, ``c = exp(mean log variances)`` by component (Sorbye & Rue 2014; by component:
            Freni-Sterrantino, Ventrucci & Rue 2018).
        factors : float array (components,)
            The factors c.
        """
        labels = np.unique(self.component[self.component >= 0])
        factors = np.array([np.exp(np.mean(np.log(variances[self.component == label]))) for label in labels])
        by_node = np.ones(self.n)
        for label, factor in zip(labels, factors, strict=True):
            by_node[self.component == label] = factor
        lost = np.array([self._lost(label) for label in labels])
        sizes = np.array([np.count_nonzero(self.component == label) for label in labels])
        shift = float(np.sum((sizes - lost) * np.log(factors)))
        entries = self.entries * by_node[self.pattern.cols]
        return Intrinsic(entries, np.float64(logdet + shift), self.pattern), factors

    def _lost(self, label: int) -> int:
        return int(np.count_nonzero(np.any(self.null_space[self.component == label] != 0.0, axis=0)))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Intrinsic:
    """A precision without shape parameters: scaled entries, their generalised log-determinant, their places."""

    entries: jax.Array | FloatArray
    log_det: jax.Array | np.float64
    pattern: Pattern = field(metadata={"static": True})

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.pattern.n

    @property
    def n_shape(self) -> int:
        """No shape parameters."""
        return 0

    def values(self, shape: jax.Array | None) -> jax.Array:
        """The entries, shape (nnz,)."""
        return jnp.asarray(self.entries)

    def logdet(self, shape: jax.Array | None) -> jax.Array:
        """Log of the product of the non-zero eigenvalues."""
        return jnp.asarray(self.log_det)
