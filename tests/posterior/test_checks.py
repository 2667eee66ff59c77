"""What of a model the data cannot tell apart."""

from __future__ import annotations

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
