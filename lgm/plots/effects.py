"""Pictures of what a fit says of its variables: effects along one variable or two, and comparisons of them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes  # noqa: TID253 - this module is itself read late
from matplotlib.figure import Figure, SubFigure  # noqa: TID253
from matplotlib.lines import Line2D  # noqa: TID253
from matplotlib.patches import Patch  # noqa: TID253
from matplotlib.ticker import MaxNLocator  # noqa: TID253

from lgm.design.design import Design
from lgm.errors import LgmError, LgmWarning, warn
from lgm.plots import panels
from lgm.plots.canvas import MARGINS, canvas
from lgm.plots.panels import BLUE, GREEN, GREY, ORANGE, PALE, RED
from lgm.results import text
from lgm.results.interpret.effects import Effect
from lgm.results.interpret.grid import Variables
from lgm.words import counted

if TYPE_CHECKING:
    from lgm.results.fit import Fit

COLOURS = (BLUE, RED, GREEN, ORANGE, "#CC79A7", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (3, 1)), (0, (1, 2.5)))
MARKERS = ("o", "s", "^", "D", "v", "P")
MOST_PANELS = 24
MOST_NAMES = 12  # in one legend over all panels
MOST_POINTS = 5000
ACROSS = 25  # levels beside each other; more stand below each other
NARROWEST, LOWEST = 1.9, 0.8  # inches of a panel among others
LETTERS = 13  # of a title or label in an inch


@dataclass(frozen=True, eq=False)
class Panel:
    """One panel: estimates along a variable, for each value of another.

    Parameters
    ----------
    table : pandas.DataFrame
    x : str
        Its column along which they are drawn.
    line : str or None
        Its column that tells lines apart.
    numeric : bool
        Whether x is a number or a time; else it is a factor.
    unit, title : str
    average : float or None
        A value to compare with.
    """

    table: pd.DataFrame
    x: str
    line: str | None
    numeric: bool
    unit: str
    title: str
    average: float | None = None

    def lines(self) -> list[tuple[Any, pd.DataFrame]]:
        """The estimates of each line, and what it is called."""
        if self.line is None:
            return [(None, self.table)]
        return list(self.table.groupby(self.line, sort=False, observed=True))

    @property
    def named(self) -> bool:
        """Whether it has several lines, few enough to be told apart."""
        return 1 < len(self.lines()) <= len(DASHES)


def conditional(
    fit: Fit, effects: Mapping[str, Effect], kind: str, *, rug: bool, points: bool, ax: Any = None, figsize: Any = None
) -> Figure | SubFigure:
    """Conditional effects as small multiples; see `Fit.plot_conditional_effects`."""
    if points and (kind != "mean" or fit.design.family.outcomes):
        raise LgmError("points=True shows responses, so it is for kind='mean' and responses without categories.")
    if points and not fit.design.has_rows:
        raise LgmError(
            "points=True shows the rows of the data, which were read in partitions and are not in memory. Accepted: "
            "points=False."
        )
    shown = [panel for name, effect in effects.items() for panel in _of_effect(fit, name, effect, kind)]

    def beside(axes: Axes, panel: Panel) -> None:
        data = Variables.of(fit).frame
        if panel.x not in data or not panel.numeric:
            return
        at = _on_axis(data[panel.x])
        if points and at.size <= MOST_POINTS:
            alpha = float(np.clip(60 / at.size, 0.2, 0.7))
            axes.scatter(at, fit.design.as_given, s=9.0, color=GREY, linewidths=0, alpha=alpha, zorder=1)
        if rug:
            at = np.unique(at)
            axes.plot(at, np.zeros(at.size), "|", color=GREY, ms=7, mew=0.5, transform=axes.get_xaxis_transform())

    return _draw(fit, shown, beside, ax, figsize)


def _of_effect(fit: Fit, name: str, effect: Effect, kind: str) -> list[Panel]:
    table, (first, *second) = effect.table, effect.variables
    line = second[0] if second else "category" if "category" in table else None
    facets = [*effect.conditions, *(["category"] if second and "category" in table else [])]
    line, facets = _room(table, first, line, facets, numeric=effect.numeric)
    unit = unit_of(fit.design, kind)
    return [
        Panel(part, first, line, effect.numeric, unit, f"{name}, {words}" if words else name)
        for words, part in _facets(table, facets)
    ]


def estimates(
    fit: Fit, table: pd.DataFrame, by: Sequence[str], unit: str, average: float | None, *, ax: Any, figsize: Any
) -> Figure | SubFigure:
    """Estimates by one variable or two, a panel for each term, contrast and category; or all below each other."""
    if len(by) > 2:
        raise LgmError(f"by= has {len(by)} columns; a picture shows estimates by one or two.")
    words = [name for name in ("term", "contrast") if name in table and name not in by]
    if by:
        numeric = _is_numeric(table[by[0]])
        line = by[1] if len(by) > 1 else "category" if "category" in table else None
        facets = [*words, *(["category"] if "category" in table and line != "category" else [])]
        line, facets = _room(table, by[0], line, facets, numeric=numeric)
        shown = [
            Panel(part, by[0], line, numeric, unit, name, average) for name, part in _facets(table, facets, named=False)
        ]
    else:
        labels = [": ".join(row) for row in table[words].astype(str).itertuples(index=False)] if words else ["average"]
        line = "category" if "category" in table else None
        shown = [Panel(table.assign(**{" ": labels}), " ", line, False, unit, "", average)]
    return _draw(fit, shown, lambda axes, panel: None, ax, figsize)


def _facets(table: pd.DataFrame, names: Sequence[str], *, named: bool = True) -> list[tuple[str, pd.DataFrame]]:
    """The table in parts, by the values of some columns, and what each part is called."""
    if not names:
        return [("", table)]
    found = []
    for values, part in table.groupby(list(names), sort=False, observed=True):
        words = [f"{name} = {_word(v)}" if named else _word(v) for name, v in zip(names, values, strict=True)]
        found.append((", ".join(words), part))
    return found


def _room(
    table: pd.DataFrame, x: str, line: str | None, facets: list[str], *, numeric: bool
) -> tuple[str | None, list[str]]:
    """What tells lines and panels apart: lines of many levels have panels of their own."""
    if line is None or numeric or table[x].nunique() <= ACROSS:
        return line, facets
    return None, [*facets, line]


def _is_numeric(column: pd.Series) -> bool:
    dtype = column.dtype
    numbers = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    return numbers or dtype.kind in "Mm" or isinstance(dtype, pd.PeriodDtype)


def _on_axis(column: pd.Series) -> Any:
    """Numbers or dates; a period stands where it begins, and a duration is one of days."""
    if isinstance(column.dtype, pd.PeriodDtype):
        return column.dt.to_timestamp().to_numpy()
    if column.dtype.kind == "m":
        return column.dt.total_seconds().to_numpy() / 86400.0
    return column.to_numpy()


def unit_of(design: Design, kind: str) -> str:
    """What is estimated, for an axis."""
    response = design.formula.response.text
    if kind == "mean" and design.family.outcomes:
        return f"probability of {response}"
    if kind == "mean":
        return f"expected share of {response}" if "trials" in design.family.forms else f"expected {response}"
    link = design.family.link
    return f"linear predictor of {response}" + ("" if link == "identity" else f" ({link} scale)")


def _draw(fit: Fit, shown: Sequence[Panel], beside: Any, ax: Any, figsize: Any) -> Figure | SubFigure:
    if len(shown) > MOST_PANELS:
        raise LgmError(
            f"this picture has {len(shown)} panels; accepted: up to {MOST_PANELS}. Name some effects, or give fewer "
            "values in conditions=."
        )
    columns = min(len(shown), 3)
    if ax is None and figsize is not None:
        columns = min(columns, max(int(figsize[0] / NARROWEST), 1))
    rows = -(-len(shown) // columns)
    tall = max(_height(panel) for panel in shown)
    width = 6.0 if columns == 1 else 1.0 + 3.2 * columns
    names = [entry for each in _sets(shown) for entry in each]
    with canvas(width, MARGINS + rows * tall, rows, columns, ax=ax, figsize=figsize) as on:
        axes = list(on.axes.flat)
        for each in axes[len(shown) :]:
            each.set_axis_off()
        outside = on.own and len(names) <= MOST_NAMES
        if on.own:
            size = on.figure.bbox.width / on.figure.dpi / columns, on.room / rows
        else:
            size = on.room_across, on.room
        for place, (one, panel) in enumerate(zip(axes, shown, strict=False)):
            _panel(one, panel, fit.interval_names, size, legend=not outside)
            beside(one, panel)
            if place % columns and panel.unit == shown[place - 1].unit:
                one.set_ylabel("")
        on.legend([*(names if outside else []), *_key(fit.interval, shown)], "right")
        if on.own and on.room / rows < LOWEST:
            width, height = (round(size / on.figure.dpi, 1) for size in (on.figure.bbox.width, on.figure.bbox.height))
            warn(
                f"{len(shown)} panels have little room in {width:g} x {height:g} inches. Accepted: a taller picture, "
                f"such as figsize=({width:g}, {np.ceil(MARGINS + rows * 1.6):g}), or fewer effects.",
                LgmWarning,
            )
        on.doubt(text.doubt(fit))
    return on.figure


def _sets(shown: Sequence[Panel]) -> list[list[Any]]:
    """Entries of a legend for what tells lines apart, once for each variable where panels agree on its values."""
    found: dict[tuple[Any, ...], list[Panel]] = {}
    for panel in shown:
        if panel.named:
            found.setdefault((panel.line, *(name for name, _ in panel.lines())), []).append(panel)
    return [_names(several, key) for key, several in found.items()]


def _names(several: Sequence[Panel], key: tuple[Any, ...]) -> list[Any]:
    """Entries for the lines of panels that have the same ones."""
    out = []
    numeric, levels = any(panel.numeric for panel in several), any(not panel.numeric for panel in several)
    for k, name in enumerate(key[1:]):
        style: dict[str, Any] = {
            "ls": DASHES[k] if numeric else "none",
            "lw": 1.6,
            "marker": MARKERS[k] if levels else "",
            "ms": 5,
        }
        out.append(Line2D([], [], color=COLOURS[k], label=f"{key[0]} = {_word(name)}", **style))
    return out


def _height(panel: Panel) -> float:
    """Inches of a panel."""
    return max(2.7, panels.tall(panel.table[panel.x].nunique())) if _is_tall(panel) else 2.7


def _is_tall(panel: Panel) -> bool:
    """Whether its levels stand below each other."""
    return not panel.numeric and panel.table[panel.x].nunique() > ACROSS


def _panel(ax: Axes, panel: Panel, ends: tuple[str, str], size: tuple[float, float], *, legend: bool) -> None:
    """One panel of about this width and height in inches."""
    width, height = size
    if panel.average is not None:
        line = ax.axvline if _is_tall(panel) else ax.axhline
        line(panel.average, color=PALE, lw=1.0, zorder=0)
    title = panel.title
    if panel.numeric and panel.line is not None and len(panel.lines()) > len(DASHES):
        title = f"{title}: {counted(len(panel.lines()), 'level')} of {panel.line}"
    ax.set_title(_wrapped(title, width - 0.3))
    if panel.numeric:
        _curves(ax, panel, ends)
    elif _is_tall(panel):
        _many_levels(ax, panel, ends, height)
    else:
        _levels(ax, panel, ends, width)
    ax.set_xlabel(_wrapped(ax.get_xlabel(), width - 0.6))
    ax.set_ylabel(_wrapped(ax.get_ylabel(), height))
    if legend and panel.named:
        ax.legend(title=panel.line, title_fontsize=8.0, handlelength=3.2 if panel.numeric else 2.0)


def _curves(ax: Axes, panel: Panel, ends: tuple[str, str]) -> None:
    """Means with bands; of more lines than there are styles the means alone."""
    lines = panel.lines()
    for k, (name, part) in enumerate(lines):
        x, mean = _on_axis(part[panel.x]), part["mean"].to_numpy()
        if len(lines) > len(DASHES):
            ax.plot(x, mean, color=BLUE, lw=0.9, alpha=float(np.clip(10 / len(lines), 0.15, 0.8)))
            continue
        ax.fill_between(x, part[ends[0]], part[ends[1]], color=COLOURS[k], alpha=0.2 if len(lines) == 1 else 0.13, lw=0)
        marker = MARKERS[k] if part.shape[0] <= 12 else ""
        ax.plot(x, mean, color=COLOURS[k], ls=DASHES[k], lw=1.6, marker=marker, ms=3.5, label=_word(name), zorder=3)
    values = _on_axis(panel.table[panel.x])
    ax.set_xlabel(f"{panel.x} (days)" if panel.table[panel.x].dtype.kind == "m" else panel.x)
    ax.set_ylabel(panel.unit)
    ax.margins(x=0.02)
    if values.dtype.kind in "fi" and np.all(values == np.round(values)):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels.few_dates(ax, values)


def _levels(ax: Axes, panel: Panel, ends: tuple[str, str], width: float) -> None:
    """Means with intervals at levels beside each other, those of several lines around the place of the level."""
    levels, lines = list(panel.table[panel.x].unique()), panel.lines()
    places = {level: at for at, level in enumerate(levels)}
    apart = 0.7 / max(len(lines), 2) if len(lines) > 1 else 0.0
    for k, (name, part) in enumerate(lines):
        at = np.array([places[level] for level in part[panel.x]]) + (k - (len(lines) - 1) / 2) * apart
        colour, marker = (COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]) if len(lines) <= 6 else (BLUE, ".")
        ax.vlines(at, part[ends[0]], part[ends[1]], color=colour, lw=1.4)
        ax.plot(at, part["mean"], marker, color=colour, ms=5, label=_word(name))
    step = -(-len(levels) // max(round(panels.LABELS_PER_INCH * (width - 0.7)), 1))
    places_shown = np.arange(len(levels))[step // 2 :: step]
    words = [panels.short(levels[k]) for k in places_shown]
    ax.set_xticks(places_shown, words)
    if sum(len(word) + 2 for word in words) > 13 * (width - 0.7):
        upright = len(words) > 3 * (width - 0.7)
        ax.tick_params(axis="x", labelrotation=90 if upright else 30)
        for label in ax.get_xticklabels():
            label.set_horizontalalignment("center" if upright else "right")
    ax.set_xlim(-0.6, len(levels) - 0.4)
    ax.set_xlabel(panel.x.strip() if step == 1 else panels.thinned(panel.x, step))
    ax.set_ylabel(panel.unit)
    ax.tick_params(axis="x", length=0)


def _many_levels(ax: Axes, panel: Panel, ends: tuple[str, str], height: float) -> None:
    """Means with intervals at levels below each other, in the order of the means."""
    table = panel.table.sort_values("mean", kind="stable")
    places = np.arange(len(table))
    apart = 72.0 * max(height - 0.5, 0.5) / len(places)  # points
    ax.hlines(places, table[ends[0]], table[ends[1]], color=BLUE, lw=float(np.clip(0.3 * apart, 0.25, 0.8)))
    ax.plot(table["mean"], places, "o", color=BLUE, ms=float(np.clip(0.8 * apart, 1.2, 2.5)), mew=0.0)
    panels.name_levels(ax, table[panel.x].to_numpy(), panel.x.strip(), max(height - 0.5, 0.5))
    ax.set_ylim(-0.8, len(places) - 0.2)
    ax.set_xlabel(panel.unit)


def _wrapped(words: str, inches: float) -> str:
    """Words in lines of about this length, at most two."""
    return "\n".join(
        textwrap.wrap(words, max(int(LETTERS * inches), 12), max_lines=2, placeholder="\u2026", break_long_words=False)
    )


def _word(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, (float, np.floating)) else str(value)


def _key(interval: float, shown: Sequence[Panel]) -> list[Any]:
    """What lines, bands and bars mean."""
    words = f"{100 * interval:.4g}% interval"
    handles: list[Any] = []
    if any(panel.numeric for panel in shown):
        handles.append(Line2D([], [], color=GREY, lw=1.6, label="mean"))
    if any(panel.numeric and len(panel.lines()) <= len(DASHES) for panel in shown):
        handles.append(Patch(facecolor=GREY, alpha=0.25, label=words))
    if not all(panel.numeric for panel in shown):
        handles.append(Line2D([], [], color=GREY, lw=1.4, marker="o", ms=5, label=f"mean, {words}"))
    return handles
