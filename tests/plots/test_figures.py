"""Pictures: what is in them; how they look was judged by eye."""

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from helpers import run_fresh
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from synthetic import around, counts, fit_of

import lgm
from lgm.plots.canvas import Picture
from lgm.plots.panels import density
from lgm.priors import lkj

NAMES = ["Intercept", "Days", "sd(Intercept|Subject)", "sd(Days|Subject)", "corr(Intercept,Days|Subject)", "sigma"]
EDGES = [(i, j) for i in range(9) for j in (i + 1, i + 3) if j < 9]


@pytest.fixture(scope="module")
def sleep() -> lgm.Fit:
    model = lgm.model("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy"))
    return around(model, dict(zip(NAMES[2:], [25.0, 6.0, 0.1, 26.0], strict=True)), draws=50)


@pytest.fixture(scope="module")
def structured() -> lgm.Fit:
    rng = np.random.default_rng(1)
    n = 120
    data = pd.DataFrame({"t": np.arange(n) % 15, "x": rng.uniform(1, 4, n), "id": np.arange(n) % 9})
    data["g"], data["f"] = np.arange(n) % 60, pd.Categorical.from_codes(np.arange(n) % 3, ["u", "v", "w"])
    data["y"] = rng.normal(size=n) + np.log(data.x)
    model = lgm.model("y ~ f + s(log(x)) + rw2(t) + (1|g) + icar(id, EDGES)", data)
    return around(model, {name: 0.4 for name in model.design.theta_names}, draws=25)


@pytest.fixture(autouse=True)
def _drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "showwarning", pytest.fail)  # ArviZ or matplotlib would speak to users


def _texts(figure: Figure) -> str:
    figure.canvas.draw()
    titles = [ax.get_title(loc=loc) for ax in figure.axes for loc in ("left", "center")]
    labels = [part.get_text() for ax in figure.axes for part in (ax.xaxis.label, ax.yaxis.label)]
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return "\n".join([*titles, *labels, *legends])


def test_one_row_per_variable(sleep: lgm.Fit) -> None:
    figure = sleep.plot()
    text = _texts(figure)
    assert len(figure.axes) == 2 * len(NAMES)
    for name in NAMES:
        assert name in text
    for word in ("posterior", "mean and 95% interval", "prior", "draw", "draws by chain"):
        assert word in text
    assert all(len(ax.lines) == 4 for ax in figure.axes[1::2])  # chains


def test_some_variables(sleep: lgm.Fit) -> None:
    assert len(sleep.plot("sigma").axes) == 2
    assert len(sleep.plot(["Days", "sigma"]).axes) == 4
    with pytest.raises(lgm.LgmError, match="no variable 'sigm'.*sigma"):
        sleep.plot("sigm")


def _prior_line(figure: Figure) -> tuple[np.ndarray, np.ndarray]:
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert len(lines) == 1
    x, height = lines[0].get_data()
    return np.asarray(x), np.asarray(height)


def test_the_prior_of_a_correlation_is_that_of_two_effects() -> None:
    model = lgm.model("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy"), priors={"corr": lkj(2.0)})
    fit = around(model, dict(zip(NAMES[2:], [25.0, 6.0, 0.1, 26.0], strict=True)), draws=50)
    x, height = _prior_line(fit.plot(NAMES[4]))
    np.testing.assert_allclose(height, 0.75 * (1 - x**2), rtol=1e-10)  # LKJ(2) for a single correlation


def test_priors_about_the_mean_are_not_drawn_beside_what_is_about_zero(sleep: lgm.Fit) -> None:
    for name in NAMES[2:]:
        lines = [line for line in sleep.plot(name).axes[0].lines if line.get_linestyle() == "--"]
        assert len(lines) == (name in ("sd(Days|Subject)", "sigma"))


def test_the_prior_of_the_intercept_is_moved_to_its_printed_scale(sleep: lgm.Fit) -> None:
    x, height = _prior_line(sleep.plot("Intercept"))
    centred, slope = sleep.chosen_priors.fixed
    mean_of_days = sleep.design.predictor.X.toarray()[:, 1].mean()
    sd = np.hypot(centred.sd, mean_of_days * slope.sd)
    expected = np.exp(-0.5 * ((x - centred.mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(height, expected, rtol=1e-10)


def test_a_flat_prior_is_not_drawn_and_a_held_value_is_a_line() -> None:
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0]})
    priors = {"Intercept": lgm.priors.flat(), "sigma": lgm.priors.constant(1.0)}
    figure = fit_of(lgm.model("y ~ 1", data, priors=priors), np.ones((2, 20, 1))).plot()
    text = _texts(figure)
    assert "sigma   held at 1" in text
    assert not figure.axes[3].axison  # no trace
    assert "prior" not in text


