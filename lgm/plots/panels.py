"""One panel of a picture: densities, traces, caterpillars, curves, maps; axes in, entries of a legend out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from matplotlib import colormaps, colors, rcParams  # noqa: TID253 - this module is itself read late
from matplotlib.axes import Axes  # noqa: TID253
from matplotlib.collections import LineCollection, PathCollection  # noqa: TID253
from matplotlib.dates import AutoDateFormatter, AutoDateLocator, ConciseDateFormatter  # noqa: TID253
from matplotlib.figure import Figure, SubFigure  # noqa: TID253
from matplotlib.lines import Line2D  # noqa: TID253
from matplotlib.patches import Patch  # noqa: TID253
from matplotlib.path import Path  # noqa: TID253
from matplotlib.ticker import MaxNLocator  # noqa: TID253

from lgm.arrays import FloatArray
from lgm.errors import DataError
from lgm.results.contributions import Curve
from lgm.results.text import in_step
from lgm.words import listed, some

# Okabe and Ito's colours, which readers with any colour vision can tell apart.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
GREY, PALE = "#5f5f5f", "#c9c9c9"
CHAINS = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9", "#000000", "#b3a600")
LABELS_PER_INCH = 7.0
MOST_RESIDUALS = 5000
_ACCEPTED = (
    "a dict {label: (x, y)} or {label: shape}; or, with the labels as the index, a GeoSeries, a GeoDataFrame, or a "
    "table with a column `geometry` of shapes or of two columns, x and y"
)
MOST_TRACED = 600
FEWEST_DATES = 5  # of ticks: with fewer, there are spans of time for which matplotlib has no step
INCHES_OF_A_DATE = 0.85  # along an axis, with what keeps it from the next one

Density = Callable[[FloatArray], FloatArray]


def _ends(draws: FloatArray, probability: float) -> FloatArray:
    return np.quantile(draws, [(1 - probability) / 2, (1 + probability) / 2], axis=0)


def density(draws: FloatArray, x: FloatArray, bounds: tuple[float, float]) -> FloatArray:
    """Kernel density of draws, reflected at the bounds so that no mass leaks out."""
    spread = np.std(draws)
    robust = min(1.0, scipy.stats.iqr(draws) / 1.349 / spread) or 1.0
    kernel = scipy.stats.gaussian_kde(draws, bw_method=lambda k: k.scotts_factor() * robust)
    out = kernel(x)
    for bound in bounds:
        if np.isfinite(bound):
            out = out + kernel(2 * bound - x)
    return np.where((x >= bounds[0]) & (x <= bounds[1]), out, 0.0)


def marginal(
    ax: Axes, name: str, draws: FloatArray, row: FloatArray, bounds: tuple[float, float], prior: Density | None
) -> None:
    """Posterior density with mean and interval, the prior as a dashed line, and the numbers in the title."""
    mean, sd, low, high = row
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    flat = draws.ravel()
    if np.ptp(flat) == 0:
        ax.axvline(mean, color=BLUE)
        ax.set_title(f"{name}   held at {mean:.4g}")
        return
    left, right = np.quantile(flat, [0.001, 0.999])
    pad = 0.15 * (right - left)
    left, right = max(left - pad, bounds[0]), min(right + pad, bounds[1])
    margin = 1e-6 * (right - left)  # inside open supports
    x = np.linspace(left + margin, right - margin, 300)
    height = density(flat, x, bounds)
    ax.fill_between(x, height, color=BLUE, alpha=0.25, lw=0)
    ax.plot(x, height, color=BLUE, lw=1.2)
    if prior is not None:
        ax.plot(x, prior(x), color=GREY, lw=1.0, ls=(0, (4, 2)))
    base = -0.07 * height.max()
    ax.plot([low, high], [base, base], color=ink(), lw=2.2, solid_capstyle="butt")
    ax.plot(mean, base, "o", color=paper(), mec=ink(), ms=5, mew=1.2)
    ax.set_xlim(left, right)
    ax.set_ylim(2.2 * base, 1.08 * height.max())
    ax.set_title("{}   {} ({} to {})".format(name, *in_step([mean, low, high], sd)))


def key(interval: float, *, prior: bool) -> list[Any]:
    """What the marks of `marginal` mean."""
    label = f"mean and {100 * interval:.4g}% interval"
    handles: list[Any] = [
        Patch(facecolor=colors.to_rgba(BLUE, 0.25), edgecolor=BLUE, label="posterior"),
        Line2D([], [], color=ink(), lw=2.2, marker="o", mfc=paper(), ms=5, label=label),
    ]
    if prior:
        handles.append(Line2D([], [], color=GREY, lw=1.0, ls=(0, (4, 2)), label="prior"))
    return handles


def bars(interval: float) -> list[Any]:
    """What the marks of `caterpillar` and `intervals` mean."""
    return [
        Line2D([], [], ls="", marker="o", mfc=paper(), mec=BLUE, ms=5, label="mean"),
        Line2D([], [], color=BLUE, lw=3.2, label="50%"),
        Line2D([], [], color=BLUE, lw=1.0, label=f"{100 * interval:.4g}% interval"),
    ]


def ink() -> str:
    """What text and lines are drawn in."""
    return str(rcParams["text.color"])


def paper() -> str:
    """What they are drawn on."""
    return str(rcParams["axes.facecolor"])


def scattered(n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Rows that are drawn, spread over all."""
    return np.unique(np.linspace(0, n - 1, min(n, MOST_RESIDUALS)).round().astype(np.int64))


