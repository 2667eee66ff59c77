"""A fit is drawn again as it was asked to be drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import lgm
from lgm.results.again.settings import settings_of


def test_settings_are_those_that_were_asked_for() -> None:
    data = lgm.load_dataset("Dyestuff")
    fit = lgm.fit(
        "Yield ~ 1 + (1|Batch)", data, method="mode", chains=2, draws=50, interval=0.9, seed=4, progress=False
    )
    wanted: dict[str, Any] = {
        "method": "mode",
        "approximation": "auto",
        "fallback": None,
        "chains": 2,
        "draws": 50,
        "warmup": None,
    }
    wanted |= {"interval": 0.9, "seed": 4, "progress": False}
    assert settings_of(fit) == wanted
    assert settings_of(fit, seed=5, draws=None) == {**wanted, "seed": 5}
    made = settings_of(replace(fit, asked=None))
    assert made == {"method": "mode", "chains": 1, "draws": 100, "interval": 0.9, "seed": 4, "progress": False}


def test_an_argument_that_there_is_not() -> None:
    fit = lgm.fit("Yield ~ 1", lgm.load_dataset("Dyestuff"), method="mode", draws=10, seed=1, progress=False)
    with pytest.raises(lgm.LgmError, match=r"there is no argument seeed=. Did you mean `seed`\? Accepted: method, "):
        fit.update(seeed=3)
