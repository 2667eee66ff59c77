r"""Which variances and covariances of effects the rows cannot tell apart, whatever the response.

Once the fixed effects are projected out (M), a Gaussian response has the covariance ``sum_a theta_a M D_a M`` with
``D_a = Z_i Z_j' + Z_j Z_i'`` for a covariance of two kinds of effects, ``Z_i Z_i'`` for a variance, and I for the
residual. The restricted likelihood depends on the data's covariance only, so the components are told apart if and only
if the matrices ``M D_a M`` are linearly independent (C. R. Rao, Journal of Multivariate Analysis 1, 1971, 445-456).

Here that is decided by ``G = Z'MZ`` alone, an operator on effects: with ``D_a = Z E_a Z'``, ``sum c_a M D_a M = 0``
means ``sum c_a G E_a G = 0``, and where the residual takes part, that the traces agree too. Matrices are compared by
what they do to random vectors; each further vector rules out, with probability one, some of the relations that the
matrices do not have, until one rules out nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray

# A relation between matrices of unit size that holds to this is exact: rounding leaves 1e-13 or so, and one row among a
# million that tells two components apart leaves 1e-3.
EXACT = 1e-8


class Moved(NamedTuple):
    """E of one component: the variance of some effects, or the covariance of effects ``left[k]`` and ``right[k]``."""

    left: IntArray
    right: IntArray | None = None

    def __call__(self, v: FloatArray) -> FloatArray:
        """``E v``."""
        out = np.zeros_like(v)
        other = self.left if self.right is None else self.right
        out[self.left] = v[other]
        out[other] = v[self.left]
        return out


@dataclass(frozen=True)
class Remainder:
    """``G = Z'MZ``: what is left of the effects' columns beside the fixed effects, weights included.

    Parameters
    ----------
    zz : sparse array (q, q)
        ``Z'WZ``.
    xz : sparse array (p, q)
        ``X'WZ``.
    inverse : float array (p, p)
        Of ``X'WX``.
    """

    zz: sp.csc_array
    xz: sp.csc_array
    inverse: FloatArray

    @classmethod
    def of(cls, gram: sp.csc_array, fixed: IntArray, first: int) -> Remainder:
        """Of ``A'WA`` (both triangles), beside some fixed effects; the effects are those from column ``first`` on."""
        columns = sp.csc_array(gram[:, first:])
        return cls(columns[first:], columns[fixed], np.linalg.inv(gram[:, fixed][fixed].toarray()))

    @property
    def shape(self) -> tuple[int, int]:
        """``(q, q)``."""
        return self.zz.shape

    def __matmul__(self, v: FloatArray) -> FloatArray:
        return np.asarray(self.zz @ v - self.xz.T @ (self.inverse @ (self.xz @ v)))

    def trace(self, component: Moved) -> float:
        """``tr(M D_a)``."""
        left, right = component.left, component.left if component.right is None else component.right
        own = float(np.asarray(self.zz[left, right]).sum())
        trace = own - float(np.sum(self.inverse * (self.xz[:, left] @ self.xz[:, right].T).toarray()))
        return trace if component.right is None else 2.0 * trace

    def is_nothing(self, effects: IntArray) -> bool:
        """Whether the fixed effects span the columns of these effects."""
        z = np.zeros(self.shape[0])
        z[effects] = _probe().standard_normal(effects.size)
        return bool(np.linalg.norm(self @ z) <= EXACT * np.linalg.norm(self.zz @ z))


def _probe() -> np.random.Generator:
    """Always the same random vectors, so that a model always gets the same answer.

    Not those of a seed such as 0, with which users simulate predictors: one of them would be the probe.
    """
    return np.random.default_rng([108, 103, 109])


