"""Tables of any kind become few dtypes; rows and weights."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import lgm
from lgm.data.table import Table, kind_of, per_row, plain, read_weights, settled, to_pandas, usable_rows, with_geometry
from lgm.errors import DataError
from lgm.words import listed

BIG = 2**53 + 1  # not a float
DAY = datetime.date(2020, 1, 2)

# values, dtype that they get, dtype once no value is missing
OBJECTS = [
    ([1, 2], "Int64", "int64"),
    ([BIG, None], "Int64", "int64"),
    ([2**70, 1], "object", "object"),
    ([1.5, 2], "float64", "float64"),
    ([1.5, None], "float64", "float64"),
    ([Decimal("1.5"), Decimal("2")], "float64", "float64"),
    ([Decimal("1.5"), None], "float64", "float64"),
    ([True, False], "boolean", "bool"),
    ([True, None], "boolean", "bool"),
    (["a", "b"], "object", "object"),
    (["a", None], "object", "object"),
    ([1, "a"], "object", "object"),
    ([(1, 2), (3, 4)], "object", "object"),
    ([DAY, None], "datetime64", "datetime64"),
    ([datetime.timedelta(1), None], "timedelta64", "timedelta64"),
]


@pytest.mark.parametrize(("values", "dtype", "complete"), OBJECTS, ids=[str(case[0]) for case in OBJECTS])
def test_objects_become_what_they_hold(values: list[Any], dtype: str, complete: str) -> None:
    column = plain(pd.Series(values, dtype=object, index=["p", "q"]))
    assert str(column.dtype).startswith(dtype) and column.index.tolist() == ["p", "q"]
    left = settled(pd.DataFrame({"x": column.dropna()}))["x"]
    assert str(left.dtype).startswith(complete)
    assert left.iloc[0] == (pd.Timestamp(DAY) if values[0] is DAY else values[0])


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, None], dtype="Int64"),
        pd.Series([1, None], dtype="int64[pyarrow]"),
        pd.Series([1.0, None], dtype="Float64"),
        pd.Series(["a", None], dtype="string"),
        pd.Series(["a", None], dtype="str"),
        pd.Series(["a", None], dtype="string[pyarrow]"),
        pd.Series([True, None], dtype="boolean"),
        pd.Series([True, None], dtype="bool[pyarrow]"),
        pd.Series([1.0, np.nan], dtype="Sparse[float]"),
        pd.Series(["a", None], dtype="category"),
        pd.Series([pd.Timestamp("2020"), None]),
        pd.Series([pd.Timestamp("2020"), None], dtype="timestamp[ns][pyarrow]"),
        pd.Series([Decimal("1.5"), None], dtype=pd.ArrowDtype(pa.decimal128(10, 2))),
    ],
    ids=lambda column: str(column.dtype),
)
def test_every_dtype_of_pandas_is_read_with_its_gaps(column: pd.Series) -> None:
    frame = pd.DataFrame({"x": column, "y": [1.0, 2.0]}).set_axis([5, 6])
    read = to_pandas(frame)
    assert read["x"].isna().tolist() == [False, True] and read.index.tolist() == [5, 6]
    rows = usable_rows(read, ["x"], ["y"], "drop")
    assert (rows.dropped, rows.missing_in, rows.kept.tolist()) == (1, {"x": 1}, [0])
    value = rows.frame["x"].iloc[0]
    assert value == column.iloc[0]
    assert not isinstance(rows.frame["x"].dtype, (pd.StringDtype, pd.ArrowDtype, pd.SparseDtype))


TYPES = {
    "int": [1, None, 3],
    "big": [BIG, None, BIG + 1],
    "float": [1.5, None, 2.5],
    "text": ["b", None, "a"],
    "flag": [True, None, False],
    "day": [DAY, None, DAY],
}


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table, pd.DataFrame], ids=["polars", "pyarrow", "pandas"])
def test_tables_agree(make: Any) -> None:
    read = to_pandas(make(TYPES) if make is not pd.DataFrame else pd.DataFrame(TYPES, dtype=object))
    assert read.isna().to_numpy().tolist() == [[False] * 6, [True] * 6, [False] * 6]
    whole = settled(read.dropna())
    assert [str(d)[:8] for d in whole.dtypes] == ["int64", "int64", "float64", "object", "bool", "datetime"]
    assert whole["big"].tolist() == [BIG, BIG + 1]


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas], ids=["pandas", "polars", "arrow"]
)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "float32", "Int16", "UInt8"])
def test_small_numbers_do_not_wrap_around(make: Any, dtype: str) -> None:
    read = to_pandas(make(pd.DataFrame({"x": pd.Series([3, 120], dtype=dtype)})))["x"]
    assert (read - 4).tolist() == [-1, 116] and (read**7).tolist() == [3**7, 120**7]


def test_labels_beyond_64_bits_with_a_sign_stay() -> None:
    assert to_pandas(pd.DataFrame({"x": np.array([2**64 - 1], dtype="uint64")}))["x"].tolist() == [2**64 - 1]


def test_categories_keep_their_order() -> None:
    levels = ["z", "m", "a"]
    values = ["a", "z", None]
    tables = [
        pd.DataFrame({"c": pd.Categorical(values, levels)}),
        pl.DataFrame({"c": pl.Series(values, dtype=pl.Enum(levels))}),
        pa.table({"c": pa.DictionaryArray.from_arrays([2, 0, None], levels)}),
        pd.DataFrame({"c": pd.Series(values, dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string())))}),
    ]
    for table in tables[:3]:
        assert to_pandas(table)["c"].cat.categories.tolist() == levels
    assert to_pandas(tables[3])["c"].cat.categories.tolist() == ["a", "z"]
    later = pl.DataFrame({"c": pl.Series(["q", "a", None], dtype=pl.Categorical)})
    assert to_pandas(later)["c"].cat.categories.tolist() == sorted(to_pandas(later)["c"].cat.categories)


def test_only_what_is_wanted_is_read() -> None:
    table = Table.of(pd.DataFrame({"x": [1.0], 3: [2.0], "y": [3.0]}))
    assert table.names == ("x", "3", "y")
    assert table.select({"3", "y", "other"}).columns.tolist() == ["3", "y"]
    frame = pd.DataFrame({"x": [1.0]})
    read = to_pandas(frame)
    read.loc[0, "x"] = 7.0
    assert frame.loc[0, "x"] == 1.0


def test_arrays_beside_the_data() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=["a", "b"])
    for value in (
        np.array([3, 4]),
        pd.Series([3, 4], index=["a", "b"]),
        pl.Series([3, 4]),
        pd.array([3, 4]),
        pd.Index([3, 4]),
    ):
        column = per_row(value, frame, "w")
        assert column is not None and column.tolist() == [3, 4] and column.index.tolist() == ["a", "b"]
    for value in (np.ones(3), np.ones((2, 2)), 3, "ab", [3, 4], None, pd.DataFrame({"w": [1, 2]}), np.float64(3)):
        assert per_row(value, frame, "w") is None
    with pytest.raises(DataError, match=r"`w` is a pandas Series .* make it an array: w = w.to_numpy\(\)"):
        per_row(pd.Series([3, 4]), frame, "w")


def test_unused_categories_are_dropped_with_the_rows() -> None:
    frame = pd.DataFrame({"g": pd.Categorical(["a", "b", "c"], list("cbaz")), "x": [1.0, np.nan, 2.0], "y": 1.0})
    rows = usable_rows(frame, ["g", "x"], ["y"], "drop")
    assert rows.frame["g"].cat.categories.tolist() == ["c", "a"]
    assert frame["g"].cat.categories.tolist() == list("cbaz")


def test_rows_without_predictors() -> None:
    rows = usable_rows(pd.DataFrame({"y": [1.0, np.nan]}), [], ["y"], "error")
    assert rows.kept.tolist() == [0, 1] and rows.observed.tolist() == [True, False]


def test_weights() -> None:
    frame = pd.DataFrame({"w": pd.array([1, 2, 3], dtype="Int64"), "y": [1.0, 2.0, 3.0]})
    assert read_weights(None, frame).tolist() == [1.0, 1.0, 1.0]
    for weights in ("w", [1, 2, 3], (1, 2, 3), np.array([1, 2, 3]), pl.Series([1, 2, 3]), frame["w"]):
        assert read_weights(weights, frame).tolist() == [1.0, 2.0, 3.0]
    assert read_weights([0.0, 2.0, 3.0], frame, kept=np.array([1, 2])).tolist() == [2.0, 3.0]
    with pytest.raises(DataError, match=r"1 of 2 are not \(first: 0 in row 2\)"):
        read_weights([0.0, 2.0, 0.0], frame, kept=np.array([1, 2]))


def test_words() -> None:
    assert listed(["a", 2], 5) == "a, 2" and listed(range(9), 3) == "0, 1, 2, ..."
    columns = {
        "categories": pd.Series(["a"], dtype="category"),
        "booleans": pd.Series([True]),
        "dates": pd.Series(pd.date_range("2020", periods=1)),
        "durations": pd.Series(pd.to_timedelta([1], unit="D")),
        "text": pd.Series(["a"], dtype=object),
        "numbers among other things": pd.Series([1, "a"], dtype=object),
        "objects of several types": pd.Series([(1,), "a"], dtype=object),
        "floating values": pd.Series([1.0]),
    }
    for words, column in columns.items():
        assert kind_of(column) == words


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
def test_an_accent_of_its_own_makes_no_other_name(kind: Any) -> None:
    table = Table.of(kind({"cafe\u0301": [1.0, 2.0], "caf\u00e8": [3.0, 4.0], "µ": [5.0, 6.0]}))
    assert table.names == ("caf\u00e9", "caf\u00e8", "µ")
    for name in ("caf\u00e9", "cafe\u0301"):
        assert table.select({name}).to_dict("list") == {"caf\u00e9": [1.0, 2.0]}
        assert read_weights(name, table.select(), table.names).tolist() == [1.0, 2.0]


def test_names_that_differ_in_an_accent_of_its_own_are_one() -> None:
    with pytest.raises(DataError, match="several columns of the data are called caf\u00e9"):
        to_pandas({"caf\u00e9": [1.0], "cafe\u0301": [2.0]})


class _Relation:
    """Rows of a database, which hands them over as Arrow does."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "convert",
    [
        lambda frame: frame.to_dict("records"),
        lambda frame: frame.to_records(index=False),
        lambda frame: pa.RecordBatch.from_pandas(frame, preserve_index=False),
        lambda frame: pa.RecordBatchReader.from_batches(
            pa.Schema.from_pandas(frame, preserve_index=False),
            [pa.RecordBatch.from_pandas(frame, preserve_index=False)],
        ),
        lambda frame: _Relation(pa.Table.from_pandas(frame, preserve_index=False)),
    ],
    ids=["records", "structured array", "batch", "reader of batches", "relation"],
)
def test_rows_and_batches(convert: Any) -> None:
    frame = pd.DataFrame({"x": [1.5, 2.5, 3.0], "g": ["a", "b", "a"], "n": [1, 2, 3]})
    pd.testing.assert_frame_equal(to_pandas(convert(frame)), to_pandas(frame))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[1, 2], [3, 4]], "not list. Columns need names."),
        ([], "not list. Columns need names."),
        (pl.Series([1.0]), "not Series."),
        (pl.LazyFrame({"x": [1]}), r"not LazyFrame. Call its collect\(\) first."),
    ],
)
def test_what_is_no_table(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"a dict of columns or a list of records, {message}"):
        to_pandas(data)


def test_what_is_on_a_map_stays_on_it() -> None:
    """Predictions at the rows of a GeoDataFrame, also those of several categories for each row."""
    geopandas = pytest.importorskip("geopandas")
    places = geopandas.points_from_xy([0.0, 1.0, 2.0], [5.0, 6.0, 7.0])
    data = geopandas.GeoDataFrame({"x": [1.0, 2.0, 3.0]}, geometry=places, crs="EPSG:4326", index=list("abc"))
    found = with_geometry(pd.DataFrame({"mean": np.arange(6.0)}, index=list("aabbcc")), data)
    assert isinstance(found, geopandas.GeoDataFrame) and found.crs == data.crs
    assert found.geometry.x.tolist() == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
    known = pd.DataFrame({"x": np.arange(9.0), "y": 2.0 * np.arange(9) + np.array([0.1, -0.1, 0.0] * 3)})
    fit = lgm.fit("y ~ x", known, method="mode", draws=50, seed=1, progress=False)
    there = fit.predict(data)
    assert isinstance(there, geopandas.GeoDataFrame) and there.geometry.y.tolist() == [5.0, 6.0, 7.0]
    assert list(there.index) == list("abc") and not hasattr(fit.predict(pd.DataFrame(data)[["x"]]), "crs")
