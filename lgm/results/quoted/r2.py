"""Bayesian R-squared: the share of the variance of responses that a model explains, draw by draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.design import predictor as predictors
from lgm.errors import LgmError
from lgm.results.linear_predictor import linear_predictor, parts_of
from lgm.results.progress import bar
from lgm.results.quoted.errors import variances
from lgm.results.tables import theta_of_family

if TYPE_CHECKING:
    from lgm.results.fit import Fit


def table(fit: Fit) -> pd.DataFrame:
    """See `Fit.r2`."""
    draws = shares(fit)
    ends = [(1 - fit.interval) / 2, (1 + fit.interval) / 2]
    rows = {name: [x.mean(), x.std(ddof=1), *np.quantile(x, ends)] for name, x in draws.items()}
    return pd.DataFrame.from_dict(rows, "index", columns=["mean", "sd", *fit.interval_names]).rename_axis("R2")


def shares(fit: Fit) -> dict[str, FloatArray]:
    """Draws (S,) of both.

    Raises
    ------
    LgmError
        For a response of categories, whose variance is none of numbers.
    """
    d = fit.design
    if d.family.outcomes or d.response.censored is not None:
        what = "of categories" if d.family.outcomes else "that is censored"
        raise LgmError(f"R-squared is of responses that are numbers, and `{d.formula.response.text}` is one {what}.")
    explained, errors = _sums(fit, groups=True)
    found = {"conditional": explained / (explained + errors)}
    if any(term.group for term in d.terms):
        found["marginal"] = _sums(fit, groups=False)[0] / (explained + errors)
    return found


def _sums(fit: Fit, *, groups: bool) -> tuple[FloatArray, FloatArray]:
    """Variance of expected responses over the rows, and mean variance of responses about them (S,)."""
    d, theta, rng = fit.design, theta_of_family(fit), np.random.default_rng([fit.seed, 22])
    rows = predictors.encode(d.predictor, d.seen, parts_of(fit, None, None, groups))
    eta = linear_predictor(fit, rows)
    shift = float(np.mean(d.as_given))  # against cancellation
    total, square, errors = (np.zeros(fit.effects.size) for _ in range(3))
    with bar(eta.n, "explained variance", progress=fit.progress) as shown:
        for part in eta.pieces(8 * 64):
            for numbers, drawn in eta.blocks(part):
                own = {kind: draws[numbers] for kind, draws in theta.items()}
                mean = d.family.mean(drawn, own) - shift
                total[numbers] += mean.sum(axis=0)
                square[numbers] += np.square(mean).sum(axis=0)
                if groups:
                    errors[numbers] += variances(fit, part, drawn, own, rng).sum(axis=0)
            shown.update(part.size)
    explained = np.maximum(square - total**2 / eta.n, 0.0) / (eta.n - 1)
    return explained, errors / eta.n
