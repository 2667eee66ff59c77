"""Markov random fields of reduced rank: the smoothest functions on the regions of a graph (Wood 2017, sec. 5.8.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.smooths.basis import typical


@dataclass(frozen=True, eq=False)
class Field:
    """Columns of the regions.

    Parameters
    ----------
    k : int
        Dimension, the levels of the components included.
    columns : float array (regions, r)
        With unit variance in a typical row.
    scale : float
        What divided the prior variance.
    """

    k: int
    columns: FloatArray
    scale: float


def reduced(penalty: FloatArray, codes: IntArray, components: IntArray, k: int) -> Field:
    """The k smoothest eigenfunctions of a penalty, relative to the number of rows in each region.

    With ``X'X = diag(counts)``, one for a region without rows, they are ``diag(counts)^-1/2 v`` for the eigenvectors v
    of ``diag(counts)^-1/2 S diag(counts)^-1/2``. Levels of connected components are no part of the columns.

    Parameters
    ----------
    penalty : float array (N, N)
        Singular along the levels of the components.
    codes : int array (n,)
        Region of each row.
    components : int array (N,)
        Connected component of each region.
    k : int
    """
    counts = np.bincount(codes, minlength=len(penalty)).astype(float)
    root = np.sqrt(np.where(counts > 0.0, counts, 1.0))
    levels = np.equal.outer(components, np.unique(components)).astype(float)
    values, vectors = np.linalg.eigh(penalty / np.outer(root, root))
    nullity = levels.shape[1]
    kept = slice(nullity, k)
    columns = vectors[:, kept] / root[:, None] / np.sqrt(values[kept])
    weights = counts / counts.sum()
    shares = weights[:, None] * levels
    inside = shares.sum(axis=0)
    columns = columns - levels @ (shares.T @ columns / np.where(inside > 0.0, inside, 1.0)[:, None])
    turn = np.linalg.svd(np.linalg.qr(np.sqrt(weights)[:, None] * columns, mode="r"))[2].T
    columns = columns @ turn
    first = np.argmax(np.abs(columns), axis=0)
    columns = columns * np.sign(columns[first, np.arange(columns.shape[1])])
    scale = typical(np.sum(columns**2, axis=1), counts)
    return Field(k, columns / np.sqrt(scale), scale)
