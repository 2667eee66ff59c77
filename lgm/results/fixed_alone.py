"""Fixed effects without the others, where that takes less: what the summary shows, no more.

Of a large model by importance sampling they are known at its points. At one theta where they are not normal, they are
from weighted points (`lgm.results.pairs`). There are as many as make means, standard deviations and ends of intervals
at least as good as those of as many independent draws as were asked for, or of a quarter of them where a point costs a
factorisation or many integrals, as pairs are (`lgm.inference.ladder`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import numpy as np

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
from lgm.results.pairs import Known, Paired
from lgm.results.quantiles import mixture_ends, weighted_ends
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


def worth(drawing: Drawing) -> tuple[int, int]:
    """How many independent draws points shall be as good as, and the least number of pairs."""
    fewer = FEWEST // FEWEST_COSTLY if data_of(drawing.analysed.marginal).costly else 1
    return drawing.size // fewer, LEAST // fewer


def enough(calls: int, error: float, draws: int) -> int:
    """How many calls for pairs leave no more Monte Carlo error than so many draws would, from what some calls leave."""
    return math.ceil(calls * draws * error) if math.isfinite(error) else calls


def _at_one_theta(drawing: Drawing, interval: float) -> Fixed:
    """Means of all effects, standard deviations and intervals of the fixed ones, given the first theta."""
    post, m = drawing.analysed.marginal, at_once(drawing.analysed.marginal)
    at, parts = drawing.at_theta, list[FixedPoints]()
    draws, least = worth(drawing)
    wanted, most = -(-least // m), -(-draws // m)
    while len(parts) < wanted:
        for part in range(len(parts), wanted):
            z = normals(drawing.seed, 5, numbers=np.arange(part * m, (part + 1) * m), size=post.n_normals)
            with own_settings():
                made = at_theta.fixed_points(m, post, at.theta, at.found, drawing.analysed.basis, z)
            parts.append(jax.tree.map(np.asarray, made))
        found, slope = _paired(drawing, parts)
        ends = found.interval(interval)
        wanted = min(enough(len(parts), found.errors(ends, interval).max(), draws), most)
    gain = np.array([part.gain for part in parts])
    shares = np.exp(gain - gain.max())
    mean = shares @ np.stack([part.mean for part in parts]) / shares.sum()
    odds = [part.odd for part in parts if part.odd is not None]
    if odds:
        mean += slope * (odds[0].known - np.mean([odd.found for odd in odds], axis=0))
    return Fixed(drawing.analysed.natural(mean), np.sqrt(found.variance), ends)


def _paired(drawing: Drawing, parts: list[FixedPoints]) -> tuple[Paired, float]:
    """The fixed effects at the points of all parts, and the slope of the weights over their odd part."""
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
    even, slopes, share = _even(parts, weights)
    weights /= share
    foretold = np.stack([even, even])
    odd, slope, linear, cubes = np.zeros_like(even), 0.0, np.zeros(p), np.zeros(p)
    odds = [part.odd for part in parts if part.odd is not None]
    if odds:
        odd = np.concatenate([each.values for each in odds])
        linear, cubes = basis @ odds[0].known[:p] / sd, odds[0].cubes / sd**3
        size = odd @ odd
        slope = float(0.5 * (weights[0] - weights[1]) @ odd / size) if size > 0.0 else 0.0
        foretold += slope * np.stack([odd, -odd])
    squares, fourths = np.zeros(p), np.zeros(p)
    if parts[0].even is not None:
        squares, fourths = slopes[:2] @ parts[0].even.squares / sd**2, slopes[2:] @ parts[0].even.fourths / sd**4
    known = Known(slope * linear, squares, slope * cubes / 6.0, fourths)
    return Paired(x, centre[:, None, None] + away, centre, sd, weights, foretold, known), slope


def _even(parts: list[FixedPoints], weights: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """What the even parts say of the weights (2, P) of pairs, beside their mean, in units of it (P,); slopes; the mean.

    By regression: slopes that are a little off leave noise and no bias.
    """
    evens = [part.even for part in parts if part.even is not None]
    nothing = np.zeros(weights.shape[1]), np.zeros(4), 1.0
    if not evens:
        return nothing
    values = np.concatenate([each.values for each in evens], axis=1)
    size = np.sqrt(np.mean(values**2, axis=1)) + np.finfo(float).tiny
    columns = np.vstack([np.ones(weights.shape[1]), values / size[:, None]])
    share, *slopes = np.linalg.lstsq(columns.T, weights.mean(axis=0))[0]
    if not share > 0.0:
        return nothing
    slopes = np.array(slopes) / size / share
    return slopes @ values, slopes, float(share)
