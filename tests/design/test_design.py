"""A design holds the columns that its formula means; new rows are encoded as those of the fit were."""

from __future__ import annotations

import tracemalloc
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from formulaic import model_matrix

import lgm
from lgm import DataError, IdentifiabilityError
from lgm.design.design import Design, build, encode
from lgm.design.predictor import Parts
from lgm.families.gaussian import Gaussian
from lgm.formula.parse import parse
from lgm.terms import TERMS

N = 60


def _data(n: int = N) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.integers(-2, 3, n).astype(float),  # with zeros
            "z": rng.normal(size=n),
            "f": rng.choice(list("pqr"), n),
            "a": rng.choice(["a2", "a1", "a3"], n),
            "b": rng.choice(list("uvw"), n),
            "t": rng.integers(0, 12, n),
            "flag": rng.uniform(size=n) < 0.5,
        }
    )


DATA = _data()


def _design(formula: str, data: Any = None, **arguments: Any) -> Design:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lgm.IdentifiabilityWarning)
        return lgm.model(formula, DATA if data is None else data, **arguments).design


def _built(formula: str, data: Any, **env: Any) -> Design:
    """The design alone, without the posterior."""
    return build(parse(formula, tuple(TERMS)), data, Gaussian(), env, None, "drop")


# Fixed part -----------------------------------------------------------------------------------------------------------

FIXED = [
    "1", "x", "x - 1", "0 + f", "f", "f + b", "f*b", "f:b", "0 + f:x", "x*f", "poly(z, 3)", "bs(z, df=5)",
    "scale(x) + z", "log(t + 1)", "{x + z}", "2:x", "C(t)", "C(f, contr.sum)", "C(f, contr.treatment('q'))",
    "C(f, levels=['r', 'q', 'p'])", "x + z + x:z", "(x + z + f)**2", "np.sin(z)", "I(x**2)", "center(z):f",
    "a %in% f", "cr(z, df=4) - 1",
]  # fmt: skip


def test_columns_are_those_that_are_named() -> None:
    """Python reads `nº` as `no`, and the micro sign as the Greek letter."""
    data = DATA.assign(**{"nº": DATA.x, "no": DATA.z, "class": DATA.t, "caf\u00e9": DATA.z**2})
    design = _design("y ~ I(nº * 2) + I(`class` + 1) + log(cafe\u0301) + (1 | f:`nº`)", data)
    assert design.fixed_names == ("Intercept", "I(nº * 2)", "I(`class` + 1)", "log(caf\u00e9)")
    expected = np.column_stack([np.ones(N), 2 * DATA.x, DATA.t + 1.0, np.log(DATA.z**2)])
    np.testing.assert_allclose(design.predictor.X.toarray(), expected)
    assert design.q == len(DATA[["f", "x"]].drop_duplicates())


@pytest.mark.parametrize("right", FIXED)
def test_fixed_columns_are_those_of_formulaic(right: str) -> None:
    design = _design(f"y ~ {right}")
    expected = model_matrix(right, DATA)
    assert design.fixed_names == tuple(expected.columns)
    np.testing.assert_allclose(design.predictor.X.toarray(), expected.to_numpy(dtype=float), rtol=1e-13, atol=1e-13)
    assert (design.predictor.intercept is None) == ("Intercept" not in expected)


@pytest.mark.parametrize("right", FIXED)
def test_new_rows_are_encoded_as_those_of_the_fit(right: str) -> None:
    design = _design(f"y ~ {right}")
    again = encode(design).X.toarray()
    np.testing.assert_array_equal(again, design.predictor.X.toarray())
    for rows in ([5], [7, 3, 3, 40], slice(20, 30)):
        np.testing.assert_allclose(encode(design, DATA.iloc[rows]).X.toarray(), again[rows], rtol=1e-13, atol=1e-13)


def test_booleans_are_factors() -> None:
    design = _design("y ~ flag + {z > 0} + (0 + flag|a)")
    assert design.fixed_names == ("Intercept", "flag[T.True]", "z > 0[T.True]")
    np.testing.assert_array_equal(
        design.predictor.X.toarray()[:, 1:], DATA[["flag"]].assign(p=DATA["z"] > 0).to_numpy(dtype=float)
    )
    assert design.theta_names[:2] == ("sd(flag[False]|a)", "sd(flag[True]|a)")
    one = encode(design, DATA[DATA["flag"]].iloc[:1])
    assert one.X.toarray()[0, 1] == 1.0