def standardised(remainder: Remainder, components: Sequence[Moved]) -> tuple[Remainder, FloatArray] | None:
    """Correlated effects in a basis of their own in which they are orthogonal on average, whatever their origin.

    Parameters
    ----------
    remainder : Remainder
    components : sequence of Moved
        The q variances of the effects, then all their covariances.

    Returns
    -------
    remainder : Remainder
        Of the effects in the new basis.
    back : float array (k, k)
        Components in the old basis, in units of their size, of those in the new one.

    None if the effects are dependent on average.
    """
    kinds = [each.left for each in components if each.right is None]
    average = np.array([[np.asarray(remainder.zz[i, j]).sum() for j in kinds] for i in kinds])
    size = np.sqrt(np.diag(average))
    if not np.all(size > 0.0):
        return None
    try:
        basis = np.linalg.inv(np.linalg.cholesky(average)).T
    except np.linalg.LinAlgError:
        return None
    n, own = remainder.shape[0], np.concatenate(kinds)
    rows = [np.setdiff1d(np.arange(n), own), *(kinds[i] for i in range(len(kinds)) for _ in kinds)]
    cols = [rows[0], *(kinds[j] for _ in kinds for j in range(len(kinds)))]
    data = [np.ones(rows[0].size), *(np.full(kinds[0].size, value) for value in basis.ravel())]
    change = sp.csc_array((np.concatenate(data), (np.concatenate(rows), np.concatenate(cols))), shape=(n, n))
    place = {int(kind[0]): i for i, kind in enumerate(kinds)}
    sides = [(each.left, each.left if each.right is None else each.right) for each in components]
    at = [(place[int(left[0])], place[int(right[0])]) for left, right in sides]
    i, j = np.array(at).T
    new = [np.outer(basis[:, k], basis[:, m]) for k, m in at]
    back = [size[i] * size[j] * (one if k == m else one + one.T)[i, j] for one, (k, m) in zip(new, at, strict=True)]
    changed = Remainder(sp.csc_array(change.T @ remainder.zz @ change), remainder.xz @ change, remainder.inverse)
    return changed, np.column_stack(back)


def relations(
    remainder: Remainder,
    components: Sequence[Moved],
    residual: float | None,
    bases: Sequence[tuple[IntArray, FloatArray]] = (),
) -> list[IntArray]:
    """The sets of components that are linearly dependent; one alone if nothing of it is left.

    Parameters
    ----------
    remainder : Remainder
    components : sequence of k Moved
    residual : float or None
        ``n - p`` if the residual, component k, is to be told apart too.
    bases : sequence of (numbers of components, back)
        Those that stand in a basis of their own, see `standardised`.
    """
    if not components:
        return []
    rng = _probe()
    parts: list[Moved | None] = [*components, *([] if residual is None else [None])]
    traces = np.array([residual if part is None else remainder.trace(part) for part in parts])
    scale = np.linalg.norm(_met(remainder.zz, parts, rng), axis=0)  # had there been no fixed effects
    scale[scale == 0.0] = 1.0  # a covariance of effects that no level has both of
    first = traces[None] / scale
    first /= np.max(np.abs(first)) or 1.0  # with many levels it would drown all other rows
    triangle, null, before = first, np.eye(len(parts)), len(parts) + 1
    while 0 < null.shape[1] < before:  # another vector has ruled something out
        before = null.shape[1]
        triangle = np.linalg.qr(np.vstack([triangle, _met(remainder, parts, rng) / scale]), mode="r")
        _, size, directions = np.linalg.svd(triangle)
        null = directions[np.count_nonzero(size > EXACT * size[0]) :].T
    for numbers, back in bases:
        null[numbers] = back @ (null[numbers] / scale[numbers, None])
    found = [np.flatnonzero(np.abs(row) > 1e-6) for row in _echelon(null.T)]
    return sorted(found, key=lambda related: int(related[0]))


def _met(gram: Remainder | sp.csc_array, parts: Sequence[Moved | None], rng: np.random.Generator) -> FloatArray:
    """``G E_a G z`` for one random z, a column per component; of the residual, None, it is ``G z``."""
    z = rng.standard_normal(gram.shape[0])
    met = np.asarray(gram @ z)
    return np.asarray(gram @ np.column_stack([z if part is None else part(met) for part in parts]))


def _echelon(rows: FloatArray) -> FloatArray:
    """The same span by rows with few entries, each scaled to have a largest entry of one."""
    rows = rows.copy()
    for i in range(len(rows)):
        j = int(np.argmax(np.abs(rows[i])))
        rows[i] /= rows[i, j]
        others = np.arange(len(rows)) != i
        rows[others] -= np.outer(rows[others, j], rows[i])
    return rows / np.max(np.abs(rows), axis=1, keepdims=True)
