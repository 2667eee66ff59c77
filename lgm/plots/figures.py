"""Pictures of a fit: which parts are drawn, and how they are arranged; `lgm.plots.panels` draws one panel.

Figures are made without pyplot, so that neither its state nor its backend nor the user's settings change: they show by
themselves in a notebook, and ``figure.savefig(path)`` writes them.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from matplotlib import style  # noqa: TID253 - this module is itself read late
from matplotlib.figure import Figure  # noqa: TID253

from lgm.arrays import FloatArray
from lgm.data.graph import Graph
from lgm.design.predictor import Printed
from lgm.errors import LgmError
from lgm.plots import panels
from lgm.priors import Lkj, Normal, Prior
from lgm.results import contributions, tables
from lgm.terms.term import Variable
from lgm.terms.view import Curve, Levels, Map
from lgm.words import suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit

_WIDTH = 9.0  # inches


class Picture(Figure):
    """A figure that a notebook shows although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()


@contextmanager
def _picture(width: float, height: float) -> Iterator[Picture]:
    with style.context(["default", panels.STYLE]):
        figure = Picture(figsize=(width, height), dpi=110, layout="constrained")
        yield figure


def plot(fit: Fit, variables: list[str] | str | None = None) -> Figure:
    """One row per fixed effect and hyperparameter: marginal posterior beside its prior, and the draws by chain.

    Parameters
    ----------
    fit : Fit
    variables : str or list of str, optional
        Names as in ``fit.summary()``; by default all.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import lgm
    >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), draws=100, seed=1, progress=False)
    >>> len(fit.plot().axes), len(fit.plot("sigma").axes)
    (6, 2)
    """
    known = list(fit.summary().index)
    names = known if variables is None else [variables] if isinstance(variables, str) else list(variables)
    for name in names:
        if name not in known:
            raise LgmError(f"there is no variable {name!r}.{suggest(name, known)} Variables: {', '.join(known)}.")
    bounds, priors, table = _bounds(fit), _prior_densities(fit), fit.summary()
    with _picture(_WIDTH, 0.6 + 1.3 * len(names)) as figure:
        axes = figure.subplots(len(names), 2, squeeze=False, width_ratios=[3, 2])
        for (left, right), name in zip(axes, names, strict=True):
            draws = fit.posterior[name].to_numpy()
            limits = bounds.get(name, (-np.inf, np.inf))
            panels.marginal(left, name, draws, table.loc[name].to_numpy()[:4], limits, priors.get(name))
            panels.trace(right, draws)
        axes[-1, 1].set_xlabel("draw")
        axes[0, 1].set_title("draws by chain", color=panels.GREY)
        panels.key(figure, axes[0, 0], fit.interval, prior=any(name in priors for name in names))
    return figure


def plot_term(fit: Fit, term: str, *, geometry: Any = None, residuals: bool = True) -> Figure:
    """The effects of one term, or of fixed effects.

    Parameters
    ----------
    fit : Fit
    term : str
        A term, one of its effects or a group, as in ``fit.ranef()``; or a fixed effect, or a factor of the fixed part.
    geometry : GeoSeries or mapping, optional
        For areal terms: a shape, or a point ``(x, y)``, for every region, by its label. Draws a map.
    residuals : bool
        Whether curves come with partial residuals.

    Returns
    -------
    matplotlib.figure.Figure
        Smooths and walks: the curve, its straight line included, with mean zero over the data. Groups and areas:
        effects from the smallest to the largest, one panel per varying effect. Bars and bands are 50% and
        ``fit.interval`` intervals.
    """
    found = [printed for printed in fit.design.predictor.printed() if tables.is_named(term, printed)]
    owners = list(dict.fromkeys(printed.term.label for printed in found))
    if not found:
        return _fixed(fit, term)
    if len(owners) > 1:
        raise LgmError(f"{term!r} stands for several terms: {', '.join(owners)}. Name one of them.")
    return _draw(found[0].term.view, fit, found, geometry, residuals)


@functools.singledispatch
def _draw(view: Any, fit: Fit, found: list[Printed], geometry: Any, residuals: bool) -> Figure:
    """A term as its view says; each kind of view has a function of its own."""
    raise NotImplementedError(f"{found[0].term.label}: there is no picture for {type(view).__name__}")


@_draw.register(Curve)
def _curve(view: Curve, fit: Fit, found: list[Printed], geometry: Any, residuals: bool) -> Figure:
    _refuse_geometry(geometry, found)
    curve = contributions.of(fit, found[0].term, view)
    with _picture(6.5, 4.0) as figure:
        panels.curve(figure, figure.subplots(), curve, fit.interval, residuals)
    return figure


@_draw.register(Levels)
def _effects(view: Levels, fit: Fit, found: list[Printed], geometry: Any, residuals: bool) -> Figure:
    _refuse_geometry(geometry, found)
    return _levels(fit, found, None, None)


@_draw.register(Map)
def _map(view: Map, fit: Fit, found: list[Printed], geometry: Any, residuals: bool) -> Figure:
    return _levels(fit, found, geometry, view.graph)


def _refuse_geometry(geometry: Any, found: list[Printed]) -> None:
    if geometry is not None:
        raise LgmError(f"geometry is for areal terms; {found[0].term.label} is not one.")


