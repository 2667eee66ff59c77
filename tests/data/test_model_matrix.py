"""formulaic's columns, with what lgm adds: stored zeros, memory, checks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from formulaic import Formula as Formulaic
from formulaic import model_matrix

from lgm.data.model_matrix import _product, expression, factors, full_column, materialise
from lgm.data.scope import Scope
from lgm.errors import DataError, FormulaError, IdentifiabilityError
from lgm.formula.parse import parse
from lgm.formula.tokens import Span

FRAME = pd.DataFrame(
    {"x": [0.0, 1, 0, 2], "z": [3.0, 0, 1, 5], "f": list("abab"), "flag": [True, False, True, True], "my x": 1.0}
)


def _scope(right: str, frame: pd.DataFrame = FRAME) -> Scope:
    return Scope(parse(f"y ~ {right}", set()), frame, {}, term_names=("s",))


def _columns(right: str, frame: pd.DataFrame = FRAME) -> tuple[sp.csc_array, list[str]]:
    return materialise(Formulaic(right), _scope(right, frame), Span(4, 5))[1:]


def test_numbers_store_their_zeros_and_indicators_do_not() -> None:
    columns, names = _columns("x + f + flag + f:x + x:z")
    stored = dict(zip(names, np.diff(columns.indptr).tolist(), strict=True))
    assert stored == {"Intercept": 4, "x": 4, "f[T.b]": 2, "flag[T.True]": 3, "f[T.b]:x": 2, "x:z": 4}
    expected = model_matrix("x + f + C(flag) + f:x + x:z", FRAME).to_numpy(dtype=float)
    np.testing.assert_array_equal(columns.toarray(), expected)


def test_products_keep_the_places_that_both_factors_have() -> None:
    def column(places: list[int], values: list[float]) -> sp.csc_matrix:
        return sp.csc_matrix((values, places, [0, len(places)]), shape=(4, 1))

    a, b, full = column([0, 2], [0.0, 3.0]), column([1, 2], [5.0, 0.0]), full_column(np.array([0.0, 1, 2, 0]))
    for one, two, places in [(a, b, [2]), (a, full, [0, 2]), (full, b, [1, 2]), (full, full, [0, 1, 2, 3])]:
        product = _product(one, two)
        assert product.indices.tolist() == places
        np.testing.assert_array_equal(product.toarray(), one.toarray() * two.toarray())


def test_factors_and_their_expressions() -> None:
    found = factors(Formulaic("1 + `my x` + log(`my x`) + 2:z"))
    assert [expression(factor).names(FRAME.columns, {}).columns for factor in found] == [("my x",), ("my x",), ("z",)]


def test_a_formula_without_columns() -> None:
    columns, names = _columns("0")
    assert columns.shape == (4, 0) and names == []


def test_other_users_of_formulaic_keep_their_encoders() -> None:
    assert model_matrix("x + flag", FRAME).model_spec.materializer == "pandas"
    assert model_matrix("x", FRAME, output="sparse").model_spec.materializer == "pandas"


@pytest.mark.parametrize(
    ("right", "error", "message"),
    [
        ("{x[:2]}", FormulaError, "`x[:2]` is an array of 2 values."),
        ("{x * 1j}", DataError, "`x * 1j` holds complex values, which cannot be a predictor."),
        ("mixed", DataError, "`mixed` holds numbers among other things, which cannot be a predictor."),
        ("{x / x}", DataError, "the column `x / x` is nan in row 0"),
        ("C(gaps)", DataError, "`C(gaps)` is missing in 1 of 4 rows (rows 3)."),
        ("one", IdentifiabilityError, "the term `one` adds no column: `one` has one level, 'k'. Remove it."),
    ],
)
def test_errors(right: str, error: type[Exception], message: str) -> None:
    frame = FRAME.assign(mixed=[1, "a", 2, "b"], gaps=["a", "b", "a", None], one="k")
    with pytest.raises(error) as caught:
        _columns(right, frame)
    assert message in str(caught.value)


def test_bases_that_change_their_columns_are_refused() -> None:
    def powers(x: pd.Series) -> pd.DataFrame:
        return pd.DataFrame({f"p{k}": x**k for k in range(1, len(x))})

    scope = Scope(parse("y ~ powers(x)", set()), FRAME.iloc[:3], {"powers": powers})
    spec, _, names = materialise(Formulaic("powers(x)"), scope, Span(4, 5))
    assert names == ["Intercept", "powers(x)[p1]", "powers(x)[p2]"]
    with pytest.raises(DataError, match=r"`powers\(x\)` gives the columns .*p3\] here, but .* in the fit"):
        materialise(spec, scope.on(FRAME), Span(4, 5))
