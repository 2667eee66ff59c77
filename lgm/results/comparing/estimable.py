"""Fixed effects with flat priors of which nothing is known once some rows are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from scipy.linalg import solve_triangular

from lgm.arrays import BoolArray
from lgm.errors import IdentifiabilityWarning, warn
from lgm.priors import Flat
from lgm.words import listed

if TYPE_CHECKING:
    from lgm.results.comparing.labels import Labels
    from lgm.results.fit import Fit

ROUNDING = 1e-9  # of one: the share of what is known of a combination of effects that other rows have


def unknown_without(fit: Fit, units: Labels) -> BoolArray:
    """Units (U,) without which a combination of flat fixed effects has no row that tells of it; a warning names them.

    Their responses have no density given the others.
    """
    out = np.zeros(len(units.index), dtype=bool)
    flat = [isinstance(prior, Flat) for prior in fit.chosen_priors.fixed]
    if any(flat):
        columns = np.flatnonzero(flat)
        x, norm = sp.csr_array(fit.design.predictor.X)[:, columns], fit.design.triangle(columns)
        order = np.argsort(units.of, kind="stable")
        for unit, rows in enumerate(np.split(order, np.cumsum(units.sizes)[:-1])):
            own = solve_triangular(norm, x[rows].toarray().T, trans="T")
            smaller = own @ own.T if own.shape[0] < own.shape[1] else own.T @ own
            out[unit] = np.max(np.linalg.eigvalsh(smaller), initial=0.0) > 1.0 - ROUNDING
    if out.any():
        warn(
            f"without {listed(list(units.index[out]), 5)} of {units.index.name} some fixed effect with a flat prior is "
            "unknown, so that no density is left to judge by: NaN, and left out of sums. Use proper priors, such as "
            "the defaults.",
            IdentifiabilityWarning,
        )
    return out
