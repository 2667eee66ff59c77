"""The eigenvectors of a symmetric matrix with the eigenvalues of largest size."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import eigsh

from lgm.arrays import FloatArray

_SMALL = 500  # below this order all of them are found as quickly
_FEW = 0.1  # of all eigenvectors: a share up to which they are found one by one


def leading(a: FloatArray, k: int) -> tuple[FloatArray, FloatArray]:
    """The k eigenvalues of largest absolute value, largest first, and their eigenvectors (n, k).

    Few of a large matrix come from Lanczos' method with restarts (Lehoucq & Sorensen 1996) to rounding of the largest
    eigenvalue, which is how well all of them are known when they are found together. It starts from the same vector
    each time: the same matrix gives the same bits.

    Examples
    --------
    >>> leading(np.diag([1.0, -3.0, 2.0]), 2)[0].tolist()
    [-3.0, 2.0]
    """
    n = len(a)
    if n < _SMALL or k > _FEW * n:
        values, vectors = np.linalg.eigh(a)
    else:
        start = np.random.default_rng(0).standard_normal(n)  # in no eigenvector's way
        values, vectors = eigsh(a, k=k, which="LM", v0=start, ncv=min(n, 2 * k + 20))
    order = np.argsort(-np.abs(values), kind="stable")[:k]
    return values[order], vectors[:, order]
