"""Formulas of files that are not trusted: they compute, in memory that the file accounts for."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.storage.formulas import require_harmless

DATA = pd.DataFrame({"y": [1.0, 2.0], "x": [1, 2], "g": ["a", "b"], "body mass": ["c", "d"]})
DATA["day"] = pd.date_range("2020", periods=2)
ENV: dict[str, Any] = {
    "np": np,
    "log": np.log,
    "k": 10**10,
    "few": 3,
    "w": np.ones(2),
    "W": np.ones((2, 1)),
    "levels": ["a", "b"],
    "text": "a",
    "series": pd.Series([1.0, 2.0], index=[0, 0]),
    "edges": lgm.graph([("a", "b")]),
}


@pytest.mark.parametrize(
    "right",
    [
        "x + log(x) + np.log(x) + {x * k} + {w / few}",
        "{(g == 'a') * x} + {(g == text) * 2} + (1|g)",
        "C(g, levels=levels) + C(g, contr.sum) + bs(x, df=few) + poly(x, 2)",
        "C(g, W) + icar(g, edges) + s(x, k=few, bs='cr') + offset(w)",
        "np.where(x > few, x, w) + {day > day} + scale(x) + rw1(x)",
    ],
)
def test_formulas_that_compute(right: str) -> None:
    require_harmless(f"y ~ {right}", DATA, ENV)


@pytest.mark.parametrize(
    ("right", "name"),
    [
        ("{g * k}", "g"),
        ("{`body mass` * k}", "`body mass`"),
        ("{I(g) * k}", "g"),
        ("{g % x}", "g"),
        ("{k * (x + C(g))}", "g"),
        ("{levels * k}", "levels"),
        ("{text * k}", "text"),
        ("{x + W}", "W"),
        ("{W > x}", "W"),
        ("np.maximum(W, x)", "W"),
        ("np.where(x > 1, W, x)", "W"),
        ("{series * series}", "series"),
        ("s(g * k)", "g"),
        ("offset(text * k)", "text"),
        ("{Q('g') * k}", "'g'"),
        ("{I('long') * k}", "'long'"),
        ("{I(['a', 'b']) * k}", "['a', 'b']"),
        ("poly(x, k)", "k"),
        ("poly(x, 99999)", "99999"),
        ("bs(x, df=k)", "k"),
    ],
)
def test_formulas_that_make_much_of_little(right: str, name: str) -> None:
    with pytest.raises(lgm.LgmError, match=rf"(?s)may do more.*trusted=True.*`{re.escape(name)}` (stands in|is more)"):
        require_harmless(f"y ~ {right}", DATA, ENV)


@pytest.mark.parametrize("left", ["{g * k}", "np.hypot(W, y)"])
def test_the_response_too(left: str) -> None:
    with pytest.raises(lgm.LgmError, match="may do more"):
        require_harmless(f"{left} ~ x", DATA, ENV)


@pytest.mark.parametrize(("name", "value"), [("np", math), ("np", 3), ("contr", np), ("log", math.log), ("C", print)])
def test_listed_names_keep_their_meaning(name: str, value: Any) -> None:
    with pytest.raises(lgm.LgmError, match=f"gives `{name}` a meaning of its own. If you trust"):
        require_harmless("y ~ x", DATA, {name: value})
    require_harmless("y ~ x + log", DATA.assign(log=1.0), {"log": 3.0})


def test_what_cannot_be_read_is_an_error_of_the_formula() -> None:
    with pytest.raises(lgm.FormulaError):
        require_harmless("y ~ x + (", DATA, {})