def test_a_density_has_mass_one_and_stays_within_its_bounds() -> None:
    draws = np.random.default_rng(0).exponential(size=4000)
    x = np.linspace(-1, 15, 4000)
    height = density(draws, x, (0.0, np.inf))
    assert np.trapezoid(height, x) == pytest.approx(1.0, abs=0.01)
    assert np.all(height[x < 0] == 0)
    assert height[x >= 0][0] == pytest.approx(1.0, abs=0.15)  # not halved at the bound


def test_a_caterpillar_per_effect(sleep: lgm.Fit) -> None:
    figure = sleep.plot_term("(Days|Subject)")
    text = _texts(figure)
    assert len(figure.axes) == 2
    for word in (
        "Intercept|Subject",
        "Days|Subject",
        "Subject",
        "effect on Reaction",
        "deviation of the Days coefficient",
    ):
        assert word in text
    order = [level for _, level in sleep.ranef("Intercept|Subject")["mean"].sort_values().index]
    for ax, effect in zip(figure.axes, ("Intercept|Subject", "Days|Subject"), strict=True):
        assert [t.get_text() for t in ax.get_yticklabels()] == [str(level) for level in order]  # the same in both
        np.testing.assert_array_equal(ax.lines[1].get_xdata(), sleep.ranef(effect)["mean"].loc[effect].loc[order])
    assert "50%" in text and "95% interval" in text


def test_one_effect_of_a_group(sleep: lgm.Fit) -> None:
    assert len(sleep.plot_term("Days|Subject").axes) == 1


def test_many_levels_are_labelled_sparsely(structured: lgm.Fit) -> None:
    figure = structured.plot_term("g")
    assert len(figure.axes[0].get_yticks()) == 60
    figure = structured.plot_term("g", figsize=(5, 6))
    assert "g (every second is labelled)" in _texts(figure)
    assert len(figure.axes[0].get_yticks()) == 30


def test_very_many_levels_are_bands() -> None:
    data = pd.DataFrame({"g": np.arange(1600) % 800, "y": np.random.default_rng(0).normal(size=1600)})
    fit = around(lgm.model("y ~ 1 + (1|g)", data), {"sd(Intercept|g)": 0.5, "sigma": 1.0}, draws=10)
    figure = fit.plot_term("g")
    assert "g: 800 levels, sorted" in _texts(figure)
    assert figure.get_figheight() == pytest.approx(11.9)
    assert len(figure.axes[0].collections) == 2


def _mean_curve(figure: Figure) -> tuple[np.ndarray, np.ndarray]:
    x, y = max((line for line in figure.axes[0].lines), key=lambda line: line.get_zorder()).get_data()
    return np.asarray(x), np.asarray(y)


def test_a_smooth_of_an_expression(structured: lgm.Fit) -> None:
    figure = structured.plot_term("s(log(x))")
    text = _texts(figure)
    for word in ("s(log(x))", "log(x)", "effect on y", "partial residuals", "50%", "95% interval"):
        assert word in text
    x, mean = _mean_curve(figure)
    at = np.log(structured.design.scope.frame["x"])
    assert (x.min(), x.max()) == pytest.approx((at.min(), at.max()))
    # zero on average over the data, and the same shape as predictions that differ in x only
    assert np.interp(at, x, mean).mean() == pytest.approx(0.0, abs=1e-3)
    rows = pd.DataFrame({"x": np.exp(x[[10, 150]]), "f": "u", "t": 3, "g": 0, "id": 0})
    assert np.diff(structured.predict(rows)["mean"])[0] == pytest.approx(mean[150] - mean[10], rel=1e-6)


def test_a_walk_has_its_line_and_its_times(structured: lgm.Fit) -> None:
    x, mean = _mean_curve(structured.plot_term("rw2(t)", residuals=False))
    assert x.tolist() == list(range(15))
    effects, line = structured.ranef("rw2(t)")["mean"].to_numpy(), structured.fixef().loc["rw2(t)[linear]", "mean"]
    np.testing.assert_allclose(np.diff(mean), np.diff(effects + line * x), rtol=1e-8, atol=1e-12)


def test_a_line_in_the_fixed_part_is_left_there() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"t": np.arange(20), "y": rng.normal(size=20)})
    fit = around(lgm.model("y ~ t + rw2(t)", data), {"sd(rw2(t))": 1.0, "sigma": 1.0}, draws=10)
    assert "rw2(t) without what is in the fixed part" in _texts(fit.plot_term("rw2(t)"))


