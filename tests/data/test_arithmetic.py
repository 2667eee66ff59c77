"""Whole numbers and booleans of any type against Python's own whole numbers, which do not wrap around."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lgm.data.arithmetic import as_called, called_with_doubles, compute

OPERATORS: list[Callable[[Any, Any], Any]] = [
    *(operator.add, operator.sub, operator.mul, operator.pow, operator.mod, operator.floordiv),
    *(np.add, np.subtract, np.multiply, np.power, np.maximum),
]
NUMBERS = [1, 3, 100, 2_000_000_000, 4_000_000_000_000_000_000]


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8", "Int64", "Int16", "bool", "boolean", "uint64"])
@pytest.mark.parametrize("function", OPERATORS, ids=lambda f: f.__name__)
def test_operators_on_columns(function: Callable[[Any, Any], Any], dtype: str) -> None:
    top = 1 if dtype.lower().startswith("bool") else {"8": 127, "6": 30_000, "4": 2**62}[dtype[-1]]
    values = [number for number in NUMBERS if number <= top]
    column = pd.Series(values).astype(dtype)
    for other in (2, 3, True):
        expected = [_python(function, value, other) for value in values]
        got = compute(function, column, other)
        np.testing.assert_allclose(np.asarray(got, dtype=float), np.array(expected, dtype=float), rtol=1e-15)
    both = compute(function, column, column) if function not in (operator.pow, np.power) else None
    if both is not None:
        expected = [_python(function, value, value) for value in values]
        np.testing.assert_allclose(np.asarray(both, dtype=float), np.array(expected, dtype=float), rtol=1e-15)


def _python(function: Callable[[Any, Any], Any], left: int, right: int) -> int:
    own = {np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul, np.power: operator.pow}
    found = max if function is np.maximum else own.get(function, function)  # type: ignore[call-overload]
    return int(found(int(left), int(right)))


def test_booleans_count() -> None:
    a, b = np.array([True, True, False]), pd.Series([True, False, False])
    assert compute(operator.add, a, b).tolist() == [2, 1, 0]
    assert compute(operator.sub, b, a).tolist() == [0, -1, 0]
    assert compute(operator.neg, b).tolist() == [-1, 0, 0]
    assert as_called(b.add)(a).tolist() == [2, 1, 0]
    assert as_called(np.add)(a, a).tolist() == [2, 2, 0]


def test_functions_of_booleans_have_the_precision_of_doubles() -> None:
    """NumPy computes them with 16 bits."""
    flags = np.array([True, False])
    assert as_called(np.exp)(flags).tolist() == np.exp([1.0, 0.0]).tolist()
    assert as_called(np.sqrt)(np.array([2, 3], dtype=np.int8)).tolist() == np.sqrt([2.0, 3.0]).tolist()


def test_small_results_stay_whole_and_so_labels_stay_as_they_are() -> None:
    x = pd.Series([1, 2, 3])
    assert compute(operator.add, x, 1).dtype == np.int64
    assert compute(operator.mul, x.astype("int8"), 100).tolist() == [100, 200, 300]
    assert compute(operator.pow, x, -1).tolist() == [1.0, 0.5, 1 / 3]
    ids = pd.Series([2**60 + 1, 2**60 + 3])  # doubles do not tell them apart, whole numbers do
    assert compute(operator.mod, ids, 10).tolist() == [(2**60 + 1) % 10, (2**60 + 3) % 10]


def test_division_by_zero_is_not_zero() -> None:
    with np.errstate(all="ignore"):
        assert np.isinf(compute(operator.floordiv, np.array([3, 4]), np.array([1, 0]))).tolist() == [False, True]


def test_what_is_no_number_stays_as_it_is() -> None:
    flags, text, days = np.array([True, False]), pd.Series(["a", "b"]), pd.to_datetime(pd.Series(["2020-01-01"]))
    assert as_called(np.bitwise_or)(flags, flags).dtype == bool
    assert as_called(np.logical_and)(flags, flags).dtype == bool
    assert compute(operator.add, text, "c").tolist() == ["ac", "bc"]
    assert compute(operator.add, days, pd.Timedelta("1D")).dt.day.tolist() == [2]
    assert compute(operator.add, 2, 3) == 5
    assert compute(operator.mul, flags, 0.5).tolist() == [0.5, 0.0]


def test_functions_of_python() -> None:
    x = pd.Series([5, 3_000_000_000])
    assert as_called(lambda v: v**3)(x).tolist() == [125.0, 2.7e28]
    assert as_called(lambda v: v * 2)(x).dtype == np.int64
    looked_up = np.array([10, 20, 30])
    assert as_called(lambda v: looked_up[v])(pd.Series([2, 0])).tolist() == [30, 10]
    assert as_called(np.cumprod)(pd.Series([2**40, 2**40])).tolist() == [2.0**40, 2.0**80]
    assert as_called(pd.Series([2**40, 2**40]).prod)() == 2.0**80
    assert called_with_doubles(lambda v, k: v**k, x, 3).tolist() == [125.0, 2.7e28]
