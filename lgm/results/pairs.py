"""Variables at antithetic pairs of weighted points, of which the normal draws that they were made from are known.

A point has a weight W, of mean one, and a variable the value x there; it was made from a normal draw n of the variable,
of a known distribution. What the weights change is estimated, the rest is known, as in ``P(x <= t) = P(n <= t) +
E[W 1(x <= t) - 1(n <= t)]``, so few points serve where the weights are nearly alike. Parts of the weights that are
polynomials in the normal draws, of known moments with n, are known too, times their slopes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from lgm.arrays import FloatArray
from lgm.results.quantiles import HALVINGS, where


class Known(NamedTuple):
    """Expectations of ``foretold He_k(z) / k!`` for the normal draws z of sd one about zero, each (p,)."""

    first: FloatArray
    second: FloatArray
    third: FloatArray
    fourth: FloatArray

    def tilt(self, z: FloatArray) -> FloatArray:
        """Minus ``E[foretold 1(z <= t)]``, by the density at t: ``E[He_k(z) 1(z <= t)]`` is that of -He_(k-1)(t)."""
        return self.first + self.second * z + self.third * (z**2 - 1.0) + self.fourth * (z**3 - 3.0 * z)


class Paired(NamedTuple):
    """Variables at weighted points, two in each of P pairs, and at the normal draws that these were made from."""

    x: FloatArray  # (p, 2, P)
    normal: FloatArray  # (p, 2, P), about the same centre
    centre: FloatArray  # (p,)
    sd: FloatArray  # of the normal draws (p,)
    weights: FloatArray  # (2, P), of mean one
    foretold: FloatArray  # what parts of known moments say of the weights, beside one (2, P)
    known: Known

    @property
    def mean(self) -> FloatArray:
        """Means (p,)."""
        known = self.centre + self.known.first * self.sd
        return np.asarray(known + np.mean(self._of_mean(), axis=(1, 2)))

    def _of_mean(self) -> FloatArray:
        """What each point says of the mean beside what is known of it."""
        away = self.normal - self.centre[:, None, None]
        return self.weights * (self.x - self.centre[:, None, None]) - self.foretold * away

    @property
    def variance(self) -> FloatArray:
        """Variances (p,)."""
        known = self.sd**2 * (1.0 + 2.0 * self.known.second)
        return np.asarray(known + np.mean(self._of_variance(), axis=(1, 2)))

    def _of_variance(self) -> FloatArray:
        """What each point says of the difference to that of the normal draws, beside what is known of it."""
        away = self.x - self.mean[:, None, None]
        return self.weights * away**2 - (1.0 + self.foretold) * (self.normal - self.centre[:, None, None]) ** 2

    def _of_probability(self, t: FloatArray) -> FloatArray:
        """What each point says of the probability below t (p,) beside what is known of it."""
        at = t[:, None, None]
        return np.asarray(self.weights * (self.x <= at) - (1.0 + self.foretold) * (self.normal <= at))

    def _known_probability(self, t: FloatArray) -> FloatArray:
        """``P(n <= t) + E[foretold 1(n <= t)]`` (p,)."""
        z = (t - self.centre) / self.sd
        return np.asarray(ndtr(z) - self.known.tilt(z) * np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi))

    def end(self, level: float, halvings: int = HALVINGS) -> FloatArray:
        """Where the probability below is this (p,), by bisection."""
        values = np.concatenate([self.x, self.normal], axis=2)
        far = self.centre + 2.0 * ndtri(level) * self.sd
        low, high = np.minimum(values.min(axis=(1, 2)), far), np.maximum(values.max(axis=(1, 2)), far)

        def probability(t: FloatArray) -> FloatArray:
            return np.asarray(self._known_probability(t) + self._of_probability(t).mean(axis=(1, 2)))

        return where(probability, level, low, high, halvings)

    def interval(self, probability: float, halvings: int = HALVINGS) -> FloatArray:
        """Ends (2, p) of the equal-tailed intervals."""
        tail = (1.0 - probability) / 2.0
        return np.stack([self.end(tail, halvings), self.end(1.0 - tail, halvings)])

    def errors(self, ends: FloatArray, interval: float) -> FloatArray:
        """Squared Monte Carlo errors (4, p) of mean, variance and ends, in units of those of one draw."""
        tail, variance, moved = (1.0 - interval) / 2.0, self.variance, self.mean - self.centre
        over = self.weights - 1.0 - self.foretold  # of mean zero: weights are on no scale of their own
        errors = [
            _error(self._of_mean() - over * moved[:, None, None]) / np.sqrt(variance),
            _error(self._of_variance() - over * variance[:, None, None]) / variance / np.sqrt(2.0),
        ]
        for t, level in zip(ends, (tail, 1.0 - tail), strict=True):
            says = self._of_probability(t) - over * level
            errors.append(_error(says) / np.sqrt(level * (1.0 - level)))
        return np.square(errors)


def _error(values: FloatArray) -> FloatArray:
    """Monte Carlo error (p,) of the mean of what points (p, 2, P) say; pairs are independent."""
    pairs = values.mean(axis=1)
    return np.asarray(pairs.std(axis=1, ddof=1) / np.sqrt(pairs.shape[1]))
