"""Pictures of simulation-based calibration."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure, SubFigure  # noqa: TID253 - this module is itself read late

from lgm.plots.canvas import RED, canvas
from lgm.plots.panels import BLUE, GREY
from lgm.results.uniformity import band, difference

if TYPE_CHECKING:
    from lgm.results.again.sbc import SBC

_COLUMNS, _PANEL = 4, (2.3, 1.9)  # inches


def plot_ranks(found: SBC, *, ax: Any = None, figsize: Any = None) -> Figure | SubFigure:
    """For each quantity the distribution function of its ranks less the uniform one, with a simultaneous band.

    Parameters
    ----------
    found : SBC
    ax : array of matplotlib axes, optional
        One for each quantity, to draw on instead of a new figure.
    figsize : (width, height), optional
        Of a new figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Curves that leave the band are red and dashed. A curve below zero is one of draws that are too small, one above
        it of draws that are too large; below it first and then above it, of draws that vary too much.
    """
    table, size = found.summary(), found.ranks.shape[1]
    width = _COLUMNS * _PANEL[0] if figsize is None else figsize[0]
    columns = int(np.clip(width // (0.8 * _PANEL[0]), 1, min(_COLUMNS, size))) if ax is None else size
    rows = -(-size // columns)
    p, low, high = band(len(found.ranks), found.most, found.limit)
    with canvas(_PANEL[0] * columns, 0.6 + _PANEL[1] * rows, rows, columns, ax=ax, figsize=figsize, sharey=True) as on:
        panels = on.axes.ravel()
        for panel, name in zip(panels, found.ranks, strict=False):
            outside = bool(table.loc[name, "outside"])
            panel.fill_between(p, low, high, color=GREY, alpha=0.25, linewidth=0, step="mid")
            panel.axhline(0.0, color=GREY, linewidth=0.7)
            curve = difference(found.ranks[name].to_numpy(), found.most)
            panel.step(p, curve, where="mid", color=RED if outside else BLUE, linestyle="--" if outside else "-")
            panel.set_title("\n".join(textwrap.wrap(str(name), 20)))
            panel.set_xlim(0.0, 1.0)
            panel.set_xticks([0.0, 0.5, 1.0])
        for panel in panels[size:]:
            panel.set_axis_off()
        for row in on.axes:
            row[0].set_ylabel("ECDF less uniform")
        for panel in panels[max(size - columns, 0) : size]:
            panel.set_xlabel("rank, as a share")
        on.doubt("" if not np.any(table["outside"]) else found.verdict)
    return on.figure
