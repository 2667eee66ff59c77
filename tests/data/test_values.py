"""Summaries of columns in partitions say what the column itself says."""

import numpy as np
import pandas as pd
import pytest

from lgm.data import values
from lgm.data.partitions import in_tree
from lgm.data.values import AtHand, Summary, as_numbers, nearest

RNG = np.random.default_rng(1)
N = 60
COLUMNS = {
    "numbers": pd.Series(np.round(RNG.normal(3.0, 2.0, N), 1)),
    "whole": pd.Series(RNG.integers(1, 9, N)),
    "dates": pd.Series(pd.Timestamp("2024-02-01") + pd.to_timedelta(RNG.integers(0, 9, N), "D")),
    "months": pd.Series(pd.period_range("2001-01", periods=5, freq="M")[RNG.integers(0, 5, N)]),
}


def _joined(column: pd.Series, cuts: tuple[int, ...] = (0, 7, 7, 31)) -> Summary:
    parts = [column.iloc[a:b] for a, b in zip(cuts, [*cuts[1:], len(column)], strict=True)]
    return in_tree(map(Summary.of, parts), lambda one, other: one + other)


@pytest.mark.parametrize("name", COLUMNS)
def test_partitions_say_what_the_column_says(name):
    column = COLUMNS[name]
    found, known = _joined(column), AtHand(column)
    assert found.mean == pytest.approx(known.mean, rel=1e-14) and found.sd() == pytest.approx(known.sd(), rel=1e-12)
    assert (found.low, found.high) == (known.low, known.high)
    assert found.distinct.tolist() == known.distinct.tolist() == list(column.unique())
    assert dict(zip(found.distinct, found.counts, strict=True)) == column.value_counts().to_dict()
    if name in ("numbers", "whole"):
        at = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
        np.testing.assert_allclose(found.quantiles(at), np.quantile(column, at), rtol=1e-14)
        assert found.whole == known.whole == (name == "whole")


def test_whole_numbers_and_others_are_one_column():
    found = Summary.of(pd.Series([1, 2])) + Summary.of(pd.Series([2.0, 2.5]))
    assert found.distinct.tolist() == [1.0, 2.0, 2.5] and found.counts.tolist() == [1, 2, 1]
    assert not found.whole


def test_labels_have_no_moments():
    column = pd.Series(pd.Categorical(["b", "a", "b"], categories=["a", "b", "c"]))
    found = Summary.of(column.iloc[:1]) + Summary.of(column.iloc[1:])
    assert found.distinct.tolist() == ["b", "a"] and found.found is None


def test_too_many_values_are_not_kept(monkeypatch):
    monkeypatch.setattr(values, "MOST", 4)
    few, many = Summary.of(pd.Series([1.0, 2.0, 3.0])), Summary.of(pd.Series(np.arange(9.0)))
    assert many.distinct is None and many.quantiles(np.array([0.5])) is None and many.mean == 4.0
    assert (few + many).distinct is None and (many + few).high == 8.0
    assert (few + Summary.of(pd.Series([4.0]))).distinct.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert (few + Summary.of(pd.Series([4.0, 5.0]))).distinct is None
    late = Summary.of(pd.Series(np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], [8, 1, 1, 1, 1])))
    assert late.distinct is None  # more than the first rows show


def test_dates_of_several_units_are_numbers_of_one():
    day = pd.Series([pd.Timestamp("2024-02-01")])
    assert np.array_equal(as_numbers(day.dt.as_unit("s")), as_numbers(day.dt.as_unit("ns")))


def test_of_values_that_are_as_near_the_smaller_is_taken():
    at = [np.array([6.0, 5.0, 5.0]), np.array([1.0, 2.0, 1.0])]
    assert nearest(at, [5.5 + 1e-15, 1.5], [1.0, 1.0]) == 2
    assert nearest(at, [5.9, 1.5], [1.0, 0.0]) == 0