def test_partial_residuals_are_what_other_terms_leave(structured: lgm.Fit) -> None:
    figure = structured.plot_term("rw2(t)")
    dots = np.asarray(figure.axes[0].collections[0].get_offsets())
    x, mean = _mean_curve(figure)
    error = structured.design.y - structured.predict()["mean"]
    np.testing.assert_allclose(dots[:, 1], mean[dots[:, 0].astype(int)] + error, atol=1e-9)


def test_areas_with_points(structured: lgm.Fit) -> None:
    assert len(structured.plot_term("icar(id)").axes) == 1
    figure = structured.plot_term("icar(id)", geometry={i: (i % 3, i // 3) for i in range(9)})
    assert len(figure.axes) == 3  # caterpillar, map, colours
    edges, dots = figure.axes[1].collections
    assert isinstance(edges, LineCollection)
    assert (len(edges.get_segments()), np.shape(dots.get_offsets())[0]) == (len(EDGES), 9)
    low, high = dots.get_clim()
    assert low == -high  # zero has the colour in the middle
    assert "effect on y" in _texts(figure)


def _square(x: float, y: float) -> Any:
    ring = SimpleNamespace(coords=[(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1), (x, y)])
    return SimpleNamespace(geom_type="Polygon", exterior=ring, interiors=[])


def test_areas_with_shapes(structured: lgm.Fit) -> None:
    shapes = pd.Series({i: _square(i % 3, i // 3) for i in range(9)})
    shapes[4] = SimpleNamespace(geom_type="MultiPolygon", geoms=[_square(1, 1), _square(5, 5)])
    figure = structured.plot_term("icar(id)", geometry=shapes)
    (drawn,) = figure.axes[1].collections
    assert len(drawn.get_paths()) == 9
    assert figure.axes[1].get_xlim()[1] > 6


def test_a_region_without_a_place(structured: lgm.Fit) -> None:
    with pytest.raises(lgm.DataError, match=r"geometry lacks 7 region\(s\): 2, 3, 4, 5, 6"):
        structured.plot_term("icar(id)", geometry={0: (0, 0), 1: (1, 1)})
    for wrong in ([(0, 0)] * 9, np.zeros((9, 2)), 3):
        with pytest.raises(lgm.DataError, match=r"geometry= is of the type .*\. Accepted: a dict .*GeoDataFrame"):
            structured.plot_term("icar(id)", geometry=wrong)
    with pytest.raises(lgm.LgmError, match="geometry is for areal terms"):
        structured.plot_term("s(log(x))", geometry={})


@pytest.fixture(scope="module")
def yearly() -> lgm.Fit:
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"id": np.arange(126) % 9, "year": 2000 + np.arange(126) // 9, "y": rng.normal(size=126)})
    model = lgm.model("y ~ icar(id, EDGES, group=ar1(year))", data)
    return around(model, dict.fromkeys(model.design.theta_names, 0.4), draws=25)


def test_copies_of_a_map(yearly: lgm.Fit) -> None:
    """The first twelve of fourteen, in the same colours."""
    term = "icar(id, group=ar1(year))"
    figure = yearly.plot_term(term, geometry={i: (i % 3, i // 3) for i in range(9)})
    text = _texts(figure)
    assert all(str(year) in text for year in range(2000, 2012)) and "2012" not in text
    assert "mean effect on y; the first 12 of 14 maps" in text
    dots = [ax.collections[-1] for ax in figure.axes[:12]]
    effects = yearly.ranef().loc[term, "mean"].to_numpy().reshape(14, 9)
    for drawn, wanted in zip(dots, effects, strict=False):
        np.testing.assert_array_equal(drawn.get_array(), wanted)
        assert drawn.norm is dots[0].norm and abs(drawn.norm.vmax) == np.abs(effects[:12]).max()


def test_copies_of_a_map_without_a_geometry(yearly: lgm.Fit) -> None:
    text = _texts(yearly.plot_term("icar(id, group=ar1(year))"))
    assert "year:id" in text and "effect on y" in text
    with pytest.raises(lgm.DataError, match="geometry lacks 1 region"):
        yearly.plot_term("icar(id, group=ar1(year))", geometry={i: (i, 0) for i in range(8)})


def test_fixed_effects(structured: lgm.Fit) -> None:
    figure = structured.plot_term("f")
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["f[T.v]", "f[T.w]"]
    assert len(structured.plot_term("f[T.v]").axes[0].get_yticks()) == 1
    assert "coefficient, on the scale of y" in _texts(figure)
    with pytest.raises(lgm.LgmError, match=r"(?s)no term 'h'.*Fixed effects: Intercept, f\[T.v\]"):
        structured.plot_term("h")


def test_settings_of_the_user_are_kept_and_left_alone(sleep: lgm.Fit) -> None:
    with matplotlib.rc_context({"axes.titlesize": 17.0, "text.color": "#123456"}):
        settings, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
        figure = sleep.plot("sigma")
        assert dict(matplotlib.rcParams) == settings
        assert matplotlib.get_backend() == backend
    assert figure.axes[0].title.get_fontsize() == 17.0
    assert "#123456" in [line.get_color() for line in figure.axes[0].lines]  # ink


def test_axes_of_the_user(sleep: lgm.Fit) -> None:
    figure = Figure(figsize=(9, 4))
    left, right = figure.subplots(1, 2)
    assert sleep.plot_term("Days", ax=left) is figure
    assert left.get_xlabel() == "coefficient, on the scale of Reaction" and not right.lines
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["mean", "50%", "95% interval"]
    assert sleep.plot("sigma", ax=[left, right]) is figure
    with pytest.raises(lgm.LgmError, match=r"ax: this picture has 2 panel\(s\)"):
        sleep.plot_term("(Days|Subject)", ax=left)
    with pytest.raises(lgm.LgmError, match="ax or figsize, not both"):
        sleep.plot_term("Days", ax=left, figsize=(3, 3))


def test_a_size_of_the_user(sleep: lgm.Fit) -> None:
    assert sleep.plot_term("Days", figsize=(3, 2)).get_size_inches().tolist() == [3, 2]


def test_a_picture_says_why_it_may_mislead(sleep: lgm.Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = "Not converged: chains disagree about sigma. Draw more."
    monkeypatch.setattr(lgm.Fit, "verdict", verdict)
    for figure in (sleep.plot("sigma"), sleep.plot_term("(Days|Subject)"), sleep.plot_term("Days")):
        assert figure.get_supxlabel() == "Not converged: chains disagree about sigma."
    ax = Figure().subplots()
    sleep.plot_term("Days", ax=ax)
    assert "Not converged: chains disagree about sigma." in [text.get_text() for text in ax.texts]
    monkeypatch.setattr(lgm.Fit, "verdict", "Converged: all is well.")
    assert not sleep.plot("sigma").get_supxlabel()


def test_pyplot_is_not_needed() -> None:
    code = "import sys, lgm.plots.figures; print('matplotlib' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    assert run_fresh(code) == "True False"


def test_pyplot_knows_the_figure_where_it_is_in_use(sleep: lgm.Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib.pyplot as plt

    figure = sleep.plot_term("Days")
    assert plt.gcf() is figure
    plt.close(figure)
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "module://matplotlib_inline.backend_inline")
    sleep.plot_term("Days")
    assert not plt.get_fignums()


def test_a_figure_is_saved_and_shows_itself(sleep: lgm.Fit, tmp_path: Path) -> None:
    figure = sleep.plot_term("Days")
    figure.savefig(tmp_path / "days.svg")
    assert (tmp_path / "days.svg").stat().st_size > 1000
    assert isinstance(figure, Picture)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_effects_and_expected_counts() -> None:
    fit = counts()
    linear, mean = fit.plot_term("g"), fit.plot_term("g", "mean")
    assert "effect on y (log scale)" in _texts(linear) and "expected y" in _texts(mean)
    shown = [np.sort(np.asarray(figure.axes[0].lines[-1].get_xdata())) for figure in (linear, mean)]
    average = [np.asarray(figure.axes[0].lines[0].get_xdata())[0] for figure in (linear, mean)]
    assert average[0] == 0.0
    np.testing.assert_allclose(shown[1] / average[1], np.exp(shown[0]), rtol=0.2)
    assert "coefficient, on the log scale of y" in _texts(fit.plot_term("x"))
    assert "partial residuals" not in _texts(fit.plot_term("rw1(t)"))
    assert "partial residuals" in _texts(fit.plot_term("rw1(t)", residuals=True))


@pytest.mark.parametrize(
    ("term", "choice", "message"),
    [
        ("g", {"kind": "response"}, "kind='response'; accepted: 'linear', 'mean'"),
        ("x", {"kind": "mean"}, "x is a coefficient, of the linear predictor"),
        ("rw1(t)", {"kind": "mean", "residuals": True}, "working residuals belong to the linear predictor"),
    ],
)
def test_what_has_no_picture_on_a_scale(term: str, choice: Any, message: str) -> None:
    with pytest.raises(lgm.LgmError, match=message):
        counts().plot_term(term, **choice)


def test_levels_that_differ_by_slopes_have_no_single_response(sleep: lgm.Fit) -> None:
    with pytest.raises(lgm.LgmError, match=r"\(Days \| Subject\) has slopes, .* fit.predict at the values"):
        sleep.plot_term("Subject", "mean")


def test_expected_responses_of_a_gaussian_fit(structured: lgm.Fit) -> None:
    linear, mean = structured.plot_term("g"), structured.plot_term("g", "mean")
    shown = [np.asarray(figure.axes[0].lines[-1].get_xdata()) for figure in (linear, mean)]
    average = np.asarray(mean.axes[0].lines[0].get_xdata())[0]
    np.testing.assert_allclose(shown[1], shown[0] + average, rtol=1e-9)
    places = {i: (i % 3, i // 3) for i in range(9)}
    assert "expected y" in _texts(structured.plot_term("icar(id)", "mean", geometry=places))


def test_a_field_beside_its_uncertainty() -> None:
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"u": rng.uniform(0, 3, 40), "v": rng.uniform(0, 3, 40)})
    data["y"] = np.sin(data.u) + 0.1 * rng.normal(size=40)
    env = {"grid": lgm.mesh(data[["u", "v"]], edge=0.8, extension=1.0)}
    model = lgm.model("y ~ matern(u, v, mesh=grid)", data, env=env)
    fit = around(model, {"sd(matern(u, v))": 0.7, "range(matern(u, v))": 3.0, "sigma": 0.2}, draws=25)
    for kind, words in (("linear", "effect on y"), ("mean", "expected y")):
        figure = fit.plot_term("matern(u, v)", kind)
        text = _texts(figure)
        assert all(word in text for word in ("matern(u, v)", f"mean {words}", f"sd of {words}", "places of the data"))
        assert len(figure.axes) == 4 and figure.axes[0].get_xlabel() == "u"
    with pytest.raises(lgm.LgmError, match=r"geometry is for areal terms; matern\(u, v\) is not one"):
        fit.plot_term("matern(u, v)", geometry={})


def test_fields_over_time() -> None:
    """A row of means and a row of standard deviations, each with one bar; places are those of each time."""
    rng = np.random.default_rng(8)
    data = pd.DataFrame(
        {"u": rng.uniform(0, 3, 30), "v": rng.uniform(0, 3, 30), "t": np.repeat([1, 2, 4], [5, 10, 15])}
    )
    data["y"] = np.sin(data.u) + 0.1 * rng.normal(size=30)
    env = {"grid": lgm.mesh(data[["u", "v"]], edge=0.8, extension=1.0)}
    model = lgm.model("y ~ matern(u, v, mesh=grid, group=ar1(t))", data, env=env)
    fit = around(model, dict.fromkeys(model.design.theta_names, 0.7), draws=25)
    figure = fit.plot_term("matern(u, v, group=ar1(t))")
    text = _texts(figure)
    assert all(f"matern(u, v, group=ar1(t)): {of} effect on y" in text for of in ("mean", "sd of"))
    means, sds = figure.axes[:3], figure.axes[3:6]
    assert [ax.get_title(loc="left") for ax in means] == [ax.get_title(loc="left") for ax in sds] == list("124")
    assert [len(ax.collections[-1].get_offsets()) for ax in means] == [5, 10, 15]
    assert len(figure.axes) == 8 and len({ax.collections[0].get_clim() for ax in means}) == 1


def test_curves_of_levels_side_by_side_or_over_each_other() -> None:
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"x": rng.uniform(size=80), "z": rng.uniform(size=80), "y": rng.normal(size=80)})
    data["f"], data["g"] = [f"f{i % 3}" for i in range(80)], [f"g{i % 8}" for i in range(80)]
    model = lgm.model("y ~ f + s(x, by=f, k=5) + s(z, g, bs='fs', k=4) + s(x, z, k=8)", data)
    fit = around(model, {name: 0.5 for name in model.design.theta_names}, draws=25)
    figure = fit.plot_term("s(x, by=f)")
    assert [ax.get_title(loc="left") for ax in figure.axes] == [f"s(x, by=f)[{level}]" for level in ("f0", "f1", "f2")]
    assert [bool(ax.get_ylabel()) for ax in figure.axes] == [True, False, False]
    assert len(fit.plot_term("s(z, g)").axes) == 1
    text = _texts(fit.plot_term("s(x, z)", "mean"))
    assert "s(x, z): mean" in text and "s(x, z): sd" in text and "expected y" in text
    with pytest.raises(lgm.LgmError, match="residuals=True is for curves"):
        fit.plot_term("s(x, z)", residuals=True)
