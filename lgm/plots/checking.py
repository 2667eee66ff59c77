"""Pictures that ask whether a fit is adequate: new data beside the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes  # noqa: TID253 - this module is itself read late
from matplotlib.figure import Figure, SubFigure  # noqa: TID253
from matplotlib.lines import Line2D  # noqa: TID253
from matplotlib.patches import Patch  # noqa: TID253
from matplotlib.ticker import MaxNLocator  # noqa: TID253

from lgm.arrays import FloatArray
from lgm.errors import LgmError
from lgm.plots import panels
from lgm.plots.canvas import MARGINS, canvas
from lgm.results import text
from lgm.results.checking import bands, predictive, replicates, residuals
from lgm.results.checking.observed import Observed
from lgm.results.predict import at_observed

if TYPE_CHECKING:
    from lgm.results.fit import Fit

WIDTH, HEIGHT = 6.0, 3.8  # inches
OVERLAYS = 50  # new data sets of which each is drawn
PALE, NEW = "#a8c8e0", panels.BLUE


def pp_check(
    fit: Fit,
    kind: str | None,
    draws: int | None,
    *,
    by: Any,
    statistic: Any,
    redraw: Any,
    ax: Any,
    figsize: Any,
    seed: int,
) -> Figure | SubFigure:
    """See `Fit.pp_check`."""
    rows = Observed(fit)
    if kind is None:
        kind = "stat" if statistic is not None else "intervals" if by is not None else predictive.usual(rows)
    predictive.require(rows, kind)
    if by is not None and kind not in ("stat", "intervals"):
        raise LgmError(f"by= is for kind='stat' and kind='intervals', not for {kind!r}.")
    if statistic is not None and kind not in ("stat", "intervals"):
        raise LgmError(f"statistic= is for kind='stat', not for {kind!r}.")
    if kind == "loo_pit" and redraw is not False:
        raise LgmError("redraw= is for new data; kind='loo_pit' is about the data of the fit, with their groups.")
    many = (OVERLAYS if kind in _OVERLAYS else replicates.affordable(rows)) if draws is None else draws
    if by is not None and not (kind == "intervals" and predictive.is_axis(rows, by)):
        return _by_group(rows, statistic or "mean", by, many, redraw, seed, ax, figsize)
    if kind == "stat":
        return _statistic(fit, statistic or "mean", many, redraw, seed, ax, figsize)
    with canvas(WIDTH, HEIGHT, ax=ax, figsize=figsize) as on:
        one = on.axes[0, 0]
        if kind in _OVERLAYS:
            handles = _overlay(one, rows, kind, (many, redraw, seed))
        elif kind == "intervals":
            handles = _rows(one, rows, by, predictive.of_rows(rows, many, redraw, seed))
        elif kind == "bars":
            handles = _bars(one, rows, predictive.frequencies(rows, many, redraw, seed), on.room_across)
        elif kind == "rootogram":
            handles = _rootogram(one, rows, predictive.frequencies(rows, many, redraw, seed))
        elif kind == "calibration":
            handles = _calibration(one, rows, many, redraw, seed)
        else:
            handles = _pit(one, rows, seed)
        on.legend(handles, "right")
        on.doubt(text.doubt(fit))
    return on.figure


def _response(rows: Observed) -> str:
    return rows.fit.design.formula.response.text


_OVERLAYS: Mapping[str, tuple[Callable[..., predictive.Overlay], str]] = {
    "dens_overlay": (predictive.densities, "density"),
    "ecdf_overlay": (predictive.distributions, "share at most this"),
    "km_overlay": (predictive.survival, "share above this"),
}


def _overlay(ax: Axes, rows: Observed, kind: str, how: tuple[int, Any, int]) -> list[Any]:
    """The data as one strong line over pale ones."""
    function, label = _OVERLAYS[kind]
    shown = function(rows, *how)
    style: Any = {} if kind == "dens_overlay" else {"drawstyle": "steps-post"}
    ax.plot(shown.x, shown.new.T, color=PALE, lw=0.6, alpha=0.7, zorder=1, **style)
    ax.plot(shown.x, shown.observed, color=panels.ink(), lw=1.8, zorder=3, **style)
    ax.set_xlabel(_response(rows))
    ax.set_ylabel(label)
    ax.set_ylim(bottom=0.0)
    ax.margins(x=0.01)
    return [
        Line2D([], [], color=panels.ink(), lw=1.8, label="data"),
        Line2D([], [], color=PALE, lw=1.5, label=f"{len(shown.new)} new data sets"),
    ]


def _statistic(
    fit: Fit, statistic: Any, draws: int, redraw: Any, seed: int, ax: Any, figsize: Any
) -> Figure | SubFigure:
    """A histogram of new statistics, and that of the data."""
    table, drawn = replicates.statistics(fit, statistic, by=None, draws=draws, redraw=redraw, seed=seed)
    row, new = table.iloc[0], drawn[:, 0]
    with canvas(WIDTH, HEIGHT, ax=ax, figsize=figsize) as on:
        one, finite = on.axes[0, 0], new[np.isfinite(new)]
        one.hist(finite, bins=_bins(finite), color=PALE, edgecolor="white", lw=0.5)
        one.axvline(row["observed"], color=panels.ink(), lw=2.0)
        one.set_xlabel(f"{table.index[0]} of {_response(Observed(fit))}")
        one.set_ylabel("new data sets")
        one.yaxis.set_major_locator(MaxNLocator(integer=True))
        share = row["P(new > observed)"]
        handles = [
            Line2D([], [], color=panels.ink(), lw=2.0, label="data"),
            Patch(facecolor=PALE, label=f"new data; {share:.3g} of them larger"),
        ]
        on.legend(handles, "right")
        on.doubt(text.doubt(fit))
    return on.figure


def _bins(values: FloatArray) -> Any:
    """As many as show the shape; where values are on a lattice, each with as many of its points."""
    distinct, most = np.unique(values), int(np.clip(np.sqrt(values.size), 10, 30))
    if distinct.size < 2:
        return 1
    steps = (distinct - distinct[0]) / np.min(np.diff(distinct))
    if np.all(np.abs(steps - np.round(steps)) < 1e-6) and steps[-1] < 1e6:
        width = (distinct[-1] - distinct[0]) / steps[-1] * max(int(np.ceil(steps[-1] / most)), 1)
        count = int(np.ceil((distinct[-1] - distinct[0]) / width + 0.5))
        return distinct[0] + width * (np.arange(count + 1) - 0.5)
    return most


def _by_group(
    rows: Observed, statistic: Any, by: Any, draws: int, redraw: Any, seed: int, ax: Any, figsize: Any
) -> Figure | SubFigure:
    """A statistic of each group beside its interval, from the smallest expected one to the largest."""
    fit = rows.fit
    table, _ = replicates.statistics(fit, statistic, by=by, draws=draws, redraw=redraw, seed=seed)
    name = replicates.statistic_of(statistic)[0]
    table = table.iloc[np.argsort(table["mean"].to_numpy(), kind="stable")]
    low, high = (table[end].to_numpy() for end in fit.interval_names)
    with canvas(WIDTH, MARGINS + panels.tall(len(table)), ax=ax, figsize=figsize) as on:
        one, y = on.axes[0, 0], np.arange(len(table))
        observed = table["observed"].to_numpy()
        outside = (observed < low) | (observed > high)
        one.hlines(y, low, high, color=NEW, lw=1.6 if len(table) <= 60 else 0.9)
        size = 4.5 if len(table) <= 60 else 2.5
        one.plot(observed[~outside], y[~outside], "o", color=panels.ink(), ms=size, mew=0.0)
        one.plot(observed[outside], y[outside], "D", mfc="none", mec=panels.RED, ms=size + 1.0, mew=1.2)
        panels.name_levels(one, table.index.to_numpy(), str(table.index.name), on.room)
        one.set_xlabel(f"{name} of {_response(rows)}")
        one.set_ylim(-0.8, len(table) - 0.2)
        on.legend([*_inside_outside(bool(outside.any())), _interval(fit)], "right")
        on.doubt(text.doubt(fit))
    return on.figure


def _inside_outside(outside: bool) -> list[Any]:
    marks = [Line2D([], [], ls="", marker="o", color=panels.ink(), ms=4.5, label="data")]
    if outside:
        marks.append(Line2D([], [], ls="", marker="D", mfc="none", mec=panels.RED, ms=5.5, label="outside"))
    return marks


def _interval(fit: Fit) -> Any:
    return Line2D([], [], color=NEW, lw=1.6, label=f"{100 * fit.interval:.4g}% of new data")


def _rows(ax: Axes, rows: Observed, by: Any, table: pd.DataFrame) -> list[Any]:
    """Each response beside its interval, in the order of the data or along a column."""
    low, high = (table[end].to_numpy() for end in rows.fit.interval_names)
    x = np.arange(rows.n) if by is None else rows.column(by, "by").to_numpy(dtype=float)
    y = table["observed"].to_numpy()
    chosen = panels.scattered(rows.n)
    outside = (y < low) | (y > high)
    few = rows.n <= 300
    ax.vlines(x[chosen], low[chosen], high[chosen], color=PALE, lw=1.6 if few else 0.7, zorder=1)
    inside = chosen[~outside[chosen]]
    ax.plot(x[inside], y[inside], "o", color=panels.ink(), ms=3.0 if few else 1.5, mew=0.0, zorder=3)
    beyond = chosen[outside[chosen]]
    ax.plot(x[beyond], y[beyond], "D", mfc="none", mec=panels.RED, ms=4.0, mew=1.0, zorder=4)
    ax.set_xlabel("row" if by is None else str(rows.column(by, "by").name))
    ax.set_ylabel(_response(rows))
    ax.margins(x=0.02)
    line = Line2D([], [], color=PALE, lw=2.0, label=f"{100 * rows.fit.interval:.4g}% of new data")
    share = 100.0 * np.mean(~outside)
    return [*_inside_outside(bool(beyond.size)), line, Line2D([], [], ls="", label=f"({share:.0f}% inside)")]


def _bars(ax: Axes, rows: Observed, table: pd.DataFrame, room: float) -> list[Any]:
    """Counts of each value as bars, expected ones as points with intervals."""
    x, names = np.arange(len(table)), predictive.labels(rows)
    low, high = (table[end].to_numpy() for end in rows.fit.interval_names)
    ax.bar(x, table["observed"], width=0.8, color="#d9d9d9", edgecolor="#808080", lw=0.6)
    ax.vlines(x, low, high, color=NEW, lw=1.6)
    ax.plot(x, table["mean"], "o", mfc=panels.paper(), mec=NEW, ms=4.5, mew=1.3)
    labels = list(names) if names else [str(v) for v in table.index]
    step = max(int(np.ceil(sum(len(label) + 2 for label in labels) / (14.0 * max(room, 1.0)))), 1)
    ax.set_xticks(x[::step], [label if len(label) <= 14 else label[:13] + "\u2026" for label in labels[::step]])
    ax.set_xlabel(_counted(rows))
    ax.set_ylabel("rows")
    return [
        Patch(facecolor="#d9d9d9", edgecolor="#808080", lw=0.6, label="data"),
        Line2D(
            [],
            [],
            color=NEW,
            lw=1.6,
            marker="o",
            mfc=panels.paper(),
            ms=4.5,
            label=f"mean, {100 * rows.fit.interval:.4g}% of new data",
        ),
    ]


def _counted(rows: Observed) -> str:
    several = rows.trials.max() > 1.0
    return f"{_response(rows)} (successes)" if several else _response(rows)


def _rootogram(ax: Axes, rows: Observed, table: pd.DataFrame) -> list[Any]:
    """Bars of observed square roots that hang from expected ones."""
    x = table.index.to_numpy()
    expected, observed = np.sqrt(table["mean"].to_numpy()), np.sqrt(table["observed"].to_numpy())
    low, high = (np.sqrt(table[end].to_numpy()) for end in rows.fit.interval_names)
    ax.bar(x, observed, bottom=expected - observed, width=0.8, color="#d9d9d9", edgecolor="#808080", lw=0.5)
    ax.fill_between(x, expected - high, expected - low, step="mid", color=NEW, alpha=0.3, lw=0.0, zorder=3)
    ax.plot(x, expected, "-o", color=NEW, ms=2.5, lw=1.2)
    ax.axhline(0.0, color=panels.ink(), lw=0.9)
    ax.set_xlabel(_counted(rows))
    ax.set_ylabel("square root of rows")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.margins(x=0.01)
    return [
        Patch(facecolor="#d9d9d9", edgecolor="#808080", lw=0.5, label="data"),
        Line2D([], [], color=NEW, lw=1.2, marker="o", ms=2.5, label="mean of new data"),
        Patch(facecolor=NEW, alpha=0.3, label=f"{100 * rows.fit.interval:.4g}%: where bars end"),
    ]


def _calibration(ax: Axes, rows: Observed, draws: int, redraw: Any, seed: int) -> list[Any]:
    """Observed shares as a monotone function of predicted ones, and where it would be for right predictions."""
    mean, _ = at_observed(rows.fit, seed)
    d = rows.fit.design
    per_trial = np.ones(rows.n) if d.answer.share else rows.trials
    new = replicates.replicates(rows, draws, redraw, seed) / per_trial
    found = bands.calibration(rows.y / per_trial, mean / per_trial, new, rows.trials, rows.fit.interval)
    ax.plot([0.0, 1.0], [0.0, 1.0], color=panels.GREY, lw=0.8, ls=(0, (4, 2)))
    ax.fill_between(found.x, found.low, found.high, color=NEW, alpha=0.25, lw=0.0)
    ax.plot(found.x, found.share, color=panels.ink(), lw=1.6)
    _rug(ax, found.x)
    low, high = found.x[0], found.x[-1]
    pad = 0.03 * max(high - low, 0.02)
    ax.set_xlim(max(low - pad, -0.02), min(high + pad, 1.02))
    top = max(found.high.max(), found.share.max())
    bottom = min(found.low.min(), found.share.min())
    ax.set_ylim(bottom - 0.06 * (top - bottom) - 0.01, top + 0.03)
    ax.set_xlabel(f"predicted probability of {_event(rows)}")
    ax.set_ylabel("observed share")
    return [
        Line2D([], [], color=panels.ink(), lw=1.6, label="data"),
        Patch(facecolor=NEW, alpha=0.25, label=f"{100 * rows.fit.interval:.4g}% if calibrated"),
    ]


def _event(rows: Observed) -> str:
    names = predictive.labels(rows)
    return names[1] if len(names) == 2 else _response(rows)


def _rug(ax: Axes, x: FloatArray) -> None:
    """Where predictions are, along the lower edge."""
    chosen = panels.scattered(x.size)
    ax.plot(
        x[chosen],
        np.full(chosen.size, 0.015),
        "|",
        color=panels.GREY,
        ms=4.0,
        mew=0.5,
        alpha=0.6,
        transform=ax.get_xaxis_transform(),
    )


def _pit(ax: Axes, rows: Observed, seed: int) -> list[Any]:
    """Places by all other rows: their distribution function less the uniform one."""
    drawn = residuals.left_out(rows).drawn(np.random.default_rng([seed, 8]))
    found = bands.uniform(drawn, rows.fit.interval)
    x, start = np.concatenate([[0.0], found.x]), np.zeros(1)
    low, high, line = (np.concatenate([start, each]) for each in (found.low, found.high, found.difference))
    ax.fill_between(x, low, high, color=NEW, alpha=0.25, lw=0.0)
    ax.plot(x, line, color=panels.ink(), lw=1.5)
    ax.axhline(0.0, color=panels.GREY, lw=0.7)
    ax.set_xlim(0.0, 1.0)
    ax.set_xlabel("place of each row among predictions by the others")
    ax.set_ylabel("share of rows, less the place")
    said = "outside" if found.outside else "inside"
    return [
        Line2D([], [], color=panels.ink(), lw=1.5, label=f"data ({said})"),
        Patch(facecolor=NEW, alpha=0.25, label=f"all of it, {100 * rows.fit.interval:.4g}% of the time"),
    ]
