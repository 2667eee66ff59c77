"""Groupings, their levels, and effects of levels that a fit does not have."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.data.scope import Scope
from lgm.design.design import Design, encode
from lgm.errors import DataError
from lgm.formula.parse import parse
from lgm.terms.group import GroupTerm
from lgm.terms.levels import Grouping, Levels

BIG = 2**53
N = 12


def _grouping(group: str, frame: pd.DataFrame) -> tuple[Grouping, np.ndarray]:
    formula = parse(f"y ~ (1|{group})", set())
    return Grouping.of(formula.mu.bars[-1], Scope(formula, frame, {}))


def _design(formula: str, **columns: Any) -> Design:
    data = pd.DataFrame({**{"y": np.sin(np.arange(N)), "x": np.arange(N) % 3.0}, **columns})
    return lgm.model(formula, data).design


# values as given, levels in order, labels
LEVELS: list[tuple[str, Any, list[Any] | None, list[Any] | None]] = [
    ("text", ["b", "a", "b"], ["a", "b"], ["a", "b"]),
    ("integers", [10, 2, 10], [2, 10], [2, 10]),
    ("floats", [1.5, -2.0, 1.5], [-2.0, 1.5], [-2.0, 1.5]),
    ("booleans", [True, False, True], [False, True], [False, True]),
    ("tuples", [("b", 1), ("a", 2), ("b", 1)], [("a", 2), ("b", 1)], ["('a', 2)", "('b', 1)"]),
    ("large integers", [BIG + 1, BIG, BIG + 1], [BIG, BIG + 1], [BIG, BIG + 1]),
    ("larger integers", [2**70 + 1, 2**70, 2**70 + 1], [2**70, 2**70 + 1], [2**70, 2**70 + 1]),
    ("several types", ["b", 1, "b"], ["b", 1], ["b", 1]),
    ("categories", pd.Categorical(["b", "a", "b"], ["c", "b", "a"]), ["b", "a"], ["b", "a"]),
    ("ordered numbers", pd.Categorical([1, 10, 1], [10, 1, 5]), [10, 1], [10, 1]),
    ("dates", pd.to_datetime(["2020-02-01", "2020-01-01", "2020-02-01"]), None, None),
    ("intervals", pd.cut([3.0, 1.0, 3.0], [0, 2, 4]), None, ["(0, 2]", "(2, 4]"]),
    ("decimals", [Decimal("1.5"), Decimal("0.5"), Decimal("1.5")], [0.5, 1.5], [0.5, 1.5]),
    ("days", [datetime.date(2020, 2, 1), datetime.date(2020, 1, 1), datetime.date(2020, 2, 1)], None, None),
]


@pytest.mark.parametrize(("values", "levels", "labels"), [c[1:] for c in LEVELS], ids=[c[0] for c in LEVELS])
def test_levels(values: Any, levels: list[Any] | None, labels: list[Any] | None) -> None:
    frame = pd.DataFrame({"g": pd.Series(values, index=[5, 5, 6]), "y": 1.0})
    grouping, codes = _grouping("g", frame)
    assert codes.tolist() == ([0, 1, 0] if list(values)[0] == (levels or [None])[0] else [1, 0, 1])
    if levels is not None:
        assert list(grouping.levels[0].values) == levels
    if labels is not None:
        assert grouping.labels.tolist() == labels
    formula = parse("y ~ (1|g)", set())
    known, new, fresh = grouping.codes(Scope(formula, frame, {}))
    assert known.tolist() == codes.tolist() and new.tolist() == [-1, -1, -1] and fresh.size == 0


def test_dates_are_labelled_as_dates() -> None:
    grouping, _ = _grouping("g", pd.DataFrame({"g": pd.to_datetime(["2020-02-01", "2020-01-01"])}))
    assert grouping.labels.dtype.kind == "M"


def test_only_combinations_that_occur_are_levels() -> None:
    frame = pd.DataFrame({"a": ["q", "p", "q", "p"], "b": [10, 2, 2, 2], "c": [True, True, False, False]})
    grouping, codes = _grouping("a:b:c", frame)
    assert grouping.labels.tolist() == ["p:2:False", "p:2:True", "q:2:False", "q:10:True"]
    assert codes.tolist() == [3, 1, 2, 0]
    assert grouping.n == 4


def test_many_factors_of_many_levels_do_not_overflow() -> None:
    rng = np.random.default_rng(0)
    n = 70_000  # 70 000^4 > 2^63
    frame = pd.DataFrame({name: rng.permutation(n) for name in "abcd"})
    grouping, codes = _grouping("a:b:c:d", frame)
    assert grouping.n == n
    np.testing.assert_array_equal(grouping.combinations[codes], frame.to_numpy())


def test_new_levels() -> None:
    design = _design("y ~ (1 + x|g)", g=np.arange(N) % 3)
    new = pd.DataFrame({"x": [5.0, 6.0, 7.0, 0.0], "g": [1, 9, 8, 9]}, index=list("pqrs"))
    (encoded,) = encode(design, new).encoded
    assert encoded.z.toarray().tolist() == [[0, 0, 1, 4, 0, 0], [0] * 6, [0] * 6, [0] * 6]  # the mean of x is 1
    novel = encoded.novel
    assert novel is not None and novel.population
    assert novel.what == "2 new levels of g (8, 9)" or novel.what == "2 new levels of g (9, 8)"
    first = novel.what.index("9") < novel.what.index("8")
    nine, eight = (slice(0, 2), slice(2, 4)) if first else (slice(2, 4), slice(0, 2))
    z = novel.z.toarray()
    assert z[:, nine].tolist() == [[0, 0], [1, 5], [0, 0], [1, -1]]
    assert z[:, eight].tolist() == [[0, 0], [0, 0], [1, 6], [0, 0]]
    assert novel.z.nnz == 6
    (about_zero,) = encode(_design("y ~ (1 + x||g)", g=np.arange(N) % 3), new).encoded
    assert about_zero.novel is not None and about_zero.novel.z.nnz == 6  # a slope of zero keeps its place


def test_partly_new_combinations() -> None:
    design = _design("y ~ (1|a:b)", a=np.repeat(list("pq"), 6), b=np.tile([1, 2, 3], 4))
    new = pd.DataFrame({"a": ["p", "p", "r", "q", "r"], "b": [3, 9, 1, 2, 1]})
    (encoded,) = encode(design, new).encoded
    labels = design.terms[0].variables[0].labels.tolist()
    assert [labels[i] for i in np.flatnonzero(encoded.z.toarray().sum(axis=0))] == ["p:3", "q:2"]
    assert encoded.novel is not None and encoded.novel.what == "2 new levels of a:b (p:9, r:1)"
    assert encoded.novel.z.toarray().tolist() == [[0, 0], [1, 0], [0, 1], [0, 0], [0, 1]]


def test_a_known_pair_of_levels_that_never_met_is_new() -> None:
    design = _design("y ~ (1|a:b)", a=np.repeat(list("pq"), 6), b=np.repeat([1, 2, 3, 4], 3))
    (encoded,) = encode(design, pd.DataFrame({"a": ["p"], "b": [4]})).encoded
    assert encoded.novel is not None and encoded.novel.what == "1 new level of a:b (p:4)"


def test_equal_numbers_of_different_types_are_one_level() -> None:
    design = _design("y ~ (1|g)", g=np.arange(N) % 3)
    for values in ([2.0], np.array([2], dtype=np.int8), pd.array([2], dtype="Int64")):
        assert encode(design, pd.DataFrame({"g": values})).encoded[0].novel is None
    with pytest.raises(
        DataError, match=r"the levels of `g` are text on one side and not on the other: '2' here, and 0, 1, 2"
    ):
        encode(design, pd.DataFrame({"g": ["2", "new"]}))


def test_categories_of_new_data_do_not_matter() -> None:
    design = _design(
        "y ~ (1|g) + (1|h)", g=np.tile(["a", "b"], 6), h=pd.Categorical(np.repeat(["u", "v"], 6), ["v", "u"])
    )
    new = pd.DataFrame({"g": pd.Categorical(["b", "a"], ["z", "b", "a"]), "h": ["v", "u"]})
    encoded = encode(design, new).encoded
    assert encoded[0].z.toarray().tolist() == [[0, 1], [1, 0]]
    assert encoded[1].z.toarray().tolist() == [[1, 0], [0, 1]]


def test_what_cannot_be_a_level() -> None:
    with pytest.raises(DataError, match="cannot be a grouping factor: it holds lists"):
        _grouping("g", pd.DataFrame({"g": [[1], [2]]}))
    with pytest.raises(DataError, match=r"the grouping factor `g` is missing or infinite in 1 rows \(rows 1\)"):
        _grouping("g", pd.DataFrame({"g": [1.0, np.inf]}))


def test_default_priors_follow_the_scale_of_the_covariate() -> None:
    term = _design("y ~ (x|g)", g=np.arange(N) // 3).terms[0]
    sd_y, sd_x = np.std(np.sin(np.arange(N))), np.std(np.arange(N) % 3.0)
    assert [p.start for p in term.block.parameters[:2]] == pytest.approx([sd_y / 3, sd_y / sd_x / 3])


def test_draws_of_new_levels_have_the_distribution_of_the_group() -> None:
    term = _design("y ~ (x|g)", g=np.arange(N) // 3).terms[0]
    assert isinstance(term, GroupTerm)
    normals = np.random.default_rng(0).standard_normal((20_000, 2))
    sd, corr = np.tile([2.0, 0.5], (20_000, 1)), np.full((20_000, 1), 0.6)
    draws = term._draw({"sd": sd, "corr": corr}, np.zeros((20_000, 8)), normals)
    expected = np.array([[4.0, 0.6], [0.6, 0.25]])
    error = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / 20_000)
    assert np.all(np.abs(np.cov(draws.T) - expected) < 4 * error)


def test_levels_of_a_long_column_are_found_quickly() -> None:
    column = pd.Series(np.random.default_rng(0).integers(0, 1000, 1_000_000).astype(str), dtype=object)
    levels = Levels.of(column)
    codes, new = levels.positions(column)
    assert len(levels.values) == 1000 and not new
    assert np.asarray(levels.values)[codes[:5]].tolist() == column[:5].tolist()


def test_columns_of_correlated_slopes_are_about_their_means() -> None:
    """Beside an intercept, and where every row has a value: those of a factor's levels keep their gaps."""
    x, h = np.arange(N) % 3 + 2.0, np.where(np.arange(N) < 7, "u", "v")

    def columns(bar: str) -> np.ndarray:
        term = _design(f"y ~ {bar}", x=x, h=h, g=np.arange(N) // 6).terms[0]
        return term.z.toarray()[:6, : len(term.variables)]

    near, ones, v = x[:6] - x.mean(), np.ones(6), (h == "v")[:6]
    np.testing.assert_allclose(columns("(x|g)"), np.column_stack([ones, near]), rtol=1e-15)
    np.testing.assert_allclose(columns("(h + x|g)"), np.column_stack([ones, v, near]), rtol=1e-15)
    for bar, wanted in (("(0 + x|g)", [x[:6]]), ("(x||g)", [ones, x[:6]]), ("(h|g)", [ones, v])):
        assert columns(bar).T.tolist() == np.array(wanted).tolist()
    design = _design("y ~ (x|g)", x=x, g=np.arange(N) // 6)
    back = design.terms[0].about_zero(design.scope)
    assert back.z.toarray()[:6, :2].tolist() == np.column_stack([ones, x[:6]]).tolist()
    assert back.origin == () and back.variables[0].index.ndim == 1
    centred = _design("y ~ (center(x)|g)", x=x, g=np.arange(N) // 6).terms[0]
    assert centred.origin == ()  # there is nothing to move


def test_default_priors_do_not_lose_the_spread_of_a_far_covariate() -> None:
    """Seconds since 1970 within a minute: their squares have 18 digits."""
    x = 1.7e9 + np.arange(N)
    term = _design("y ~ (x|g)", x=x, g=np.arange(N) // 3).terms[0]
    sd_y = np.std(np.sin(np.arange(N)))
    assert term.block.parameters[1].start == pytest.approx(sd_y / np.std(np.arange(N)) / 3, rel=1e-12)
