"""Intrinsic precisions: of fixed structure, singular along known directions, scaled to unit typical variance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lgm import linalg
from lgm.arrays import FloatArray, IntArray
from lgm.errors import DataError
from lgm.linalg.constrained import Border
from lgm.pattern import Pattern
from lgm.precision.template import Constraint, Theta, Whitened
from lgm.xla import QUICK, own_settings

EPS = np.finfo(np.float64).eps
MOST_LOST = 0.1  # n eps max|R|; the log likelihood is then wrong by 0.01 or so


class Moments(NamedTuple):
    """Of the constrained Gaussian with precision R: marginal variances (n,), and ``log|R|*`` (non-zero eigenvalues)."""

    variances: FloatArray
    logdet: float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Intrinsic:
    """A precision of fixed entries: ``b = sd * v``, v with scaled entries and their generalised log-determinant."""

    entries: jax.Array | FloatArray
    log_det: jax.Array | np.float64
    pattern: Pattern = field(metadata={"static": True})

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.pattern.n

    def whiten(self, theta: Theta) -> Whitened:
        """The same entries for every theta, which has one ``sd``."""
        scale = jnp.broadcast_to(theta["sd"], (self.n,))
        return Whitened(scale, jnp.asarray(self.entries), jnp.asarray(self.log_det))


@dataclass(frozen=True)
class Structure:
    """An intrinsic structure matrix as its definition gives it, before it is scaled.

    Parameters
    ----------
    pattern : Pattern
        Positions of R.
    entries : float array (nnz,)
        Its entries.
    constraint : Constraint
        Its null space, and where it is anchored.
    component : int array (n,)
        Connected component of each position, to be scaled by itself; -1 where R is proper and of unit scale already.
    moments : Moments, optional
        Where a closed form is known: it holds when R is too ill-conditioned to be factored.
    """

    pattern: Pattern
    entries: FloatArray
    constraint: Constraint
    component: IntArray
    moments: Moments | None = None

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.pattern.n

    def scaled(self, label: str) -> tuple[Intrinsic, FloatArray]:
        """The template whose marginal variances have geometric mean one in every component, and the factors used.

        Parameters
        ----------
        label : str
            What messages call the term.

        Returns
        -------
        template : Intrinsic
            With precision ``c R``, ``c = exp(mean log variances)`` by component (Sorbye & Rue 2014; by component:
            Freni-Sterrantino, Ventrucci & Rue 2018).
        factors : float array (components,)
            The factors c.

        Raises
        ------
        DataError
            If double precision does not suffice, because some values are too close to each other.
        """
        variances, logdet = self.moments or intrinsic_moments(self)
        labels, inverse = np.unique(self.component, return_inverse=True)
        logs = [np.mean(np.log(variances[inverse == i])) if label >= 0 else 0.0 for i, label in enumerate(labels)]
        factors = np.exp(np.array(logs))
        lost = np.array([self._null_directions(inverse == i) for i in range(labels.size)])
        shift = float(np.sum((np.bincount(inverse) - lost) * logs))
        entries = self.entries * factors[inverse][self.pattern.cols]
        self._require_precise(entries, label)
        return Intrinsic(entries, np.float64(logdet + shift), self.pattern), factors[labels >= 0]

    def _null_directions(self, where: np.ndarray) -> int:
        """How many null directions a component has."""
        return int(np.count_nonzero(np.diff(self.constraint.null_space[where].indptr)))

    def _require_precise(self, entries: FloatArray, label: str) -> None:
        """Rounding in R acts like data on its null space, and unit-scale effects do not drown it any more."""
        lost = self.n * float(EPS * np.max(np.abs(entries)))
        if not lost <= MOST_LOST:
            raise _too_close(label)


def require_apart(gaps: FloatArray, label: str, least: float = 0.0) -> None:
    """Differences of increasing values that are lost in the rounding of their sum give no structure at all.

    ``least`` is what else they must not fall below.

    Raises
    ------
    DataError
        As `Structure.scaled` does for entries that are too large.
    """
    if np.min(gaps) < max(least, EPS * np.sum(gaps)):
        raise _too_close(label)


def _too_close(label: str) -> DataError:
    return DataError(
        f"{label}: some of its values are so close to each other, compared with their range, that double "
        "precision does not suffice. Round them, so that close ones coincide, or use s(...)."
    )


def intrinsic_moments(structure: Structure) -> Moments:
    """Marginal variances under the constraint, and the generalised log-determinant, of an intrinsic structure.

    Exact and sparse: the bordered matrix is factored once (`lgm.linalg.constrained`); no pseudo-inverse is formed.
    """
    null_space, anchors = structure.constraint.null_space, structure.constraint.anchors
    diagonal = structure.pattern.indptr[:-1]
    kappa = np.full(anchors.size, structure.entries[diagonal].mean())
    border = Border.of(structure.pattern, null_space, anchors, kappa)
    with own_settings():
        logdet, inverse = _inverted(border.analyse(), border.around(structure.entries))
        return Moments(np.asarray(inverse)[border.inner[diagonal]], float(logdet) - border.log_scale)


@jax.jit(static_argnums=0, compiler_options=QUICK)
def _inverted(sym: linalg.Analysis, values: jax.Array) -> tuple[jax.Array, jax.Array]:
    logdet, _, inverse = linalg.solve_and_invert(sym, values, jnp.zeros((sym.n, 0)))
    return logdet, inverse
