"""Residuals: what is left of the responses, one number for each row of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lgm.arrays import FloatArray
from lgm.errors import LgmError
from lgm.results import predict
from lgm.results.checking import places
from lgm.results.checking.observed import Observed
from lgm.results.checking.places import Places

if TYPE_CHECKING:
    from lgm.results.fit import Fit

KINDS = ("quantile", "pearson", "response")
GIVEN = ("posterior", "loo")


def residuals(fit: Fit, kind: str, *, given: str, seed: int) -> Any:
    """See `Fit.residuals`."""
    rows = Observed(fit)
    return rows.among_all(of(rows, kind, given=given, seed=seed), f"{kind} residual")


def of(rows: Observed, kind: str, *, given: str, seed: int) -> FloatArray:
    """Residuals (n,) of the rows with a response."""
    if kind not in KINDS:
        raise LgmError(f"kind={kind!r}; accepted: {', '.join(map(repr, KINDS))}.")
    if kind == "quantile":
        return places.scores(placed(rows, given, seed).drawn(np.random.default_rng([seed, 8])))
    if given != "posterior":
        raise LgmError(f"given={given!r} is for kind='quantile'; {kind} residuals are from posterior means.")
    if rows.censored.any():
        raise LgmError(
            f"{kind} residuals need responses that are known, and {np.count_nonzero(rows.censored)} are censored. "
            "Accepted: kind='quantile', which draws a place within the interval of a censored one."
        )
    if rows.fit.design.family.outcomes:
        raise LgmError(
            f"{kind} residuals are differences of numbers, and `{rows.fit.design.formula.response.text}` has ordered "
            "categories. Accepted: kind='quantile', which takes their order alone."
        )
    mean, sd = predict.at_observed(rows.fit, seed)
    return (rows.y - mean) / (sd if kind == "pearson" else rows.trials / rows.shares)


def placed(rows: Observed, given: str, seed: int) -> Places:
    """Where the responses stand among predictions, with their own share in these or without it."""
    if given not in GIVEN:
        raise LgmError(f"given={given!r}; accepted: {', '.join(map(repr, GIVEN))}.")
    return left_out(rows) if given == "loo" else places.predictive(rows, seed)


def left_out(rows: Observed) -> Places:
    """Each response among predictions by all the other rows."""
    found = rows.fit.loo().pit
    return Places(found["lower"].to_numpy(), found["upper"].to_numpy())