def _levels(fit: Fit, printed: list[Printed], geometry: Any, graph: Graph | None) -> Figure:
    response = fit.design.formula.response.text
    count, n = len(printed), max(each.variable.labels.size for each in printed)
    height = float(np.clip(1.1 + 0.19 * n, 2.4, 9.0))
    drawn = count + (geometry is not None)
    with _picture(1.0 + 4.0 * drawn, float(np.clip(height, 4.5, 6.5)) if geometry is not None else height) as figure:
        ratios = [1.0] * count + ([1.8] if geometry is not None else [])
        axes = figure.subplots(1, drawn, squeeze=False, width_ratios=ratios)[0]
        for ax, each in zip(axes, printed, strict=False):
            variable, tall = each.variable, figure.get_figheight()
            mean, draws = each.of(fit.effects.mean), each.of(fit.effects.draws)
            panels.caterpillar(ax, variable.labels, mean, draws, fit.interval, variable.dim, tall)
            ax.set_title(variable.name)
            ax.set_xlabel(_unit(variable, response))
        if geometry is not None:
            mean, labels = printed[0].of(fit.effects.mean), printed[0].variable.labels
            panels.region_map(figure, axes[-1], geometry, labels, mean, graph, f"effect on {response}")
    return figure


def _unit(variable: Variable, response: str) -> str:
    x = variable.slope_of
    return f"effect on {response}" if x is None else f"deviation of the {x} coefficient"


def _fixed(fit: Fit, name: str) -> Figure:
    """Fixed effects: one of them, or all columns of a factor or term of the fixed part."""
    known = list(fit.design.fixed_names)
    spec = fit.design.predictor.spec
    columns = {str(t): [c for c in spec.column_names[s] if c != "Intercept"] for t, s in spec.term_slices.items()}
    plain = {key.replace(" ", ""): value for key, value in columns.items() if value}
    names = [name] if name in known else plain.get(name.replace(" ", ""), [])
    if not names:
        error = tables.unknown_term(name, fit.design)
        raise LgmError(f"{error} Fixed effects: {', '.join(known)}.")
    draws = np.column_stack([fit.effects.draws[:, known.index(n)] for n in names])
    means = np.array([fit.effects.mean[known.index(n)] for n in names])
    with _picture(6.5, 1.2 + 0.45 * len(names)) as figure:
        panels.intervals(figure.subplots(), names, means, draws, fit.interval)
        figure.axes[0].set_xlabel(f"coefficient, on the scale of {fit.design.formula.response.text}")
    return figure


def _bounds(fit: Fit) -> dict[str, tuple[float, float]]:
    return {name: (q.domain.low, q.domain.high) for q in fit.design.parameters for name in q.names}


Density = Callable[[FloatArray], FloatArray]


def _prior_densities(fit: Fit) -> dict[str, Density]:
    """Prior density of each variable on its printed scale, where there is one and it is proper."""
    out: dict[str, Density] = {}
    for parameter, prior in zip(fit.design.parameters, fit.chosen_priors.theta, strict=True):
        if isinstance(prior, Prior):
            out[parameter.names[0]] = _of_distribution(prior)
        elif isinstance(prior, Lkj):
            # each correlation of a q x q LKJ(c) matrix is a stretched Beta(c - 1 + q/2, c - 1 + q/2)
            half = prior.concentration - 1.0 + parameter.q / 2.0
            out |= {name: scipy.stats.beta(half, half, loc=-1.0, scale=2.0).pdf for name in parameter.names}
    for name in _reprinted(fit):
        out.pop(name, None)
    normals = {j: p for j, p in enumerate(fit.chosen_priors.fixed) if isinstance(p, Normal)}
    out |= {fit.design.fixed_names[j]: scipy.stats.norm(p.mean, p.sd).pdf for j, p in normals.items()}
    k = fit.design.predictor.intercept
    if k is not None and fit.chosen_priors.centred_intercept:
        out.pop("Intercept", None)
        if len(normals) == fit.design.p:
            # printed = centred - sum of (column mean x coefficient), all independent and normal
            shift = np.asarray(fit.design.predictor.X.mean(axis=0)).ravel()
            shift[k] = -1.0
            mean = -sum(shift[j] * p.mean for j, p in normals.items())
            sd = np.sqrt(sum((shift[j] * p.sd) ** 2 for j, p in normals.items()))
            out["Intercept"] = scipy.stats.norm(mean, sd).pdf
    return out


def _reprinted(fit: Fit) -> list[str]:
    """Hyperparameters whose priors are about the mean of a covariate, with no closed form for what is printed."""
    owned = [(term.origin, parameter) for term in fit.design.terms for parameter in term.block.parameters]
    return [name for origin, parameter in owned if parameter.title in origin for name in parameter.names]


def _of_distribution(prior: Prior) -> Density:
    def density(x: FloatArray) -> FloatArray:
        with jax.enable_x64(True):
            inside = np.asarray(prior.distribution.support(jnp.asarray(x)))
            out = np.zeros(x.size)
            out[inside] = np.exp(np.asarray(prior.distribution.log_prob(jnp.asarray(x[inside]))))
            return out

    return density