def test_levels_are_sorted_or_in_the_order_of_the_categories() -> None:
    assert _design("y ~ 0 + a").fixed_names == ("a[a1]", "a[a2]", "a[a3]")
    ordered = DATA.assign(a=pd.Categorical(DATA["a"], ["none", "a3", "a1", "a2"]))
    design = _design("y ~ 0 + a + (1|a)", ordered)
    assert design.fixed_names == ("a[a3]", "a[a1]", "a[a2]")
    assert design.terms[0].variables[0].labels.tolist() == ["a3", "a1", "a2"]


def test_repeated_fixed_terms_are_one() -> None:
    assert _design("y ~ x + x + x:z + z:x").fixed_names == ("Intercept", "x", "x:z")


@pytest.mark.filterwarnings("ignore:there is no intercept:lgm.DataWarning")
@pytest.mark.parametrize("right", ["-1 + x", "0 + (1|f)", "x - 1 + rw2(t)", "0 + s(z)", "-1 + rw1(t)", "0 + f + s(z)"])
def test_nothing_brings_an_intercept_back(right: str) -> None:
    design = _design(f"y ~ {right}")
    assert design.predictor.intercept is None
    spanned = design.predictor.X.toarray()
    if "f +" not in right:
        ones = np.ones(N)
        residual = ones - spanned @ np.linalg.lstsq(spanned, ones, rcond=None)[0] if design.p else ones
        assert np.linalg.norm(residual) > 1.0


# Group effects against dense constructions ----------------------------------------------------------------------------


def _dense(groups: list[str], effects: np.ndarray) -> np.ndarray:
    """Columns ``level * q + k`` from the definition, row by row."""
    levels = sorted(set(groups))
    out = np.zeros((len(groups), len(levels) * effects.shape[1]))
    for i, group in enumerate(groups):
        start = levels.index(group) * effects.shape[1]
        out[i, start : start + effects.shape[1]] = effects[i]
    return out


def _paste(*columns: str) -> list[str]:
    return [":".join(row) for row in DATA[list(columns)].astype(str).itertuples(index=False)]


BARS = [
    ("(1|a)", ["a"], "1"),
    ("(1|a:b)", ["a", "b"], "1"),
    ("(x|a)", ["a"], "x"),
    ("(x + z|a)", ["a"], "x + z"),
    ("(x || a)", ["a"], "x"),
    ("(0 + x|a)", ["a"], "0 + x"),
    ("(0 + f|a)", ["a"], "0 + f"),
    ("(f|a)", ["a"], "f"),
    ("(f || a)", ["a"], "f"),
    ("(0 + f:x|a)", ["a"], "0 + f:x"),
    ("(x*f|b)", ["b"], "x*f"),
    ("(log(t + 1)|a)", ["a"], "log(t + 1)"),
    ("(scale(z)|a)", ["a"], "scale(z)"),
    ("(poly(z, 2)|a:f)", ["a", "f"], "poly(z, 2)"),
]


@pytest.mark.parametrize(("bar", "groups", "effects"), BARS, ids=[bar[0] for bar in BARS])
def test_group_columns(bar: str, groups: list[str], effects: str) -> None:
    design = _design(f"y ~ {bar}")
    matrix = model_matrix(effects, DATA)
    names = _paste(*groups)
    (term,) = design.terms
    centred = [name for name in ("x", "z", "log(t + 1)") if term.origin and name in matrix]  # beside an intercept
    columns = matrix.assign(**{name: matrix[name] - matrix[name].mean() for name in centred}).to_numpy(dtype=float)
    np.testing.assert_allclose(design.predictor.Z.toarray(), _dense(names, columns), atol=1e-13)
    assert bool(term.origin) == (bar in ("(x|a)", "(x + z|a)", "(x*f|b)", "(log(t + 1)|a)"))
    assert [v.name for v in term.variables] == [f"{name}|{':'.join(groups)}" for name in matrix.columns]
    for k, variable in enumerate(term.variables):
        assert variable.labels.tolist() == sorted(set(names))
        own = variable.index if variable.index.ndim == 1 else variable.index[:, 0]
        np.testing.assert_array_equal(own, np.arange(len(set(names))) * matrix.shape[1] + k)
    np.testing.assert_array_equal(
        encode(design, DATA.iloc[10:20]).encoded[0].z.toarray(), design.predictor.Z.toarray()[10:20]
    )


