"""Knots by position and by name."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.data.scope import Scope
from lgm.formula.parse import parse
from lgm.formula.sides import Call
from lgm.terms import knots


def read(right: str, **env: Any) -> Any:
    formula = parse(f"y ~ {right}", ("s", "te", "ti"))
    [call] = formula.mu.calls
    assert isinstance(call, Call)
    scope = Scope(formula, pd.DataFrame({"y": [0.0]}), env)
    given = {keyword.name: keyword.value for keyword in call.keywords}
    return (knots.of_smooth if call.name == "s" else knots.of_margins)(given["knots"], call.args, scope)


def test_of_a_smooth() -> None:
    np.testing.assert_array_equal(read("s(x, knots=[3, 1, 2])"), [[1.0], [2.0], [3.0]])
    np.testing.assert_array_equal(read("s(x, knots={'x': [3, 1]})"), [[1.0], [3.0]])
    points = [[0.0, 5.0], [1.0, 4.0]]
    np.testing.assert_array_equal(read("s(x, z, knots=at)", at=points[::-1]), points)


def test_a_mapping_keeps_points_together() -> None:
    """As they stand, not in the order of each variable."""
    np.testing.assert_array_equal(read("s(x, z, knots={'x': [1, 0], 'z': [4, 5]})"), [[0.0, 5.0], [1.0, 4.0]])


def test_of_margins() -> None:
    first, second = read("te(x, log(z), knots={'log(z)': [2, 1]})")
    assert first is None
    np.testing.assert_array_equal(second, [1.0, 2.0])
    np.testing.assert_array_equal(read("ti(x, knots=[2, 1])")[0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("right", "message"),
    [
        (
            "s(x, knots='ab')",
            r"knots='ab' are no knots(.|\n)*a list of at least two .* knots=\[0, 5, 10\]",
        ),
        ("s(x, z, knots=[1, 2])", r"are no knots(.|\n)*points of 2 numbers each"),
        ("s(x, z, knots={'x': [1, 2]})", "has no knots of z"),
        ("s(x, z, knots={'x': [1, 2], 'z': [1, 2, 3]})", "has lists of different lengths"),
        ("s(weight, knots={'wieght': [1, 2]})", "'wieght', which is no variable of this term.*`weight`"),
        ("te(x, z, knots=[1, 2])", r"are no knots(.|\n)*a mapping from variables to lists.*\{'x': \[0, 5, 10\]\}"),
        ("te(x, z, knots={'x': [1, None]})", "The knots of `x` are no list of numbers"),
        ("te(x, z, knots={'x': [1]})", "at least two finite numbers"),
        ("te(x, z, knots={'x': [1, float('inf')]})", "The knots of `x` are no list of numbers"),
    ],
)
def test_what_is_refused(right: str, message: str) -> None:
    with pytest.raises(lgm.FormulaError, match=message):
        read(right)
