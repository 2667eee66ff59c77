"""Pictures of effects, predictions, comparisons and slopes: what is in them; how they look was judged by eye."""

import itertools
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from synthetic import around, counts, measured, ranked

import lgm


@pytest.fixture(scope="module")
def many() -> lgm.Fit:
    """A group of 200 levels, dates and periods."""
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"g": [f"level {i}" for i in np.arange(400) % 200], "t": np.arange(400) % 24})
    data["month"] = pd.PeriodIndex.from_ordinals(np.arange(400) % 24 + 600, freq="M")
    data["day"] = pd.Timestamp("2021-01-31") + pd.to_timedelta(40 * data["t"], "D")
    data["y"] = rng.normal(size=400)
    model = lgm.model("y ~ rw1(month) + s(day, k=4) + (1|g)", data)
    return around(model, dict.fromkeys(model.design.theta_names, 0.5), spread=0.0, draws=25)


def titles(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [ax.get_title(loc="left") for ax in figure.axes if ax.axison]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def bands(ax: Axes) -> int:
    return sum(isinstance(each, PolyCollection) for each in ax.collections)


def test_all_effects_as_small_multiples() -> None:
    figure = measured().plot_conditional_effects(resolution=5)
    assert titles(figure) == ["trt", "x", "sex", "trt:x", "trt:sex"]
    of_trt, along_x, _, lines, dodged = figure.axes[:5]
    assert of_trt.get_xticklabels()[1].get_text() == "b"
    assert along_x.get_xlabel() == "x" and bands(along_x) == 1
    assert bands(lines) == 3
    dashes = {str(vars(line)["_dash_pattern"]) for line in lines.get_lines()[:3]}
    assert len(dashes) == 3  # told apart without colours
    assert len({line.get_marker() for line in dodged.get_lines()}) == 2
    assert figure.axes[0].get_ylabel() == "expected y"
    assert legend(figure)[:3] == ["trt = a", "trt = b", "trt = c"]
    assert legend(figure)[-3:] == ["mean", "95% interval", "mean, 95% interval"]


def test_the_curve_is_that_of_the_table() -> None:
    fit = counts()
    ax = fit.plot_conditional_effects("x", kind="linear", resolution=7, rug=False).axes[0]
    table = fit.conditional_effects("x", kind="linear", resolution=7)
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), table["mean"])
    assert ax.get_ylabel() == "linear predictor of y (log scale)"
    assert len(ax.get_lines()) == 1


def test_conditions_have_panels_and_many_lines_no_bands() -> None:
    figure = measured().plot_conditional_effects("x:trt", conditions={"sex": ["f", "m"]}, resolution=4)
    assert titles(figure) == ["x:trt, sex = f", "x:trt, sex = m"]
    figure = measured().plot_conditional_effects("x:g", resolution=4)
    assert titles(figure) == ["x:g: 9 levels of g"]
    assert bands(figure.axes[0]) == 0
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["mean"]


def test_responses_and_rug() -> None:
    ax = measured().plot_conditional_effects("x", points=True).axes[0]
    [points] = [each for each in ax.collections if isinstance(each, PathCollection)]
    assert len(points.get_offsets()) == 90
    with pytest.raises(lgm.LgmError, match="points=True shows responses"):
        measured().plot_conditional_effects("x", points=True, kind="linear")


def test_categories_are_lines() -> None:
    figure = ranked().plot_conditional_effects(resolution=5)
    assert legend(figure)[:3] == [f"category = {name}" for name in ("low", "mid", "high")]
    assert figure.axes[0].get_ylabel() == "probability of y"
    figure = ranked().plot_conditional_effects("x:f", resolution=5)
    assert titles(figure) == [f"x:f, category = {name}" for name in ("low", "mid", "high")]
    assert legend(ranked().plot_comparisons("f"))[2] == "category = high"


def test_two_hundred_levels_and_times(many: lgm.Fit) -> None:
    figure = many.plot_conditional_effects("g")
    [bars] = [each for each in figure.axes[0].collections if isinstance(each, LineCollection)]
    assert len(bars.get_segments()) == 200
    assert figure.axes[0].get_ylabel() == "g (every third is labelled)"
    months, days = many.plot_conditional_effects(["month", "day"], figsize=(4, 3)).axes
    assert np.asarray(months.get_lines()[0].get_xdata())[0] == np.datetime64("2020-01-01")
    assert np.asarray(days.get_lines()[0].get_xdata())[0] == np.datetime64("2021-01-31")


def test_comparisons_predictions_and_slopes() -> None:
    fit = measured()
    ax = fit.plot_comparisons({"trt": "pairwise", "x": 1}).axes[0]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["trt: b - a", "trt: c - a", "trt: c - b", "x: (x + 1) - x"]
    assert ax.get_ylabel() == "difference in expected y"
    figure = fit.plot_comparisons("trt", "grid", by=["x", "sex"], comparison="ratio", conditions={"x": [1.0, 2.0]})
    assert titles(figure) == ["trt, b / a", "trt, c / a"]
    assert legend(figure)[:2] == ["sex = f", "sex = m"]
    np.testing.assert_allclose(figure.axes[0].get_lines()[0].get_ydata(), 1.0)  # no difference
    figure = fit.plot_slopes("x", "grid", by="trt")
    assert figure.axes[0].get_ylabel() == "slope of expected y"
    assert fit.plot_predictions(by=["trt", "sex"]).axes[0].get_xlabel() == "trt"


def test_axes_of_the_user() -> None:
    figure, axes = plt.subplots(1, 2)
    assert measured().plot_conditional_effects(["x", "trt"], ax=axes) is figure
    with pytest.raises(lgm.LgmError, match=r"has 1 panel\(s\); accepted: as many"):
        measured().plot_conditional_effects("x", ax=axes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"effects": "x", "conditions": {"g": list(range(9)), "trt": ["a", "b", "c"]}},
            "27 panels; accepted: up to 24",
        ),
        ({"effects": "w"}, "there is no effect 'w'"),
    ],
)
def test_pictures_that_cannot_be_drawn(options: dict[str, Any], message: str) -> None:
    with pytest.raises(lgm.LgmError, match=message):
        measured().plot_conditional_effects(**options)
    with pytest.raises(lgm.LgmError, match="by= has 3 columns"):
        measured().plot_predictions(by=["trt", "sex", "g"])


@pytest.mark.parametrize("height", [3.0, 12.0])
def test_names_of_levels_have_room_whatever_the_size(many: lgm.Fit, height: float) -> None:
    [ax] = many.plot_predictions(by="g", figsize=(4.0, height)).axes
    ax.figure.canvas.draw()
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert len(boxes) > 3 and all(above.y0 >= below.y1 - 1.0 for below, above in itertools.pairwise(boxes))


def test_small_pictures_have_one_legend_and_say_if_there_is_no_room() -> None:
    figure = ranked().plot_conditional_effects(["x", "f"], figsize=(4.0, 4.0))
    assert all(ax.get_legend() is None for ax in figure.axes)
    words = [word.get_text() for word in figure.legends[0].get_texts()]
    assert sum(word.startswith("category = ") for word in words) == len(ranked().design.family.outcomes)
    with pytest.warns(lgm.LgmWarning, match=r"panels have little room in 4 x 3 inches. Accepted: a taller picture"):
        measured().plot_conditional_effects(resolution=5, figsize=(4.0, 3.0))
