"""Levels of a grouping: which there are, in which order, and where rows of any data stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.parse import parse
from lgm.terms.levels import Grouping, Levels, _counted, _unique_rows

TEXTS = st.lists(st.sampled_from(list("abcdef")), min_size=1, max_size=15)
PAIRS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from("uvw")), min_size=1, max_size=20)


def _scope(group: str, frame: pd.DataFrame) -> Scope:
    return Scope(parse(f"y ~ (1|{group})", set()), frame.assign(y=1.0), {})


def _grouping(group: str, frame: pd.DataFrame) -> tuple[Grouping, np.ndarray]:
    scope = _scope(group, frame)
    return Grouping.of(scope.formula.mu.bars[-1], scope)


@settings(deadline=None, max_examples=50)
@given(TEXTS)
def test_positions_lead_back_to_the_values(values: list[str]) -> None:
    levels = Levels.of(pd.Series(values, dtype=object))
    assert list(levels.values) == sorted(set(values))
    positions, new = levels.positions(pd.Series(values, dtype=object))
    assert [levels.values[i] for i in positions] == values and new == []


@settings(deadline=None, max_examples=50)
@given(TEXTS, TEXTS)
def test_new_values_are_counted_on_in_the_order_they_appear(known: list[str], asked: list[str]) -> None:
    levels = Levels.of(pd.Series(known, dtype=object))
    positions, new = levels.positions(pd.Series(asked, dtype=object))
    assert new == list(dict.fromkeys(value for value in asked if value not in known))
    assert [[*levels.values, *new][i] for i in positions] == asked


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Categorical(["b", "a"], ["c", "b", "a"]), ["b", "a"]),  # the order of categories, those in use
        ([10, 9, 10], [9, 10]),
        (["10", "9"], ["10", "9"]),
        ([1, "a", 1], [1, "a"]),  # cannot be sorted: as they appear
        ([(2, "x"), (1, "z")], [(1, "z"), (2, "x")]),
    ],
    ids=["categories", "numbers", "text", "mixed", "tuples"],
)
def test_order(values: Any, expected: list[Any]) -> None:
    assert list(Levels.of(pd.Series(values)).values) == expected


@settings(deadline=None, max_examples=50)
@given(PAIRS)
def test_combinations_that_occur_in_lexicographic_order(pairs: list[tuple[int, str]]) -> None:
    frame = pd.DataFrame(pairs, columns=["a", "b"])
    grouping, codes = _grouping("a:b", frame)
    assert grouping.labels.tolist() == [f"{a}:{b}" for a, b in sorted(set(pairs))]
    assert grouping.n == len(set(pairs))
    assert [sorted(set(pairs))[code] for code in codes] == pairs


@settings(deadline=None, max_examples=50)
@given(PAIRS, PAIRS)
def test_other_rows_are_known_or_new(fitted: list[tuple[int, str]], asked: list[tuple[int, str]]) -> None:
    grouping, _ = _grouping("a:b", pd.DataFrame(fitted, columns=["a", "b"]))
    known, new, labels = grouping.codes(_scope("a:b", pd.DataFrame(asked, columns=["a", "b"])))
    assert ((known >= 0) ^ (new >= 0)).all()
    for pair, at, fresh in zip(asked, known, new, strict=True):
        assert (pair in fitted) == (at >= 0)
        assert (grouping.labels[at] if at >= 0 else labels[fresh]) == f"{pair[0]}:{pair[1]}"
    assert sorted(set(new[new >= 0])) == list(range(len(labels)))


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([2, 1], [1, 2]),
        ([True, False], [False, True]),
        ([0.5, 1.0], [0.5, 1.0]),
        (pd.to_datetime(["2020-01-02", "2020-01-01"]), [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")]),
        ([(1, 2), (0, 1)], ["(0, 1)", "(1, 2)"]),
    ],
    ids=["numbers", "booleans", "fractions", "dates", "tuples"],
)
def test_labels(values: Any, labels: list[Any]) -> None:
    found = _grouping("g", pd.DataFrame({"g": values}))[0].labels
    assert list(pd.Index(found)) == labels


def test_labels_are_of_one_kind_to_numpy_where_that_loses_nothing() -> None:
    assert _grouping("g", pd.DataFrame({"g": [3, 1]}))[0].labels.dtype.kind == "i"
    assert _grouping("g", pd.DataFrame({"g": ["b", "a"]}))[0].labels.dtype == object


@pytest.mark.parametrize(("gap", "how_many"), [(None, 2), (np.nan, 2), (np.inf, 2)], ids=["None", "nan", "infinity"])
def test_gaps_are_refused_with_their_rows(gap: Any, how_many: int) -> None:
    frame = pd.DataFrame({"g": [1.0, gap, 2.0, gap]}, index=list("pqrs"))
    with pytest.raises(DataError, match=rf"`g` is missing or infinite in {how_many} rows \(rows q, s\)\."):
        _grouping("g", frame)


def test_what_has_no_identity_is_refused() -> None:
    with pytest.raises(DataError, match="`g` cannot be a grouping factor: it holds lists."):
        _grouping("g", pd.DataFrame({"g": [[1], [2]]}))


@pytest.mark.parametrize(
    ("fitted", "asked", "shown"), [([1, 2], ["1", "7"], "'1' here"), (["1", "2"], [2, 9], "2 here")]
)
def test_text_and_numbers_are_not_taken_for_each_other(fitted: list[Any], asked: list[Any], shown: str) -> None:
    grouping, _ = _grouping("g", pd.DataFrame({"g": fitted}))
    with pytest.raises(DataError, match=rf"levels of `g` are text on one side and not on the other: {shown}, and"):
        grouping.codes(_scope("g", pd.DataFrame({"g": asked})))


def test_a_new_number_is_just_new() -> None:
    grouping, _ = _grouping("g", pd.DataFrame({"g": [1, 2]}))
    known, new, labels = grouping.codes(_scope("g", pd.DataFrame({"g": [7, 2, 7]})))
    assert (known.tolist(), new.tolist(), labels.tolist()) == ([-1, 1, -1], [0, -1, 0], [7])


@pytest.mark.parametrize("counts", [(3,), (4, 3), (40, 30, 50)], ids=str)
def test_distinct_rows_by_counting_or_by_sorting(counts: tuple[int, ...]) -> None:
    """The last have more combinations than there are rows to count them by."""
    codes = np.column_stack([np.random.default_rng(len(counts)).integers(n, size=60) for n in counts])
    distinct, position = _unique_rows(list(codes.T))
    expected, where = np.unique(codes, axis=0, return_inverse=True)
    np.testing.assert_array_equal(distinct, expected)
    np.testing.assert_array_equal(position, where.ravel())
    assert [len(part) for part in _unique_rows(list(codes[:0].T))] == [0, 0]


@pytest.mark.parametrize("values", [[7, 5, 7, 9], [-3, 4, -3, 0], [10**18, 3, -(10**18)], [2, 2]], ids=str)
def test_numbers_are_counted_where_they_are_close_together(values: list[int]) -> None:
    column = pd.Series(values)
    assert (_counted(column) is None) == (max(values) - min(values) >= 4 * len(values))
    levels, positions = Levels.read(column)
    assert list(levels.values) == sorted(set(values)) and {type(value) for value in levels.values} == {int}
    assert [levels.values[i] for i in positions] == values
    np.testing.assert_array_equal(positions, Levels.read(column.astype(object))[1])


def test_numbers_of_eight_bits_that_are_further_apart_than_these_hold() -> None:
    values = np.arange(-100, 101, dtype=np.int8)
    levels, positions = Levels.read(pd.Series(values))
    assert levels.values == tuple(range(-100, 101))
    np.testing.assert_array_equal(positions, np.arange(201))
