"""The curve of a smooth, walk or autoregressive term against its variable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.formula.python import Expression

if TYPE_CHECKING:
    from lgm.results.fit import Fit

_GRID = 200


@dataclass(frozen=True)
class Curve:
    """A curve and the data that it goes through.

    Parameters
    ----------
    label, variable, response : str
    x, mean : float arrays (m,)
        Grid, or the distinct values of a walk, and the exact posterior mean there.
    draws : float array (S, m)
    at : float array (n,)
        The variable in the rows with a response.
    residual : float array (n,)
        Partial residuals: the response less all other terms, at posterior means.
    weights : float array (n,)
    without : str
        Fixed effects that hold the straight line in place of the term; the curve is then without it.
    """

    label: str
    variable: str
    response: str
    x: FloatArray
    mean: FloatArray
    draws: FloatArray
    at: FloatArray
    residual: FloatArray
    weights: FloatArray
    without: str


def of(fit: Fit, j: int) -> Curve:
    """The curve of term j, its straight line included; it averages zero over the rows with a response."""
    d = fit.design
    term: Any = d.terms[j]
    view = term.view
    piece = view.variable
    at = d.scope.numbers(piece, f"the variable of {term.label}")[d.rows.observed]
    x = np.linspace(at.min(), at.max(), _GRID) if view.points is None else view.points
    # the term over a plain column in place of its expression, such as log(x)
    found = replace(term, piece=Expression.column("x")).encode(d.scope.on(pd.DataFrame({"x": x})))
    place = d.predictor.term_slices()[j]
    own = np.arange(d.p + place.start, d.p + place.stop)
    lines = [name for name in term.null if name in d.predictor.null_names]
    own = np.concatenate([own, [d.fixed_names.index(name) for name in lines]]).astype(int)
    grid = np.column_stack([found.z.toarray(), *(found.null[name] for name in lines)])
    columns = d.predictor.A[:, own]
    grid = grid - np.asarray(columns.mean(axis=0)).ravel()
    mean = fit.effects.mean
    fitted = columns @ mean[own]
    residual = d.y - d.predictor.offset - d.predictor.A @ mean + fitted - fitted.mean()
    missing = [name for name in term.null if name not in lines]
    response = d.formula.response.text
    draws = fit.effects.draws[:, own] @ grid.T
    x_and_mean = (x, grid @ mean[own])
    return Curve(term.label, piece.text, response, *x_and_mean, draws, at, residual, d.weights, "".join(missing))
