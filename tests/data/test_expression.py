"""What names in expressions stand for, and the values of expressions."""

from __future__ import annotations

import ast
import math
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from formulaic.transforms import TRANSFORMS, scale

from lgm.data.expression import evaluate, function, names_of
from lgm.formula.python import Expression
from lgm.formula.tokens import tokenize

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


def _read(text: str) -> Expression:
    (token,) = tokenize(text if text.startswith("{") else f"{{{text}}}")
    return Expression.of(token)


@pytest.mark.parametrize(("text", "columns", "others", "functions", "value"), CASES, ids=[case[0] for case in CASES])
def test_expressions(text: str, columns: list[str], others: list[str], functions: list[str], value: Any) -> None:
    expression = _read(text)
    around = {**COLUMNS} if "np" in columns else {k: v for k, v in COLUMNS.items() if k != "np"}
    names = names_of(expression, around, OUTSIDE)
    assert (list(names.columns), list(names.others), list(names.functions)) == (columns, others, functions)
    got = np.asarray(evaluate(expression, around, OUTSIDE, {}))
    if got.dtype.kind in "OU":
        assert got.tolist() == value
    else:
        np.testing.assert_allclose(got, value)


def test_a_column_by_its_name() -> None:
    for name in ("a-b", "log", "x y.z"):
        expression = Expression.column(name)
        assert names_of(expression, COLUMNS, {}).columns == (name,)
        assert evaluate(expression, COLUMNS, {}, {}) is COLUMNS[name]


def test_data_come_before_other_names() -> None:
    assert evaluate(_read("x"), COLUMNS, {"x": 3}, {}) is COLUMNS["x"]
    assert evaluate(_read("`k k`"), COLUMNS, {"k k": 3}, {}) == 3


def test_functions_are_found_among_callables_only() -> None:
    assert function("log", {"log": 3}) is np.log
    assert function("log", {"log": math.log}) is math.log
    assert function("abs", {}) is abs
    assert function("foo", {}) is None


def test_memory_is_filled_once() -> None:
    memory: dict[str, Any] = {}
    expression = _read("scale(`my x`)")
    np.testing.assert_allclose(evaluate(expression, COLUMNS, {}, memory), np.array([-1, 1]) / np.sqrt(2))
    other = {"my x": pd.Series([3.0, 3.0, 5.0])}
    np.testing.assert_allclose(evaluate(expression, other, {}, memory), np.array([1, 1, 3]) / np.sqrt(2))


@pytest.mark.parametrize(
    "text",
    [
        "scale(`my x`) - scale(`a-b`)",
        "scale(x) + scale(x)",
        "poly(scale(x) + k, 1)[:, 0] + center(x)",
        "math.fsum([1]) * mine.scale(x)",
        "tools['scale'](x)",
        "np.log(center(x) + 10)",
    ],
)
def test_every_call_of_a_stateful_transformation_has_its_own_memory(text: str) -> None:
    memory: dict[str, Any] = {}
    around = {**OUTSIDE, "mine": SimpleNamespace(scale=scale), "tools": {"scale": scale}}
    expression = _read(text)
    columns = {name: values for name, values in COLUMNS.items() if name not in ("np", "log")}
    whole = np.asarray(evaluate(expression, columns, around, memory))
    assert memory[expression.text]
    last = {name: values.iloc[1:] for name, values in columns.items()}
    np.testing.assert_allclose(np.asarray(evaluate(expression, last, around, memory)), whole[1:])


def test_what_a_stateful_transformation_is_handed() -> None:
    def spy(values: Any, shift: float, **handed: Any) -> Any:
        seen.append(handed)
        handed["_state"]["rows"] = len(values)
        return values + shift

    spy.__is_stateful_transform__ = True  # type: ignore[attr-defined]
    seen: list[dict[str, Any]] = []
    memory: dict[str, Any] = {}
    evaluate(_read("spy(x, shift=k)"), COLUMNS, {"spy": spy, "k": 2.0}, memory)
    assert seen[0].keys() == {"_state", "_metadata", "_context", "_spec"}
    assert seen[0]["_context"]["x"] is COLUMNS["x"] and seen[0]["_context"]["k"] == 2.0
    assert seen[0]["_context"]["center"] is TRANSFORMS["center"]
    assert memory == {"spy(x, shift=k)": {0: {"rows": 2}}}


