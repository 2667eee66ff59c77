"""Proposals for theta (Student t's, folded where a sign does not matter, and their mixtures), and resampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy  # of which parts that are slow to read come when first needed
from scipy import special
from scipy.special import gammaln, logsumexp

from lgm.arrays import FloatArray

DF = 5.0  # degrees of freedom


@dataclass(frozen=True)
class Proposal:
    """A multivariate t, folded at zero coordinate by coordinate where ``folded`` says so.

    Each coordinate given those before it is a t of its own, with one more degree of freedom for each of them. It is
    folded before the next one is drawn, so its density has two terms and that of all is a product: the fold of the
    joint density would be a sum over all signs.

    Parameters
    ----------
    centre : float array (d,)
    root : float array (d, d)
        ``root @ root.T`` is the squared scale.
    folded : tuple of bool
    """

    centre: FloatArray
    root: FloatArray
    folded: tuple[bool, ...]

    @cached_property
    def _lower(self) -> FloatArray:
        """The Cholesky factor of the squared scale."""
        upper = np.asarray(np.linalg.qr(self.root.T, mode="r"))
        return np.asarray(upper.T * np.where(np.diag(upper) < 0, -1.0, 1.0), dtype=np.float64)

    def draw(self, n: int, seed: int | list[int]) -> FloatArray:
        """``n`` draws from scrambled Sobol points; shape (n, d)."""
        return self.at(_sobol(n, self.centre.size, seed))

    def at(self, uniform: FloatArray) -> FloatArray:
        """The draws that numbers between zero and one (n, d) stand for."""
        x, z = np.empty_like(uniform), np.empty_like(uniform)
        for j in range(self.centre.size):
            middle, spread = self._given(z, j)
            moved = middle + spread * special.stdtrit(DF + j, uniform[:, j])
            x[:, j] = np.abs(moved) if self.folded[j] else moved
            z[:, j] = (x[:, j] - middle) / self._lower[j, j]
        return x

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density of folded points (n, d)."""
        total, z = np.zeros(len(x)), np.empty_like(x)
        for j in range(self.centre.size):
            middle, spread = self._given(z, j)
            z[:, j] = (x[:, j] - middle) / self._lower[j, j]
            one = _log_t((x[:, j] - middle) / spread, DF + j)
            if self.folded[j]:
                one = np.logaddexp(one, _log_t((x[:, j] + middle) / spread, DF + j))
            total += one - np.log(spread)
        return total

    def _given(self, z: FloatArray, j: int) -> tuple[FloatArray, FloatArray]:
        """Centre and scale of coordinate j given those before it, which are ``z`` in units of their own scales."""
        before = z[:, :j]
        squares = np.sum(before**2, axis=1)
        return self.centre[j] + before @ self._lower[j, :j], self._lower[j, j] * np.sqrt((DF + squares) / (DF + j))


@dataclass(frozen=True)
class Mixture:
    """A mixture of proposals.

    Parameters
    ----------
    parts : sequence of Proposal
    shares : float array (number of parts,)
        Of the draws; their sum is one.
    """

    parts: Sequence[Proposal]
    shares: FloatArray

    def draw(self, n: int, seed: int | list[int]) -> FloatArray:
        """``n`` draws from scrambled Sobol points, whose first coordinate chooses the part; shape (n, d)."""
        points = _sobol(n, 1 + self.parts[0].centre.size, seed)
        chosen = np.minimum(np.searchsorted(np.cumsum(self.shares), points[:, 0]), len(self.parts) - 1)
        x = np.empty((n, self.parts[0].centre.size))
        for c, part in enumerate(self.parts):
            x[chosen == c] = part.at(points[chosen == c, 1:])
        return x

    def log_parts(self, x: FloatArray) -> FloatArray:
        """Log density of each part times its share (parts, n)."""
        return np.array([np.log(s) + part.log_density(x) for s, part in zip(self.shares, self.parts, strict=True)])

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density of folded points (n, d)."""
        return np.asarray(logsumexp(self.log_parts(x), axis=0))


def _sobol(n: int, d: int, seed: int | list[int]) -> FloatArray:
    points = scipy.stats.qmc.Sobol(d, scramble=True, rng=np.random.default_rng(seed)).random(n)
    return np.clip(points, 1e-12, 1.0 - 1e-12)


def _log_t(z: FloatArray, df: float) -> FloatArray:
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(df * np.pi)
    return np.asarray(constant - (df + 1) / 2 * np.log1p(z**2 / df))


def resampled(weights: FloatArray, n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Systematic resampling, in random order: a point of weight w is taken ``n w`` times, rounded up or down."""
    positions = (np.arange(n) + rng.random()) / n
    index = np.minimum(np.searchsorted(np.cumsum(weights), positions), weights.size - 1)
    return rng.permutation(index)
