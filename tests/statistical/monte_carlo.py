"""Posterior summaries with their Monte Carlo standard errors, from draws and from what other software printed.

With S_eff the effective sample size of the quantity in question, moments m and quantiles q of the posterior:

    mean            m1                         error sd / sqrt(S_eff)
    sd              sqrt(m2)                   error sqrt((m4 - m2^2) / S_eff) / (2 sd) (delta method)
    p-quantile      q                          error sqrt(p (1 - p) / S_eff) / density(q)

With weighted points, whatever is drawn at one point stands or falls with its weight. With g_i the sum of g - E[g] over
the draws at point i, the mean of g over S draws errs by sqrt(sum_i g_i^2) / S (sandwich estimate by clusters), hence
S_eff = S^2 var(g) / sum_i g_i^2. Scrambled Sobol points do better than that, so these errors are upper bounds.

Printed summaries give neither fourth moments nor densities. If the test is to pass, both sides have the same posterior,
so those of our draws serve both; the density is 2h / (q(p + h) - q(p - h)), from the slope of the quantile function.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import arviz as az
import numpy as np

PROBABILITIES = {"q5": 0.05, "q50": 0.50, "q95": 0.95}
LIMIT = 4.0  # a normal deviate exceeds it once in 16 000 times


class Estimate(NamedTuple):
    value: float
    error: float


Summary = dict[str, Estimate]


def ess(draws: np.ndarray, method: str = "mean", **options: float) -> float:
    """Effective sample size of draws (chains, draws)."""
    return float(az.ess(draws, method=method, **options))


def of_draws(draws: np.ndarray) -> Summary:
    """Mean, sd and quantiles of draws (chains, draws)."""
    return _summary(draws, ess, lambda p: ess(draws, "quantile", prob=p))


def of_points(draws: np.ndarray, point: np.ndarray) -> Summary:
    """The same for draws (S,) resampled from weighted points; ``point`` says from which."""

    def size(values: np.ndarray) -> float:
        away = values - values.mean()
        return values.size**2 * away.var() / float(np.sum(np.bincount(point, away) ** 2))

    return _summary(draws, size, lambda p: size((draws <= np.quantile(draws, p)).astype(float)))


def _summary(draws: np.ndarray, size: Callable[[np.ndarray], float], at_quantile: Callable[[float], float]) -> Summary:
    square = (draws - draws.mean()) ** 2
    out = {
        "mean": Estimate(draws.mean(), draws.std() / np.sqrt(size(draws))),
        "sd": Estimate(draws.std(ddof=1), _sd_unit(draws) / np.sqrt(size(square))),
    }
    for name, p in PROBABILITIES.items():
        error = _quantile_unit(draws, p) / np.sqrt(at_quantile(p))
        out[name] = Estimate(float(np.quantile(draws, p)), error)
    return out


def of_printed(printed: Mapping[str, Any], draws: np.ndarray) -> Summary:
    """A stored summary; its errors are zero if it was not made by sampling.

    Stan's tail ESS is the smaller of those of the two outer quantiles, so their errors are upper bounds. For the sd and
    the median, whose ESS is not stored, the smaller of the bulk and the tail ESS stands in; where only the bulk ESS is
    stored, it serves for all.
    """
    bulk = printed.get("ess_bulk", np.inf)
    tail = printed.get("ess_tail", bulk)
    out = {
        "mean": Estimate(printed["mean"], printed["sd"] / np.sqrt(bulk)),
        "sd": Estimate(printed["sd"], _sd_unit(draws) / np.sqrt(min(bulk, tail))),
    }
    for name, p in PROBABILITIES.items():
        size = tail if name != "q50" else min(bulk, tail)
        out[name] = Estimate(printed[name], _quantile_unit(draws, p) / np.sqrt(size))
    return out


def deviation(ours: Estimate, theirs: Estimate) -> float:
    """Difference in combined standard errors."""
    return (ours.value - theirs.value) / np.hypot(ours.error, theirs.error)


def _sd_unit(draws: np.ndarray) -> float:
    """Error of the sd for one effective draw."""
    square = (draws - draws.mean()) ** 2
    return float(square.std() / (2.0 * draws.std()))


def _quantile_unit(draws: np.ndarray, p: float, h: float = 0.02) -> float:
    """Error of a quantile for one effective draw."""
    low, high = np.quantile(draws, [p - h, p + h])
    return float(np.sqrt(p * (1.0 - p)) * (high - low) / (2.0 * h))
