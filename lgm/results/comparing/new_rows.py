"""Log densities of rows that were left out, one by one, given all rows that were not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.posterior.every_row import EveryRow
from lgm.results.comparing import refits
from lgm.results.comparing.over_theta import carried
from lgm.results.comparing.passes import Thetas, predictions_at

if TYPE_CHECKING:
    from lgm.results.fit import Fit

ADDED = 24  # thetas at which each row is added to those that stayed, where the response is not Gaussian
FITS = 5_000  # with one row more, in all


def predicted(fit: Fit, rows: EveryRow, thetas: Thetas, out: IntArray) -> FloatArray:
    """``log p(y_i | y_-out, theta)`` (S, m) of the rows with these numbers (m,)."""
    kept = np.ones(fit.nobs)
    kept[out] = 0.0
    found = np.empty((thetas.size, out.size))
    for at, cavity in predictions_at(fit, thetas.theta, rows, kept):
        found[at] = cavity.log_density[:, out]
    if fit.analysed.marginal.data.normal or out.size * ADDED > FITS:
        return found
    at = thetas.spread(ADDED)
    return carried(found, refits.rows_added(fit, rows, kept, out, thetas.theta[at]), at, thetas.slow)[0]
