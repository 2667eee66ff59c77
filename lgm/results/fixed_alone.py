"""Fixed effects without the others, where that takes less: what the summary shows, no more.

Of a large model by importance sampling they are known at its points. At one theta where they are not normal, they are
from weighted points. Such a point has a weight W, of mean one, and the effect x; it was made from a normal draw n, of a
known distribution. What the weights change is estimated, the rest is known, as in
``P(x <= t) = P(n <= t) + E[W 1(x <= t) - 1(n <= t)]``, so few points serve where the weights are nearly alike. There
are as many as make means, standard deviations and ends of intervals at least as good as those of as many independent
draws as were asked for, or of a quarter of them where a point costs a factorisation or many integrals, as pairs are
(`lgm.inference.ladder`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import numpy as np
from scipy.special import ndtr, ndtri

from lgm.arrays import FloatArray
from lgm.inference.compile import Plan
from lgm.inference.draws import Draws, Mixture
from lgm.inference.keys import normals
from lgm.inference.ladder import FEWEST, FEWEST_COSTLY
from lgm.posterior.density import Marginal
from lgm.posterior.functionals import FixedPoints
from lgm.results import at_theta
from lgm.results.at_theta import data_of
from lgm.results.drawing import CHUNK_BYTES, Drawing
from lgm.results.quantiles import mixture_ends, weighted_ends, where
from lgm.xla import own_settings

MOST = 64  # pairs of points in one call
LEAST = 256  # pairs in all: fewer have too few points beyond the ends of intervals to tell their own error


class Fixed(NamedTuple):
    """What tables show of the fixed effects, natural scale."""

    mean: FloatArray  # (p,), or of all effects (p + q,)
    sd: FloatArray  # (p,)
    ends: FloatArray  # (2, p)

    @property
    def table(self) -> FloatArray:
        """Mean, sd and ends (4, p)."""
        return np.vstack([self.mean[: self.sd.size], self.sd, self.ends])


def fixed_effects(drawing: Drawing, drawn: Draws, interval: float) -> Fixed | None:
    """What tables show of the fixed effects, where that takes less than what they show of all; else None."""
    if drawing.normal or not drawn.conditional:
        return None
    known = drawn.effects_at()
    if drawing.analysed.marginal.data.normal:
        return None if known is None or not known[0].cov.size else _of_moments(drawing, known[0], interval)
    if known is None:
        return _at_one_theta(drawing, interval) if drawing.alike and drawing.p else None
    return None if known[0].mean.shape[1] == drawing.dim else _of_points(drawing, known[0], interval)


def _of_moments(drawing: Drawing, points: Mixture, interval: float) -> Fixed:
    """Of a mixture of normal distributions, one for each weighted point, without error but that of the weights."""
    analysed, weights = drawing.analysed, np.exp(points.log_weights)
    means = analysed.natural(points.mean)
    mean = weights @ means
    variances = np.einsum("ij,sjk,ik->si", analysed.basis, points.cov, analysed.basis)
    sd = np.sqrt(weights @ (variances + (means - mean) ** 2))
    return Fixed(mean, sd, mixture_ends(means, np.sqrt(variances), weights, interval))


def _of_points(drawing: Drawing, points: Mixture, interval: float) -> Fixed:
    """By all weighted points with their draws of the fixed effects."""
    analysed, weights, m = drawing.analysed, np.exp(points.log_weights), points.draws.shape[1]
    mean = weights @ analysed.natural(points.mean)
    draws = analysed.natural(points.draws)
    sd = np.sqrt(np.einsum("s,smp->p", weights, (draws - mean) ** 2) / m)
    return Fixed(mean, sd, weighted_ends(draws.reshape(-1, drawing.p), np.repeat(weights, m), interval))


def at_once(post: Marginal) -> int:
    """Pairs of points in one call."""
    room = max(int(CHUNK_BYTES // (8 * 8 * max(post.n_normals, data_of(post).observed.a.n))), 1)
    return min(MOST, 1 << (room.bit_length() - 1))


def programs(post: Marginal) -> list[Plan]:
    """What `fixed_effects` will call."""
    return [Plan(at_theta.find, None), Plan(at_theta.fixed_points, at_once(post))]


def _at_one_theta(drawing: Drawing, interval: float) -> Fixed:
    """Means of all effects, standard deviations and intervals of the fixed ones, given the first theta."""
    post, m = drawing.analysed.marginal, at_once(drawing.analysed.marginal)
    at, parts = drawing.at_theta, list[FixedPoints]()
    fewer = FEWEST // FEWEST_COSTLY if data_of(post).costly else 1
    draws, least = drawing.size // fewer, LEAST // fewer
    wanted, most = -(-least // m), -(-draws // m)
    while len(parts) < wanted:
        for part in range(len(parts), wanted):
            z = normals(drawing.seed, 5, numbers=np.arange(part * m, (part + 1) * m), size=post.n_normals)
            with own_settings():
                made = at_theta.fixed_points(m, post, at.theta, at.found, drawing.analysed.basis, z)
            parts.append(jax.tree.map(np.asarray, made))
        found = _Found.of(drawing, parts)
        ends = np.stack([found.end(level) for level in ((1.0 - interval) / 2.0, (1.0 + interval) / 2.0)])
        wanted = min(math.ceil(wanted * found.lacking(ends, interval, draws)), most)
    gain = np.array([part.gain for part in parts])
    shares = np.exp(gain - gain.max())
    mean = shares @ np.stack([part.mean for part in parts]) / shares.sum()
    odds = [part.odd for part in parts if part.odd is not None]
    if odds:
        mean += found.slope * (odds[0].known - np.mean([odd.found for odd in odds], axis=0))
    return Fixed(drawing.analysed.natural(mean), np.sqrt(found.variance), ends)


class _Found(NamedTuple):
    """Points of the fixed effects, two in each of P pairs, and the normal draws that they were made from."""

    x: FloatArray  # (p, 2, P)
    normal: FloatArray  # (p, 2, P), about the same centre
    centre: FloatArray  # (p,)
    sd: FloatArray  # of the normal draws (p,)
    weights: FloatArray  # (2, P), of mean one
    odd: FloatArray  # T at each of the two (2, P)
    slope: float  # of the weights over T
    linear: FloatArray  # E T z, for the normal draws z of sd one about zero (p,)
    cubes: FloatArray  # E T He3(z) (p,)

    @classmethod
    def of(cls, drawing: Drawing, parts: list[FixedPoints]) -> _Found:
        p, basis = drawing.p, drawing.analysed.basis
        own = np.concatenate([part.values.reshape(p, 2, -1) for part in parts], axis=2)
        drawn = np.concatenate([part.drawn for part in parts], axis=1)
        log_weights = np.concatenate([part.log_weights.reshape(2, -1) for part in parts], axis=1)
        weights = np.exp(log_weights - np.max(log_weights))
        x = drawing.analysed.reference[:, None, None] + np.tensordot(basis, own, axes=1)
        centre = x.mean(axis=(1, 2))
        away = np.tensordot(basis, np.stack([drawn, -drawn], axis=1), axes=1)
        sd = np.sqrt(np.sum((basis @ parts[0].cov) * basis, axis=1))
        weights /= weights.mean()
        odd, linear, cubes = np.zeros_like(weights[0]), np.zeros(p), np.zeros(p)
        odds = [part.odd for part in parts if part.odd is not None]
        if odds:
            odd = np.concatenate([each.values for each in odds])
            linear, cubes = basis @ odds[0].known[:p] / sd, odds[0].cubes / sd**3
        size = odd @ odd
        slope = float(0.5 * (weights[0] - weights[1]) @ odd / size) if size > 0.0 else 0.0
        return cls(x, centre[:, None, None] + away, centre, sd, weights, np.stack([odd, -odd]), slope, linear, cubes)

    @property
    def mean(self) -> FloatArray:
        known = self.centre + self.slope * self.linear * self.sd
        return np.asarray(known + np.mean(self._of_mean(), axis=(1, 2)))

    def _of_mean(self) -> FloatArray:
        """What each point says of the mean beside what is known of it."""
        away = self.normal - self.centre[:, None, None]
        return self.weights * (self.x - self.centre[:, None, None]) - self.slope * self.odd * away

    @property
    def variance(self) -> FloatArray:
        return np.asarray(self.sd**2 + np.mean(self._of_variance(), axis=(1, 2)))

    def _of_variance(self) -> FloatArray:
        """What each point says of the difference to that of the normal draws."""
        away = self.x - self.mean[:, None, None]
        return self.weights * away**2 - (self.normal - self.centre[:, None, None]) ** 2

    def _of_probability(self, t: FloatArray) -> FloatArray:
        """What each point says of the probability below t (p,) beside what is known of it."""
        at = t[:, None, None]
        return np.asarray(self.weights * (self.x <= at) - (1.0 + self.slope * self.odd) * (self.normal <= at))

    def _known_probability(self, t: FloatArray) -> FloatArray:
        """``P(n <= t) + slope E[T 1(n <= t)]`` (p,)."""
        z = (t - self.centre) / self.sd
        tilt = self.linear + self.cubes * (z**2 - 1.0) / 6.0
        return np.asarray(ndtr(z) - self.slope * tilt * np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi))

    def end(self, level: float) -> FloatArray:
        """Where the probability below is this (p,), by bisection."""
        values = np.concatenate([self.x, self.normal], axis=2)
        far = self.centre + 2.0 * ndtri(level) * self.sd
        low, high = np.minimum(values.min(axis=(1, 2)), far), np.maximum(values.max(axis=(1, 2)), far)

        def probability(t: FloatArray) -> FloatArray:
            return np.asarray(self._known_probability(t) + self._of_probability(t).mean(axis=(1, 2)))

        return where(probability, level, low, high)

    def lacking(self, ends: FloatArray, interval: float, draws: int) -> float:
        """How many times as many pairs would leave nothing with more Monte Carlo error than so many draws would."""
        tail, variance, moved = (1.0 - interval) / 2.0, self.variance, self.mean - self.centre
        errors = [
            _error(self._of_mean() - (self.weights - 1.0) * moved[:, None, None]) / np.sqrt(variance),
            _error(self._of_variance()) / variance / np.sqrt(2.0),
        ]
        for t, level in zip(ends, (tail, 1.0 - tail), strict=True):
            says = self._of_probability(t) - (self.weights - 1.0) * level
            errors.append(_error(says) / np.sqrt(level * (1.0 - level)))
        found = float(draws * np.square(errors).max())
        return found if math.isfinite(found) else 0.0


def _error(values: FloatArray) -> FloatArray:
    """Monte Carlo error (p,) of the mean of what points (p, 2, P) say; pairs are independent."""
    pairs = values.mean(axis=1)
    return np.asarray(pairs.std(axis=1, ddof=1) / np.sqrt(pairs.shape[1]))
