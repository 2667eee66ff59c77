"""Seasonal patterns that change slowly: sums over one period are small."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from lgm.pattern import Pattern
from lgm.precision.intrinsic import Structure
from lgm.precision.template import Constraint


def seasonal(n: int, period: int) -> Structure:
    """Structure ``u'Ru = sum_t (u_t + u_{t+1} + ... + u_{t+m-1})^2`` of n successive times with period m.

    Null space: the ``m - 1`` patterns of period m whose sum over a period is zero. Rue & Held (2005), sec. 3.4.3, eq.
    (3.59), there with the precision kappa of the sums.

    Parameters
    ----------
    n : int
        Number of times, at least m.
    period : int
        m, at least 2.

    Examples
    --------
    >>> s = seasonal(3, 2)
    >>> s.pattern.matrix(s.entries).toarray().tolist()
    [[1.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 1.0]]
    >>> s.constraint.null_space.toarray().ravel().tolist()
    [1.0, -1.0, 1.0]
    """
    sums = sp.diags_array([np.ones(n - period + 1)] * period, offsets=range(period), shape=(n - period + 1, n))
    matrix = sp.csc_array(sums.T @ sums)
    pattern = Pattern.of(matrix)
    anchors = np.arange(period - 1)
    return Structure(
        pattern,
        pattern.values(matrix),
        Constraint(sp.csc_array(contrasts(np.arange(n), period)), anchors),
        np.zeros(n, dtype=np.int64),
    )


def contrasts(phase: np.ndarray, period: int) -> np.ndarray:
    """A basis of the patterns with sum zero: column j is 1 in phase j, -1 in the last one; (rows, m - 1)."""
    phase = np.asarray(phase) % period
    return np.equal.outer(phase, np.arange(period - 1)).astype(float) - (phase == period - 1)[:, None]
