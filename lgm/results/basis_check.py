"""Whether the bases of smooths are large enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from lgm.arrays import FloatArray, IntArray
from lgm.data.table import is_number
from lgm.design import predictor as predictors
from lgm.design.predictor import Parts
from lgm.errors import LgmError
from lgm.results import contributions
from lgm.results.linear_predictor import linear_predictor
from lgm.results.quoted.edf import degrees_of_freedom
from lgm.terms.term import Smooth

if TYPE_CHECKING:
    from lgm.results.fit import Fit

REPEATS = 400  # of the residuals in random order
MOST_ROWS = 5000  # of which neighbours are looked for
NEIGHBOURS = 3  # of a row, where there are several variables
COLUMNS = ["k'", "edf", "k-index", "p-value"]


def table(fit: Fit, seed: int) -> pd.DataFrame:
    """See `Fit.k_check`."""
    found = _smooths(fit)
    dofs = degrees_of_freedom(fit, found)
    rng = np.random.default_rng(seed)
    residuals = _residuals(fit)
    chosen = np.arange(residuals.size)
    if residuals.size > MOST_ROWS:
        chosen = np.sort(rng.choice(residuals.size, MOST_ROWS, replace=False))
    rows = [
        (smooth.dimension, dofs[smooth.name], *_index(residuals[chosen], _neighbours(fit, j, smooth, chosen), rng))
        for j, smooth in found
    ]
    return pd.DataFrame(rows, [smooth.name for _, smooth in found], COLUMNS).rename_axis("smooth")


def _smooths(fit: Fit) -> list[tuple[int, Smooth]]:
    """All smooths with the number of their term.

    Raises
    ------
    LgmError
        If there is none.
    """
    found = [(j, smooth) for j, term in enumerate(fit.design.terms) for smooth in term.smooths]
    if not found:
        labels = ", ".join(term.label for term in fit.design.terms)
        raise LgmError(f"there is no smooth in this model{f', only {labels}' if labels else ''}.")
    return found


def _residuals(fit: Fit) -> FloatArray:
    """Pearson's, at posterior means: of a Gaussian response what is left of it, times the root of its weight."""
    d = fit.design
    rows = predictors.encode(d.predictor, d.seen, Parts.all(d.predictor))
    error, weights = contributions.errors(fit, linear_predictor(fit, rows).mean())
    return np.asarray(error * np.sqrt(weights))


def _neighbours(fit: Fit, j: int, smooth: Smooth, chosen: IntArray) -> tuple[IntArray, IntArray] | None:
    """Pairs of rows that are next to each other; None where a variable is not a number."""
    seen = fit.design.seen
    if not smooth.variables or not all(is_number(seen.column(v, smooth.name)) for v in smooth.variables):
        return None
    x = np.column_stack([seen.numbers(v, smooth.name) for v in smooth.variables])[chosen]
    if x.shape[1] == 1:
        order = np.argsort(x[:, 0], kind="stable")
        return order[1:], order[:-1]
    if smooth.of_margins:  # no unit is common to the variables: distances are those of the function
        x = (x - x.min(axis=0)) / np.ptp(x, axis=0) * _slopes(fit, j, smooth, x)
    near = cKDTree(x).query(x, NEIGHBOURS + 1)[1]
    others = np.array([row[row != i][:NEIGHBOURS] for i, row in enumerate(near)])
    return np.repeat(np.arange(len(x)), NEIGHBOURS), others.ravel()


def _slopes(fit: Fit, j: int, smooth: Smooth, x: FloatArray) -> FloatArray:
    """Mean absolute change of the function along each variable, mgcv's unit of distance for tensor products."""
    own = contributions.Own(fit, j, smooth.by, smooth.level)
    here = own.over(x).mean()
    slopes = []
    for k, width in enumerate(np.ptp(x, axis=0)):
        moved = x.copy()
        moved[:, k] += width / 1000.0
        slopes.append(np.mean(np.abs(own.over(moved).mean() - here)) / (width / 1000.0))
    return np.array(slopes)


def _index(
    residuals: FloatArray, pairs: tuple[IntArray, IntArray] | None, rng: np.random.Generator
) -> tuple[float, float]:
    """Half the mean squared difference of neighbours, less than the variance where a pattern is left; its p-value."""
    if pairs is None:
        return np.nan, np.nan
    one, other = pairs

    def half(values: FloatArray) -> float:
        return float(np.mean((values[one] - values[other]) ** 2) / 2.0)

    observed = half(residuals)
    shuffled = np.array([half(rng.permutation(residuals)) for _ in range(REPEATS)])
    return observed / float(np.mean(residuals**2)), float(np.mean(shuffled < observed))
