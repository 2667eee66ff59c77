"""Effects of levels with a known relationship: pedigrees, phylogenies, any covariance matrix between levels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack
from scipy.sparse.csgraph import connected_components

from lgm import linalg
from lgm.arrays import FloatArray, IntArray, Numbers
from lgm.pattern import Pattern
from lgm.precision.correlated import Correlated
from lgm.precision.iid import Iid
from lgm.precision.template import Theta, Whitened
from lgm.xla import own_settings

LEAST_OWN = (
    1e-10  # of a level's variance, given all others: below it a relationship matrix is singular but for rounding
)


class Relationship(NamedTuple):
    """The inverse P of a relationship matrix K between levels.

    Parameters
    ----------
    pattern : Pattern
        Of P.
    values : float array (nnz,)
        Its entries in pattern order.
    logdet : float
        ``log|P|``.
    variances : float array (J,)
        The diagonal of K.
    singular : int or None
        A level that is a sum of others, or of which nothing is left beside them: K or P is not positive definite.
    """

    pattern: Pattern
    values: FloatArray
    logdet: float
    variances: FloatArray
    singular: int | None = None

    @classmethod
    def of_covariance(cls, k: sp.csc_array) -> Relationship:
        """Invert K, each set of levels that has nothing to do with the others by itself."""
        n = k.shape[0]
        own = np.asarray(k.diagonal())
        labels = connected_components(k, directed=False)[1]
        order = np.argsort(labels, kind="stable")
        rows, cols, data, logdet, singular = [], [], [], 0.0, None
        for members in np.split(order, np.cumsum(np.bincount(labels))[:-1]):
            lower, info = lapack.dpotrf(k[members][:, members].toarray(), lower=1)
            inverse, _ = lapack.dpotri(lower, lower=1) if info == 0 else (np.full_like(lower, np.nan), 0)
            left = 1.0 / (np.diagonal(inverse) * own[members])
            if info or not np.all(left > LEAST_OWN):
                singular = int(members[info - 1] if info else members[np.argmin(left)])
                break
            logdet -= 2.0 * float(np.sum(np.log(np.diagonal(lower))))
            i, j = np.tril_indices(members.size)
            rows.append(members[i])
            cols.append(members[j])
            data.append(inverse[i, j])
        if singular is not None:
            return cls(Pattern.diagonal(n), np.ones(n), 0.0, own, singular)
        i, j, entries = (np.concatenate(each) for each in (rows, cols, data))
        pattern = Pattern.from_entries(n, i, j)
        values = np.empty(pattern.nnz)
        values[pattern.positions(i, j)] = entries
        return cls(pattern, values, logdet, own)

    @classmethod
    def of_precision(cls, p: sp.csc_array) -> Relationship:
        """P as it is."""
        pattern = Pattern.of(p)
        values, diagonal = pattern.values(p), pattern.indptr[:-1]
        analysis = linalg.analyse(pattern)
        with own_settings():
            info = int(linalg.factor_info(analysis, values))
            if info == 0:
                variances = np.asarray(linalg.marginal_variances(analysis, values))
                logdet = float(linalg.logdet(analysis, values))
                left = 1.0 / (values[diagonal] * variances)
                singular = None if np.all(left > LEAST_OWN) else int(np.argmin(left))
                return cls(pattern, values, logdet, variances, singular)
        worst = int(np.argmin(values[diagonal]))
        return cls(pattern, values, 0.0, np.ones(p.shape[0]), worst)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Related:
    """``R = P (x) C^-1``: P is the inverse of the levels' relationship matrix, C the correlations within a level.

    Effects are ordered level by level, so ``cov(b_j, b_k) = (P^-1)_jk D C D`` with D the standard deviations.

    Parameters
    ----------
    between : float array (nnz,)
        Of each entry of R in pattern order, its factor from P.
    within : int array (nnz,)
        The place of its factor from ``C^-1``.
    logdet : float array ()
        ``log|P|``.
    one : Iid or Correlated
        Of one level.
    levels : int
        J.
    pattern : Pattern
        Of R.

    Notes
    -----
    Hyperparameters are those of ``one``. ``log|R| = q log|P| - J log|C|``.
    """

    between: Numbers
    within: Numbers
    logdet: Numbers
    one: Iid | Correlated
    levels: int = field(metadata={"static": True})
    pattern: Pattern = field(metadata={"static": True})

    @classmethod
    def of(cls, relationship: Relationship, one: Iid | Correlated) -> Related:
        """The template of these levels."""
        pattern, first, within = _product(relationship.pattern, one.pattern)
        logdet = np.float64(relationship.logdet)
        return cls(relationship.values[first], within, logdet, one, relationship.pattern.n, pattern)

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.levels * self.one.n

    def whiten(self, theta: Theta) -> Whitened:
        """Entries of the product."""
        own = self.one.whiten(theta)
        logdet = self.one.n * jnp.asarray(self.logdet) + self.levels * jnp.asarray(own.logdet)
        return Whitened(jnp.tile(own.scale, self.levels), self.between * own.values[self.within], logdet)


def _product(between: Pattern, within: Pattern) -> tuple[Pattern, IntArray, IntArray]:
    """The pattern of a Kronecker product, and of which entries of the two each of its entries is the product."""
    q = within.n
    above = np.flatnonzero(within.rows > within.cols)
    rows, cols = np.append(within.rows, within.cols[above]), np.append(within.cols, within.rows[above])
    place = np.append(np.arange(within.nnz), above)
    i, j = between.rows[:, None], between.cols[:, None]
    first, second = np.nonzero((i > j) | (rows >= cols))
    r, c = between.rows[first] * q + rows[second], between.cols[first] * q + cols[second]
    order = np.lexsort((r, c))
    indptr = np.append(0, np.cumsum(np.bincount(c, minlength=between.n * q)))
    return Pattern(between.n * q, indptr, r[order]), first[order], place[second[order]]
