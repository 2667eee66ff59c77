"""Random walks of order one and two at increasing, possibly irregular times.

Two close times make entries of R that swamp the others (``1 / d``, or ``1 / d^3`` for order two), so variances and
determinant come from the walk itself: ``u = M e``, one column of M per step of the walk, e independent. With the
projector P that takes out the null space, ``R^- = P M var(e) M' P``, which no close times can spoil.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.pattern import Pattern
from lgm.precision.intrinsic import Moments, Structure
from lgm.precision.template import Constraint

CANCELLED = 1e-6  # of the parts of a variance: what is smaller has lost digits in their sum


def _structure(matrix: sp.csc_array, null_space: FloatArray, anchors: list[int], moments: Moments) -> Structure:
    pattern = Pattern.of(matrix)
    constraint = Constraint(sp.csc_array(null_space), np.array(anchors, dtype=np.int64))
    return Structure(pattern, pattern.values(matrix), constraint, np.zeros(matrix.shape[0], dtype=np.int64), moments)


def rw1(times: npt.ArrayLike) -> Structure:
    """Random walk: ``u'Ru = sum_i (u_{i+1} - u_i)^2 / d_i`` with ``d_i = t_{i+1} - t_i``; null space: constants.

    Rue & Held (2005), sec. 3.3.1.

    Examples
    --------
    >>> s = rw1([0.0, 1.0, 3.0])
    >>> s.pattern.matrix(s.entries).toarray().tolist()
    [[1.0, -1.0, 0.0], [-1.0, 1.5, -0.5], [0.0, -0.5, 0.5]]
    """
    t = np.asarray(times, dtype=float)
    n = t.size
    step = sp.diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n), format="csc")
    matrix = sp.csc_array(step.T @ sp.diags_array(1.0 / np.diff(t)) @ step)
    return _structure(matrix, np.ones((n, 1)), [n // 2], _rw1_moments(np.diff(t)))


def _rw1_moments(gaps: FloatArray) -> Moments:
    """Step l lifts all later effects, less ``(n - l) / n`` for their mean; ``|R|* = n / prod d``."""
    n = gaps.size + 1
    later = np.arange(n - 1, 0, -1) / n
    below = np.concatenate([[0.0], np.cumsum(gaps * (1.0 - later) ** 2)])
    above = np.concatenate([np.cumsum((gaps * later**2)[::-1])[::-1], [0.0]])
    return Moments(below + above, float(np.log(n) - np.sum(np.log(gaps))))


def rw2(times: npt.ArrayLike) -> Structure:
    """Second-order walk: ``u'Ru`` approximates the integral of ``u''(t)^2``; null space: constants and straight lines.

    ``R = G' B^-1 G``: row i of G (interior times) is ``[1/d_{i-1}, -(1/d_{i-1} + 1/d_i), 1/d_i]`` and
    ``B_ii = (d_{i-1} + d_i) / 2`` (Lindgren & Rue 2008, the Galerkin form with lumped B). For equal unit steps R is
    that of squared second differences.

    Examples
    --------
    >>> s = rw2([0.0, 1.0, 2.0])
    >>> s.pattern.matrix(s.entries).toarray().tolist()
    [[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]
    """
    t = np.asarray(times, dtype=float)
    n = t.size
    inverse = 1.0 / np.diff(t)
    g = sp.diags_array(
        [inverse[:-1], -(inverse[:-1] + inverse[1:]), inverse[1:]], offsets=[0, 1, 2], shape=(n - 2, n), format="csc"
    )
    matrix = sp.csc_array(g.T @ sp.diags_array(2.0 / (t[2:] - t[:-2])) @ g)
    line = (t - t.mean()) / (t[-1] - t[0])
    return _structure(matrix, np.column_stack([np.ones(n), line]), [0, n - 1], _rw2_moments(t))


def _rw2_moments(t: FloatArray) -> Moments:
    """A change of slope at the inner time l adds ``g_l``, zero at both ends, bent at l; its variance is ``B_ll``.

    On the unit interval ``g_l(s) = -min(s, s_l) (1 - max(s, s_l))``, which has all its digits wherever the times lie
    close together. With orthonormal lines ``q`` (n, 2) and ``c_l = q'g_l``, the variance is

        R^-_ii = sum_l B_ll (g_l(s_i) - q_i'c_l)^2

    by running sums over l of its three parts, and where these cancel, as it stands. From the minor of R without its
    first two rows and columns, which G makes a product, ``|R|* = n sum (t - mean)^2 / (prod d^2 prod B_ll)``.
    """
    n, length = t.size, t[-1] - t[0]
    gaps, s, r = np.diff(t), (t - t[0]) / length, (t[-1] - t) / length
    b = np.concatenate([[0.0], (t[2:] - t[:-2]) / (2.0 * length), [0.0]])
    centred = s - s.mean()
    q = np.column_stack([np.full(n, n**-0.5), centred / np.linalg.norm(centred)])
    c = _bent(s, r, q)
    own = r**2 * np.cumsum(b * s**2) + s**2 * _later(b * r**2)
    across = np.sum(q * _bent(s, r, b[:, None] * c), axis=1)
    lines = np.einsum("ij,jk,ik->i", q, c.T @ (b[:, None] * c), q)
    variances = own - 2.0 * across + lines
    for i in np.flatnonzero(variances < CANCELLED * (own + lines)):
        bent = -np.minimum(s, s[i]) * np.minimum(r, r[i])
        variances[i] = np.sum(b * (bent - c @ q[i]) ** 2)
    logdet = np.log(n * np.sum((t - t.mean()) ** 2)) - 2.0 * np.sum(np.log(gaps)) - np.sum(np.log(b[1:-1] * length))
    return Moments(length**3 * variances, float(logdet))


def _bent(s: FloatArray, r: FloatArray, columns: FloatArray) -> FloatArray:
    """``sum_j g_l(s_j) x_j`` for all l, of columns x; r is ``1 - s``."""
    before, after = np.cumsum(columns * s[:, None], axis=0), _later(columns * r[:, None])
    return -(r[:, None] * before + s[:, None] * after)


def _later(columns: FloatArray) -> FloatArray:
    """Sum of the rows after each one."""
    return np.concatenate([np.cumsum(columns[:0:-1], axis=0)[::-1], np.zeros_like(columns[:1])])
