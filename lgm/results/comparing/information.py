"""WAIC and DIC, given the effects: for those who are asked for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from lgm.errors import LgmWarning, warn
from lgm.results.comparing import conditional
from lgm.results.comparing.loo import Criterion, fit_index
from lgm.words import counted

if TYPE_CHECKING:
    from lgm.results.fit import Fit

MOST = 4000  # draws
NUMBERS = 40_000_000  # draws times rows
LARGE = 0.4  # variance of a row's log-likelihood from which on WAIC fails (Vehtari et al. 2017, sec. 2.2)
GIVEN = "given the effects: of new rows in the same groups"


def _draws(fit: Fit) -> np.ndarray:
    size = fit.draws.theta[..., 0].size
    most = int(np.clip(NUMBERS // fit.nobs, 200, MOST))
    return np.arange(0, size, max(-(-size // most), 1))


def waic(fit: Fit) -> Criterion:
    """See `Criteria.waic`."""
    each = conditional.log_likelihood(fit, _draws(fit))
    p = each.var(axis=0, ddof=1)
    table = pd.DataFrame({"elpd": logsumexp(each, axis=0) - np.log(len(each)) - p, "p_waic": p}, fit_index(fit))
    high = int(np.sum(p > LARGE))
    if high:
        warn(
            f"p_waic is above {LARGE} in {counted(high, 'row')} of {fit.nobs}, where WAIC fails; fit.loo() does not.",
            LgmWarning,
        )
    return Criterion("waic", f"WAIC {GIVEN}, {counted(fit.nobs, 'row')}", table, (), fit)


def dic(fit: Fit) -> pd.Series:
    """See `Criteria.dic`."""
    deviance = -2.0 * conditional.log_likelihood(fit, _draws(fit)).sum(axis=1)
    mean = float(deviance.mean())
    at_means = -2.0 * conditional.at_means(fit)
    p = mean - at_means
    return pd.Series({"dic": mean + p, "p_dic": p, "mean_deviance": mean, "deviance_at_means": at_means}, name="DIC")