def trace(ax: Axes, draws: FloatArray) -> None:
    """Draws in the order in which they were made, one colour per chain; long chains are thinned."""
    if np.ptp(draws) == 0:
        ax.set_axis_off()
        return
    step = -(-draws.shape[1] // MOST_TRACED)
    for chain, values in enumerate(draws):
        ax.plot(np.arange(values.size)[::step], values[::step], color=CHAINS[chain % len(CHAINS)], lw=0.5, alpha=0.75)
    ax.margins(x=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.locator_params(axis="y", nbins=4)


def tall(n: int) -> float:
    """Height in inches of axes with room for the labels of n levels, within reason."""
    return float(np.clip(max(0.19 * min(n, 40), n / LABELS_PER_INCH), 1.2, 10.5))


def caterpillar(
    ax: Axes,
    labels: np.ndarray,
    mean: FloatArray,
    draws: FloatArray,
    interval: float,
    group: str,
    room: float,
    average: float = 0.0,
) -> None:
    """Effects of levels from below, with 50% and wide intervals; what is average is marked.

    ``room`` (inches) is the height of the axes: as many levels are labelled as fit in.
    """
    y = np.arange(mean.size)
    wide, half = _ends(draws, interval), _ends(draws, 0.5)
    step = -(-mean.size // round(LABELS_PER_INCH * room))
    ax.axvline(average, color=PALE, lw=1.0, zorder=0)
    ax.set_ylim(-0.8, mean.size - 0.2)
    if step > 9:  # too many for bars: bands
        for (low, high), alpha in ((wide, 0.25), (half, 0.5)):
            ax.fill_betweenx(y, low, high, color=BLUE, alpha=alpha, lw=0, step="mid")
        ax.plot(mean, y, color=paper(), lw=1.2)
        ax.set_yticks([])
        ax.set_ylabel(f"{group}: {mean.size} levels, sorted")
        return
    scale = float(np.clip(40 / mean.size, 0.2, 1.0))
    ax.hlines(y, *wide, color=BLUE, lw=max(1.0 * scale, 0.4))
    ax.hlines(y, *half, color=BLUE, lw=3.2 * scale)
    ax.plot(mean, y, "o", color=paper(), mec=BLUE, ms=max(4.5 * scale, 1.5), mew=max(1.1 * scale, 0.5))
    name_levels(ax, labels, group, room)


def name_levels(ax: Axes, labels: np.ndarray, group: str, room: float) -> None:
    """Labels of levels from below, as many as fit into a height of ``room`` inches, and the name of their group."""
    step = -(-labels.size // max(round(LABELS_PER_INCH * room), 1))
    shown = np.arange(labels.size)[step // 2 :: step]
    ax.set_yticks(shown, [short(labels[k]) for k in shown])
    ax.tick_params(axis="y", length=0, labelsize=8.0 if labels.size <= 30 else 6.5)
    ax.set_ylabel(group if step == 1 else thinned(group, step))


def thinned(group: str, step: int) -> str:
    """The name of a group of whose levels some are labelled."""
    return f"{group} (every {_ordinal(step)} is labelled)"


def short(label: Any) -> str:
    """A label, cut where it is long."""
    text = str(label)
    return text if len(text) <= 22 else text[:21] + "\u2026"


def _ordinal(n: int) -> str:
    return {2: "second", 3: "third"}.get(n, f"{n}th")


def intervals(ax: Axes, names: Sequence[str], mean: FloatArray, draws: FloatArray, interval: float) -> None:
    """Coefficients below each other, in their order, with 50% and wide intervals; zero is marked."""
    y = np.arange(len(names))[::-1]
    wide, half = _ends(draws, interval), _ends(draws, 0.5)
    ax.axvline(0.0, color=PALE, lw=1.0, zorder=0)
    ax.hlines(y, *wide, color=BLUE, lw=1.2)
    ax.hlines(y, *half, color=BLUE, lw=4.0)
    ax.plot(mean, y, "o", color=paper(), mec=BLUE, ms=6, mew=1.3)
    ax.set_yticks(y, names)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(-0.7, len(names) - 0.3)


def curve(ax: Axes, c: Curve, interval: float) -> list[Any]:
    """Mean curve with 50% and wide bands, over partial residuals (in the size of their weights) or a rug."""
    handles: list[Any] = []
    if c.residual is not None and c.at.size <= MOST_RESIDUALS:
        alpha = float(np.clip(60 / c.at.size, 0.25, 0.7))
        size = 9.0 * np.clip(c.weights / np.mean(c.weights), 0.2, 9.0)
        ax.scatter(c.at, c.residual, s=size, color=GREY, linewidths=0, alpha=alpha, zorder=1)
        handles.append(Line2D([], [], ls="", marker="o", color=GREY, ms=3.5, mew=0, label="partial residuals"))
    else:
        ax.plot(c.at, np.zeros(c.at.size), "|", color=GREY, ms=7, mew=0.5, transform=ax.get_xaxis_transform())
    ax.axhline(c.average, color=PALE, lw=1.0, zorder=0)
    for probability, alpha in ((interval, 0.2), (0.5, 0.35)):
        ax.fill_between(c.x, *_ends(c.draws, probability), color=BLUE, alpha=alpha, lw=0, zorder=2)
    ax.plot(c.x, c.mean, color=BLUE, lw=1.6, zorder=3, marker="o" if c.x.size <= 30 else "", ms=3.0)
    ax.set_xlabel(c.variable)
    ax.set_ylabel(c.unit)
    ax.set_title(c.label + (" without what is in the fixed part" if c.without else ""))
    ax.margins(x=0.02)
    if c.at.dtype.kind != "M" and np.all(c.at == np.round(c.at)):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    few_dates(ax, c.x)
    handles += [
        Line2D([], [], color=BLUE, lw=1.6, label="mean"),
        Patch(facecolor=BLUE, alpha=0.55, label="50%"),
        Patch(facecolor=BLUE, alpha=0.2, label=f"{100 * interval:.4g}% interval"),
    ]
    return handles


def few_dates(ax: Axes, x: np.ndarray[Any, Any]) -> None:
    """No more dates along the axis than have room, in short where that is less than what matplotlib can choose."""
    if x.dtype.kind == "M":
        own = ax.get_subplotspec()
        share = 1.0 if own is None else 1.0 / own.get_gridspec().ncols
        width = ax.figure.bbox.width / ax.figure.dpi * share
        room = int(width / INCHES_OF_A_DATE)
        locator = AutoDateLocator(minticks=2, maxticks=max(room, FEWEST_DATES))
        ax.xaxis.set_major_locator(locator)
        formatter = AutoDateFormatter if room >= FEWEST_DATES else ConciseDateFormatter
        ax.xaxis.set_major_formatter(formatter(locator))


def many_curves(ax: Axes, shown: Sequence[Curve]) -> list[Any]:
    """Mean curves of many levels over each other."""
    ax.axhline(0.0, color=PALE, lw=1.0, zorder=0)
    for c in shown:
        ax.plot(c.x, c.mean, color=BLUE, lw=1.0, alpha=float(np.clip(8 / len(shown), 0.2, 0.8)))
    ax.set_xlabel(shown[0].variable)
    ax.set_ylabel(shown[0].unit)
    ax.margins(x=0.02)
    few_dates(ax, shown[0].x)
    return [Line2D([], [], color=BLUE, lw=1.0, label=f"means of {len(shown)} levels")]


def region_map(
    figure: Figure | SubFigure,
    ax: Axes,
    geometry: Any,
    labels: np.ndarray,
    mean: FloatArray,
    graph: Any,
    title: str,
    average: float = 0.0,
) -> None:
    """Regions as shapes, or as dots joined to their neighbours, coloured by their effect; what is average is white."""
    drawn = _regions(ax, geometry, labels, mean, graph, around(average, mean))
    figure.colorbar(drawn, ax=ax, location="bottom", shrink=0.7, aspect=35, pad=0.02).set_label(title)
    ax.set_anchor("C")


def region_maps(
    figure: Figure | SubFigure,
    axes: Sequence[Axes],
    geometry: Any,
    labels: np.ndarray,
    means: FloatArray,
    graph: Any,
    titles: Sequence[str],
    title: str,
    average: float = 0.0,
) -> None:
    """Maps of several levels (levels, regions) with the same colours for the same effects."""
    norm = around(average, means)
    for ax, mean, name in zip(axes, means, titles, strict=True):
        drawn = _regions(ax, geometry, labels, mean, graph, norm)
        ax.set_title(name)
    bar = figure.colorbar(drawn, ax=list(axes), location="bottom", shrink=0.5, aspect=50, pad=0.02)
    bar.set_label(title)


def _regions(ax: Axes, geometry: Any, labels: np.ndarray, mean: FloatArray, graph: Any, norm: colors.Normalize) -> Any:
    geometry = _by_label(geometry)
    places, colour_map = _places(geometry, labels), colormaps["RdBu_r"]
    if all(isinstance(place, tuple) for place in places):
        points = np.array(places, dtype=float)
        if graph is not None:
            ax.add_collection(LineCollection(points[graph.edges], colors=PALE, linewidths=0.6, zorder=1))
        size = float(np.clip(6000 / len(points), 8, 110))
        x, y = points.T
        drawn: Any = ax.scatter(
            x, y, c=mean, s=size, cmap=colour_map, norm=norm, edgecolors=GREY, linewidths=0.5, zorder=2
        )
    else:
        paths = [_path(place) for place in places]
        drawn = PathCollection(paths, cmap=colour_map, norm=norm, edgecolors=GREY, linewidths=0.4)
        drawn.set_array(mean)
        ax.add_collection(drawn)
        ax.autoscale_view()
    ax.set_aspect(_aspect(geometry))
    ax.margins(0.04)
    ax.set_axis_off()
    return drawn


def around(average: float, values: FloatArray) -> colors.Normalize:
    """As far to both sides of zero; elsewhere, where sides may differ by nature, to the ends of the values."""
    if average == 0.0:
        limit = float(np.max(np.abs(values))) or 1.0
        return colors.Normalize(-limit, limit)
    margin = 1e-9 * abs(average)
    return colors.TwoSlopeNorm(
        average, min(float(values.min()), average - margin), max(float(values.max()), average + margin)
    )


def _by_label(geometry: Any) -> Any:
    """What has an entry for each label: a mapping, a series, or columns of a table."""
    own = getattr(geometry, "geometry", None)
    if hasattr(own, "geom_type"):  # of a GeoDataFrame, whatever the column is called; a GeoSeries is its own geometry
        return own
    if isinstance(geometry, pd.DataFrame):
        if "geometry" in geometry:
            return geometry["geometry"]
        if geometry.shape[1] == 2 and all(pd.api.types.is_numeric_dtype(kind) for kind in geometry.dtypes):
            return dict(zip(geometry.index, geometry.itertuples(index=False, name=None), strict=True))
        columns = listed([f"`{name}`" for name in geometry.columns], 8)
        raise DataError(f"geometry= is a table of the columns {columns}. Accepted: {_ACCEPTED}.")
    if isinstance(geometry, Mapping) or (hasattr(geometry, "items") and np.ndim(geometry) == 1):
        return geometry
    raise DataError(f"geometry= is of the type {type(geometry).__name__}. Accepted: {_ACCEPTED}.")


def _places(geometry: Any, labels: np.ndarray) -> list[Any]:
    """A point ``(x, y)`` or a shape for every label."""
    known: Mapping[Any, Any] = geometry if isinstance(geometry, Mapping) else dict(geometry.items())
    missing = [label for label in labels.tolist() if label not in known]
    if missing:
        raise DataError(
            f"geometry lacks {len(missing)} region(s): {some(missing)}; it has {some(known)}. It needs one entry for "
            f"each region of the graph, under the same label: {_ACCEPTED}. `set_index` makes a column the index."
        )
    return [_place(label, known[label]) for label in labels.tolist()]


def _place(label: Any, place: Any) -> Any:
    kind = getattr(place, "geom_type", "")
    if kind:
        return (place.x, place.y) if kind == "Point" else place
    try:
        x, y = (float(each) for each in place)
    except (TypeError, ValueError):
        raise DataError(f"geometry of {label!r} is {short(repr(place))}. Accepted: {_ACCEPTED}.") from None
    return x, y


def _path(shape: Any) -> Path:
    """A point-less outline of a polygon or of several, holes included."""
    polygons = list(getattr(shape, "geoms", [shape]))
    rings = [np.asarray(ring.coords)[:, :2] for p in polygons for ring in (p.exterior, *p.interiors)]
    return Path.make_compound_path(*(Path(ring, closed=True) for ring in rings))


def _aspect(geometry: Any) -> float:
    """Equal lengths in both directions; degrees of longitude are shorter than those of latitude."""
    reference = getattr(geometry, "crs", None)
    if reference is None or not reference.is_geographic:
        return 1.0
    south, north = geometry.total_bounds[[1, 3]]
    return float(1.0 / np.cos(np.deg2rad((south + north) / 2)))
