"""Names in expressions, and their values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lgm.data.expression import Expression, function

COLUMNS = {
    name: pd.Series(values)
    for name, values in {
        "x": [1.0, 4.0],
        "log": [1.0, 2.0],
        "np": [3.0, 4.0],
        "my x": [1.0, 3.0],
        "a.b": [0.0, 1.0],
        "a-b": [5.0, 6.0],
        "x y.z": [7.0, 8.0],
    }.items()
}

# expression, columns, other names, functions, value
CASES: list[tuple[str, list[str], list[str], list[str], Any]] = [
    ("x", ["x"], [], [], [1, 4]),
    ("{x + 1}", ["x"], [], [], [2, 5]),
    ("`my x`", ["my x"], [], [], [1, 3]),
    ("`a-b`", ["a-b"], [], [], [5, 6]),
    ("`my x` + `a-b`", ["my x", "a-b"], [], [], [6, 9]),
    ("{`my x` - x}", ["my x", "x"], [], [], [0, -1]),
    ("log(log)", ["log"], [], ["log"], np.log([1, 2])),
    ("np.sqrt(np)", ["np"], [], [], np.sqrt([3, 4])),
    ("np.sqrt(x)", ["x"], ["np"], [], [1, 2]),
    ("a.b + `x y.z`", ["a.b", "x y.z"], [], [], [7, 9]),
    ("x.clip(0, 2)", ["x"], [], [], [1, 2]),
    ("x.astype(float)", ["x"], ["float"], [], [1, 4]),
    ("Q('my x') * 2", ["my x"], [], [], [2, 6]),
    ("abs(x - k)", ["x"], ["k"], ["abs"], [1, 2]),
    ("math.sqrt(4) * x", ["x"], ["math"], [], [2, 8]),
    ("half(x)", ["x"], [], ["half"], [0.5, 2]),
    ("pd.Series([v * 2 for v in x])", ["x"], ["pd"], [], [2, 8]),
    ("x.map(lambda v: v + 1)", ["x"], [], [], [2, 5]),
    ("scale(x, scale=False)", ["x"], [], ["scale"], [-1.5, 1.5]),
    ("np.where(x > 2, 'a', 'b')", ["x"], ["np"], [], ["b", "a"]),
]
OUTSIDE = {"k": 2.0, "math": math, "pd": pd, "half": lambda v: v / 2, "log": 3}


@pytest.mark.parametrize(("text", "columns", "others", "functions", "value"), CASES, ids=[case[0] for case in CASES])
def test_expressions(text: str, columns: list[str], others: list[str], functions: list[str], value: Any) -> None:
    expression = Expression.of(text)
    around = {**COLUMNS} if "np" in columns else {k: v for k, v in COLUMNS.items() if k != "np"}
    names = expression.names(around, OUTSIDE)
    assert (list(names.columns), list(names.others), list(names.functions)) == (columns, others, functions)
    got = np.asarray(expression.evaluate(around, OUTSIDE, {}))
    if got.dtype.kind in "OU":
        assert got.tolist() == value
    else:
        np.testing.assert_allclose(got, value)


def test_a_column_by_its_name() -> None:
    for name in ("a-b", "log", "x y.z"):
        expression = Expression.column(name)
        assert expression.names(COLUMNS, {}).columns == (name,)
        assert expression.evaluate(COLUMNS, {}, {}) is COLUMNS[name]


def test_data_come_before_other_names() -> None:
    assert Expression.of("x").evaluate(COLUMNS, {"x": 3}, {}) is COLUMNS["x"]
    assert Expression.of("`k k`").evaluate(COLUMNS, {"k k": 3}, {}) == 3


def test_functions_are_found_among_callables_only() -> None:
    assert function("log", {"log": 3}) is np.log
    assert function("log", {"log": math.log}) is math.log
    assert function("abs", {}) is abs
    assert function("foo", {}) is None


def test_memory_is_filled_once() -> None:
    memory: dict[str, Any] = {}
    expression = Expression.of("scale(`my x`)")
    np.testing.assert_allclose(expression.evaluate(COLUMNS, {}, memory), np.array([-1, 1]) / np.sqrt(2))
    other = {"my x": pd.Series([3.0, 3.0, 5.0])}
    np.testing.assert_allclose(expression.evaluate(other, {}, memory), np.array([1, 1, 3]) / np.sqrt(2))


def test_what_is_not_finite_gives_no_warning() -> None:
    assert np.isneginf(Expression.of("log(x * 0)").evaluate(COLUMNS, {}, {})).all()
