"""Pictures of a fit: which parts are drawn, and how they are arranged; `lgm.plots.panels` draws one panel."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import scipy.stats
from matplotlib.figure import Figure, SubFigure  # noqa: TID253 - this module is itself read late

from lgm.arrays import FloatArray
from lgm.data.graph import Graph
from lgm.design.predictor import Printed
from lgm.errors import LgmError
from lgm.plots import panels, planes
from lgm.plots.canvas import MARGINS, canvas
from lgm.priors import Constant, Dirichlet, Lkj, Normal, Prior
from lgm.results import contributions, tables, text
from lgm.terms.icar import region_labels
from lgm.terms.term import Variable
from lgm.terms.view import Curve, Field, Fields, Levels, Map, Maps, Surface
from lgm.words import suggest
from lgm.xla import own_settings

if TYPE_CHECKING:
    from lgm.results.fit import Fit

_WIDTH = 9.0  # inches
_MOST_MAPS = 12
_MOST_PANELS = 6  # beside each other


@dataclass(frozen=True)
class _Wishes:
    """What a user may ask of the picture of a term."""

    kind: str
    geometry: Any
    residuals: bool | None
    ax: Any
    figsize: Any


def plot(
    fit: Fit, variables: list[str] | str | None = None, *, ax: Any = None, figsize: Any = None
) -> Figure | SubFigure:
    """One row per fixed effect and hyperparameter: marginal posterior beside its prior, and the draws by chain.

    Parameters
    ----------
    fit : Fit
    variables : str or list of str, optional
        Names as in ``fit.summary()``; by default all.
    ax : array of matplotlib axes, optional
        Two for each variable, to draw on instead of a new figure.
    figsize : (width, height), optional
        Of a new figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        A notebook shows it. Where pyplot is in use, ``plt.show()`` does.

    Examples
    --------
    >>> import lgm
    >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), draws=100, seed=1, progress=False)
    >>> len(fit.plot().axes), len(fit.plot("sigma", figsize=(6, 2)).axes)
    (6, 2)
    """
    table = fit.summary()
    known = list(table.index)
    asked = known if variables is None else [variables] if isinstance(variables, str) else list(variables)
    names = [fit.design.predictor.as_printed(name) for name in asked]
    for name in names:
        if name not in known:
            raise LgmError(f"there is no variable {name!r}.{suggest(name, known)} Variables: {', '.join(known)}.")
    bounds, priors = _bounds(fit), _prior_densities(fit)
    height = 0.6 + 1.3 * len(names)
    with canvas(_WIDTH, height, len(names), 2, ax=ax, figsize=figsize, width_ratios=[3, 2]) as on:
        for (left, right), name in zip(on.axes, names, strict=True):
            draws = fit.posterior[name].to_numpy()
            limits = bounds.get(name, (-np.inf, np.inf))
            panels.marginal(left, name, draws, table.loc[name].to_numpy()[:4], limits, priors.get(name))
            panels.trace(right, draws)
        on.axes[-1, 1].set_xlabel("draw")
        on.axes[0, 1].set_title("draws by chain", color=panels.GREY)
        on.legend(panels.key(fit.interval, prior=any(name in priors for name in names)), "left")
        on.doubt(text.doubt(fit))
    return on.figure


def plot_term(
    fit: Fit,
    term: str,
    kind: str = "linear",
    *,
    geometry: Any = None,
    residuals: bool | None = None,
    ax: Any = None,
    figsize: Any = None,
) -> Figure | SubFigure:
    """The effects of one term, or of fixed effects.

    Parameters
    ----------
    fit : Fit
    term : str
        A term, one of its effects or a group, as in ``fit.ranef()``; or a fixed effect, or a factor of the fixed part.
    kind : {"linear", "mean"}
        What is shown, as in ``fit.predict``: effects in the linear predictor, on the scale of the link, or the expected
        response while the rest of the linear predictor has its average over the data.
    geometry : GeoSeries, GeoDataFrame, table or mapping, optional
        For areal terms: a shape, or a point ``(x, y)``, for every region, by its label. Draws a map, of copies the
        first twelve. A table has the labels as its index, and a column ``geometry`` or the two columns x and y.
    residuals : bool, optional
        Whether curves come with partial residuals, by default for Gaussian responses with the identity link. Those of
        others are working residuals, sized by their weights, with ``kind="linear"`` only: for counts and binary
        responses they show more of the family than of the fit. Data in partitions have none: their rows are not there.
    ax : matplotlib axes, or an array of them, optional
        One for each panel, to draw on instead of a new figure.
    figsize : (width, height), optional
        Of a new figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Smooths and walks: the curve, its straight line included; in the linear predictor it has mean zero over the
        data. Groups and areas: effects from the smallest to the largest, one panel per varying effect, in the order of
        the first. Fields: contours of the mean and of the standard deviation where the data are, of copies the first
        twelve with the same colours. Bars and bands are 50%
        and ``fit.interval`` intervals.
    """
    name = fit.design.predictor.as_printed(term)
    found = [printed for printed in fit.design.predictor.printed() if tables.is_named(name, printed)]
    owners = list(dict.fromkeys(printed.term.label for printed in found))
    if kind not in ("linear", "mean"):
        raise LgmError(f"kind={kind!r}; accepted: 'linear', 'mean'.")
    wishes = _Wishes(kind, geometry, residuals, ax, figsize)
    if not found:
        return _fixed(fit, term, wishes)
    if len(owners) > 1:
        raise LgmError(f"{term!r} stands for several terms: {', '.join(owners)}. Name one of them.")
    return _draw(found[0].term.view, fit, found, wishes)


@functools.singledispatch
def _draw(view: Any, fit: Fit, found: list[Printed], wishes: _Wishes) -> Figure | SubFigure:
    """A term as its view says; each kind of view has a function of its own."""
    raise NotImplementedError(f"{found[0].term.label}: there is no picture for {type(view).__name__}")


@_draw.register(Curve)
def _curve(view: Curve, fit: Fit, found: list[Printed], wishes: _Wishes) -> Figure | SubFigure:
    _refuse_geometry(wishes, found)
    if wishes.residuals and wishes.kind == "mean" and not fit.design.family.conjugate:
        raise LgmError("residuals=True: working residuals belong to the linear predictor; accepted: kind='linear'.")
    shown = contributions.curves(fit, found[0].term, view, wishes.kind, residuals=wishes.residuals)
    together = len(shown) > _MOST_PANELS
    columns = 1 if together else len(shown)
    width = 6.5 if columns == 1 else 1.5 + 2.8 * columns
    with canvas(width, 4.0, 1, columns, ax=wishes.ax, figsize=wishes.figsize, sharey=True) as on:
        if together:
            handles = panels.many_curves(on.axes[0, 0], shown)
            on.axes[0, 0].set_title(found[0].term.label)
        else:
            handles = [panels.curve(ax, c, fit.interval) for ax, c in zip(on.axes[0], shown, strict=True)][0]
        for ax in on.axes[0, 1:]:
            ax.set_ylabel("")
        on.legend(handles, "right")
        on.doubt(text.doubt(fit))
    return on.figure


@_draw.register(Surface)
def _surface(view: Surface, fit: Fit, found: list[Printed], wishes: _Wishes) -> Figure | SubFigure:
    _refuse_geometry(wishes, found)
    if wishes.residuals:
        raise LgmError(f"residuals=True is for curves; {found[0].term.label} is a surface.")
    count = len(view.by.levels) if view.by else 0
    if count > _MOST_PANELS:
        raise LgmError(f"{found[0].term.label} has {count} surfaces; pictures show up to {_MOST_PANELS}.")
    shown = contributions.surfaces(fit, found[0].term, view, wishes.kind)
    size = 10.0, 4.2 * len(shown)
    with canvas(*size, len(shown), 2, ax=wishes.ax, figsize=wishes.figsize) as on:
        for axes, spread in zip(on.axes.T, (False, True), strict=True):
            titles = [f"{s.label}: {'sd' if spread else 'mean'}" for s in shown]
            planes.surfaces(on.figure, list(axes), shown, spread=spread, titles=titles)
        on.doubt(text.doubt(fit))
    return on.figure


@_draw.register(Levels)
def _effects(view: Levels, fit: Fit, found: list[Printed], wishes: _Wishes) -> Figure | SubFigure:
    _refuse_geometry(wishes, found)
    return _levels(fit, found, None, wishes)


@_draw.register(Map)
def _map(view: Map, fit: Fit, found: list[Printed], wishes: _Wishes) -> Figure | SubFigure:
    return _levels(fit, found, view.graph, wishes)


@_draw.register(Maps)
def _maps(view: Maps, fit: Fit, found: list[Printed], wishes: _Wishes) -> Figure | SubFigure:
    """The first maps; without a geometry all effects in one panel."""
    if wishes.geometry is None:
        return _levels(fit, found, None, wishes)
    shown = (_expected_of_levels if wishes.kind == "mean" else _effects_of_levels)(fit, found)[0]
    count, total = min(len(view.levels), _MOST_MAPS), len(view.levels)
    columns = min(count, 4)
    rows = -(-count // columns)
    size = 1.0 + 2.6 * columns, MARGINS + 2.6 * rows
    labels, means = region_labels(view.graph), shown.mean.reshape(total, -1)[:count]
    title = shown.unit if wishes.kind == "mean" else f"mean {shown.unit}"
    title += f"; the first {count} of {total} maps" if count < total else ""
    with canvas(*size, rows, columns, ax=wishes.ax, figsize=wishes.figsize) as on:
        axes, names = list(on.axes.ravel()), view.levels[:count]
        for ax in axes[count:]:
            ax.set_axis_off()
        panels.region_maps(
            on.figure, axes[:count], wishes.geometry, labels, means, view.graph, names, title, shown.average
        )
        on.doubt(text.doubt(fit))
    return on.figure


@_draw.register(Field)
def _field(view: Field, fit: Fit, found: list[Printed], wishes: _Wishes) -> Figure | SubFigure:
    """The mean beside the standard deviation."""
    mean, sd, average, unit = _moments(fit, found, wishes)
    [printed] = found
    width, height = planes.field_size(view, 2, 1)
    with canvas(width, height, 1, 2, ax=wishes.ax, figsize=wishes.figsize) as on:
        left, right = on.axes[0]
        own = [view.places]
        planes.fields(on.figure, [left], view, mean[None], own, [printed.term.label], f"mean {unit}", average)
        planes.fields(on.figure, [right], view, sd[None], own, [""], f"sd of {unit}", None)
        on.legend(planes.field_key(), "right")
        on.doubt(text.doubt(fit))
    return on.figure


@_draw.register(Fields)
def _fields(view: Fields, fit: Fit, found: list[Printed], wishes: _Wishes) -> Figure | SubFigure:
    """The means of the first copies with the same colours, and under them their standard deviations."""
    mean, sd, average, unit = _moments(fit, found, wishes)
    total = len(view.levels)
    count = min(total, _MOST_MAPS)
    columns = min(count, 4)
    half = -(-count // columns)
    note = f"; the first {count} of {total}" if count < total else ""
    width, height = planes.field_size(view.one, columns, 2 * half)
    with canvas(width, height + 1.0, 2 * half, columns, ax=wishes.ax, figsize=wishes.figsize) as on:
        places = [view.one.places[view.copy == i] for i in range(count)]
        for axes, values, title, centre in (
            (on.axes[:half].ravel(), mean, f"{found[0].term.label}: mean {unit}", average),
            (on.axes[half:].ravel(), sd, f"{found[0].term.label}: sd of {unit}", None),
        ):
            for ax in axes[count:]:
                ax.set_axis_off()
            each = values.reshape(total, -1)[:count]
            planes.fields(
                on.figure, list(axes[:count]), view.one, each, places, view.levels[:count], title + note, centre
            )
        for ax in on.axes[:, 1:].ravel():
            ax.set_ylabel("")
        on.legend(planes.field_key(), "right")
        on.doubt(text.doubt(fit))
    return on.figure


def _moments(fit: Fit, found: list[Printed], wishes: _Wishes) -> tuple[FloatArray, FloatArray, float, str]:
    """Mean and sd of the only variable of a term, what it is compared with, and its unit."""
    _refuse_geometry(wishes, found)
    [printed] = found
    unit = contributions.unit(fit.design, wishes.kind)
    if wishes.kind == "mean":
        [shown] = _expected_of_levels(fit, found)
        return shown.mean, shown.draws.std(axis=0), shown.average, unit
    where = slice(fit.design.p + printed.place.start, fit.design.p + printed.place.stop)
    return printed.of(fit.effects.mean), fit.effects.sd[where], 0.0, unit


def _refuse_geometry(wishes: _Wishes, found: list[Printed]) -> None:
    if wishes.geometry is not None:
        raise LgmError(f"geometry is for areal terms; {found[0].term.label} is not one.")


def _levels(fit: Fit, printed: list[Printed], graph: Graph | None, wishes: _Wishes) -> Figure | SubFigure:
    """Effects of levels, all panels in the order of the first, and a map of the first if there is a geometry."""
    mapped = wishes.geometry is not None
    count, n = len(printed), max(each.variable.labels.size for each in printed)
    height = MARGINS + panels.tall(n)
    height = float(np.clip(height, 4.5, 6.5)) if mapped else height
    ratios = [1.0] * count + [1.8] * mapped
    width = 1.0 + 4.0 * len(ratios)
    shown = _expected_of_levels(fit, printed) if wishes.kind == "mean" else _effects_of_levels(fit, printed)
    with canvas(width, height, 1, len(ratios), ax=wishes.ax, figsize=wishes.figsize, width_ratios=ratios) as on:
        axes = on.axes[0]
        first = np.argsort(shown[0].mean, kind="stable")
        for ax, each in zip(axes, shown, strict=False):
            labels, variable = each.variable.labels, each.variable
            same = np.array_equal(labels, shown[0].variable.labels)
            order = first if same else np.argsort(each.mean, kind="stable")
            mean, draws = each.mean[order], each.draws[:, order]
            panels.caterpillar(ax, labels[order], mean, draws, fit.interval, variable.dim, on.room, each.average)
            ax.set_title(variable.name)
            ax.set_xlabel(each.unit)
        if mapped:
            top = shown[0]
            where, labels = (on.figure, axes[-1], wishes.geometry), top.variable.labels
            title = top.unit if wishes.kind == "mean" else f"mean {top.unit}"
            panels.region_map(*where, labels, top.mean, graph, title, top.average)
        on.legend(panels.bars(fit.interval), "right")
        on.doubt(text.doubt(fit))
    return on.figure


@dataclass(frozen=True)
class _Shown:
    """What is shown of one variable: of its levels the mean (m,) and draws (S, m), and what they are compared with."""

    variable: Variable
    mean: FloatArray
    draws: FloatArray
    average: float
    unit: str


def _effects_of_levels(fit: Fit, printed: list[Printed]) -> list[_Shown]:
    unit, shown = contributions.unit(fit.design, "linear"), []
    for each in printed:
        [draws] = fit.effects.printed([(each, slice(None))])
        x = each.variable.slope_of
        measured = unit if x is None else f"deviation of the {x} coefficient"
        shown.append(_Shown(each.variable, each.of(fit.effects.mean), draws, 0.0, measured))
    return shown


def _expected_of_levels(fit: Fit, printed: list[Printed]) -> list[_Shown]:
    """The expected response at each level, the rest of the linear predictor on average over the data."""
    term = printed[0].term
    if any(variable.slope_of is not None for variable in term.variables):
        raise LgmError(
            f"{term.label} has slopes, so that levels differ by more than one number. Accepted: kind='linear', or "
            "fit.predict at the values that you mean."
        )
    j = next(i for i, other in enumerate(fit.design.terms) if other is term)
    rest = contributions.rest_of(fit, j)
    [average], _ = contributions.expected(fit, rest.mean(), rest.draws())
    shown = []
    for effects in _effects_of_levels(fit, printed):
        eta, draws = rest.mean() + effects.mean, rest.draws() + effects.draws.T
        mean, expected = contributions.expected(fit, eta, draws)
        shown.append(_Shown(effects.variable, mean, expected, float(average), contributions.unit(fit.design, "mean")))
    return shown


def _fixed(fit: Fit, name: str, wishes: _Wishes) -> Figure | SubFigure:
    """Fixed effects: one of them, or all columns of a factor or term of the fixed part."""
    known = list(fit.design.fixed_names)
    spec = fit.design.predictor.spec
    columns = {str(t): [c for c in spec.column_names[s] if c != "Intercept"] for t, s in spec.term_slices.items()}
    plain = {key.replace(" ", ""): value for key, value in columns.items() if value}
    names = [name] if name in known else plain.get(name.replace(" ", ""), [])
    if not names:
        error = tables.unknown_term(name, fit.design)
        raise LgmError(f"{error} Fixed effects: {', '.join(known)}.")
    if wishes.kind != "linear":
        raise LgmError(
            f"{name} is a coefficient, of the linear predictor. Accepted: kind='linear', or fit.predict at the values "
            "that you mean."
        )
    draws = np.column_stack([fit.effects.fixed[:, known.index(n)] for n in names])
    means = np.array([fit.effects.mean[known.index(n)] for n in names])
    with canvas(6.5, 1.5 + 0.45 * len(names), ax=wishes.ax, figsize=wishes.figsize) as on:
        ax = on.axes[0, 0]
        panels.intervals(ax, names, means, draws, fit.interval)
        link = "" if fit.design.family.link == "identity" else f"{fit.design.family.link} "
        ax.set_xlabel(f"coefficient, on the {link}scale of {fit.design.formula.response.text}")
        on.legend(panels.bars(fit.interval), "right")
        on.doubt(text.doubt(fit))
    return on.figure


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
        elif isinstance(prior, Dirichlet):
            others = prior.concentration * (len(parameter.names) - 1)
            out |= {name: scipy.stats.beta(prior.concentration, others).pdf for name in parameter.names}
    held = dict(zip((q.names[0] for q in fit.design.parameters), fit.chosen_priors.theta, strict=True))
    for each in fit.design.predictor.coefficients():
        sd = held[str(each.variable.prior_sd)]
        if isinstance(sd, Constant):
            out[each.variable.name] = scipy.stats.norm(0.0, sd.value).pdf
    for name in _reprinted(fit):
        out.pop(name, None)
    normals = {j: p for j, p in enumerate(fit.chosen_priors.fixed) if isinstance(p, Normal)}
    out |= {fit.design.fixed_names[j]: scipy.stats.norm(p.mean, p.sd).pdf for j, p in normals.items()}
    k = fit.design.predictor.intercept
    if k is not None and fit.chosen_priors.centred_intercept:
        out.pop("Intercept", None)
        if len(normals) == fit.design.p:
            # printed = centred - sum of (column mean x coefficient), all independent and normal
            shift = fit.design.predictor.columns.mean.copy()
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
        with own_settings():
            inside = np.asarray(prior.distribution.support(jnp.asarray(x)))
            out = np.zeros(x.size)
            out[inside] = np.exp(np.asarray(prior.distribution.log_prob(jnp.asarray(x[inside]))))
            return out

    return density
