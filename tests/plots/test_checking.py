"""Pictures of new data: what is in them; how they look was judged by eye."""

from typing import Any

import numpy as np
import planted
import pytest
from matplotlib.figure import Figure
from shown import texts

from lgm.errors import LgmError


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("dens_overlay", "y | density | data | 20 new data sets"),
        ("ecdf_overlay", "y | share at most this | data | 20 new data sets"),
        ("stat", "mean of y | new data sets | data | new data;"),
        ("intervals", "row | y | data"),
        ("loo_pit", "place of each row among predictions by the others"),
    ],
)
def test_measurements(kind: str, expected: str) -> None:
    figure = planted.of("gaussian").pp_check(kind, draws=20, figsize=(4, 3))
    assert texts(figure).startswith(expected)
    figure.draw_without_rendering()
    for text in figure.axes[0].texts + [figure.axes[0].xaxis.label, figure.axes[0].yaxis.label]:
        box = text.get_window_extent()
        assert box.x0 >= -1 and box.x1 <= figure.bbox.width + 1 and box.y1 <= figure.bbox.height + 1


def test_counts_and_categories() -> None:
    fit = planted.few()
    bars: list[Any] = list(fit.pp_check(draws=30).axes[0].patches)
    assert [bar.get_height() for bar in bars[:3]] == [np.sum(fit.design.y == k) for k in range(3)]
    hanging: Any = fit.pp_check("rootogram", draws=30).axes[0].patches[0]
    assert hanging.get_height() == pytest.approx(np.sqrt(np.sum(fit.design.y == 0)))
    assert [t.get_text() for t in planted.ordered().pp_check().axes[0].get_xticklabels()] == [
        "bad", "poor", "fair", "good"
    ]  # fmt: skip
    assert "predicted probability of y" in texts(planted.binary().pp_check("calibration", draws=30))
    assert texts(planted.times().pp_check(draws=5)).startswith("y | share above this | data | 5 new data sets")
    assert "(successes)" in texts(planted.several().pp_check("bars", draws=30))


def test_groups_are_sorted_and_named_as_far_as_there_is_room() -> None:
    figure = planted.of("gaussian").pp_check("stat", statistic="sd", by="g", draws=50)
    assert "sd of y | g" in texts(figure) and len(figure.axes[0].get_yticks()) == 30
    many = planted.of("gaussian").pp_check(by=np.arange(240), draws=10, kind="stat", statistic="max", figsize=(4, 6))
    assert len(many.axes[0].get_yticks()) < 60 and "is labelled" in many.axes[0].get_ylabel()


def test_on_axes_of_ones_own() -> None:
    figure = Figure()
    ax = figure.subplots()
    assert planted.of("gaussian").pp_check(ax=ax, draws=5) is figure
    assert len(figure.axes) == 1
    with pytest.raises(LgmError, match="1 panel"):
        planted.of("gaussian").pp_check(ax=figure.subplots(1, 2))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"kind": "ecdf_overlay", "by": "g"}, "by= is for kind='stat' and kind='intervals'"),
        ({"kind": "dens_overlay", "statistic": "sd"}, "statistic= is for kind='stat'"),
        ({"kind": "loo_pit", "redraw": True}, "redraw= is for new data"),
    ],
)
def test_arguments_that_do_not_go_together(how: dict, message: str) -> None:
    with pytest.raises(LgmError, match=message):
        planted.of("gaussian").pp_check(**how)