def test_one_bar_correlates_all_effects_and_two_bars_none() -> None:
    assert _design("y ~ (f|a)").theta_names == (
        "sd(Intercept|a)", "sd(f[T.q]|a)", "sd(f[T.r]|a)",
        "corr(Intercept,f[T.q]|a)", "corr(Intercept,f[T.r]|a)", "corr(f[T.q],f[T.r]|a)", "sigma",
    )  # fmt: skip
    assert _design("y ~ (f||a)").theta_names == ("sd(Intercept|a)", "sd(f[T.q]|a)", "sd(f[T.r]|a)", "sigma")


def test_nested_is_a_sum_of_bars() -> None:
    nested, written = _design("y ~ (1|a/b/f)"), _design("y ~ (1|a) + (1|a:b) + (1|a:b:f)")
    np.testing.assert_array_equal(nested.predictor.Z.toarray(), written.predictor.Z.toarray())
    assert nested.theta_names == written.theta_names
    crossed = _design("y ~ (1|a) + (1|b)")
    np.testing.assert_array_equal(
        crossed.predictor.Z.toarray(), np.hstack([_dense(_paste(g), np.ones((N, 1))) for g in "ab"])
    )


def test_terms_stand_in_the_order_of_the_formula() -> None:
    design = _design("y ~ s(z) + (1|a) + rw1(t) + (1|b)")
    assert [term.label for term in design.terms] == ["s(z)", "(1 | a)", "rw1(t)", "(1 | b)"]
    assert design.theta_names == ("sd(s(z))", "sd(Intercept|a)", "sd(rw1(t))", "sd(Intercept|b)", "sigma")
    for term, place in zip(design.terms, design.predictor.term_slices(), strict=True):
        np.testing.assert_array_equal(design.predictor.Z.toarray()[:, place], term.z.toarray())


@pytest.mark.filterwarnings("ignore:.*is far from zero:lgm.DataWarning")
def test_what_is_stored_depends_on_structure_not_on_values() -> None:
    other = DATA.assign(x=DATA["x"] + 10.0, z=DATA["z"] * 0.0 + np.arange(N))
    for formula in ("y ~ x + f:x + (x|a) + (0 + f:x|b)", "y ~ x*z + (x:z||a)"):
        one, two = _design(formula), _design(formula, other)
        for a, b in ((one.predictor.X, two.predictor.X), (one.predictor.Z, two.predictor.Z)):
            np.testing.assert_array_equal(a.indptr, b.indptr)
            np.testing.assert_array_equal(a.indices, b.indices)
    assert np.count_nonzero(one.predictor.X.data) < one.predictor.X.nnz


# Null spaces ----------------------------------------------------------------------------------------------------------

NULLS = [
    ("rw2(t)", ("Intercept", "rw2(t)[linear]")),
    ("t + rw2(t)", ("Intercept", "t")),
    ("{t + 5} + rw2(t)", ("Intercept", "t + 5")),
    ("poly(t, 2) + rw2(t)", ("Intercept", "poly(t, 2)[1]", "poly(t, 2)[2]")),
    ("C(t) + rw2(t)", ("Intercept", *(f"C(t)[T.{i}]" for i in range(1, 12)))),
    ("x + rw2(t)", ("Intercept", "x", "rw2(t)[linear]")),
    ("rw1(t)", ("Intercept",)),
    ("ar1(t)", ("Intercept",)),
    ("s(t, k=5) + rw2(t)", ("Intercept", "s(t)[linear]")),
    ("rw2(t) + s(t, k=5)", ("Intercept", "rw2(t)[linear]")),
    ("s(z) + s(z, k=5)", ("Intercept", "s(z)[linear]")),
    ("s(z) + s(x, k=5)", ("Intercept", "s(z)[linear]", "s(x)[linear]")),
    ("0 + rw2(t)", ("rw2(t)[linear]",)),
    ("0 + {t + 5} + rw2(t)", ("t + 5", "rw2(t)[linear]")),
]


@pytest.mark.filterwarnings("ignore:there is no intercept:lgm.DataWarning")
@pytest.mark.parametrize(("right", "names"), NULLS, ids=[case[0] for case in NULLS])
def test_null_space_columns(right: str, names: tuple[str, ...]) -> None:
    design = _design(f"y ~ {right}")
    assert design.fixed_names == names
    assert np.linalg.matrix_rank(design.predictor.X.toarray()) == design.p
    for j, name in enumerate(names):
        if name.endswith("[linear]"):
            variable = {"rw2(t)": "t", "s(t)": "t", "s(z)": "z", "s(x)": "x"}[name.removesuffix("[linear]")]
            np.testing.assert_array_equal(design.predictor.X.toarray()[:, j], DATA[variable])
    new = DATA.iloc[:7].assign(t=np.arange(20, 27))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert encode(design, new if "C(t)" not in right else DATA.iloc[:7]).X.shape == (7, design.p)


