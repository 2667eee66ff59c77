"""Smooths whose penalty sees the null space too, so that the whole term can vanish: ``bs="ts"`` and ``bs="cs"``.

The polynomials of the null space are penalised with a tenth of the least penalty, for their size over the data, of all
other functions: ``b_j ~ N(0, sd^2)`` for orthonormal polynomials that are ``sqrt(10)`` times as large as the largest
column of Z. mgcv has the same tenth, of an eigenvalue that depends on how the basis happens to be parametrised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgm.arrays import BoolArray, FloatArray
from lgm.smooths.basis import Basis, Polynomials, rows, typical

SHRINK = 0.1


@dataclass(frozen=True, eq=False)
class Shrunk:
    """A basis and its null space, both penalised.

    Parameters
    ----------
    kind : str
    basis : Basis
    polynomials : float array (m, m)
        Coefficients of the orthonormal polynomials, in the size that they have.
    ratio : float
        Of the two typical variances, with and without the polynomials.
    """

    kind: str
    basis: Basis
    polynomials: FloatArray
    ratio: float

    @property
    def k(self) -> int:
        """See `Basis`."""
        return self.basis.k

    @property
    def scale(self) -> float:
        """See `Basis`."""
        return self.basis.scale * self.ratio

    @property
    def null(self) -> Polynomials:
        """Nothing."""
        null = self.basis.null
        return Polynomials(null.powers[:0], null.centre, null.width, null.mean[:0])

    def evaluate(self, x: FloatArray) -> FloatArray:
        """See `Basis`: the columns of the basis, then the polynomials."""
        lines = (self.basis.null(rows(x)) - self.basis.null.mean) @ self.polynomials
        return np.asarray(np.column_stack([self.basis.evaluate(x), lines]) / self.ratio**0.5)

    def outside(self, x: FloatArray) -> BoolArray:
        """See `Basis`."""
        return self.basis.outside(x)


def shrunk(kind: str, basis: Basis, x: FloatArray, times: FloatArray | None = None) -> Shrunk:
    """Penalise the null space of a basis, given the rows of the data, (n,) or (n, d), which may stand for several."""
    share = np.full(len(x), 1.0 / len(x)) if times is None else times / times.sum()
    z, n = basis.evaluate(x), basis.null(rows(x))
    n = n - basis.null.mean
    triangle = np.linalg.qr(n * np.sqrt(share)[:, None], mode="r")
    largest = float(np.sqrt(np.max(share @ z**2)))
    polynomials = np.linalg.inv(triangle) * (largest / np.sqrt(SHRINK))
    whole = np.sum(z**2, axis=1) + np.sum((n @ polynomials) ** 2, axis=1)
    return Shrunk(kind, basis, polynomials, typical(whole, times))
