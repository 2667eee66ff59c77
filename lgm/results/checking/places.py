"""Where each response stands among those that a model predicts: its probability integral transform."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from lgm.arrays import FloatArray, IntArray
from lgm.families.times import INTERVAL, LEFT, RIGHT
from lgm.results.checking.observed import Observed

SIMULATED = 250  # responses of a row by one draw, where the family does not know its distribution function
_BYTES = 64e6  # of intermediate results held at once


class Places(NamedTuple):
    """Probabilities (n,) of less than the response and of at most it; of a censored one, of its interval's ends."""

    lower: FloatArray
    upper: FloatArray

    def drawn(self, rng: np.random.Generator) -> FloatArray:
        """One place of each row between its two (n,), uniform where the model is right."""
        return self.lower + rng.random(self.lower.shape) * (self.upper - self.lower)


def scores(places: FloatArray) -> FloatArray:
    """Standard normal scores of places, finite ones."""
    return np.asarray(ndtri(np.clip(places, np.finfo(float).tiny, 1.0 - 0.5 * np.finfo(float).eps)))


def predictive(rows: Observed, seed: int) -> Places:
    """By the posterior predictive distribution of each row: on average over all draws.

    A family that does not know its distribution function (one of a user's own) draws one response for each; the place
    is then that among these and the response itself.
    """
    lower, upper, size = np.zeros(rows.n), np.zeros(rows.n), rows.fit.effects.size
    rng = np.random.default_rng([seed, 6])
    for take in rows.eta.pieces(64):
        for numbers, eta in rows.eta.blocks(take):
            low, high = _ends(rows, take, eta, {kind: draws[numbers] for kind, draws in rows.theta.items()}, rng)
            lower[take] += low.sum(axis=1)
            upper[take] += high.sum(axis=1)
    if not _known(rows):
        return Places(lower / (size + 1.0), (upper + 1.0) / (size + 1.0))
    return Places(lower / size, upper / size)


def given_draws(rows: Observed, numbers: IntArray, seed: int) -> FloatArray:
    """One place (n, B) of each row by each of some draws of all parameters and effects.

    If the model is right these are independent and uniform, whatever the draw: it and the data come from the same
    joint distribution as the true values and the data (Johnson 2004).
    """
    eta, rng = rows.eta.draws(only=numbers), np.random.default_rng([seed, 7])
    theta = {kind: draws[numbers] for kind, draws in rows.theta.items()}
    if _known(rows):
        return Places(*_ends(rows, np.arange(rows.n), eta, theta, rng)).drawn(rng)
    out, step = np.empty(eta.shape), max(int(_BYTES // (8 * rows.n * numbers.size)), 1)
    below, same = np.zeros(eta.shape), np.zeros(eta.shape)
    for start in range(0, SIMULATED, step):
        times = min(step, SIMULATED - start)
        many = {kind: np.repeat(draws, times, axis=0) for kind, draws in theta.items()}
        low, high = _ends(rows, np.arange(rows.n), np.repeat(eta, times, axis=1), many, rng)
        below += low.reshape(rows.n, -1, times).sum(axis=2)
        same += (high - low).reshape(rows.n, -1, times).sum(axis=2)
    out = below + rng.random(eta.shape) * (same + 1.0)
    return np.asarray(out / (SIMULATED + 1.0))


def _known(rows: Observed) -> bool:
    """Whether the family knows its distribution function."""
    family, zero = rows.fit.design.family, np.zeros(0)
    theta = {kind: draws[:1] for kind, draws in rows.theta.items()}
    return family.cdf(zero, np.zeros((0, 1)), theta, zero, zero) is not None


def _ends(
    rows: Observed, take: IntArray, eta: FloatArray, theta: dict[str, FloatArray], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Probabilities (rows, B) of less than each response and of at most it, by each draw; of one simulated, 0 or 1."""
    d = rows.fit.design
    y, weights, trials = d.response.rows(take), d.weights[take], rows.trials[take]
    value = np.asarray(y.value)
    upper = d.family.cdf(value, eta, theta, weights, trials)
    if upper is None:
        drawn = d.family.simulate(rng, eta, theta, weights, trials)
        return (drawn < value[:, None]).astype(float), (drawn <= value[:, None]).astype(float)
    lower = upper
    if d.family.whole:
        before = d.family.cdf(value - 1.0, eta, theta, weights, trials)
        assert before is not None
        lower = before
    if y.censored is None:
        return lower, upper
    code = np.asarray(y.censored)[:, None]
    end = upper
    if y.upper is not None:
        found = d.family.cdf(np.asarray(y.upper), eta, theta, weights, trials)
        assert found is not None
        end = found
    low = np.where(code == LEFT, 0.0, lower)
    return low, np.where(code == RIGHT, 1.0, np.where(code == INTERVAL, end, upper))