def test_labels_show_options_only_where_two_collide() -> None:
    assert [term.label for term in _design("y ~ s(z, k=5)").terms] == ["s(z)"]
    design = _design("y ~ s(z, k=5) + s(z, k=6, bs='cr') + s(x, k=4)")
    assert [term.label for term in design.terms] == ["s(z, k=5)", "s(z, k=6, bs='cr')", "s(x)"]
    assert design.theta_names[:3] == ("sd(s(z, k=5))", "sd(s(z, k=6, bs='cr'))", "sd(s(x))")


# Rows -----------------------------------------------------------------------------------------------------------------


def test_levels_of_rows_without_a_response_are_new_levels() -> None:
    data = DATA.assign(g=np.where(np.arange(N) < 5, "only here", DATA["a"]), y=DATA["y"].where(np.arange(N) >= 5))
    design = _design("y ~ x + (1|g) + rw1(t)", data)
    assert design.n == N - 5 and design.terms[0].z.shape == (N - 5, 3)
    rows = encode(design)
    assert rows.X.shape == (N, 2) and design.predictor.X.shape == (N - 5, 2)
    np.testing.assert_array_equal(rows.X.toarray()[5:], design.predictor.X.toarray())
    first = rows.encoded[0]
    assert first is not None and first.novel is not None
    assert first.novel.what == "1 new level of g (only here)"
    assert first.novel.z.toarray()[:, 0].tolist() == [1.0] * 5 + [0.0] * (N - 5)


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ s(z)",
        "y ~ s(z, bs='ps', k=8)",
        "y ~ rw1(x)",
        "y ~ rw2(x)",
        "y ~ scale(x) + poly(z, 3)",
        "y ~ bs(z, df=5, extrapolation='extend')",
        "y ~ (scale(x) | a)",
        "y ~ (x | a)",
        "y ~ x + offset(center(x))",
        "y ~ ar1(t)",
        "y ~ seasonal(t, 4)",
    ],
)
def test_rows_without_a_response_say_nothing(formula: str) -> None:
    """They are far from the others: any mean, range, basis or scale that knew of them would be another."""
    far = DATA.iloc[:3].assign(y=np.nan, x=[20.0, -40.0, 100.0], z=[9.0, 30.0, -7.0], t=[80, 90, -12])
    alone, both = _built(formula, DATA), _built(formula, pd.concat([far, DATA], ignore_index=True))
    for name in ("X", "Z", "offset"):
        ours, theirs = (np.asarray(sp.coo_array(getattr(d.predictor, name)).toarray()) for d in (both, alone))
        np.testing.assert_array_equal(ours, theirs)
    for own, other in zip(both.parameters, alone.parameters, strict=True):
        assert (own.names, repr(own.default), own.start) == (other.names, repr(other.default), other.start)
    rows, new = encode(both), encode(alone, far)
    np.testing.assert_array_equal(rows.X[:3].toarray(), new.X.toarray())
    assert rows.offset[:3].tolist() == new.offset.tolist()


def test_rows_without_a_response_that_cannot_be_predicted_are_refused_at_once() -> None:
    data = DATA.assign(y=DATA["y"].where(np.arange(N) > 0))
    lost = data.assign(k=np.where(np.arange(N) == 0, 7, np.arange(N) % 2))
    with pytest.raises(DataError, match=r"`C\(k\)` has level\(s\) that the fit does not have: 7"):
        _built("y ~ C(k)", lost)
    with pytest.raises(DataError, match=r"`log\(k\)` is -inf in row 0"):
        _built("y ~ log(k)", data.assign(k=np.arange(N)))


# Expressions of other rows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "right", ["x + z.rank()", "s(z.rank())", "x + offset(z.rank())", "(z.rank() | a)", "rw1(z.rank())"]
)
def test_a_column_that_is_computed_from_all_rows_at_once(right: str) -> None:
    with pytest.warns(lgm.DataWarning, match=r"`z\.rank\(\)` is computed from all rows at once, so the fit cannot"):
        design = lgm.model(f"y ~ {right}", DATA).design
    assert encode(design).index.size == N  # the rows of the fit can be predicted
    with pytest.raises(
        DataError, match=r"`z\.rank\(\)` is computed from all rows at once, so new_data cannot"
    ) as raised:
        encode(design, DATA)
    assert "`center(x)`" in str(raised.value)
    with pytest.raises(DataError, match="so the rows without a response cannot be predicted"):
        lgm.model(f"y ~ {right}", DATA.assign(y=DATA["y"].where(np.arange(N) > 3)))


