"""Arrays, columns, indices and tables go into an archive and come back with their values, dtypes and labels."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from lgm.storage.archive import Archive
from lgm.storage.container import Damaged
from lgm.storage.packing import is_table, pack_column, unpack_column


def there_and_back(value: Any) -> Any:
    box = Archive()
    packed = json.loads(json.dumps(box.pack(value, "it")))
    return Archive(box.arrays).unpack(packed)


COLUMNS = {
    "float": [1.5, np.nan, np.inf],
    "single": np.array([0.1, 0.2, np.nan], dtype=np.float32),
    "int": np.array([1, 2, 3], dtype=np.int8),
    "unsigned": np.array([0, 2**64 - 1, 3], dtype=np.uint64),
    "bool": [True, False, True],
    "text": np.array(["a", None, "c"], dtype=object),
    "mixed": np.array([1, "b", 2.5], dtype=object),
    "category": pd.Categorical(["u", "v", None], categories=["v", "u", "w"], ordered=True),
    "category of numbers": pd.Categorical([3, 1, 3], categories=[3, 1, 2]),
    "category of dates": pd.Categorical(pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-02"])),
    "dates": pd.to_datetime(["2020-01-01", None, "2021-06-01"]),
    "dates by the second": pd.to_datetime(["2020-01-01", None, "2021-06-01"]).as_unit("s"),
    "zoned": pd.to_datetime(["2020-01-01", "2020-02-01", "2021-06-01"]).tz_localize("Europe/Berlin"),
    "spans": pd.to_timedelta([1, 2, 3], unit="h"),
    "intervals": pd.IntervalIndex.from_breaks([0.0, 1.0, 2.5, 4.0], closed="left"),
    "intervals of dates": pd.IntervalIndex.from_breaks(pd.date_range("2020-01-01", periods=4, freq="D")),
    "cut": pd.cut([0.5, np.nan, 2.5], [0, 1, 3]),
    "periods": pd.PeriodIndex(["2020-01", None, "1969-12"], freq="M"),
    "weeks": pd.period_range("2020-01-01", periods=3, freq="2W-SUN"),
    "nullable": pd.array([1, None, 3], dtype="Int64"),
    "nullable floats": pd.array([0.1, None, 3], dtype="Float64"),
    "nullable flags": pd.array([True, None, False], dtype="boolean"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_come_back(name: str) -> None:
    series = pd.Series(COLUMNS[name], index=["p", "q", "r"], name="s")
    pd.testing.assert_series_equal(there_and_back(series), series, check_exact=True)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1) | st.none(), max_size=5))
def test_missing_numbers_keep_their_places(values: list[int | None]) -> None:
    """No number stands for a missing one: the largest and smallest are numbers like others."""
    column = pd.Series(pd.array(values, dtype="Int64"))
    box = Archive()
    packed = pack_column(box, column, "it")
    assert list(unpack_column(Archive(box.arrays), packed)) == list(column)


INDICES = {
    "range": pd.RangeIndex(2, 8, 2, name="i"),
    "numbers": pd.Index([3, 1, 2]),
    "text": pd.Index(["a", "b", "a"], name="k"),
    "dates": pd.date_range("2020", periods=3, name="day"),
    "two levels": pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["k", None]),
}


@pytest.mark.parametrize("name", INDICES)
def test_tables_come_back_with_their_rows_names(name: str) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": pd.Categorical(list("aba"))}, index=INDICES[name])
    found = there_and_back(frame)
    pd.testing.assert_frame_equal(found, frame, check_freq=False, check_exact=True)
    assert type(found.index) is type(frame.index) or name == "dates"


def test_a_table_without_columns() -> None:
    found = there_and_back(pd.DataFrame(index=[1, 2]))
    assert found.shape == (2, 0) and list(found.index) == [1, 2]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16, np.bool_, np.complex128, "<U3", "M8[D]"], ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 1)], ids=str)
def test_arrays_come_back_with_shape_and_dtype(shape: tuple[int, ...], dtype: Any) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    found = there_and_back(array)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype and found.shape == array.shape


def test_arrays_of_objects_come_back_item_by_item() -> None:
    array = np.array([[1, "a"], [None, (2, 3)]], dtype=object)
    box = Archive()
    packed = box.pack(array, "it")
    assert not box.arrays  # numpy would pickle it
    found = Archive().unpack(packed)
    assert found.dtype == object and found.tolist() == array.tolist()


@pytest.mark.parametrize("items", [[3, -(2**62)], [2**63, 1], [1, True], [1, 2.0], ["a", "b"], ["a", None]], ids=str)
def test_objects_come_back_with_their_types(items: list[Any]) -> None:
    """Those of one type are packed together, where they are whole numbers or text."""
    array = np.array(items, dtype=object)
    found = there_and_back(array)
    assert [(type(v), v) for v in found] == [(type(v), v) for v in items]


@pytest.mark.parametrize("form", ["csc", "csr", "coo"])
def test_sparse_matrices_come_back_with_their_entries(form: str) -> None:
    matrix = sp.random_array((5, 4), density=0.4, rng=np.random.default_rng(1), format=form)
    found = there_and_back(matrix)
    assert found.format == "csr" and found.shape == (5, 4)
    assert abs(found - matrix).max() == 0
    assert there_and_back(sp.csr_array((3, 2))).toarray().tolist() == [[0, 0]] * 3


def test_tables_of_other_libraries_become_pandas() -> None:
    content = {"from": ["a", "b"], "to": [1, 2]}
    for table in (pl.DataFrame(content), pa.table(content)):
        assert is_table(table)
        assert there_and_back(table).to_dict("list") == content
    for other in (pl.Series([1]), pd.Series([1]), np.eye(2), "x", None):
        assert not is_table(other)


def test_every_array_has_a_member_of_its_own() -> None:
    box = Archive()
    box.pack({"a": np.zeros(2), "b": [np.ones(2), pd.Series([5.0])]}, "it")
    assert sorted(box.arrays) == ["a0", "a1", "a2"]
    assert [box.arrays[k].tolist() for k in ("a0", "a1", "a2")] == [[0, 0], [1, 1], [5]]


@pytest.mark.parametrize("freq", ["M; import os", "x" * 10, 3, None])
def test_periods_of_no_frequency(freq: Any) -> None:
    box = Archive()
    packed = pack_column(box, pd.Series(pd.period_range("2020-01", periods=2, freq="M")), "it")
    with pytest.raises(Damaged, match="it has periods of"):
        unpack_column(Archive(box.arrays), {**packed, "freq": freq})
