"""What of a model the data cannot tell apart."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.design.design import Design
from lgm.posterior.checks import rivals

N = 12


def _design(formula: str, **columns: Any) -> Design:
    data = pd.DataFrame({**{"y": np.sin(np.arange(N)), "x": np.arange(N) % 3.0}, **columns})
    return lgm.model(formula, data).design


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        ("y ~ (1|row)", "Intercept|row"),
        ("y ~ (1 + x|row)", "Intercept|row"),
        ("y ~ (0 + sign|row)", "sign|row"),
        ("y ~ (1|a:b)", "Intercept|a:b"),
        ("y ~ (0 + x|row)", None),
        ("y ~ (1|pair)", None),
        ("y ~ rw1(row)", None),
        ("y ~ s(row)", None),
    ],
)
@pytest.mark.filterwarnings("ignore::lgm.IdentifiabilityWarning")
def test_effects_that_repeat_the_residual(formula: str, name: str | None) -> None:
    row = np.arange(N)
    columns = {"row": row, "a": row // 4, "b": row % 4, "sign": np.where(row % 3, 1.0, -1.0)}
    design = _design(formula, pair=np.r_[0, row[:-1]], **columns)
    assert [effect for _, effect in rivals(design)] == ([] if name is None else [name])


@pytest.mark.filterwarnings("ignore::lgm.IdentifiabilityWarning")
def test_levels_without_a_response_do_not_repeat_the_residual() -> None:
    y = np.where(np.arange(N) < 6, np.sin(np.arange(N)), np.nan)
    design = _design("y ~ (1|g)", y=y, g=np.r_[np.arange(6) // 2, np.arange(6) + 10])
    assert not list(rivals(design))
    design = _design("y ~ (1|g)", y=y, g=np.r_[np.arange(6), np.zeros(6, dtype=int)])
    assert list(rivals(design)) == [("(1 | g)", "Intercept|g")]


@pytest.mark.parametrize("term", ["s(x)", "rw1(x)", "rw2(x)", "icar(x, [(0, 1), (1, 2)])", "bym2(x, [(0, 1), (1, 2)])"])
def test_effects_that_sum_to_zero_need_a_level(term: str) -> None:
    x = np.arange(2 * N) % 12.0 if "s(" in term else np.arange(2 * N) % 3
    columns = {"y": 5 + np.sin(np.arange(2 * N)), "x": x, "f": np.arange(2 * N) % 2 == 0}
    text = rf"there is no intercept, and the effects of {re.escape(term.split(',')[0])}.* sum to zero, .* level of `y`"
    with pytest.warns(lgm.DataWarning, match=text):
        _design(f"y ~ 0 + {term}", **columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fixed in ("1", "0 + C(f)", "0 + offset(y - f)"):
            _design(f"y ~ {fixed} + {term}", **columns)


def test_effects_with_mean_zero_need_no_level() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _design("y ~ 0 + (1|x)")


def _panel(order: str) -> dict[str, Any]:
    frame = pd.DataFrame({"subject": np.repeat(list("abcd"), 6), "i": np.tile(np.arange(6), 4)})
    frame = frame if order == "stacked" else frame.sample(frac=1.0, random_state=3)
    return {"y": np.sin(np.arange(24)), "x": 0.0, **{name: frame[name].to_numpy() for name in frame}}


def test_a_series_over_several_subjects_is_reported() -> None:
    with pytest.warns(lgm.DataWarning, match=r"ar1\(i\) is one series, .* each level of `subject` has them once"):
        _design("y ~ ar1(i) + (1|subject)", **_panel("shuffled"))
    with pytest.warns(lgm.DataWarning, match=r"ar1\(i\) is one series, .* they start again 3 times"):
        _design("y ~ ar1(i)", **_panel("stacked"))


def test_a_series_with_repeated_measurements_is_fine() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _design("y ~ ar1(i)", **_panel("shuffled"))
        _design("y ~ ar1(i)", i=np.arange(N) // 2)
        _design("y ~ ar1(i) + (1|g)", i=np.arange(N) // 2, g=np.arange(N) % 4 // 2)
        _design("y ~ ar1(i)", i=np.arange(N))
