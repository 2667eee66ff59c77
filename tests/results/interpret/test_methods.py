"""What a fit can be asked: the interval of each call, seeds, and pictures of the same tables."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import counts, measured

import lgm
from lgm.results.interpret.methods import Interpretation

ASKED: dict[str, Any] = {
    "conditional_effects": ("x",),
    "predictions": ("grid",),
    "comparisons": ("trt",),
    "slopes": ("x",),
    "marginal_means": ("trt",),
    "hypothesis": ("x > 0",),
}


@pytest.mark.parametrize("name", ASKED)
def test_intervals_are_those_that_are_asked_for(name: str) -> None:
    wide, narrow = (getattr(measured(), name)(*ASKED[name], interval=p) for p in (0.95, 0.5))
    assert {"2.5%", "97.5%"} <= set(wide.columns) and {"25%", "75%"} <= set(narrow.columns)
    away = (narrow["75%"] - narrow["25%"]) / (wide["97.5%"] - wide["2.5%"])
    np.testing.assert_allclose(away, 0.6744897501960817 / 1.959963984540054, rtol=1e-9)
    np.testing.assert_allclose(wide["mean"], narrow["mean"])
    with pytest.raises(lgm.LgmError, match="interval=95; accepted"):
        getattr(measured(), name)(*ASKED[name], interval=95)


def test_new_levels_have_a_seed() -> None:
    at = {"g": "new", "x": 0.0}
    with pytest.warns(lgm.PredictionWarning):
        one, again, other = (counts().predictions("grid", conditions=at, seed=seed) for seed in (4, 4, 5))
    pd.testing.assert_frame_equal(one, again)
    assert one["sd"][0] != other["sd"][0]


def test_comparisons_within_a_new_level_cancel_it() -> None:
    """What is random about a new group is the same on both sides."""
    with pytest.warns(lgm.PredictionWarning):
        new = counts().comparisons("x", "grid", conditions={"g": "new"}, kind="linear")
    np.testing.assert_allclose(new["sd"], counts().comparisons("x", "grid", kind="linear")["sd"], rtol=1e-9)


def test_the_methods_are_those_of_a_fit() -> None:
    assert issubclass(lgm.Fit, Interpretation)


@pytest.mark.parametrize("name", ["plot_predictions", "plot_comparisons", "plot_slopes"])
def test_a_picture_of_each_row_is_refused(name: str) -> None:
    with pytest.raises(lgm.LgmError, match="a picture has by=True, or names of columns"):
        getattr(measured(), name)("x", by=False)
