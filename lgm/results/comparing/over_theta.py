"""Log densities that cost a fit each, known at some thetas, carried over to all by what is cheap to know there."""

from __future__ import annotations

import numpy as np

from lgm.arrays import FloatArray, IntArray


def carried(base: FloatArray, known: FloatArray, at: IntArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log densities (S, U) at all thetas, and the sd (U,) of what they miss.

    Their difference from the base is a polynomial of the second degree in theta, or of the first, by least squares.

    Parameters
    ----------
    base : float array (S, U)
        Known at all thetas.
    known : float array (T, U)
        The values at some.
    at : int array (T,)
        Which ones.
    theta : float array (S, k)
        Coordinates in which they change slowly.
    """
    if at.size == len(base):
        return known.copy(), np.zeros(known.shape[1])
    columns = _polynomials(theta, at.size // 4)
    difference = known - base[at]
    fine = np.all(np.isfinite(difference), axis=0)
    out, miss = np.full(base.shape, np.nan), np.full(base.shape[1], np.nan)
    coefficients = np.linalg.lstsq(columns[at], difference[:, fine], rcond=None)[0]
    out[:, fine] = base[:, fine] + columns @ coefficients
    free = max(at.size - columns.shape[1], 1)
    miss[fine] = np.sqrt(np.sum((difference[:, fine] - columns[at] @ coefficients) ** 2, axis=0) / free)
    return out, miss


def _polynomials(theta: FloatArray, most: int) -> FloatArray:
    """A one, theta, and its squares and products where there may be so many columns; standardised."""
    sd = theta.std(axis=0)
    x = (theta[:, sd > 0] - theta.mean(axis=0)[sd > 0]) / sd[sd > 0]
    first = np.column_stack([np.ones(len(x)), x])
    i, j = np.triu_indices(x.shape[1])
    both = np.column_stack([first, x[:, i] * x[:, j]])
    for columns in (both, first):
        if columns.shape[1] <= most:
            return columns
    return first[:, :1]
