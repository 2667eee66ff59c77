"""Whether the draws can be trusted, in one line."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.inference.draws import ENOUGH, Draws, Points
from lgm.inference.pareto import threshold

RHAT_LIMIT = 1.01
DIVERGENT_SHARE = 0.005


def verdict(summary: pd.DataFrame, draws: Draws, method: str = "nuts") -> str:
    """One line: can the draws be trusted, and what to do if not. Hyperparameters that are held are not judged."""
    if not np.ptp(draws.theta, axis=(0, 1)).any():
        return _of_held(summary, draws, method)
    if draws.points is not None:
        return _of_points(draws.points)
    moving = summary[summary["sd"] > 0]
    chains, kept, _ = draws.theta.shape
    diverging = int(np.sum(draws.stats["diverging"]))
    rhat, ess = moving["r_hat"].max(), moving[["ess_bulk", "ess_tail"]].min(axis=None)
    shown = "no R-hat from one chain" if chains == 1 else f"largest R-hat {rhat:.3f}"
    plural = "" if diverging == 1 else "s"
    facts = f"{shown}, smallest effective sample size {ess:.0f}, {diverging} divergence{plural}"
    if rhat > RHAT_LIMIT:
        worst = moving["r_hat"].idxmax()
        return (
            f"Not converged: {facts}. The chains disagree about {worst}: draw more (draws={2 * kept}, warmup="
            f"{2 * draws.warmup}); if that does not help, give it a narrower prior."
        )
    if diverging > DIVERGENT_SHARE * chains * kept:
        return (
            f"Doubtful: {facts}. Divergences can bias the draws: raise warmup to {2 * draws.warmup}, or give the "
            "standard deviations narrower priors."
        )
    if not ess >= ENOUGH:
        wanted = f" to about {_rounded_up(kept * ENOUGH / ess)}" if ess > 0 else ""
        return f"Too few draws: {facts}. Raise draws{wanted}, so that every effective sample size reaches {ENOUGH}."
    if chains == 1:
        return f"Unchecked: {facts}. Run chains=4, so that the chains can be compared."
    return f"Converged: {facts}."


def _of_held(summary: pd.DataFrame, draws: Draws, method: str) -> str:
    if method == "mode":
        ends = "" if draws.standard_errors is None else _at_an_end(summary, draws.standard_errors)
        return (
            "Conditional: hyperparameters are held at their posterior mode, with standard errors from the curvature "
            f'there; intervals of effects leave out their uncertainty.{ends} Use method="nuts" for all of it.'
        )
    return "Exact: every hyperparameter is fixed, so the draws are independent."


def _at_an_end(summary: pd.DataFrame, standard_errors: FloatArray) -> str:
    """Which hyperparameters have their mode at the end of their range: it says little of where they are."""
    names = summary.index[-standard_errors.size :][np.isnan(standard_errors)]
    return f" The mode of {', '.join(names)} is at the end of the range." if len(names) else ""


def _of_points(points: Points) -> str:
    """The verdict on weighted points: can the weights be trusted, and are there enough of them."""
    limit = threshold(points.log_weights.size)
    facts = (
        f"Pareto k {points.k:.2f} (limit {limit:.2f}), {points.ess:.0f} effective of {points.log_weights.size} points"
    )
    if not points.k <= limit:
        return f'Not reliable: {facts}. A few points carry most of the weight: use method="nuts".'
    if points.ess < ENOUGH:
        return f'Too few points: {facts}, fewer than {ENOUGH}. Use method="nuts".'
    return f"Reliable: {facts}."


def _rounded_up(wanted: float) -> int:
    """Two leading digits, upwards."""
    step = 10 ** max(math.floor(math.log10(wanted)) - 1, 0)
    return int(math.ceil(wanted / step) * step)
