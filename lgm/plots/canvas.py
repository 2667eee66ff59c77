"""What a picture is drawn on: a figure of its own, or axes that the user has."""

from __future__ import annotations

import io
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl  # noqa: TID253 - this module is itself read late
import numpy as np
from matplotlib.axes import Axes  # noqa: TID253
from matplotlib.figure import Figure, SubFigure  # noqa: TID253

from lgm.errors import LgmError

RED = "#D55E00"
LETTERS_PER_INCH = 16  # of 8 points
MARGINS = 1.4  # inches of a figure's height for its title, legend and labels
STYLE = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.labelcolor": "#303030",
    "axes.edgecolor": "#808080",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "xtick.color": "#404040",
    "ytick.color": "#404040",
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "figure.dpi": 110.0,
}


class Picture(Figure):
    """A figure that a notebook shows although pyplot may not know it."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()


@dataclass(frozen=True)
class Canvas:
    """Axes to draw on, and what stands beside them.

    Parameters
    ----------
    figure : Figure or SubFigure
    axes : array of Axes (rows, columns)
    own : bool
        Whether the figure was made for this picture alone.
    """

    figure: Figure | SubFigure
    axes: np.ndarray[Any, Any]
    own: bool

    @property
    def room(self) -> float:
        """Height of the axes in inches, about."""
        ax = self.axes.flat[0]
        return float((self.figure.bbox.height if self.own else ax.bbox.height) / self.figure.dpi - MARGINS * self.own)

    @property
    def room_across(self) -> float:
        """Width of the first axes in inches, about."""
        ax = self.axes.flat[0]
        return float((0.8 * self.figure.bbox.width if self.own else ax.bbox.width) / self.figure.dpi)

    def legend(self, handles: Sequence[Any], side: str) -> None:
        """Above all axes at one side, or on the first of the user's axes."""
        if self.own and handles:
            where: Any = f"outside upper {side}"
            room = LETTERS_PER_INCH * self.figure.bbox.width / self.figure.dpi
            longest = max(len(handle.get_label()) for handle in handles) + 6
            columns = int(np.clip(room // longest, 1, len(handles)))
            if sum(len(handle.get_label()) + 6 for handle in handles) <= room:
                columns = len(handles)
            self.figure.legend(handles=handles, loc=where, ncols=columns, handlelength=1.8, columnspacing=1.4)
        elif handles:
            self.axes.flat[0].legend(handles=handles, loc="best")

    def doubt(self, text: str) -> None:
        """A word under the picture on why it may mislead, if there is one."""
        if text and self.own:
            lines = textwrap.fill(text, int(LETTERS_PER_INCH * self.figure.bbox.width / self.figure.dpi))
            self.figure.supxlabel(lines, x=0.01, ha="left", fontsize=8.0, color=RED)
        elif text:
            ax = self.axes.flat[0]
            lines = textwrap.fill(text, int(LETTERS_PER_INCH * ax.bbox.width / self.figure.dpi))
            ax.text(0.01, 0.99, lines, transform=ax.transAxes, va="top", fontsize=7.0, color=RED)


@contextmanager
def canvas(
    width: float, height: float, rows: int = 1, columns: int = 1, *, ax: Any, figsize: Any, **ratios: Any
) -> Iterator[Canvas]:
    """A figure of this size in inches with rows and columns of axes, unless the user gives axes or another size.

    Settings of matplotlib that the user has changed are kept, the others are those of `STYLE`. Where pyplot is in use,
    it knows the figure, so that ``plt.show()`` and ``plt.savefig()`` work; not in a notebook that draws inline, which
    shows what a cell returns and would show the figure of pyplot once more.

    Raises
    ------
    LgmError
        If the user's axes are not as many as there are panels.
    """
    now: Any = mpl.rcParams
    usual: Any = mpl.rcParamsDefault
    style: Any = {key: value for key, value in STYLE.items() if now[key] == usual[key]}
    with mpl.rc_context({**style, "text.parse_math": False}):  # names of variables are shown as typed
        if ax is None:
            figure = _figure((width, height) if figsize is None else figsize)
            yield Canvas(figure, figure.subplots(rows, columns, squeeze=False, **ratios), own=True)
            return
        axes = np.array(ax, dtype=object).reshape(-1)
        if figsize is not None:
            raise LgmError("figsize is for a figure of its own; give ax or figsize, not both.")
        if axes.size != rows * columns or not all(isinstance(one, Axes) for one in axes):
            raise LgmError(f"ax: this picture has {rows * columns} panel(s); accepted: as many matplotlib axes.")
        yield Canvas(axes[0].figure, axes.reshape(rows, columns), own=False)


def _figure(figsize: Any) -> Figure:
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None or "inline" in mpl.get_backend().lower():
        return Picture(figsize=figsize, layout="constrained")
    figure: Figure = pyplot.figure(FigureClass=Picture, figsize=figsize, layout="constrained")
    return figure
