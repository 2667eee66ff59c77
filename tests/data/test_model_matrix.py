"""formulaic's columns, with what lgm adds: stored zeros, memory, checks."""

from __future__ import annotations

from importlib.metadata import version
from inspect import Parameter, Signature, signature
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from formulaic import model_matrix
from formulaic.materializers import PandasMaterializer
from formulaic.parser.types import Factor

from lgm.data.expression import names_of
from lgm.data.model_matrix import _Columns, _product, full_column, materialise
from lgm.data.scope import Scope
from lgm.errors import DataError, FormulaError, IdentifiabilityError
from lgm.formula.parse import parse

FRAME = pd.DataFrame(
    {"x": [0.0, 1, 0, 2], "z": [3.0, 0, 1, 5], "f": list("abab"), "flag": [True, False, True, True], "my x": 1.0}
)


def _scope(right: str, frame: pd.DataFrame = FRAME) -> Scope:
    return Scope(parse(f"y ~ {right}", set()), frame, {}, term_names=("s",))


def _columns(right: str, frame: pd.DataFrame = FRAME) -> tuple[sp.csc_array, list[str]]:
    scope = _scope(right, frame)
    return materialise(scope.formula.mu.fixed, scope)[1:]


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
    found = _scope("1 + `my x` + log(`my x`) + 2:z").formula.mu.fixed.factors
    assert [names_of(each, FRAME.columns, {}).columns for each in found.values()] == [("my x",), ("my x",), ("z",)]


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
    effects = scope.formula.mu.fixed
    spec, _, names = materialise(effects, scope)
    assert names == ["Intercept", "powers(x)[p1]", "powers(x)[p2]"]
    with pytest.raises(DataError, match=r"`powers\(x\)` gives the columns .*p3\] here, but .* in the fit"):
        materialise(effects, scope.on(FRAME), spec=spec)


def test_two_transformations_of_columns_in_backticks_do_not_share_their_memory() -> None:
    frame = FRAME.assign(**{"my z": FRAME["z"] * 3 + 5, "my x": FRAME["x"]})
    columns, names = _columns("scale(`my x`) + scale(`my z`)", frame)
    assert names == ["Intercept", "scale(`my x`)", "scale(`my z`)"]
    np.testing.assert_allclose(columns.toarray().mean(axis=0), [1, 0, 0], atol=1e-15)


def test_numbers_that_scale_a_term() -> None:
    np.testing.assert_array_equal(_columns("0 + 2:x + 0.5:z + .25:x:z")[0].toarray()[3], [4.0, 2.5, 2.5])


# What lgm replaces in formulaic's encoder. Of a version that moves any of it, lgm/data/model_matrix.py must be checked.

REPLACED = {
    "_evaluate_factor": "(self, factor, spec, drop_rows)",
    "_lookup": "(self, name)",
    "_evaluate": "(self, expr, metadata, spec)",
    "_is_categorical": "(self, values)",
    "_encode_constant": "(self, value, metadata, encoder_state, spec, drop_rows)",
    "_encode_numerical": "(self, values, metadata, encoder_state, spec, drop_rows)",
    "_encode_evaled_factor": "(self, factor, spec, drop_rows, reduced_rank=False)",
    "_get_columns_for_term": "(self, factors, spec, scale=1)",
    "_enforce_structure": "(self, cols, spec, drop_rows)",
}


def _signature(method: Any) -> str:
    bare = [parameter.replace(annotation=Parameter.empty) for parameter in signature(method).parameters.values()]
    return str(Signature(bare))


@pytest.mark.parametrize("name", REPLACED)
def test_formulaic_has_the_methods_that_are_replaced(name: str) -> None:
    method = getattr(PandasMaterializer, name, None)
    assert method is not None, f"formulaic {version('formulaic')} has no {name}"
    assert _signature(method) == REPLACED[name], f"formulaic {version('formulaic')} has changed {name}"
    assert _signature(getattr(_Columns, name)) == REPLACED[name]


def test_all_replaced_methods_are_listed() -> None:
    own = {name for name, value in vars(_Columns).items() if callable(value) and hasattr(PandasMaterializer, name)}
    assert own == {"__init__", *REPLACED}
    assert _signature(PandasMaterializer.__init__) == "(self, data, context=None, **params)"


def test_formulaic_keeps_what_is_read_of_it() -> None:
    scope = _scope("x + f")
    encoder = _Columns(scope, scope.formula.mu.fixed)
    spec = encoder.get_model_matrix(scope.formula.mu.fixed.formula, output="sparse", na_action="ignore").model_spec
    assert encoder.factor_cache.keys() == {"1", "x", "f"}
    assert encoder.factor_cache["1"].values.__wrapped__ == 1
    assert encoder.factor_cache["f"].metadata.kind is Factor.Kind.CATEGORICAL
    kind, state = spec.encoder_state["f"]
    assert kind is Factor.Kind.CATEGORICAL and list(state["categories"]) == ["a", "b"]
    assert [str(structure.term) for structure in spec.structure] == ["1", "x", "f"]
    assert [structure.columns for structure in spec.structure] == [["Intercept"], ["x"], ["f[T.b]"]]
    assert all(len(structure) == 3 for structure in spec.structure)
