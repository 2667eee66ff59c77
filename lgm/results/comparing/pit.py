"""Probability integral transforms of responses, each by what all others say of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from lgm.arrays import FloatArray, IntArray
from lgm.families.response import Response
from lgm.posterior.latent_prior import by_kind
from lgm.results.comparing import conditional
from lgm.results.comparing.passes import cavities_at, rows_of

if TYPE_CHECKING:
    from lgm.results.comparing.loo import Loo

SIMULATED = 4000  # responses of each row


def leave_one_out(loo: Loo) -> pd.DataFrame:
    """``P(y < y_i)`` and ``P(y <= y_i)`` given all other rows, with the index of the rows."""
    fit, weights = loo.fit, np.exp(loo.weights.log)
    d = fit.design
    rng = np.random.default_rng([fit.seed, 12])
    lower, upper = np.zeros(d.n), np.zeros(d.n)
    for at, mean, sd in _predictors(loo):
        own = {k: v[:, 0] if v.shape[1] == 1 else v for k, v in by_kind(loo.thetas.theta[at], _places(loo)).items()}
        if d.family.conjugate:
            spread = np.sqrt(sd**2 + own["sigma"][:, None] ** 2 / d.weights)
            below = ndtr((d.y - mean) / spread)
            found = below, below
        else:
            found = _simulated(loo, rng, mean, sd, own)
        lower += np.sum(weights[at] * found[0], axis=0)
        upper += np.sum(weights[at] * found[1], axis=0)
    return pd.DataFrame({"lower": lower, "upper": np.minimum(upper, 1.0)}, loo.table.index)


def _places(loo: Loo) -> Any:
    return loo.fit.analysed.marginal.data.places


def _predictors(loo: Loo) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
    """Numbers of some thetas (B,), and means and sds of the linear predictors given all other rows (B, n)."""
    fit, thetas = loo.fit, loo.thetas
    if fit.draws.conditional:
        for at, found in cavities_at(fit, thetas.theta, rows_of(fit)):
            yield at, np.asarray(found.mean), np.sqrt(np.asarray(found.variance))
    else:
        eta = conditional.linear_predictors(fit, thetas.numbers)
        for k in range(thetas.size):
            yield np.array([k]), eta[k : k + 1], np.zeros((1, fit.nobs))


def _simulated(
    loo: Loo, rng: np.random.Generator, mean: FloatArray, sd: FloatArray, own: dict[str, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Both probabilities (B, n)."""
    d, each = loo.fit.design, -(-SIMULATED // loo.thetas.size)
    trials = np.ones(d.n) if d.response.trials is None else np.asarray(d.response.trials)
    below, up_to = np.empty(mean.shape), np.empty(mean.shape)
    for k in range(len(mean)):
        theta = {kind: np.repeat(values[k : k + 1], each, axis=0) for kind, values in own.items()}
        eta = mean[k][:, None] + sd[k][:, None] * rng.standard_normal((d.n, each))
        drawn = d.family.simulate(rng, eta, theta, d.weights, trials)
        below[k], up_to[k] = _ends(d.response, drawn)
    return below, up_to


def _ends(y: Response, drawn: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shares (n,) of draws (n, m) below what was seen, and not above it; of what is censored, below where it begins."""
    value = np.asarray(y.value)[:, None]
    below, up_to = np.mean(drawn < value, axis=1), np.mean(drawn <= value, axis=1)
    if y.censored is None:
        return below, up_to
    code = np.asarray(y.censored)
    last = up_to if y.upper is None else np.mean(drawn <= np.asarray(y.upper)[:, None], axis=1)
    low = np.select([code == 0, code == -1], [below, 0.0], up_to)
    high = np.select([code == 1, code == 2], [1.0, last], up_to)
    return low, high
