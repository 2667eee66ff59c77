"""Functions over the plane: filled contours of surfaces and fields, several of a kind with the same colours.

Contours below the average are dashed and some have their value on them, so that a picture can be read without colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colors  # noqa: TID253 - this module is itself read late
from matplotlib.axes import Axes  # noqa: TID253
from matplotlib.figure import Figure, SubFigure  # noqa: TID253
from matplotlib.lines import Line2D  # noqa: TID253
from matplotlib.ticker import MaxNLocator  # noqa: TID253
from matplotlib.tri import Triangulation  # noqa: TID253

from lgm.arrays import FloatArray
from lgm.plots.panels import MOST_RESIDUALS, around, ink, paper
from lgm.results.contributions import Surface
from lgm.terms.view import Field

_LETTERS = 6.0  # points of the values on contours
_MOST_LEVELS = {True: 14, False: 9}  # of one panel, and of each of several


def surfaces(
    figure: Figure | SubFigure, axes: Sequence[Axes], shown: Sequence[Surface], *, spread: bool, titles: Sequence[str]
) -> None:
    """The mean, or the sd, with the rows of the data as dots; blank too far from them."""
    each = [np.ma.masked_invalid(s.sd if spread else s.mean) for s in shown]
    every = np.concatenate([values.compressed() for values in each])
    style = _style(every, None if spread else shown[0].average, alone=len(shown) == 1)
    for ax, s, values, title in zip(axes, shown, each, titles, strict=True):
        drawn = ax.contourf(s.x, s.y, values, **style.filled)
        _label(ax, ax.contour(s.x, s.y, values, **style.lines))
        if len(s.at) <= MOST_RESIDUALS:
            ax.plot(*s.at.T, ".", color=ink(), ms=2.5, alpha=float(np.clip(60 / len(s.at), 0.2, 0.7)), mew=0)
        ax.set_xlabel(s.variables[0])
        ax.set_ylabel(s.variables[1])
        ax.set_title(title)
    figure.colorbar(drawn, ax=list(axes), location="right", shrink=0.9, aspect=30, pad=0.02).set_label(shown[0].unit)


def field_size(view: Field, columns: int, rows: int) -> tuple[float, float]:
    """Inches of a figure with so many panels of a field, colour bars included."""
    (left, bottom), (right, top) = _window(view)
    tallness = (top - bottom) / (right - left)
    width = 5.0 if columns <= 2 else 3.0
    return width * columns, float(np.clip((width - 0.4) * tallness * rows + 1.6, 3.4, 4.0 + 4.0 * rows))


def _window(view: Field) -> tuple[FloatArray, FloatArray]:
    """Where the data are, and a little around; a field is of no interest beyond, and of too large a variance."""
    low, high = view.places.min(axis=0), view.places.max(axis=0)
    margin = 0.05 * float(np.max(high - low))
    return low - margin, high + margin


def fields(
    figure: Figure | SubFigure,
    axes: Sequence[Axes],
    view: Field,
    values: FloatArray,
    places: Sequence[FloatArray],
    titles: Sequence[str],
    title: str,
    average: float | None,
) -> None:
    """Functions of which the values at the nodes are given (panels, nodes), with the places of the data in each panel.

    Without an average the scale has one end.
    """
    low, high = _window(view)
    corners = view.mesh.points[view.mesh.triangles]
    seen = np.all((corners.max(axis=1) >= low) & (corners.min(axis=1) <= high), axis=1)
    triangles = view.mesh.triangles[seen]
    style = _style(values[:, np.unique(triangles)], average, alone=len(axes) == 1)
    points = view.mesh.points
    where = Triangulation(points[:, 0], points[:, 1], triangles)
    for ax, each, own, name in zip(axes, values, places, titles, strict=True):
        drawn = ax.tricontourf(where, each, **style.filled)
        _label(ax, ax.tricontour(where, each, **style.lines))
        at = np.unique(own, axis=0)
        size = float(np.clip(3000 / max(len(at), 1), 0.4, 9.0)) / (1.0 if len(axes) == 1 else 3.0)
        ax.scatter(at[:, 0], at[:, 1], s=size, color=ink(), edgecolors=paper(), linewidths=0.3 if size > 2.0 else 0.0)
        ax.set_xlim(low[0], high[0])
        ax.set_ylim(low[1], high[1])
        ax.set_aspect("equal")
        ax.set_xlabel(view.variables[0])
        ax.set_ylabel(view.variables[1])
        ax.set_title(name)
    shrink, aspect = (0.8, 35) if len(axes) == 1 else (0.5, 50)
    bar = figure.colorbar(drawn, ax=list(axes), location="bottom", pad=0.02, shrink=shrink, aspect=aspect)
    bar.set_label(title)


def field_key() -> list[Any]:
    """What the dots of `fields` mean."""
    return [Line2D([], [], ls="", marker="o", color=ink(), mec=paper(), ms=3.5, mew=0.3, label="places of the data")]


class _Style:
    """Arguments of filled contours and of lines on the same levels."""

    def __init__(self, filled: dict[str, Any], lines: dict[str, Any]) -> None:
        self.filled, self.lines = filled, lines


def _style(values: FloatArray, average: float | None, *, alone: bool) -> _Style:
    """Of all panels together: greys for what has one end, else two colours that meet at the average."""
    low, high = float(values.min()), float(values.max())
    flat = float(low == high)
    levels = MaxNLocator(nbins=_MOST_LEVELS[alone]).tick_values(low - flat, high + flat)
    lines = {"levels": levels, "colors": [ink()], "linewidths": 0.4, "alpha": 0.7}
    if average is None:
        return _Style({"levels": levels, "cmap": "Greys"}, {**lines, "linestyles": "-"})
    dashed = ["--" if level < average else "-" for level in levels]
    norm: colors.Normalize = around(average, np.append(values, levels))
    return _Style({"levels": levels, "cmap": "RdBu_r", "norm": norm}, {**lines, "linestyles": dashed})


def _label(ax: Axes, lines: Any) -> None:
    ax.clabel(lines, fontsize=_LETTERS, inline_spacing=2)
