"""What one term adds to the linear predictor, against its variable, and the data around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.design import predictor as predictors
from lgm.design.predictor import NewRows, Parts
from lgm.formula.python import Expression
from lgm.results.linear_predictor import linear_predictor
from lgm.terms import view
from lgm.terms.term import Term

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


def of(fit: Fit, term: Term, shown: view.Curve) -> Curve:
    """The curve of a term, its straight line included; it averages zero over the rows with a response."""
    d = fit.design
    j = next(i for i, other in enumerate(d.terms) if other is term)
    parts = _only(fit, j)
    at = d.seen.numbers(shown.variable, f"the variable of {term.label}")
    x = np.linspace(at.min(), at.max(), _GRID) if shown.points is None else shown.points
    over_x = linear_predictor(fit, _over(fit, j, x, parts))
    own = linear_predictor(fit, predictors.encode(d.predictor, d.seen, parts)).mean()
    everything = linear_predictor(fit, predictors.encode(d.predictor, d.seen, Parts.all(d.predictor))).mean()
    level = linear_predictor(fit, _average(fit, j, parts))
    missing = [name for name in term.null if name not in d.predictor.null_names]
    return Curve(
        label=term.label,
        variable=shown.variable.text,
        response=d.formula.response.text,
        x=x,
        mean=over_x.mean() - level.mean(),
        draws=(over_x.draws() - level.draws()).T,
        at=at,
        residual=d.y - everything + own - own.mean(),
        weights=d.weights,
        without=", ".join(missing),
    )


def _only(fit: Fit, j: int) -> Parts:
    """Term j with its null-space columns."""
    predictor = fit.design.predictor
    lines = np.isin(predictor.fixed_names, [n for n in predictor.terms[j].null if n in predictor.null_names])
    return Parts(lines, tuple(i == j for i in range(len(predictor.terms))), offset=False)


def _over(fit: Fit, j: int, x: FloatArray, parts: Parts) -> NewRows:
    """Rows for which the variable of term j has the values x: a plain column in place of its expression, say log(x)."""
    predictor = fit.design.predictor
    term: Any = predictor.terms[j]
    plain = replace(term, piece=Expression.column("x"))
    terms = tuple(plain if i == j else other for i, other in enumerate(predictor.terms))
    scope = fit.design.scope.on(pd.DataFrame({"x": x}))
    return predictors.encode(replace(predictor, terms=terms), scope, parts)


def _average(fit: Fit, j: int, parts: Parts) -> NewRows:
    """One row with the average columns of term j over the rows with a response."""
    d = fit.design
    rows = predictors.encode(d.predictor, d.seen, parts)
    encoded = rows.encoded[j]
    assert encoded is not None

    def average(columns: sp.csc_array) -> sp.csc_array:
        return sp.csc_array(np.asarray(columns.mean(axis=0)).reshape(1, -1))

    mean = replace(encoded, z=average(encoded.z))
    pieces = tuple(mean if i == j else other for i, other in enumerate(rows.encoded))
    return NewRows(pd.RangeIndex(1), average(rows.X), pieces, np.zeros(1))
