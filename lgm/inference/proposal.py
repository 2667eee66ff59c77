"""A proposal for theta (a Student t around the mode, folded where a sign does not matter), and resampling from it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import gammaln, logsumexp

from lgm.arrays import FloatArray

DF = 5.0  # degrees of freedom


@dataclass(frozen=True)
class Proposal:
    """Multivariate t around ``centre`` with scale ``root @ root.T``, folded at zero where ``folded`` says so."""

    centre: FloatArray
    root: FloatArray
    folded: tuple[bool, ...]

    def draw(self, n: int, seed: int | list[int]) -> FloatArray:
        """``n`` scrambled Sobol points of the unfolded t, folded; shape (n, d)."""
        d = self.centre.size
        points = stats.qmc.Sobol(d + 1, scramble=True, rng=np.random.default_rng(seed)).random(n)
        points = np.clip(points, 1e-12, 1.0 - 1e-12)
        normals = stats.norm.ppf(points[:, :d])
        stretch = np.sqrt(DF / stats.chi2.ppf(points[:, d], DF))
        x = self.centre + (normals * stretch[:, None]) @ self.root.T
        return np.where(self.folded, np.abs(x), x)

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density of folded points: the sum over all signs of the folded coordinates."""
        d = self.centre.size
        where = np.flatnonzero(self.folded)
        inverse = np.linalg.inv(self.root)
        constant = (
            gammaln((DF + d) / 2) - gammaln(DF / 2) - d / 2 * np.log(DF * np.pi) - np.linalg.slogdet(self.root)[1]
        )
        terms = []
        for signs in itertools.product((1.0, -1.0), repeat=where.size):
            flipped = x.copy()
            flipped[:, where] *= signs
            square = np.sum(((flipped - self.centre) @ inverse.T) ** 2, axis=1)
            terms.append(constant - (DF + d) / 2 * np.log1p(square / DF))
        return logsumexp(terms, axis=0)


def resampled(weights: FloatArray, n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Systematic resampling, in random order: a point of weight w is taken ``n w`` times, rounded up or down."""
    positions = (np.arange(n) + rng.random()) / n
    index = np.minimum(np.searchsorted(np.cumsum(weights), positions), weights.size - 1)
    return rng.permutation(index)
