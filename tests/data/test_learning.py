"""What expressions remember of the rows of the fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lgm.data.expression import evaluate
from lgm.data.learning import Listening
from lgm.errors import LgmError
from lgm.formula.python import Expression
from lgm.formula.tokens import tokenize

N = 40


def _frame() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "x": rng.gamma(2.0, 3.0, N),
            "k": rng.integers(0, 9, N),
            "g": rng.choice(list("abc"), N),
            "day": pd.Timestamp("2021-03-01") + pd.to_timedelta(rng.permutation(N), "D"),
        }
    )


def _read(text: str) -> Expression:
    (token,) = tokenize(f"{{{text}}}")
    return Expression.of(token)


def _own(values: Any) -> float:
    return float(np.ptp(values))


KEPT = [
    "x - x.mean()",
    "x / np.std(x)",
    "(day - day.min()).dt.days",
    "x - x.iloc[3]",
    "x - x.values[3]",
    "(x - np.mean(x)) / x.std()",
    "x / x.max() + x / max(x)",
    "np.log(x - min(x) + 1)",
    "x / own(x)",
    "pd.cut(x, np.quantile(x, [0, 0.3, 1]), labels=False, include_lowest=True)",
    "np.where(x > x.median(), 'high', 'low')",
    "x * len(x) + x.size",
    "g.map(g.value_counts())",
    "g.map(x.groupby(g).mean())",
    "np.stack([x, k]).max(axis=0) - k.mean()",
    "x.map(lambda v: v / x.mean())",
    "pd.Series([v - sum(x) for v in x])",
    "x - x[x > 3].mean()",
    "x if x.max() > 3 else -x",
    "center(x) / scale(k).std()",
    "x.sub(x.mean()).div(x.std())",
    "day.dt.day - day.dt.day.mean()",
]


@pytest.mark.parametrize("text", KEPT)
def test_numbers_computed_from_columns_are_those_of_the_first_rows(text: str) -> None:
    frame, memory, around = _frame(), dict[str, Any](), {"np": np, "pd": pd, "own": _own}
    expression = _read(text)
    whole = np.asarray(evaluate(expression, frame, around, memory))
    np.testing.assert_array_equal(whole, np.asarray(evaluate(expression, frame, around, {})))
    for rows in ([7], [31, 2], list(range(N))[::-1]):
        part = np.asarray(evaluate(expression, frame.iloc[rows], around, memory))
        np.testing.assert_array_equal(part, whole[rows])


def test_of_a_part_of_the_rows_it_is_noted_what_would_be_learnt() -> None:
    frame, memory = _frame(), Listening()
    value = evaluate(_read("scale(x) + 1"), frame, {}, memory)
    assert np.isnan(value).all() and not memory["scale(x) + 1"]
    [(text, _)], [heard] = memory.heard, memory.heard.values()
    assert (text, heard.name, heard.moments.n) == ("scale(x) + 1", "scale", N)
    np.testing.assert_array_equal(evaluate(_read("np.abs(x)"), frame, {"np": np}, memory), np.abs(frame["x"]))
    for text in ("x - x.mean()", "x / x.to_numpy()[:2].sum()"):
        with pytest.raises(LgmError, match="needs a number of all rows, which are not in memory"):
            evaluate(_read(text), frame, {}, memory)


def test_nothing_is_learnt_later() -> None:
    frame, memory = _frame(), dict[str, Any]()
    expression = _read("x - x.unique()")  # as many values as rows: not a number of all of them
    evaluate(expression, frame, {}, memory)
    before = repr(memory)
    evaluate(expression, frame.iloc[[1, 1, 1]].assign(x=2.0), {}, memory)
    assert repr(memory) == before


def test_values_of_a_row_are_not_kept() -> None:
    frame, memory = _frame(), dict[str, Any]()
    for text in ("[abs(v) for v in x]", "x.map(lambda v: round(v))", "[v.upper() for v in g]"):
        expression = _read(text)
        evaluate(expression, frame, {}, memory)
        got = evaluate(expression, frame.iloc[[5]], {}, memory)
        assert list(got) == list(evaluate(expression, frame, {}, {}))[5:6]


def test_an_evaluation_that_fails_teaches_nothing() -> None:
    memory: dict[str, Any] = {}
    expression = _read("x.mean() + missing(x)")
    with pytest.raises(ZeroDivisionError):
        evaluate(expression, _frame(), {"missing": lambda _: 1 / 0}, memory)
    assert memory == {}
