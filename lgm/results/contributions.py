"""What one term adds to the linear predictor, against its variable, and the data around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from lgm.arrays import BoolArray, FloatArray
from lgm.design import predictor as predictors
from lgm.design.design import Design
from lgm.design.predictor import NewRows, Parts
from lgm.errors import LgmError
from lgm.results.averages import Average
from lgm.results.linear_predictor import LinearPredictor, linear_predictor
from lgm.results.tables import theta_of_family
from lgm.terms import view
from lgm.terms.clock import NUMBERS
from lgm.terms.term import Term
from lgm.xla import own_settings

if TYPE_CHECKING:
    from lgm.results.fit import Fit

_GRID = 200
_ACROSS = 40  # points of a surface along each variable
TOO_FAR = 0.1  # of the range of the data, mgcv's number for pictures


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
        The variable in the rows with a response, or its values where these are not in memory.
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


@dataclass(frozen=True)
class Surface:
    """A function of two variables on a grid, and the data around it.

    Parameters
    ----------
    label, unit : str
    variables : (str, str)
    x, y : float arrays (m,)
        Grid.
    mean, sd : float arrays (m, m)
        Posterior moments, a row for each y; NaN too far from the data.
    average : float
        As for a `Curve`.
    at : float array (n, 2)
        The variables in the rows with a response, or their values where these are not in memory.
    """

    label: str
    unit: str
    variables: tuple[str, str]
    x: FloatArray
    y: FloatArray
    mean: FloatArray
    sd: FloatArray
    average: float
    at: FloatArray


def curves(
    fit: Fit, term: Term, shown: view.Curve, kind: str = "linear", *, residuals: bool | None = None
) -> list[Curve]:
    """The curve of a term, or one for each level of its ``by=``; see `of`."""
    levels = (None,) if shown.by is None else shown.by.levels or (None,)
    return [of(fit, term, shown, kind, residuals=residuals, level=level) for level in levels]


def of(
    fit: Fit,
    term: Term,
    shown: view.Curve,
    kind: str = "linear",
    *,
    residuals: bool | None = None,
    level: Any = None,
) -> Curve:
    """The curve of a term, its straight line included.

    In the linear predictor it averages zero over the rows with a response. As the mean of the response, the rest of
    the linear predictor has its average over these rows. The curve of one level of a factor is as it stands in the
    model, and so is one that numbers multiply, which is that of the number one.

    Partial residuals add the curve and what is left of the response less the expected one. Where the link bends, they
    are working residuals (score by information, at posterior means; McCullagh & Nelder 1989, sec. 2.5), on the scale
    of the linear predictor only, and shown only where they are asked for. A curve that numbers multiply has none.
    """
    d = fit.design
    j = next(i for i, other in enumerate(d.terms) if other is term)
    own = Own(fit, j, shown.by, level)
    rows = own.rows()
    at, axis = shown.clock.read(d.stand_ins, shown.variable, f"the variable of {term.label}")[rows], shown.clock.axis
    if shown.turn is not None:
        at, axis = shown.turn[0] + (at - shown.turn[0]) % shown.turn.size, NUMBERS.axis
    x = np.linspace(at.min(), at.max(), _GRID) if shown.points is None else shown.points
    over_x = own.over(x[:, None])
    residual, weights = None, np.ones(at.size)
    usual = d.family.conjugate if residuals is None else residuals and (kind == "linear" or d.family.conjugate)
    if not d.has_rows:
        if residuals:
            raise LgmError(
                "partial residuals are of rows, which were read in partitions and are not in memory. Accepted: no "
                "residuals=, and fit.residuals(data=...), which reads them again."
            )
        at = np.unique(at)
        weights = np.ones(at.size)
    elif usual and not own.multiplied:
        everything = linear_predictor(fit, predictors.encode(d.predictor, d.seen, Parts.all(d.predictor))).mean()
        mine = linear_predictor(fit, predictors.encode(d.predictor, d.seen, own.parts)).mean()
        error, weights = errors(fit, everything)
        centre = mine.mean() if shown.by is None else 0.0
        residual = (error + mine - centre + (everything.mean() if kind == "mean" else 0.0))[rows]
        weights = weights[rows]
    mean, drawn, average = own.shown(over_x, kind)
    missing = [name for name in term.null if name not in d.predictor.null_names]
    return Curve(
        label=own.label,
        variable=shown.variable.text,
        unit=own.unit(kind),
        x=axis(x),
        mean=mean,
        draws=drawn,
        average=average,
        at=axis(at),
        residual=residual,
        weights=weights,
        without=", ".join(missing),
    )


def surfaces(fit: Fit, term: Term, shown: view.Surface, kind: str = "linear") -> list[Surface]:
    """The surface of a term, or one for each level of its ``by=``, as its curves are; masked too far from the data.

    Too far is more than a tenth of the range of the data, in units of the ranges, from the nearest row.
    """
    levels = (None,) if shown.by is None else shown.by.levels or (None,)
    return [_surface(fit, term, shown, kind, level) for level in levels]


def _surface(fit: Fit, term: Term, shown: view.Surface, kind: str, level: Any) -> Surface:
    d = fit.design
    j = next(i for i, other in enumerate(d.terms) if other is term)
    own = Own(fit, j, shown.by, level)
    role, read = f"the variable of {term.label}", zip(shown.clocks, shown.variables, strict=True)
    at = np.column_stack([clock.read(d.stand_ins, variable, role) for clock, variable in read])[own.rows()]
    at = at if d.has_rows else np.unique(at, axis=0)
    x, y = (np.linspace(*ends, _ACROSS) for ends in zip(at.min(axis=0), at.max(axis=0), strict=True))
    points = np.column_stack([np.tile(x, _ACROSS), np.repeat(y, _ACROSS)])
    width = np.where(np.ptp(at, axis=0) > 0.0, np.ptp(at, axis=0), 1.0)
    far = cKDTree(at / width).query(points / width)[0] > TOO_FAR
    mean, drawn, average = own.shown(own.over(points[~far]), kind)
    filled = np.full((2, points.shape[0]), np.nan)
    filled[:, ~far] = mean, drawn.std(axis=0, ddof=1)
    moments = filled.reshape(2, _ACROSS, _ACROSS)
    names = shown.variables[0].text, shown.variables[1].text
    return Surface(own.label, own.unit(kind), names, x, y, moments[0], moments[1], average, at)


@dataclass(frozen=True)
class Own:
    """Term j of a fit by itself, at one level of its ``by=`` if that is a factor."""

    fit: Fit
    j: int
    by: view.By | None
    level: Any

    @property
    def parts(self) -> Parts:
        """The term and its null-space columns."""
        return _only(self.fit, self.j)

    @property
    def multiplied(self) -> bool:
        """Whether numbers multiply it."""
        return self.by is not None and not self.by.levels

    @property
    def label(self) -> str:
        """Of the picture."""
        label = self.fit.design.terms[self.j].label
        return label if self.level is None else f"{label}[{self.level}]"

    def unit(self, kind: str) -> str:
        """What it is measured in."""
        if self.by is None or self.by.levels or kind == "mean":
            return unit(self.fit.design, kind)
        return f"coefficient of {self.by.variable.text}"

    def rows(self) -> BoolArray:
        """The rows with its values that it is about."""
        seen = self.fit.design.stand_ins
        if self.by is None or not self.by.levels:
            return np.ones(seen.n, dtype=bool)
        column = seen.column(self.by.variable, f"by= of {self.label}")
        return np.array([value == self.level for value in column.tolist()])

    def over(self, x: FloatArray) -> LinearPredictor:
        """At values of its variables (m, d)."""
        return linear_predictor(self.fit, _over(self.fit, self.j, x, self.level, self.parts))

    def shown(self, over: LinearPredictor, kind: str) -> tuple[FloatArray, FloatArray, float]:
        """Mean (m,), draws (S, m), and what they are compared with."""
        level = linear_predictor(self.fit, self.fit.design.average(self.parts))
        if kind != "linear":
            rest = rest_of(self.fit, self.j)
            mean, drawn = expected(self.fit, over.mean() + rest.mean(), over.draws() + rest.draws())
            [average], _ = expected(self.fit, level.mean() + rest.mean(), level.draws() + rest.draws())
            return mean, drawn, float(average)
        if self.by is not None:
            return over.mean(), over.draws().T, 0.0
        return over.mean() - level.mean(), (over.draws() - level.draws()).T, 0.0


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
    rest = Parts(~own.fixed, tuple(not used for used in own.terms), offset=True)
    return linear_predictor(fit, fit.design.average(rest))


def errors(fit: Fit, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Working residuals and their weights at posterior means; those of a Gaussian response are what is left of it."""
    d = fit.design
    if d.family.conjugate:
        return d.y - eta, d.weights
    with own_settings():
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


def _over(fit: Fit, j: int, x: FloatArray, level: Any, parts: Parts) -> NewRows:
    """Rows for which the variables of term j have the values x (m, d): plain columns in place of expressions.

    What stands after ``by=`` is one, or a level.
    """
    predictor = fit.design.predictor
    names = [f"x{i}" for i in range(x.shape[1])]
    plain = predictor.terms[j].on_columns(names, "by")
    terms = tuple(plain if i == j else other for i, other in enumerate(predictor.terms))
    columns = {**dict(zip(names, x.T, strict=True)), "by": [1.0 if level is None else level] * len(x)}
    scope = fit.design.scope.on(pd.DataFrame(columns))
    return predictors.encode(replace(predictor, terms=terms), scope, parts)
