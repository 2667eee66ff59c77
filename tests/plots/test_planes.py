"""Fields and surfaces: where they are shown, in which colours, and how they read without any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import lgm
from lgm.plots import planes
from lgm.results.contributions import Surface
from lgm.terms.view import Field


def _field() -> Field:
    places = np.random.default_rng(3).uniform([0.0, 0.0], [4.0, 2.0], (50, 2))
    return Field(lgm.mesh(places, edge=0.5, extension=6.0), places, ("lon", "lat"))


def _drawn(view: Field, values: np.ndarray, average: float | None) -> Figure:
    figure = Figure()
    axes = list(np.atleast_1d(figure.subplots(1, len(values))))
    titles = [f"copy {i}" for i in range(len(values))]
    planes.fields(figure, axes, view, values, [view.places] * len(values), titles, "mean", average)
    return figure


@pytest.mark.parametrize("average", [0.0, None, 2.0])
def test_a_field_is_shown_where_the_data_are(average: float | None) -> None:
    view = _field()
    values = view.mesh.points[:, 0] - 1.0 + 100.0 * (view.mesh.points[:, 0] > 7.0)
    figure = _drawn(view, values[None], average)
    ax, bar = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_aspect()) == ("lon", "lat", 1.0)
    left, right = ax.get_xlim()
    assert -0.5 < left < 0.1 and 3.9 < right < 4.5
    filled, _, dots = ax.collections
    assert len(np.asarray(dots.get_offsets())) == 50
    low, high = filled.get_clim()
    assert high < 7.0  # what is far from the data does not count
    if average is not None:
        assert low < average < high and (average != 0.0 or low == -high)
    assert bar.get_xlabel() == "mean"


def test_copies_of_a_field_have_the_same_colours() -> None:
    """One is ten times the other; one bar is for both."""
    view = _field()
    values = view.mesh.points[:, 0] - 2.0
    figure = _drawn(view, np.array([values, 10.0 * values]), 0.0)
    first, second, _ = figure.axes
    small, large = first.collections[0], second.collections[0]
    assert small.get_clim() == large.get_clim() and large.get_clim()[1] >= 20.0
    assert [first.get_title(), second.get_title()] == ["copy 0", "copy 1"]


def test_contours_below_the_average_are_dashed_and_have_values() -> None:
    view = _field()
    figure = _drawn(view, view.mesh.points[None, :, 0], 2.0)
    lines: Any = figure.axes[0].collections[1]
    dashed = [style[1] is not None for style in lines.get_linestyles()]
    assert dashed == [level < 2.0 for level in lines.levels] and 0 < sum(dashed) < len(dashed)
    assert {float(each.get_text()) for each in figure.axes[0].texts} & set(lines.levels.round(6).tolist())


def test_a_field_of_zeros_has_a_picture() -> None:
    view = _field()
    figure = _drawn(view, np.zeros((1, view.mesh.n)), 0.0)
    assert len(figure.axes[0].collections) == 3


def test_the_size_of_a_field_is_that_of_the_data() -> None:
    width, height = planes.field_size(_field(), 2, 1)
    assert (width, 3.4 <= height < 5.0) == (10.0, True)
    assert planes.field_size(_field(), 4, 6)[1] > 2.0 * height
    assert [each.get_label() for each in planes.field_key()] == ["places of the data"]


def _surface(mean: np.ndarray) -> Surface:
    x, at = np.linspace(0.0, 1.0, mean.shape[1]), np.random.default_rng(1).uniform(size=(30, 2))
    return Surface("te(x, z)", "effect on y", ("x", "z"), x, x, mean, np.abs(mean), 0.0, at)


@pytest.mark.parametrize("spread", [False, True])
def test_surfaces_with_their_rows_and_a_scale(spread: bool) -> None:
    """What is masked stays blank, zero is in the middle of the colours of the mean, and these are those of all."""
    mean = np.add.outer(np.linspace(-1.0, 2.0, 10), np.linspace(0.0, 1.0, 10))
    mean[:3, :3] = np.nan
    figure = Figure()
    axes = list(figure.subplots(2, 1))
    planes.surfaces(figure, axes, [_surface(mean), _surface(3.0 * mean)], spread=spread, titles=["one", "three"])
    ax, other, bar = figure.axes
    assert ax.get_title() == "one"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "z") and len(ax.lines[0].get_xdata()) == 30
    assert bar.get_ylabel() == "effect on y"
    assert ax.collections[0].get_clim() == other.collections[0].get_clim()
    if not spread:
        norm: Any = ax.collections[0].norm
        assert norm.vmin == -norm.vmax <= -9.0


def test_a_flat_surface_has_a_scale() -> None:
    figure = Figure()
    planes.surfaces(figure, [figure.subplots()], [_surface(np.zeros((10, 10)))], spread=False, titles=["flat"])
    figure.canvas.draw()
