"""Single panels: every mark stands where its numbers say."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from scipy import stats

import lgm
from lgm.plots import panels
from lgm.plots.canvas import STYLE
from lgm.results.contributions import Curve

NOWHERE = (-np.inf, np.inf)


@pytest.fixture
def ax() -> Iterator[Axes]:
    settings: Any = STYLE
    with mpl.rc_context(settings):
        yield Figure(figsize=(6, 4), layout="constrained").subplots()


def _figure(ax: Axes) -> Figure:
    assert isinstance(ax.figure, Figure)
    return ax.figure


def _normals(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


def _row(draws: np.ndarray) -> np.ndarray:
    return np.array([draws.mean(), draws.std(ddof=1), *np.quantile(draws, [0.025, 0.975])])


# Densities -----------------------------------------------------------------------------------------------------------


def test_a_density_is_that_of_the_draws() -> None:
    x = np.linspace(-4, 4, 400)
    height = panels.density(_normals(4, 5000).ravel(), x, NOWHERE)
    assert np.trapezoid(height, x) == pytest.approx(1.0, abs=0.002)
    # error of a kernel estimate at its best bandwidth: of order n^(-2/5)
    np.testing.assert_allclose(height, stats.norm.pdf(x), atol=20_000 ** (-2 / 5))


@pytest.mark.parametrize("bounds", [(0.0, np.inf), (-np.inf, 1.0), (0.0, 1.0)], ids=["below", "above", "both"])
def test_no_mass_leaks_over_a_bound(bounds: tuple[float, float]) -> None:
    draws = np.random.default_rng(1).uniform(size=20_000)
    x = np.linspace(-0.5, 1.5, 2001)
    height = panels.density(draws, x, bounds)
    assert (height[(x < bounds[0]) | (x > bounds[1])] == 0).all()
    for bound in np.array(bounds)[np.isfinite(bounds)]:
        inside = (np.abs(x - bound) < 0.02) & (x >= 0) & (x <= 1)
        np.testing.assert_allclose(height[inside], 1.0, atol=0.1)  # half of it without the reflection


def test_the_bandwidth_is_not_blown_up_by_a_heavy_tail() -> None:
    draws = np.concatenate([_normals(4000), np.full(40, 400.0)])
    assert panels.density(draws, np.zeros(1), NOWHERE)[0] == pytest.approx(stats.norm.pdf(0), rel=0.15)


def test_a_marginal_shows_density_interval_mean_and_prior(ax: Axes) -> None:
    draws = 3.0 + 0.5 * _normals(4, 500)
    mean, sd, low, high = _row(draws)
    panels.marginal(ax, "sigma", draws, _row(draws), NOWHERE, stats.norm(3, 5).pdf)
    posterior, prior, interval, dot = ax.lines
    x, height = map(np.asarray, posterior.get_data())
    np.testing.assert_allclose(height, panels.density(draws.ravel(), x, NOWHERE))
    np.testing.assert_allclose(np.asarray(prior.get_ydata()), stats.norm(3, 5).pdf(x))
    assert list(np.asarray(interval.get_xdata())) == [low, high]
    assert float(np.asarray(dot.get_xdata())[0]) == mean
    assert np.asarray(interval.get_ydata())[0] < 0 < ax.get_ylim()[1]  # below the density
    assert ax.get_title(loc="left") == f"sigma   {mean:.3f} ({low:.3f} to {high:.3f})"
    assert sd < 1  # hence three decimals


def test_no_digits_are_lost_where_the_sd_is_tiny(ax: Axes) -> None:
    draws = 0.111 + 2e-8 * _normals(2, 200)
    panels.marginal(ax, "x", draws, np.array([0.111, 2e-8, 0.11099996, 0.11100004]), NOWHERE, None)
    assert ax.get_title(loc="left") == "x   1.110000000e-01 (1.109999600e-01 to 1.110000400e-01)"


@pytest.mark.parametrize(("sd", "digits"), [(250.0, 0), (25.0, 1), (2.5, 2), (0.025, 4)])
def test_numbers_in_the_title_have_three_digits_of_the_sd(ax: Axes, sd: float, digits: int) -> None:
    draws = 1000.0 + sd * _normals(2, 200)
    panels.marginal(ax, "x", draws, np.array([1000.0, sd, 900.0, 1100.0]), NOWHERE, None)
    assert ax.get_title(loc="left") == f"x   {1000:.{digits}f} ({900:.{digits}f} to {1100:.{digits}f})"


def test_a_marginal_stays_inside_its_range_where_a_prior_is_open(ax: Axes) -> None:
    draws = np.abs(_normals(4, 500))
    panels.marginal(ax, "sd", draws, _row(draws), (0.0, np.inf), lambda x: np.log(x) ** 2)
    x = np.asarray(ax.lines[0].get_xdata())
    assert x.min() > 0 and np.isfinite(np.asarray(ax.lines[1].get_ydata())).all()
    assert ax.get_xlim()[0] >= 0


def test_what_is_held_is_a_line(ax: Axes) -> None:
    panels.marginal(ax, "sigma", np.full((4, 10), 2.5), np.array([2.5, 0.0, 2.5, 2.5]), NOWHERE, None)
    assert ax.get_title(loc="left") == "sigma   held at 2.5"
    assert [list(np.asarray(line.get_xdata())) for line in ax.lines] == [[2.5, 2.5]]


@pytest.mark.parametrize("prior", [True, False])
def test_the_key_names_what_is_there(ax: Axes, prior: bool) -> None:
    expected = ["posterior", "mean and 89% interval", *(["prior"] if prior else [])]
    assert [handle.get_label() for handle in panels.key(0.89, prior=prior)] == expected


# Traces --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("draws", "shown"), [(600, 600), (601, 301), (2000, 500)])
def test_a_trace_per_chain_thinned_when_long(ax: Axes, draws: int, shown: int) -> None:
    values = _normals(3, draws)
    panels.trace(ax, values)
    assert len(ax.lines) == 3 and len({line.get_color() for line in ax.lines}) == 3
    for line, chain in zip(ax.lines, values, strict=True):
        x, y = map(np.asarray, line.get_data())
        assert x.size == shown
        np.testing.assert_array_equal(y, chain[x])


def test_nothing_to_trace(ax: Axes) -> None:
    panels.trace(ax, np.ones((4, 10)))
    assert not ax.axison and not ax.lines


# Effects -------------------------------------------------------------------------------------------------------------


def _levels(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(2).permutation(n) + _normals(400, n)
    return np.array([f"level {i}" for i in range(n)], dtype=object), draws.mean(axis=0), draws


def _segments(lines: Any) -> np.ndarray:
    assert isinstance(lines, LineCollection)
    return np.array(lines.get_segments())[:, :, 0]


def test_a_caterpillar_has_two_intervals(ax: Axes) -> None:
    labels, mean, draws = _levels(12)
    order = np.argsort(mean)
    panels.caterpillar(ax, labels[order], mean[order], draws[:, order], 0.9, "g", 4.0)
    np.testing.assert_array_equal(np.asarray(ax.lines[1].get_xdata()), mean[order])
    wide, half = ax.collections
    np.testing.assert_allclose(_segments(wide), np.quantile(draws[:, order], [0.05, 0.95], axis=0).T)
    np.testing.assert_allclose(_segments(half), np.quantile(draws[:, order], [0.25, 0.75], axis=0).T)
    assert [text.get_text() for text in ax.get_yticklabels()] == list(labels[order])
    assert ax.get_ylabel() == "g"


@pytest.mark.parametrize(("n", "step", "words"), [(28, 1, "g"), (56, 2, "second"), (84, 3, "third"), (112, 4, "4th")])
def test_as_many_labels_as_have_room(ax: Axes, n: int, step: int, words: str) -> None:
    labels, mean, draws = _levels(n)
    panels.caterpillar(ax, labels, mean, draws, 0.95, "g", 4.0)  # 4 inches: 28 labels
    assert len(ax.get_yticks()) == n // step <= 28
    assert words in ax.get_ylabel()
    where = np.asarray(ax.get_yticks(), dtype=int)
    shown = [text.get_text() for text in ax.get_yticklabels()]
    assert shown == list(labels[where])  # each beside its own level


def test_very_many_levels_are_bands(ax: Axes) -> None:
    labels, mean, draws = _levels(400)
    panels.caterpillar(ax, labels, mean, draws, 0.95, "g", 4.0)
    assert len(ax.get_yticks()) == 0 and len(ax.collections) == 2
    assert ax.get_ylabel() == "g: 400 levels, sorted"


def test_long_labels_are_cut(ax: Axes) -> None:
    _, mean, draws = _levels(2)
    panels.caterpillar(ax, np.array(["a" * 22, "b" * 23], dtype=object), mean, draws, 0.95, "g", 4.0)
    assert {text.get_text() for text in ax.get_yticklabels()} == {"a" * 22, "b" * 21 + "\u2026"}


def test_coefficients_stand_below_each_other_in_their_order(ax: Axes) -> None:
    _, mean, draws = _levels(3)
    panels.intervals(ax, ["u", "v", "w"], mean, draws, 0.95)
    from_above = sorted(zip(ax.get_yticks(), (text.get_text() for text in ax.get_yticklabels()), strict=True))[::-1]
    assert [name for _, name in from_above] == ["u", "v", "w"]
    np.testing.assert_array_equal(np.asarray(ax.lines[1].get_xdata()), mean)
    np.testing.assert_allclose(_segments(ax.collections[0]), np.quantile(draws, [0.025, 0.975], axis=0).T)


# Curves --------------------------------------------------------------------------------------------------------------


def _curve(rows: int, points: int = 50) -> Curve:
    rng = np.random.default_rng(4)
    x = np.linspace(0, 1, points)
    draws = np.sin(6 * x) + 0.1 * rng.standard_normal((300, points))
    at, residual, weights = rng.uniform(size=rows), rng.normal(size=rows), rng.uniform(0.5, 2, rows)
    given = {"at": at, "residual": residual, "weights": weights, "without": ""}
    return Curve("s(x)", "x", "effect on y", x, np.sin(6 * x), draws, average=0.0, **given)


def test_a_curve_over_its_bands_and_partial_residuals(ax: Axes) -> None:
    c = _curve(200)
    legend = panels.curve(ax, c, 0.9)
    dots, wide, half = ax.collections
    assert c.residual is not None
    np.testing.assert_array_equal(np.asarray(dots.get_offsets()), np.column_stack([c.at, c.residual]))
    for band, probability in ((wide, 0.9), (half, 0.5)):
        low, high = np.quantile(c.draws, [(1 - probability) / 2, (1 + probability) / 2], axis=0)
        outline = np.asarray(band.get_paths()[0].vertices)
        assert outline[:, 1].min() == pytest.approx(low.min()) and outline[:, 1].max() == pytest.approx(high.max())
    mean = max(ax.lines, key=lambda line: line.get_zorder())
    np.testing.assert_array_equal(np.asarray(mean.get_ydata()), c.mean)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")) == ("x", "effect on y", "s(x)")
    assert [handle.get_label() for handle in legend] == ["partial residuals", "mean", "50%", "90% interval"]


def test_whole_times_have_whole_ticks(ax: Axes) -> None:
    c = _curve(5, points=4)
    panels.curve(ax, replace(c, at=np.array([1.0, 2.0, 2.0, 3.0, 4.0]), x=np.arange(1.0, 5.0)), 0.95)
    assert all(tick == round(tick) for tick in ax.get_xticks())


def test_dates_have_room_in_narrow_panels() -> None:
    figure = Figure(figsize=(8.0, 3.0), dpi=100)
    x = np.datetime64("2020-01-01") + 30 * np.arange(16)
    c = replace(_curve(5, points=16), at=x[:5], x=x)
    for ax in figure.subplots(1, 4):
        panels.curve(ax, c, 0.95)
    figure.draw_without_rendering()
    for ax in figure.axes:
        low, high = ax.get_xlim()
        pairs = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
        ends = [label.get_window_extent().intervalx for tick, label in pairs if low <= tick <= high]
        assert len(ends) >= 2 and all(one[1] < other[0] for one, other in itertools.pairwise(ends))
    whole = Figure(figsize=(8.0, 3.0), dpi=100).subplots()
    panels.many_curves(whole, [c])
    assert len(whole.get_xticks()) > 3


@pytest.mark.parametrize("minutes", [1.0, 3.0, 119.0, 2879.0, 85e3, 1.05e6, 5e7])
def test_every_span_of_time_has_dates(ax: Axes, minutes: float) -> None:
    x = np.datetime64("2020-01-01", "us") + (np.linspace(0.0, 6e7 * minutes, 9)).astype("timedelta64[us]")
    panels.many_curves(ax, [replace(_curve(5, points=9), x=x)])
    ax.set_xlim(x[0], x[-1])
    assert 1 <= len(ax.get_xticks()) <= 12


def test_a_curve_says_what_it_lacks(ax: Axes) -> None:
    panels.curve(ax, replace(_curve(5), without="x"), 0.95)
    assert ax.get_title(loc="left") == "s(x) without what is in the fixed part"


def test_heavier_rows_are_larger_dots(ax: Axes) -> None:
    c = _curve(50)
    panels.curve(ax, c, 0.95)
    dots = ax.collections[0]
    assert isinstance(dots, PathCollection)
    np.testing.assert_allclose(dots.get_sizes(), 9.0 * c.weights / c.weights.mean())


@pytest.mark.parametrize(("rows", "residuals"), [(panels.MOST_RESIDUALS + 1, True), (100, False)])
def test_a_rug_instead_of_too_many_or_unwanted_residuals(ax: Axes, rows: int, residuals: bool) -> None:
    c = _curve(rows) if residuals else replace(_curve(rows), residual=None)
    panels.curve(ax, c, 0.95)
    assert len(ax.collections) == 2  # the bands
    np.testing.assert_array_equal(np.asarray(ax.lines[0].get_xdata()), c.at)
    assert ax.lines[0].get_transform() is ax.get_xaxis_transform() or ax.lines[0].get_marker() == "|"


# Maps ----------------------------------------------------------------------------------------------------------------


LABELS = np.array(["a", "b", "c"], dtype=object)
MEAN = np.array([-2.0, 0.5, 1.0])


def test_a_map_of_points_joined_to_their_neighbours(ax: Axes) -> None:
    places = {"c": (2.0, 0.0), "a": (0.0, 0.0), "b": (1.0, 1.0), "elsewhere": (9, 9)}
    panels.region_map(_figure(ax), ax, places, LABELS, MEAN, lgm.graph([("a", "b"), ("b", "c")]), "icar(id)")
    edges, dots = ax.collections
    assert isinstance(edges, LineCollection)
    assert np.array(edges.get_segments()).tolist() == [[[0, 0], [1, 1]], [[1, 1], [2, 0]]]
    assert np.asarray(dots.get_offsets()).tolist() == [[0, 0], [1, 1], [2, 0]]  # in the order of the labels
    assert np.asarray(dots.get_array()).tolist() == MEAN.tolist()
    assert dots.get_clim() == (-2.0, 2.0)  # zero has the colour in the middle
    assert ax.get_aspect() == 1.0
    assert _figure(ax).axes[1].get_xlabel() == "icar(id)"


def _square(x: float, y: float, hole: bool = False) -> Any:
    ring = np.array([(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1), (x, y)])
    inner = [SimpleNamespace(coords=(ring - ring.mean(axis=0)) / 4 + ring.mean(axis=0))] if hole else []
    return SimpleNamespace(geom_type="Polygon", exterior=SimpleNamespace(coords=ring), interiors=inner)


def test_maps_in_the_same_colours() -> None:
    figure = Figure()
    axes = figure.subplots(1, 2)
    means = np.array([[0.5, -0.1], [-2.0, 1.0]])
    places = {"a": (0, 0), "b": (1, 0)}
    panels.region_maps(figure, axes, places, np.array(["a", "b"]), means, None, ["first", "second"], "effect")
    assert [ax.get_title(loc="left") or ax.get_title() for ax in axes] == ["first", "second"]
    for ax, mean in zip(axes, means, strict=True):
        [dots] = ax.collections
        assert (dots.norm.vmin, dots.norm.vmax) == (-2.0, 2.0) and dots.get_array().tolist() == mean.tolist()
    assert len(figure.axes) == 3  # one scale for both


def test_a_map_of_shapes_with_holes_and_islands(ax: Axes) -> None:
    both = SimpleNamespace(geom_type="MultiPolygon", geoms=[_square(4, 0), _square(6, 0)])
    shapes = {"a": _square(0, 0), "b": _square(2, 0, hole=True), "c": both}
    panels.region_map(_figure(ax), ax, shapes, LABELS, MEAN, None, "icar(id)")
    (drawn,) = ax.collections
    assert [path.vertices.size // 2 for path in drawn.get_paths()] == [5, 10, 10]
    assert np.asarray(drawn.get_array()).tolist() == MEAN.tolist()
    assert ax.get_xlim()[0] < 0 and ax.get_xlim()[1] > 7


def test_no_effect_at_all_still_has_a_scale(ax: Axes) -> None:
    panels.region_map(_figure(ax), ax, {c: (0, i) for i, c in enumerate("abc")}, LABELS, np.zeros(3), None, "t")
    assert ax.collections[0].get_clim() == (-1.0, 1.0)


def test_degrees_of_longitude_are_shortened(ax: Axes) -> None:
    class Places(dict):  # type: ignore[type-arg]
        """As a GeoSeries in degrees, around 60 degrees north."""

        crs = SimpleNamespace(is_geographic=True)
        total_bounds = np.array([0.0, 59.0, 3.0, 61.0])

    panels.region_map(_figure(ax), ax, Places({c: (0, i) for i, c in enumerate("abc")}), LABELS, MEAN, None, "t")
    assert ax.get_aspect() == pytest.approx(2.0)  # 1 / cos(60 degrees)


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"X": [0.0, 1.0, 2.0], "Y": [5, 6, 7]}, index=list("abc")),
        pd.DataFrame({"geometry": [(0, 5), (1, 6), (2, 7)], "name": list("uvw")}, index=list("abc")),
    ],
)
def test_a_table_holds_places(ax: Axes, table: pd.DataFrame) -> None:
    """As two columns of numbers, or in the column geometry."""
    panels.region_map(_figure(ax), ax, table, LABELS, MEAN, None, "t")
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[0, 5], [1, 6], [2, 7]])


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        (
            pd.DataFrame({"X": [0], "Y": [1], "crime": [2]}),
            "of the columns `X`, `Y`, `crime`. Accepted: a dict",
        ),
        (pd.DataFrame({"X": [0], "name": ["u"]}), "is a table of the columns `X`, `name`"),
        (dict.fromkeys("abc", "POINT (0 1)"), "geometry of 'a' is 'POINT"),
        (dict.fromkeys("abc", (0, 1, 2)), r"geometry of 'a' is \(0, 1, 2\)"),
    ],
)
def test_what_holds_no_places_is_named(ax: Axes, geometry: Any, message: str) -> None:
    with pytest.raises(lgm.DataError, match=message):
        panels.region_map(_figure(ax), ax, geometry, LABELS, MEAN, None, "t")


def test_regions_without_a_place_are_named(ax: Axes) -> None:
    with pytest.raises(lgm.DataError, match=r"geometry lacks 2 region\(s\): 'b', 'c'; it has .*\. It needs one entry"):
        panels.region_map(_figure(ax), ax, {"a": (0, 0)}, LABELS, MEAN, None, "t")


def test_many_curves_over_each_other(ax: Axes) -> None:
    x = np.linspace(0.0, 1.0, 20)
    one = Curve("s(x, g)[a]", "x", "effect on y", x, x**2, np.tile(x, (5, 1)), 0.0, x, None, np.ones(20), "")
    handles = panels.many_curves(ax, [one] * 8)
    assert len(ax.lines) == 9 and handles[0].get_label() == "means of 8 levels"
