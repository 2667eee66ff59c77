"""Random walks of order one and two at increasing, possibly irregular times."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from lgm.pattern import FloatArray, Pattern
from lgm.precision.intrinsic import Structure


def _structure(matrix: sp.csc_array, null_space: FloatArray, anchors: list[int]) -> Structure:
    n = matrix.shape[0]
    pattern = Pattern.of(matrix)
    return Structure(
        pattern, pattern.values(matrix), null_space, np.array(anchors, dtype=np.int64), np.zeros(n, dtype=np.int64)
    )


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
    return _structure(matrix, np.ones((n, 1)), [n // 2])


def rw2(times: npt.ArrayLike) -> Structure:
    """Second-order walk: ``u'Ru`` approximates the integral of ``u''(t)^2``; null space: constants and straight lines.

    ``R = G' B^-1 G``: row i of G (interior times) is ``[1/d_{i-1}, -(1/d_{i-1} + 1/d_i), 1/d_i]`` and
    ``B_ii = (d_{i-1} + d_i) / 2`` (Lindgren & Rue 2008, the Galerkin form with lumped B). For equal unit steps R is that of
    squared second differences.

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
    return _structure(matrix, np.column_stack([np.ones(n), line]), [0, n - 1])
