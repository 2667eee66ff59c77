"""What tables show of all effects at one theta where a point costs a factorisation, from few points.

As of the fixed effects alone (`lgm.results.fixed_alone`), and by the same points: what weights and bends change is
estimated, the normal draws behind them are known (`lgm.results.pairs`). Draws for a table would be chosen among ten
times as many.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp, softmax

from lgm.arrays import FloatArray, IntArray
from lgm.inference.keys import normals
from lgm.posterior.density import Marginal
from lgm.results import at_theta
from lgm.results.at_theta import data_of
from lgm.results.drawing import Drawing
from lgm.results.fixed_alone import at_once, enough, worth
from lgm.results.pairs import Known, Paired
from lgm.results.progress import bar
from lgm.xla import own_settings

KEPT_BYTES = 1e9  # most that points may take in memory
TOGETHER = 2**20  # numbers that are gone through at once
HALVINGS = 24  # of the range of an end, to a millionth of its sd; more would take as long as the points
LOOKED_AT = 256  # effects whose Monte Carlo errors say how many points there shall be


class Table(NamedTuple):
    """Of effects at one theta."""

    mean: FloatArray  # of all (p + q,), natural scale
    sd: FloatArray  # of those of terms, as they are printed (m,)
    ends: FloatArray  # the same (2, m)


def serves(drawing: Drawing) -> bool:
    """Whether points are bent normal draws, and not too many to be kept."""
    if not (drawing.of_points and data_of(drawing.analysed.marginal).bent):
        return False
    return _room(drawing) * at_once(drawing.analysed.marginal) >= worth(drawing)[1]


class _Call(NamedTuple):
    """Points of one call."""

    x: FloatArray  # (m, 2, P)
    drawn: FloatArray  # (m, P)
    log_weights: FloatArray  # (2, P)
    mean: FloatArray  # weighted, of all effects (p + q,)

    @property
    def gain(self) -> float:
        """Log of the sum of its weights."""
        return float(logsumexp(self.log_weights))


def table(drawing: Drawing, interval: float) -> Table | None:
    """What tables show; None where points are no bent normal draws, or too many to be kept."""
    if not serves(drawing):
        return None
    post, m = drawing.analysed.marginal, at_once(drawing.analysed.marginal)
    draws, least = worth(drawing)
    wanted, most, calls = -(-least // m), min(-(-draws // m), _room(drawing)), list[_Call]()
    with own_settings():
        known = np.asarray(at_theta.spread(None, post, drawing.at_theta.theta, drawing.at_theta.found)[1])
    sd, size = np.sqrt(known), _size(post)
    few = np.unique(np.linspace(0, size - 1, LOOKED_AT).astype(np.int64))
    with bar(None, "points", progress=drawing.progress) as shown:
        while len(calls) < wanted:
            for part in range(len(calls), wanted):
                calls.append(_called(drawing, part, m))
                shown.update(m)
            seen = _paired(calls, sd, few)
            error = seen.errors(seen.interval(interval), interval).mean(axis=1).max()
            wanted = min(enough(len(calls), error, draws), most)
    block = max(TOGETHER // (4 * m * len(calls)), 1)
    ends = [np.zeros((2, 0))]
    variances = [np.zeros(0)]
    for start in range(0, size, block):
        some = _paired(calls, sd, np.arange(start, min(start + block, size)))
        ends.append(some.interval(interval, HALVINGS))
        variances.append(some.variance)
    shares = softmax([call.gain for call in calls])
    mean = drawing.analysed.natural(shares @ np.stack([call.mean for call in calls]))
    return Table(mean, np.sqrt(np.maximum(np.concatenate(variances), 0.0)), np.concatenate(ends, axis=1))


def _room(drawing: Drawing) -> int:
    """How many calls' points may be kept."""
    post = drawing.analysed.marginal
    return int(KEPT_BYTES // (8 * 3 * at_once(post) * max(_size(post), 1)))


def _size(post: Marginal) -> int:
    """Number of printed effects."""
    return sum(some.place.shape[0] for some in post.printed)


def _called(drawing: Drawing, part: int, m: int) -> _Call:
    """The points that `lgm.results.fixed_alone` has in this call."""
    post, at, analysed, p = drawing.analysed.marginal, drawing.at_theta, drawing.analysed, drawing.p
    z = normals(drawing.seed, 5, numbers=np.arange(part * m, (part + 1) * m), size=post.n_normals)
    with own_settings():
        values, drawn, log_weights = map(np.asarray, at_theta.all_points(m, post, at.theta, at.found, z))
    nothing = analysed.printed(analysed.natural(np.zeros(post.dim)))
    x, n = (analysed.printed(analysed.natural(each.T))[:, p:].T for each in (values, drawn))
    return _Call(
        np.ascontiguousarray(x).reshape(-1, 2, m),
        n - nothing[p:, None],
        log_weights.reshape(2, m),
        values @ softmax(log_weights),
    )


def _paired(calls: list[_Call], sd: FloatArray, which: IntArray) -> Paired:
    """Some effects at all points."""
    x = np.concatenate([call.x[which] for call in calls], axis=2)
    away = np.concatenate([call.drawn[which] for call in calls], axis=1)
    log_weights = np.concatenate([call.log_weights for call in calls], axis=1)
    weights = np.exp(log_weights - log_weights.max())
    centre, nothing = x.mean(axis=(1, 2)), np.zeros(which.size)
    return Paired(
        x,
        centre[:, None, None] + np.stack([away, -away], axis=1),
        centre,
        sd[which],
        weights / weights.mean(),
        np.zeros_like(weights),
        Known(nothing, nothing, nothing, nothing),
    )
