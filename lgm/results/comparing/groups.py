"""Leave-group-out: how well groups of rows are predicted from all other groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from lgm.arrays import FloatArray
from lgm.errors import LgmError
from lgm.results.comparing import refits
from lgm.results.comparing.estimable import unknown_without
from lgm.results.comparing.labels import Labels, by_group
from lgm.results.comparing.loo import Loo, fit_index, notes, summed
from lgm.results.comparing.new_rows import predicted
from lgm.results.comparing.over_theta import carried
from lgm.results.comparing.passes import Thetas, rows_of, smoothed
from lgm.results.progress import bar
from lgm.words import counted

if TYPE_CHECKING:
    from lgm.results.fit import Fit

FITS = 20_000  # without a group, in all
FEWEST, MOST = 64, 400  # thetas
CORRECTED = 24  # of them with what Laplace's approximation leaves out


def leave_group_out(fit: Fit, groups: Any, *, joint: bool) -> Loo:
    """See `Criteria.loo`."""
    if not fit.draws.conditional:
        raise LgmError(
            'loo(groups=...) integrates the effects of a group out, which method="joint" samples. Accepted: a fit with '
            'method="nuts" or "importance", or fit.kfold(groups=...).'
        )
    units = by_group(fit, groups)
    rows, count = rows_of(fit), len(units.index)
    thetas = Thetas.of(fit, fit.nobs, most=int(np.clip(FITS // count, FEWEST, MOST)))
    density = _densities(fit, rows, units, thetas)
    density[:, unknown_without(fit, units)] = np.nan
    weights = smoothed(thetas, density)
    what = f"Leave-group-out, {counted(count, 'group')} of {units.index.name}"
    if joint:
        elpd, se, total = summed(thetas, weights, density)
        columns = {"rows": units.sizes, "elpd": elpd, "se": se, "pareto_k": weights.k}
        table = pd.DataFrame(columns, units.index)
        said = ("Each is the joint log density of a group's responses given all other groups.",)
        return Loo("logo", what, table, (*said, *notes(thetas, table, total)), fit, thetas, density)
    each = _row_by_row(fit, rows, thetas, units)
    elpd = logsumexp(weights.log[:, units.of] + each, axis=0)
    columns = {str(units.index.name): units.index.take(units.of), "elpd": elpd, "pareto_k": weights.k[units.of]}
    said = ("Each is the log density of one response given all groups but its own.",)
    table = pd.DataFrame(columns, fit_index(fit))
    return Loo("logo", what + ", row by row", table, (*said, *notes(thetas, table, np.nan)), fit, thetas, each)


def _densities(fit: Fit, rows: Any, units: Labels, thetas: Thetas) -> FloatArray:
    """``log p(y_I | y_-I, theta)`` (S, U); what is put back by weights changes slowly with theta."""
    every = np.arange(len(units.index))
    plain = refits.units_left_out(fit, rows, units.of, every, thetas.theta)
    if fit.analysed.marginal.data.exact:
        return plain
    at = thetas.spread(CORRECTED)
    known = refits.units_left_out(fit, rows, units.of, every, thetas.theta[at], corrected=True)
    return carried(plain, known, at, thetas.slow)[0]


def _row_by_row(fit: Fit, rows: Any, thetas: Thetas, units: Labels) -> FloatArray:
    """Log densities (S, n) of each row given all groups but its own."""
    out = np.empty((thetas.size, fit.nobs))
    with bar(len(units.index), "groups", progress=fit.progress) as shown:
        for unit in range(len(units.index)):
            own = np.flatnonzero(units.of == unit)
            out[:, own] = predicted(fit, rows, thetas, own)
            shown.update()
    return out
