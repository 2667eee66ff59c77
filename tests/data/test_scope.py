"""Pieces of a formula find their values, and nothing is guessed."""

from __future__ import annotations

import gc
import weakref
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lgm.data.expression import names_of
from lgm.data.scope import Scope, StandIns, names_in, option, taken
from lgm.errors import DataError, FormulaError
from lgm.formula.parse import parse

FRAME = pd.DataFrame(
    {"y": [1.0, 2.0, 3.0], "x": [1, 2, 4], "g": list("aba"), "body mass": [3.0, 4.0, 5.0]}, index=[7, 8, 9]
)


def _scope(right: str, **env: Any) -> Scope:
    formula = parse(f"y ~ {right}", {"s", "rw1", "icar"})
    return Scope(formula, FRAME, env, tuple(FRAME.columns), term_names=("s", "rw1", "icar"))


def _times() -> dict[str, pd.Series]:
    day = pd.to_datetime(pd.Series(["2020-01-05", "2020-03-01", "2020-01-01"], index=FRAME.index))
    return {"day": day, "month": day.dt.to_period("M"), "span": day - day.min()}


def _first(scope: Scope) -> Any:
    return next(scope.formula.mu.pieces)


def test_names() -> None:
    one, two = parse("y ~ np.log(x + y, base=k) + f(`a b`)", set()).mu.expressions
    assert names_in(one) == ["np", "x", "y", "k"]
    assert names_in(two) == ["a b", "f"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", [1, 2, 4]),
        ("log(x)", np.log([1, 2, 4])),
        ("{x / k}", [0.5, 1, 2]),
        ("`body mass`", [3, 4, 5]),
        ("w", [5, 6, 7]),
        ("np.sqrt(x)", np.sqrt([1, 2, 4])),
        ("x.cumsum()", [1, 3, 7]),
    ],
)
def test_numbers(text: str, expected: Any) -> None:
    scope = _scope(f"s({text})", k=2, w=[5, 6, 7])
    values = scope.numbers(_first(scope), "the variable")
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, expected)


@pytest.mark.parametrize(
    ("advice", "expected"),
    [
        ("(day - day.min()).dt.days", [4, 60, 0]),
        ('month.astype("int64")', [600, 602, 600]),
        ("span.dt.days", [4, 60, 0]),
    ],
)
def test_what_is_advised_for_times_is_numbers(advice: str, expected: list[int]) -> None:
    scope = _scope(f"s({advice})", **_times())
    assert scope.numbers(_first(scope), "the variable").tolist() == expected


def test_columns_have_the_index_of_the_rows() -> None:
    scope = _scope("s(w)", w=np.array([5, 6, 7]))
    assert scope.column(_first(scope), "the variable").index.tolist() == [7, 8, 9]
    assert scope.column(_first(_scope("(1|C(g))")), "the group").tolist() == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("w", FormulaError, "the variable `w` is an array of 2 values."),
        ("k", FormulaError, "the variable `k` is a single value, 2."),
        ("np.ones((3, 2))", FormulaError, "is an array of shape (3, 2)."),
        ("np", FormulaError, "`np` is not a column of the data, and no such name is in reach."),
        ("max", FormulaError, "`max` is not a column of the data"),
        ("x.foo", FormulaError, "`x.foo` cannot be evaluated: AttributeError: "),
        ("{x / g}", FormulaError, "cannot be evaluated: TypeError: "),
        (
            "day",
            DataError,
            "holds dates, but it must be numeric. Write the days since the first date, (day - day.min())",
        ),
        (
            "month",
            DataError,
            'holds periods, but it must be numeric. Write how many they are after 1970, month.astype("int',
        ),
        ("span", DataError, "holds durations, but it must be numeric. Write their days, span.dt.days."),
        ("g", DataError, "holds text, but it must be numeric."),
        ("{x > 1}", DataError, "holds booleans, but it must be numeric."),
        ("{x + 1j}", DataError, "holds complex numbers."),
        ("log(x - 1)", DataError, "the variable `log(x - 1)` is not finite in 1 of 3 rows (rows 7)."),
    ],
)
def test_what_is_not_one_number_per_row(text: str, error: type[Exception], message: str) -> None:
    scope = _scope(f"s({text})", w=np.ones(2), k=2, **_times())
    with pytest.raises(error) as caught:
        scope.numbers(_first(scope), "the variable")
    assert message in str(caught.value)


def test_memory_is_shared_with_other_rows() -> None:
    scope = _scope("s(center(x))")
    piece = _first(scope)
    assert scope.numbers(piece, "")[0] == pytest.approx(1 - 7 / 3)
    other = scope.on(FRAME.iloc[2:])
    assert other.numbers(piece, "") == pytest.approx([4 - 7 / 3])


def test_options() -> None:
    scope = _scope("s(x, bs='cr')")
    assert option(scope, scope.formula.mu.calls[0].keywords[0].value, "bs", ("tp", "cr")) == "cr"
    scope = _scope("s(x, bs=kind)", kind="tp")
    assert option(scope, scope.formula.mu.calls[0].keywords[0].value, "bs", ("tp", "cr")) == "tp"
    scope = _scope("s(x, bs=cr)")
    with pytest.raises(FormulaError, match="Put it in quotes: bs='cr'"):
        option(scope, scope.formula.mu.calls[0].keywords[0].value, "bs", ("tp", "cr"))


def test_of_the_names_around_only_those_of_the_formula_are_taken() -> None:
    (one,) = parse("y ~ {np.log(x) + k + exp(z) + m.q(x)}", set()).mu.expressions
    module = ModuleType("m")
    env = {"k": 2, "np": np, "unused": object(), "exp": 3, "m": module, "x": 5}
    names = names_of(one, {"x", "z", "np", "m"}, env)
    assert taken(names, env) == {"k": 2, "np": np, "m": module}  # a number is not what `exp(z)` calls


def test_what_is_taken_neither_changes_nor_keeps_what_it_was_cut_from() -> None:
    class Large(np.ndarray):
        """An array that can be watched."""

    large = np.zeros(1000).view(Large)
    env: dict[str, Any] = {"knots": large[:3], "levels": ["a"], "table": pd.DataFrame({"a": large[:4]}, copy=False)}
    (one,) = parse("y ~ f(x, knots, levels, table)", set()).mu.expressions
    found, watched = taken(names_of(one, {"x"}, env), env), weakref.ref(large)
    large[0], env["levels"][0] = 5.0, "b"
    assert found["knots"].tolist() == [0, 0, 0] and found["levels"] == ["a"] and found["table"]["a"].tolist() == [0] * 4
    del large, env
    gc.collect()
    assert watched() is None


def test_rows_that_stand_for_others() -> None:
    whole, moments = _scope("x"), (np.zeros(1), np.ones(1), np.ones(1, dtype=bool))
    one = StandIns(whole.formula, FRAME, {}, counts=np.array([2.0, 1.0, 5.0]), columns_of={"x": moments})
    assert whole.times is None and one.times is not None
    assert whole.moments("x") is None and one.moments("x") is moments and one.moments("z") is None
    whole.require_rows("te(x)")
    with pytest.raises(DataError, match=r"te\(x\) learns from all rows at once.*the data as one table"):
        one.require_rows("te(x)")
