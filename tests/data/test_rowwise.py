"""Expressions that compute a row from other rows are told from those that do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from lgm.data.rowwise import is_rowwise
from lgm.data.scope import Scope
from lgm.formula.parse import parse

N = 400


def _scope(text: str) -> tuple[Scope, Any]:
    rng = np.random.default_rng(8)
    frame = pd.DataFrame(
        {
            "x": rng.uniform(1e9, 1e9 + 10.0, N),
            "k": rng.integers(0, 5, N),
            "flag": rng.uniform(size=N) < 0.5,
            "g": rng.choice(list("abc"), N),
            "day": pd.Timestamp("2021-03-01") + pd.to_timedelta(np.arange(N), "D"),
        }
    )
    formula = parse(f"y ~ offset({text})", ())
    around = {"np": np, "pd": pd, "sp": sp, "own": lambda v: (v - v.mean()) / v.std(), "w": np.arange(5.0)}
    around["after"] = np.tri(N)
    return Scope(formula, frame, around), formula.mu.offsets[0]


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "log(x) + k * 2",
        "scale(x)",
        "bs(x - 1e9, df=5)",
        "cr(x, df=4)",
        "x - x.mean()",
        "(day - day.min()).dt.days",
        "C(g)",
        "C(k, contr.sum)",
        "k.astype(str) + g",
        "np.where(x > x.median(), g, 'b')",
        "pd.cut(x, np.quantile(x, [0, 0.5, 1]))",
        "w[k]",
        "g.map(str.upper)",
        "~flag",
        "np.vander(k, 3)",
        "sp.csr_array(np.vander(k, 3))",
        "pd.get_dummies(g).reindex(columns=['a', 'b'], fill_value=False)",
        "hashed(g, levels=3)",
        "w",
        "k.mean()",
        "'tp'",
        "10",
        "sp.eye_array(7)",
    ],
)
def test_each_row_by_itself(text: str) -> None:
    scope, expression = _scope(text)
    assert is_rowwise(expression, scope)


@pytest.mark.parametrize(
    "text",
    [
        "x.rank()",
        "pd.cut(x, 3)",
        "pd.cut(x, 3, labels=False)",
        "pd.qcut(x, 4, labels=False)",
        "x.cumsum()",
        "x.diff().fillna(0)",
        "x.shift(fill_value=1e9)",
        "lag(x)",
        "pd.factorize(day)[0]",
        "x.groupby(g).transform('mean')",
        "own(x)",
        "x.pipe(lambda v: v - v.mean())",
        "np.arange(len(x))",
        "x + np.random.default_rng().normal(size=len(x))",
        "np.unique(k, return_inverse=True)[1]",
        "np.gradient(x)",
        "k.duplicated()",
        "x.values[::-1]",
        "pd.get_dummies(g)",
        "sp.csr_array(np.vander(x.rank(), 3))",
        "C(pd.cut(x, 3))",
        "x - x.sort_values().to_numpy()",
        "np.add.accumulate(x)",
        "after @ x",
        "log(own(x) + 2)",
    ],
)
def test_rows_from_other_rows(text: str) -> None:
    scope, expression = _scope(text)
    assert not is_rowwise(expression, scope)


def test_sums_in_another_order_are_the_same() -> None:
    rng = np.random.default_rng(0)
    scope, expression = _scope("np.column_stack([x, k, x * k]) @ many")
    scope = Scope(scope.formula, scope.frame, {"np": np, "many": rng.normal(size=3)})
    assert is_rowwise(expression, scope)
