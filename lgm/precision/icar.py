"""Intrinsic conditional autoregression on a graph."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from lgm.pattern import Pattern
from lgm.precision.intrinsic import Structure
from lgm.precision.template import Constraint


def icar(edges: npt.ArrayLike, component: npt.ArrayLike) -> Structure:
    """Structure ``R = D_w - W`` of an undirected graph: ``u'Ru = sum over edges (u_i - u_j)^2``.

    Each connected component of two or more nodes has its own level, so its effects sum to zero (Besag, York & Mollie
    1991; for components Freni-Sterrantino, Ventrucci & Rue 2018). A node without neighbours is an independent standard
    normal effect.

    Parameters
    ----------
    edges : int array (m, 2)
        Each undirected edge once.
    component : int array (n,)
        Label of each node's connected component.

    Examples
    --------
    >>> s = icar([[0, 1], [1, 2]], [0, 0, 0, 1])
    >>> s.pattern.matrix(s.entries).toarray().tolist()
    [[1.0, -1.0, 0.0, 0.0], [-1.0, 2.0, -1.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    >>> s.constraint.null_space.toarray().ravel().tolist()
    [1.0, 1.0, 1.0, 0.0]
    """
    i, j = np.asarray(edges, dtype=np.int64).reshape(-1, 2).T
    labels = np.asarray(component, dtype=np.int64)
    n = labels.size
    pattern = Pattern.from_entries(n, i, j)
    degree = np.bincount(np.concatenate([i, j]), minlength=n)
    entries = np.full(pattern.nnz, -1.0)
    entries[pattern.indptr[:-1]] = np.where(degree > 0, degree, 1)
    joined = np.where(degree > 0, labels, -1)
    levels = np.unique(joined[joined >= 0])
    inside = np.flatnonzero(joined >= 0)
    column = np.searchsorted(levels, joined[inside])
    null_space = sp.csc_array((np.ones(inside.size), (inside, column)), shape=(n, levels.size))
    _, first = np.unique(column, return_index=True)
    return Structure(pattern, entries, Constraint(null_space, inside[first]), joined)