def test_groups_that_are_computed_from_all_rows_are_not_needed_at_the_population_level() -> None:
    with pytest.warns(lgm.DataWarning, match="computed from all rows at once"):
        design = lgm.model("y ~ x + (1 | pd.cut(z, 3))", DATA, env={"pd": pd}).design
    parts = Parts(np.ones(2, dtype=bool), (False,), True)
    np.testing.assert_array_equal(encode(design, DATA[:2], parts).X.toarray(), design.predictor.X.toarray()[:2])


def test_a_function_that_hides_a_stateful_one_is_named() -> None:
    def scale(values: Any) -> Any:
        return (values - values.mean()) / values.std()

    with pytest.warns(lgm.DataWarning, match="`scale` is a function of your own here, which hides that of"):
        design = lgm.model("y ~ scale(x)", DATA).design
    with pytest.raises(DataError, match="`scale` is a function of your own here, which .* so new_data cannot"):
        encode(design, DATA)
    assert scale is not None


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ I(z - z.mean()) + log(z - z.min() + 1)",
        "y ~ x + offset(z / z.std())",
        "y ~ s(z - z.min(), k=5)",
        "y ~ (z - z.mean() | a)",
        "y ~ rw1((day - day.min()).dt.days)",
    ],
)
def test_numbers_computed_from_a_column_are_those_of_the_fit(formula: str) -> None:
    data = DATA.assign(day=pd.Timestamp("2020-02-01") + pd.to_timedelta(DATA["t"], "D"))
    design = _built(formula, data)
    assert not design.entangled
    whole, some = encode(design), encode(design, data[7:9])
    np.testing.assert_array_equal(some.X.toarray(), whole.X.toarray()[7:9])
    np.testing.assert_array_equal(some.offset, whole.offset[7:9])
    for one, other in zip(some.encoded, whole.encoded, strict=True):
        assert one is not None and other is not None
        np.testing.assert_array_equal(one.z.toarray(), other.z.toarray()[7:9])


# Whole numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["int64", "Int64", "int64[pyarrow]", "uint32", "polars", "pyarrow"])
def test_whole_numbers_and_booleans_compute_as_doubles(kind: str) -> None:
    people = np.random.default_rng(5).integers(1_000_000, 40_000_000, N)
    more = DATA["z"] > 0
    real = DATA.assign(people=people.astype(float), flag=DATA["flag"].astype(float), more=more.astype(float))
    data: Any = DATA.assign(people=people, more=more)
    if kind == "polars":
        data = pl.from_pandas(data)
    elif kind == "pyarrow":
        data = pa.Table.from_pandas(data)
    else:
        flags = "bool" if kind.startswith(("int64", "uint")) else "boolean"
        data = data.astype({"people": kind, "flag": flags, "more": flags})
    formula = "I(people**3 / 1e20) ~ I(people**3 / 2) + poly(people, 2, raw=True) + I(flag + more) + offset(-flag) + x"
    ours, theirs = _built(formula, data), _built(formula, real)
    np.testing.assert_allclose(ours.y, theirs.y, rtol=1e-14)
    np.testing.assert_allclose(ours.predictor.X.toarray(), theirs.predictor.X.toarray(), rtol=1e-14)
    np.testing.assert_array_equal(ours.predictor.offset, theirs.predictor.offset)
    assert ours.fixed_names == theirs.fixed_names
    groups = _built("y ~ (I(flag + more) | {people * 1000000}) + rw1(flag + more)", data).terms
    assert groups[1].variables[0].labels.tolist() == [0, 1, 2] and groups[0].size == f"{len(set(people))} levels"


def test_a_response_that_is_a_predictor_too() -> None:
    data = DATA.assign(y=DATA["y"].where(np.arange(N) != 3))
    with pytest.warns(lgm.DataWarning, match=r"1 of 60 rows are dropped: missing values in y \(1\)"):
        design = _design("y ~ x + {y**2}", data)
    assert design.n == N - 1 and design.rows.observed.all()


def test_a_response_of_several_columns() -> None:
    data = DATA.assign(n=np.where(np.arange(N) == 2, np.nan, 4.0))
    design = _design("{y / n} ~ x", data)
    np.testing.assert_array_equal(design.y, (DATA["y"] / 4.0).drop(index=2))
    assert np.flatnonzero(~design.rows.observed).tolist() == [2]