def test_formulaic_still_marks_its_stateful_transformations() -> None:
    for name in ("scale", "center", "poly", "bs", "cr", "cc"):
        assert TRANSFORMS[name].__is_stateful_transform__, name
    assert not hasattr(np.log, "__is_stateful_transform__")
    state: dict[str, Any] = {}
    scale(COLUMNS["x"], _state=state, _metadata=None, _context={}, _spec=None)
    assert state


def test_an_expression_does_not_change_when_it_is_evaluated() -> None:
    expression = _read("np.log(`my x`) + a.b + log(log) * scale(x)")
    before = ast.dump(expression.tree)
    evaluate(expression, {name: COLUMNS[name] for name in ("my x", "a.b", "log", "x")}, {}, {})
    assert ast.dump(expression.tree) == before


def test_names_around_are_in_reach_of_nested_functions() -> None:
    np.testing.assert_allclose(evaluate(_read("x.map(lambda v: v * k)"), COLUMNS, {"k": 3}, {}), [3, 12])
    assert evaluate(_read("[half(v) + k for v in x]"), COLUMNS, {**OUTSIDE}, {}) == [2.5, 4.0]


def test_what_is_not_finite_gives_no_warning() -> None:
    assert np.isneginf(evaluate(_read("log(x * 0)"), COLUMNS, {}, {})).all()


def test_columns_called_like_words_of_python_and_names_that_python_would_change() -> None:
    columns = {name: pd.Series([float(i)]) for i, name in enumerate(["None", "class", "no", "nº", "\u00b5", "\u03bc"])}
    for text, value in [
        ("`None` + `class`", 1.0),
        ("nº * 2", 6.0),
        ("nº * 10 + no", 32.0),
        ("\u00b5 * 10 + \u03bc", 45.0),
        ("`\u00b5` * 10 + \u00b5", 44.0),
        ("nº.clip(1)", 3.0),
    ]:
        assert evaluate(_read(text), columns, {}, {}).tolist() == [value]


def test_a_name_of_the_users_is_the_one_that_python_keeps() -> None:
    outside = {"\u03bc": 2.0, "no": 3.0}
    read = _read("x * \u00b5 + nº")
    assert names_of(read, COLUMNS, outside).others == ("\u03bc", "no")
    assert evaluate(read, COLUMNS, outside, {}).tolist() == [5.0, 11.0]
    assert names_of(_read("\u00b5"), {"\u00b5"}, outside).columns == ("\u00b5",)
    assert names_of(_read("\u00b5"), {"\u03bc"}, {}).others == ("\u00b5",)


def _raising(error: type[BaseException]) -> dict[str, Any]:
    def fail() -> None:
        raise error

    return {"fail": fail}


@pytest.mark.parametrize("text", ["exit()", "[quit(3) for v in x]", "sys.exit('no')"])
def test_an_expression_does_not_end_the_process(text: str) -> None:
    with pytest.raises(RuntimeError, match="it raises SystemExit"):
        evaluate(_read(text), COLUMNS, {"sys": sys}, {})


def test_only_an_interrupt_goes_through_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="it raises GeneratorExit"):
        evaluate(_read("fail()"), COLUMNS, _raising(GeneratorExit), {})
    with pytest.raises(KeyboardInterrupt):
        evaluate(_read("fail()"), COLUMNS, _raising(KeyboardInterrupt), {})
    with pytest.raises(ZeroDivisionError):
        evaluate(_read("1 / 0"), COLUMNS, {}, {})


def test_a_module_beside_a_column_of_its_name_is_found() -> None:
    """It is among the names that are needed from outside, though the column hides it elsewhere."""
    columns = {"x": pd.Series([1.0, 4.0]), "math": pd.Series([1.0, 2.0])}
    expression = _read("math.sqrt(4) * x + math")
    names = names_of(expression, columns, {"math": math})
    assert names.modules == ("math",) and names.columns == ("x", "math") and names.others == ()
    assert evaluate(expression, columns, {"math": math}, {}).tolist() == [3.0, 10.0]
    assert names_of(expression, columns, {}).modules == ()
