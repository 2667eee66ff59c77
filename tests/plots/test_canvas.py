"""A figure of its own, or the user's axes."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lgm.errors import LgmError
from lgm.plots.canvas import MARGINS, STYLE, canvas


def test_a_figure_of_its_own_has_the_style_of_the_house_where_the_user_has_none() -> None:
    with mpl.rc_context({"axes.linewidth": 5.0}), canvas(4.0, 3.0, 2, 1, ax=None, figsize=None) as on:
        assert on.own and on.axes.shape == (2, 1)
        assert mpl.rcParams["axes.linewidth"] == 5.0
        assert mpl.rcParams["axes.edgecolor"] == STYLE["axes.edgecolor"]
        assert on.room == pytest.approx(3.0 - MARGINS)
    assert mpl.rcParams["axes.edgecolor"] == mpl.rcParamsDefault["axes.edgecolor"]


def test_a_legend_stands_outside_or_on_the_first_of_the_users_axes() -> None:
    line = Line2D([], [], label="mean")
    with canvas(4.0, 3.0, ax=None, figsize=None) as on:
        on.legend([line], "left")
    assert len(on.figure.legends) == 1 and on.axes[0, 0].get_legend() is None
    axes = Figure(figsize=(4, 4)).subplots(1, 2)
    with canvas(4.0, 3.0, 1, 2, ax=axes, figsize=None) as on:
        on.legend([line], "left")
        assert on.room == pytest.approx(4 * 0.77)  # matplotlib's margins: 11 and 12 percent
    assert axes[0].get_legend() is not None and axes[1].get_legend() is None and not on.figure.legends


@pytest.mark.parametrize("ax", [3, "ax", [], [1, 2]])
def test_what_is_no_axes(ax: object) -> None:
    with pytest.raises(LgmError, match=r"ax: this picture has 1 panel\(s\); accepted: as many matplotlib axes"):
        with canvas(1.0, 1.0, ax=ax, figsize=None):
            pass