def test_a_response_is_transformed_over_the_rows_that_have_one() -> None:
    design = _design("scale(y) ~ x", DATA.assign(y=DATA["y"].where(np.arange(N) > 9)))
    np.testing.assert_allclose([design.y.mean(), design.y.std(ddof=1)], [0, 1], atol=1e-14)


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([f"row {i}" for i in range(N)]),
        pd.Index(np.repeat(np.arange(N // 2), 2)),
        pd.date_range("2000-01-01", periods=N),
        pd.MultiIndex.from_product([range(N // 2), ["a", "b"]]),
        pd.RangeIndex(N, 0, -1),
    ],
    ids=["text", "not unique", "dates", "several", "descending"],
)
def test_any_index_is_kept_and_means_nothing(index: pd.Index) -> None:
    formula = "y ~ x*f + (scale(z)|a) + s(z) + rw1(t) + C(b) + offset(z)"
    data = DATA.assign(x=DATA["x"].where(DATA["t"] != 4), y=DATA["y"].where(DATA["t"] != 5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lgm.DataWarning)
        plain, indexed = _design(formula, data), _design(formula, data.set_axis(index))
    np.testing.assert_array_equal(plain.predictor.A.toarray(), indexed.predictor.A.toarray())
    np.testing.assert_array_equal(plain.predictor.offset, indexed.predictor.offset)
    kept = np.flatnonzero(DATA["t"] != 4)
    assert encode(indexed).index.equals(index[kept])
    assert encode(indexed, DATA.set_axis(index).iloc[3:5]).index.equals(index[3:5])


def test_the_order_of_the_rows_means_nothing() -> None:
    order = np.random.default_rng(1).permutation(N)
    formula = "y ~ x*f + poly(z, 2) + (scale(z)|a:b) + s(z) + ar1(t)"
    np.testing.assert_allclose(
        _design(formula, DATA.iloc[order]).predictor.A.toarray(),
        _design(formula).predictor.A.toarray()[order],
        atol=1e-12,
    )


def test_the_data_are_left_alone() -> None:
    data = _data()
    before = data.copy(deep=True)
    _design("y ~ x*f + (scale(z)|a) + s(z) + rw1(t)", data)
    pd.testing.assert_frame_equal(data, before)
    assert data.attrs == {}


# Other tables ---------------------------------------------------------------------------------------------------------


def _rich() -> pd.DataFrame:
    data = _data()
    data["cat"] = pd.Categorical(data["b"], ["w", "v", "u", "unused"])
    data["day"] = pd.date_range("2020-01-01", periods=3).to_numpy()[np.arange(N) % 3]
    data["id"] = 2**60 + data["t"]
    data.loc[4, "a"] = None
    data.loc[5, "x"] = np.nan
    data.loc[6, "y"] = np.nan
    return data


RICH = "y ~ x + f*cat + flag + (x|a) + (1|cat) + (1|day) + (1|id) + (1|flag) + s(z) + rw1(t)"


@pytest.mark.parametrize("library", ["polars", "pyarrow", "pandas, pyarrow types", "pandas, nullable types", "dict"])
def test_every_table_gives_the_same_design(library: str) -> None:
    data = _rich()
    if library == "polars":
        polars = pytest.importorskip("polars")
        levels = polars.Enum(data["cat"].cat.categories.tolist())
        other = polars.from_pandas(data.assign(cat=data["cat"].astype(object))).with_columns(
            polars.col("cat").cast(levels)
        )
    elif library == "pyarrow":
        other = pytest.importorskip("pyarrow").Table.from_pandas(data)
    elif library == "pandas, pyarrow types":
        other = data.convert_dtypes(dtype_backend="pyarrow")
    elif library == "dict":
        other = {name: data[name].to_numpy() if name != "cat" else data[name].array for name in data}
    else:
        other = data.convert_dtypes()
    with pytest.warns(lgm.DataWarning, match="2 of 60 rows are dropped"):
        expected = _design(RICH, data)
    with pytest.warns(lgm.DataWarning, match="2 of 60 rows are dropped"):
        found = _design(RICH, other)
    assert found.fixed_names == expected.fixed_names and found.theta_names == expected.theta_names
    assert found.n == N - 3
    np.testing.assert_array_equal(found.y, expected.y)
    np.testing.assert_array_equal(found.predictor.A.toarray(), expected.predictor.A.toarray())
    for one, two in zip(found.terms, expected.terms, strict=True):
        assert [str(x) for x in one.variables[0].labels] == [str(x) for x in two.variables[0].labels]
    new = encode(expected, data.drop(index=[4, 5]))
    same = encode(found, data.drop(index=[4, 5]))
    np.testing.assert_array_equal(same.X.toarray(), new.X.toarray())
    assert all(e.novel is None for e in same.encoded)


# Names ----------------------------------------------------------------------------------------------------------------


def center(values: pd.Series) -> pd.Series:
    """A user's function of the same name as one of formulaic's."""
    return values - 100.0


def test_names_resolve_in_data_then_env_then_scope() -> None:
    w = np.linspace(1.0, 2.0, N)
    z = w  # noqa: F841 - the column z comes first
    np.testing.assert_array_equal(lgm.model("y ~ w", DATA).design.predictor.X.toarray()[:, 1], w)
    np.testing.assert_array_equal(lgm.model("y ~ w", DATA, env={"w": w**2}).design.predictor.X.toarray()[:, 1], w**2)
    np.testing.assert_array_equal(
        lgm.model("y ~ z", DATA, env={"z": w**2}).design.predictor.X.toarray()[:, 1], DATA["z"]
    )
    np.testing.assert_array_equal(
        lgm.model("y ~ center(z)", DATA).design.predictor.X.toarray()[:, 1], DATA["z"] - 100.0
    )
    np.testing.assert_array_equal(
        lgm.model("y ~ poly2(z)", DATA, env={"poly2": np.square}).design.predictor.X.toarray()[:, 1], DATA["z"] ** 2
    )
    scale = 3  # not callable, so it does not hide the function
    assert lgm.model("y ~ scale(z) + {z**2 / scale}", DATA).design.p == scale


def test_arrays_of_the_scope_are_columns() -> None:
    w = np.linspace(1.0, 2.0, N)
    group, labels = np.arange(N) % 4, [f"L{i % 3}" for i in range(N)]  # noqa: F841 - the formulas see them
    data = DATA.assign(x=DATA["x"].where(DATA["t"] != 4), y=DATA["y"].where(DATA["t"] != 5))
    used = np.flatnonzero(data["x"].notna() & data["y"].notna())
    with pytest.warns(lgm.DataWarning):
        design = lgm.model("y ~ x + w + log(w) + (w|group) + s(w) + offset(w)", data).design
    np.testing.assert_array_equal(design.predictor.X.toarray()[:, 2:4], np.column_stack([w, np.log(w)])[used])
    np.testing.assert_array_equal(design.predictor.offset, w[used])
    assert design.terms[0].variables[0].labels.tolist() == [0, 1, 2, 3]
    assert lgm.model("y ~ labels", DATA).design.fixed_names == ("Intercept", "labels[T.L1]", "labels[T.L2]")
    w[3] = np.nan
    with pytest.warns(lgm.DataWarning, match=r"1 of 60 rows are dropped: missing values in w \(1\)"):
        lgm.model("y ~ w", DATA)
    np.testing.assert_array_equal(lgm.model("w ~ x", DATA).design.y, np.delete(w, 3))
    with pytest.raises(lgm.DataError, match="new_data lacks the column"):
        encode(lgm.model("y ~ {w * 0 + 1}:x + z", DATA, env={"w": np.ones(N)}).design, DATA)


def test_a_series_of_the_scope_must_have_the_index_of_the_data() -> None:
    w = pd.Series(np.linspace(1.0, 2.0, N), index=range(100, 100 + N))
    with pytest.raises(
        lgm.DataError, match=r"`w` is a pandas Series from outside of the data, and its index is not that"
    ):
        lgm.model("y ~ w", DATA)
    design = lgm.model("y ~ w", DATA.set_axis(w.index)).design
    np.testing.assert_array_equal(design.predictor.X.toarray()[:, 1], w)


def test_other_tables_in_expressions_are_not_recycled() -> None:
    other = pd.DataFrame({"w": np.ones(N)})  # noqa: F841 - the formula sees it
    with pytest.raises(lgm.FormulaError, match="is an array of 59 values"):
        lgm.model("y ~ {other.w.iloc[1:]}", DATA)
    data = DATA.assign(x=DATA["x"].where(DATA["t"] != 4))
    with pytest.raises(lgm.FormulaError, match=r"`other.w` is an array of 60 values\."):
        lgm.model("y ~ x + {other.w}", data, missing="drop")


def test_stateful_transformations_remember_the_rows_of_the_fit() -> None:
    design = _design(
        "y ~ scale(x) + offset(scale(z)) + s(scale(z)) + rw1(center_(t)) + (scale(z)|a)", env={"center_": _c}
    )
    new = DATA.iloc[5:9]
    got, whole = encode(design, new), encode(design)
    np.testing.assert_allclose(got.X.toarray(), whole.X.toarray()[5:9], atol=1e-14)
    np.testing.assert_allclose(got.offset, whole.offset[5:9], atol=1e-14)
    for one, all_rows in zip(got.encoded, whole.encoded, strict=True):
        np.testing.assert_allclose(one.z.toarray(), all_rows.z.toarray()[5:9], atol=1e-12)
        assert one.novel is None


def _c(values: Any) -> Any:
    return values + 1


# Rank -----------------------------------------------------------------------------------------------------------------


def test_collinear_columns_are_found_in_large_designs() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame(rng.normal(size=(500, 40)), columns=[f"v{i}" for i in range(40)])
    data["sum"] = data["v3"] - 2 * data["v17"] + 1e-3 * data["v30"]
    right = " + ".join(f"v{i}" for i in range(1, 40))
    assert _design(f"v0 ~ {right}", data).p == 40
    with pytest.raises(IdentifiabilityError, match=r"`sum` is a linear combination of `v3`, `v17` and `v30`"):
        _design(f"v0 ~ {right} + sum", data)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_nearly_collinear_columns_are_not_an_error(shift: float) -> None:
    z2 = DATA["z"] + 1e-4 * DATA["x"]
    assert _design("y ~ z1 + z2", DATA.assign(z1=DATA["z"] + shift, z2=z2)).p == 3


def test_an_interaction_with_an_empty_cell() -> None:
    data = DATA[~((DATA["f"] == "q") & (DATA["b"] == "v"))]
    with pytest.raises(IdentifiabilityError, match=r"`f\[T.q\]:b\[T.v\]` is zero in every row with a response"):
        _design("y ~ f*b", data)


# Size -----------------------------------------------------------------------------------------------------------------


def test_memory_grows_with_the_entries_not_with_rows_times_levels() -> None:
    rng = np.random.default_rng(0)
    n, levels = 100_000, 5_000
    data = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "g": rng.integers(0, levels, n).astype(str)})
    parsed = parse("y ~ x + (1 + x|g)", set())
    build(parsed, data.iloc[:100], Gaussian(), {}, None, "drop")
    tracemalloc.start()
    design = build(parsed, data, Gaussian(), {}, None, "drop")
    new = encode(design, data.iloc[: n // 2].assign(g=lambda d: np.where(d.index % 2 == 0, d["g"], d["g"] + "new")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert design.predictor.Z.shape == (n, 2 * levels) and design.predictor.Z.nnz == 2 * n
    assert new.encoded[0].novel is not None
    assert peak < 100e6  # rows times levels would be 4e9


def test_columns_that_are_not_used_are_not_copied() -> None:
    n = 20_000
    data = pd.DataFrame(
        {"y": np.arange(n) * 1.0, "x": np.sin(np.arange(n)), **{f"v{i}": np.ones(n) for i in range(200)}}
    )
    parsed = parse("y ~ x", set())
    tracemalloc.start()
    design = build(parsed, data, Gaussian(), {}, None, "drop")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert list(design.scope.frame.columns) == ["y", "x"]
    assert peak < 8e6  # 200 columns are 32e6


@pytest.mark.parametrize(
    ("formula", "family", "message"),
    [
        ("y ~ 1", "poisson", "`y` has 0.5 in row d, but poisson is for counts"),
        ("y ~ 1", "bernoulli", "`y` has 2 in row b (3 such rows), but bernoulli"),
        ("y ~ 1", "gamma", "`y` has -1 in row c, but gamma"),
        ("y ~ 1", "beta", "`y` has 2 in row b (2 such rows), but beta"),
        ("y | trials(1) ~ 1", "binomial", "`y` has 2 successes of 1 trials in row b (3 such rows); accepted"),
    ],
)
def test_a_response_that_does_not_suit_is_named_by_its_row(formula, family, message):
    """By its label, whatever rows before it miss."""
    wrong: dict[str, list[float]] = {
        "poisson": [1, 2, 1, 0.5],
        "gamma": [1, 2, -1, 3],
        "beta": [0.1, 2, 3, 0.5],
        "bernoulli": [1, 2, 3, 5],
    }
    values = [np.nan, *wrong.get(family, [1, 2, 3, 5])]
    data = pd.DataFrame({"y": values}, index=["none", "a", "b", "c", "d"])
    with pytest.raises(DataError) as found:
        lgm.model(formula, data, family)
    assert message in str(found.value)
