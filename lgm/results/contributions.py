"""What one term adds to the linear predictor, against its variable, and the data around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.design import predictor as predictors
from lgm.design.design import Design
from lgm.design.predictor import NewRows, Parts
from lgm.results.averages import Average
from lgm.results.linear_predictor import LinearPredictor, linear_predictor
from lgm.results.tables import theta_of_family
from lgm.terms import view
from lgm.terms.clock import NUMBERS
from lgm.terms.term import Term

if TYPE_CHECKING:
    from lgm.results.fit import Fit

_GRID = 200


@dataclass(frozen=True)
class Curve:
    """A curve and the data that it goes through.

    Parameters
    ----------
    label, variable, unit : str
        ``unit`` says what the curve is measured in.
    x, mean : arrays (m,)
        Grid, or the distinct values of a walk, numbers or dates, and the posterior mean there.
    draws : float array (S, m)
    average : float
        What it is compared with: zero, or the expected response of an average row.
    at : array (n,)
        The variable in the rows with a response.
    residual : float array (n,), optional
        Partial residuals.
    weights : float array (n,)
        How much each of them says.
    without : str
        Fixed effects that hold the straight line in place of the term; the curve is then without it.
    """

    label: str
    variable: str
    unit: str
    x: np.ndarray[Any, Any]
    mean: FloatArray
    draws: FloatArray
    average: float
    at: np.ndarray[Any, Any]
    residual: FloatArray | None
    weights: FloatArray
    without: str


def of(fit: Fit, term: Term, shown: view.Curve, kind: str = "linear", *, residuals: bool | None = None) -> Curve:
    """The curve of a term, its straight line included.

    In the linear predictor it averages zero over the rows with a response. As the mean of the response, the rest of
    the linear predictor has its average over these rows.

    Partial residuals add the curve and what is left of the response less the expected one. Where the link bends, they
    are working residuals (score by information, at posterior means; McCullagh & Nelder 1989, sec. 2.5), on the scale
    of the linear predictor only, and shown only where they are asked for.
    """
    d = fit.design
    j = next(i for i, other in enumerate(d.terms) if other is term)
    parts = _only(fit, j)
    at = shown.clock.read(d.seen, shown.variable, f"the variable of {term.label}")
    axis = shown.clock.axis
    if shown.turn is not None:
        at, axis = shown.turn[0] + (at - shown.turn[0]) % shown.turn.size, NUMBERS.axis
    x = np.linspace(at.min(), at.max(), _GRID) if shown.points is None else shown.points
    over_x = linear_predictor(fit, _over(fit, j, x, parts))
    everything = linear_predictor(fit, predictors.encode(d.predictor, d.seen, Parts.all(d.predictor))).mean()
    level = linear_predictor(fit, _average(fit, parts))
    residual, weights = None, np.ones(at.size)
    if d.family.conjugate if residuals is None else residuals and (kind == "linear" or d.family.conjugate):
        own = linear_predictor(fit, predictors.encode(d.predictor, d.seen, parts)).mean()
        error, weights = _errors(fit, everything)
        residual = error + own - own.mean() + (everything.mean() if kind == "mean" else 0.0)
    if kind == "linear":
        mean, drawn, average = over_x.mean() - level.mean(), (over_x.draws() - level.draws()).T, 0.0
    else:
        rest = rest_of(fit, j)
        mean, drawn = expected(fit, over_x.mean() + rest.mean(), over_x.draws() + rest.draws())
        [average], _ = expected(fit, level.mean() + rest.mean(), level.draws() + rest.draws())
    missing = [name for name in term.null if name not in d.predictor.null_names]
    return Curve(
        label=term.label,
        variable=shown.variable.text,
        unit=unit(d, kind),
        x=axis(x),
        mean=mean,
        draws=drawn,
        average=float(average),
        at=axis(at),
        residual=residual,
        weights=weights,
        without=", ".join(missing),
    )


def unit(design: Design, kind: str) -> str:
    """What effects are measured in, for an axis."""
    response = design.formula.response.text
    outcomes, first = design.family.outcomes, design.answer.first
    if kind == "mean" and outcomes:
        return f"expected {response}, from {first} ({outcomes[0]}) to {first + len(outcomes) - 1} ({outcomes[-1]})"
    if kind == "mean":
        return f"expected share of {response}" if "trials" in design.family.forms else f"expected {response}"
    link = design.family.link
    return f"effect on {response}" + ("" if link == "identity" else f" ({link} scale)")


def expected(fit: Fit, eta: FloatArray, draws: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The mean (m,) and draws (S, m) of the expected response, from those of the linear predictor, (m,) and (m, S)."""
    values = fit.design.family.mean(draws, theta_of_family(fit))
    average = Average(eta)
    average.add(values, draws)
    return average.value(), values.T


def rest_of(fit: Fit, j: int) -> LinearPredictor:
    """All but term j, on average over the rows with a response."""
    own = _only(fit, j)
    return linear_predictor(fit, _average(fit, Parts(~own.fixed, tuple(not used for used in own.terms), offset=True)))


def _errors(fit: Fit, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Working residuals and their weights at posterior means; those of a Gaussian response are what is left of it."""
    d = fit.design
    if d.family.conjugate:
        return d.y - eta, d.weights
    with jax.enable_x64(True):
        theta = {kind: values.mean(axis=0) for kind, values in theta_of_family(fit).items()}

        def score(e: Any) -> Any:
            return jax.jvp(lambda x: d.family.loglik(d.response, x, theta, d.weights), (e,), (jnp.ones_like(e),))[1]

        slope, curvature = jax.jvp(score, (jnp.asarray(eta),), (jnp.ones(eta.size),))
        if d.family.log_concave:
            information = -np.asarray(curvature)
        else:
            information = np.asarray(d.family.information(d.response, eta, theta, d.weights))
        return np.asarray(slope) / information, information


def _only(fit: Fit, j: int) -> Parts:
    """Term j with its null-space columns."""
    predictor = fit.design.predictor
    lines = np.isin(predictor.fixed_names, [n for n in predictor.terms[j].null if n in predictor.null_names])
    return Parts(lines, tuple(i == j for i in range(len(predictor.terms))), offset=False)


def _over(fit: Fit, j: int, x: FloatArray, parts: Parts) -> NewRows:
    """Rows for which the variable of term j has the values x: a plain column in place of its expression, say log(x)."""
    predictor = fit.design.predictor
    plain = predictor.terms[j].on_columns(["x"], "by")
    terms = tuple(plain if i == j else other for i, other in enumerate(predictor.terms))
    scope = fit.design.scope.on(pd.DataFrame({"x": x}))
    return predictors.encode(replace(predictor, terms=terms), scope, parts)


def _average(fit: Fit, parts: Parts) -> NewRows:
    """One row with the average columns of these parts over the rows with a response."""
    d = fit.design
    rows = predictors.encode(d.predictor, d.seen, parts)

    def average(columns: sp.csc_array) -> sp.csc_array:
        return sp.csc_array(np.asarray(columns.mean(axis=0)).reshape(1, -1))

    pieces = tuple(None if each is None else replace(each, z=average(each.z)) for each in rows.encoded)
    return NewRows(pd.RangeIndex(1), average(rows.X), pieces, np.mean(rows.offset, keepdims=True))
