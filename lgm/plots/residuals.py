"""Pictures of residuals: normal quantiles, along a predictor, by level, one after the other, and on a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes  # noqa: TID253 - this module is itself read late
from matplotlib.figure import Figure, SubFigure  # noqa: TID253
from matplotlib.lines import Line2D  # noqa: TID253
from matplotlib.patches import Patch  # noqa: TID253
from matplotlib.ticker import MaxNLocator  # noqa: TID253

from lgm.arrays import FloatArray
from lgm.data.table import is_number
from lgm.errors import LgmError
from lgm.plots import panels
from lgm.plots.canvas import MARGINS, canvas
from lgm.results import text
from lgm.results.checking import faults, patterns, residuals
from lgm.results.checking.faults import Drawn
from lgm.results.checking.observed import Observed
from lgm.results.checking.questions import groupings, neighbours, one_row_each
from lgm.results.predict import at_observed

if TYPE_CHECKING:
    from lgm.results.fit import Fit

WIDTH, HEIGHT = 6.0, 3.8  # inches


def plot_residuals(
    fit: Fit, against: Any, *, kind: str, given: str, acf: bool, ax: Any, figsize: Any, seed: int
) -> Figure | SubFigure:
    """See `Fit.plot_residuals`."""
    rows = Observed(fit)
    values = residuals.of(rows, kind, given=given, seed=seed)
    label = f"{kind} residual"
    pair = not isinstance(against, str) and against is not None and hasattr(against, "__len__") and len(against) == 2
    if acf:
        return _acf(rows, values, against, label, ax, figsize)
    if pair:
        return _map(rows, values, against, label, ax, figsize, seed)
    column = None if against is None else _against(rows, against, seed)
    levels = column is not None and not is_number(column)
    height = MARGINS + panels.tall(column.nunique()) if levels and column is not None else HEIGHT
    with canvas(WIDTH, height, ax=ax, figsize=figsize) as on:
        one = on.axes[0, 0]
        if column is None:
            handles = _normal_plot(one, values, label, fit.interval)
        elif levels:
            handles = _by_level(one, values, column, label, on.room)
        else:
            handles = _scatter(one, column.to_numpy(dtype=float), values, str(column.name), label)
        on.legend(handles, "right")
        on.doubt(text.doubt(fit))
    return on.figure


def _against(rows: Observed, against: Any, seed: int) -> pd.Series:
    if isinstance(against, str) and against == "fitted":
        return pd.Series(at_observed(rows.fit, seed)[0], name=f"fitted {rows.fit.design.formula.response.text}")
    column = rows.column(against, "against")
    if column.isna().any():
        raise LgmError(f"against= ({column.name}) is missing in {column.isna().sum()} rows with a response.")
    if pd.api.types.is_bool_dtype(column.dtype):
        return column.astype(str)
    return column


def _normal_plot(ax: Axes, values: FloatArray, label: str, probability: float) -> list[Any]:
    standard = label.startswith("quantile")
    scale = 1.0 if standard else float(np.std(values))
    found = patterns.quantiles(values / scale, probability)
    chosen = np.unique(
        np.concatenate(
            [
                panels.scattered(values.size),
                np.arange(min(200, values.size)),
                np.arange(max(values.size - 200, 0), values.size),
            ]
        )
    )
    ax.fill_between(found.normal, found.low * scale, found.high * scale, color=panels.BLUE, alpha=0.25, lw=0.0)
    ax.plot(found.normal, found.normal * scale, color=panels.GREY, lw=0.8, ls=(0, (4, 2)))
    ax.plot(found.normal[chosen], found.values[chosen] * scale, "o", color=panels.ink(), ms=2.5, mew=0.0)
    ax.set_xlabel("normal quantile")
    ax.set_ylabel(label)
    return [
        Line2D([], [], ls="", marker="o", color=panels.ink(), ms=3.0, label="data"),
        Patch(facecolor=panels.BLUE, alpha=0.25, label=f"{100 * probability:.4g}% of each, if normal"),
    ]


def _scatter(ax: Axes, x: FloatArray, values: FloatArray, name: str, label: str) -> list[Any]:
    chosen = panels.scattered(x.size)
    few = chosen.size <= 500
    ax.axhline(0.0, color=panels.GREY, lw=0.7)
    ax.plot(x[chosen], values[chosen], "o", color=panels.GREY, ms=3.0 if few else 1.5, mew=0.0, alpha=0.6)
    ax.set_xlabel(name)
    ax.set_ylabel(label)
    line = patterns.trend(x, values)
    if line is None:
        return []
    ax.fill_between(line.x, line.mean - 2.0 * line.se, line.mean + 2.0 * line.se, color=panels.BLUE, alpha=0.25, lw=0.0)
    ax.plot(line.x, line.mean, color=panels.ink(), lw=1.8)
    return [
        Line2D([], [], color=panels.ink(), lw=1.8, label="smooth mean"),
        Patch(facecolor=panels.BLUE, alpha=0.25, label="two standard errors"),
    ]


def _by_level(ax: Axes, values: FloatArray, column: pd.Series, label: str, room: float) -> list[Any]:
    """Median, quartiles and the central 95% of each level."""
    found = pd.Series(values).groupby(column.to_numpy(), observed=True)
    table = found.quantile([0.025, 0.25, 0.5, 0.75, 0.975]).unstack()
    table = table.iloc[np.argsort(table[0.5].to_numpy(), kind="stable")]
    y, thick = np.arange(len(table)), len(table) <= 60
    ax.axvline(0.0, color=panels.GREY, lw=0.7)
    ax.hlines(y, table[0.025], table[0.975], color=panels.BLUE, lw=1.0 if thick else 0.6)
    ax.hlines(y, table[0.25], table[0.75], color=panels.BLUE, lw=3.2 if thick else 1.6)
    ax.plot(table[0.5], y, "o", mfc=panels.paper(), mec=panels.BLUE, ms=4.5 if thick else 2.5, mew=1.0)
    panels.name_levels(ax, table.index.to_numpy(), str(column.name), room)
    ax.set_ylim(-0.8, len(table) - 0.2)
    ax.set_xlabel(label)
    return [
        Line2D([], [], ls="", marker="o", mfc=panels.paper(), mec=panels.BLUE, ms=4.5, label="median"),
        Line2D([], [], color=panels.BLUE, lw=3.2, label="half"),
        Line2D([], [], color=panels.BLUE, lw=1.0, label="95% of the rows"),
    ]


def _acf(rows: Observed, values: FloatArray, against: Any, label: str, ax: Any, figsize: Any) -> Figure | SubFigure:
    groups = {group: codes for group, (codes, _) in groupings(rows).items()}
    if against is None:
        order, what, within = np.arange(rows.n, dtype=float), "rows", None
    else:
        column = rows.column(against, "against")
        order = np.unique(column.to_numpy(), return_inverse=True)[1].astype(float)
        what, within = f"steps of {column.name}", one_row_each(order, groups)
    found = patterns.autocorrelations(values, order, groups[within] if within else None)
    if not len(found):
        raise LgmError("acf=True: there are not five pairs of rows that follow each other. Accepted: a longer series.")
    with canvas(WIDTH, HEIGHT, ax=ax, figsize=figsize) as on:
        one, lag = on.axes[0, 0], found.index.to_numpy()
        end = 1.96 / np.sqrt(found["pairs"].to_numpy())
        one.fill_between(lag, -end, end, step="mid", color=panels.BLUE, alpha=0.25, lw=0.0)
        one.vlines(lag, 0.0, found["correlation"], color=panels.ink(), lw=2.0)
        one.axhline(0.0, color=panels.GREY, lw=0.7)
        one.set_xlabel(f"lag, in {what}" + (f" within {within}" if within else ""))
        one.set_ylabel("autocorrelation")
        one.set_xlim(0.5, lag[-1] + 0.5)
        one.xaxis.set_major_locator(MaxNLocator(integer=True))
        on.legend([Patch(facecolor=panels.BLUE, alpha=0.25, label="95% of each, if there is none")], "right")
        on.doubt(text.doubt(rows.fit))
    return on.figure


def _map(
    rows: Observed, values: FloatArray, near: Any, label: str, ax: Any, figsize: Any, seed: int
) -> Figure | SubFigure:
    """Where residuals are positive and negative, as triangles sized by them."""
    _, codes, adjacency, _ = neighbours(rows, near, "against")
    statistic = faults.moran(codes, adjacency)
    nothing = np.zeros((rows.n, 1))
    observed = float(statistic(Drawn(values[:, None], nothing, nothing))[0])
    rng = np.random.default_rng([seed, 12])
    right = np.concatenate([statistic(Drawn(rng.standard_normal((rows.n, 20)), nothing, nothing)) for _ in range(10)])
    x, y = (rows.column(each, "near").to_numpy(dtype=float) for each in near)
    names = [str(rows.column(each, "near").name) for each in near]
    with canvas(WIDTH, 5.0, ax=ax, figsize=figsize) as on:
        one, size = on.axes[0, 0], np.minimum(np.abs(values) / max(float(np.std(values)), 1e-300), 3.0)
        factor = 18.0 * min(1.0, 400.0 / rows.n) + 1.0
        for chosen, marker, face in ((values >= 0.0, "^", panels.RED), (values < 0.0, "v", "none")):
            edge = panels.RED if marker == "^" else panels.BLUE
            one.scatter(
                x[chosen],
                y[chosen],
                factor * size[chosen],
                marker=marker,
                facecolors=face,
                edgecolors=edge,
                linewidths=0.7,
            )
        one.set_xlabel(names[0])
        one.set_ylabel(names[1])
        one.set_title(f"Moran's I {observed:.2f} (of noise: within {2.0 * right.std():.2f} of 0)")
        handles = [
            Line2D([], [], ls="", marker="^", color=panels.RED, ms=5.0, label=f"positive {label}"),
            Line2D([], [], ls="", marker="v", mfc="none", mec=panels.BLUE, ms=5.0, label="negative"),
        ]
        on.legend(handles, "right")
        on.doubt(text.doubt(rows.fit))
    return on.figure
