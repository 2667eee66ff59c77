"""Arrays, columns, indices and tables as parts of an `Archive`: values to the bit, dtypes by name."""

from __future__ import annotations

import functools
import re
import zoneinfo
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.data.table import to_pandas
from lgm.errors import LgmError
from lgm.storage.container import Damaged

if TYPE_CHECKING:
    from lgm.storage.archive import Archive


def pack_array(archive: Archive, value: Any, where: str) -> Any:
    """An array: a member of its own, or item by item where it holds objects of several types."""
    array = np.asarray(value)
    if array.dtype == object:
        items = [_item(v) for v in array.ravel()]
        if items and all(type(item) is str for item in items):
            return {"shape": list(array.shape), **_pack_text(archive, items)}
        if items and all(type(item) is int and abs(item) < 2**63 for item in items):
            return {"shape": list(array.shape), "whole": pack_array(archive, np.array(items, dtype=np.int64), where)}
        return {"shape": list(array.shape), "items": [archive.pack(item, where) for item in items]}
    key = f"a{len(archive.arrays)}"
    archive.arrays[key] = array
    return key


def unpack_array(archive: Archive, packed: Any) -> Any:
    """Inverse of `pack_array`."""
    if isinstance(packed, str):
        return archive.take(packed)
    if "whole" in packed:
        items = archive.take(packed["whole"]).tolist()
    elif "text" in packed:
        items = _unpack_text(archive, packed)
    else:
        items = [archive.unpack(item) for item in packed["items"]]
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out.reshape(packed["shape"])


def _pack_text(archive: Archive, items: list[str]) -> dict[str, Any]:
    encoded = [item.encode("utf-8", "surrogatepass") for item in items]
    lengths = np.array([len(each) for each in encoded])
    text = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    return {"text": pack_array(archive, text, ""), "lengths": pack_array(archive, lengths, "")}


def _unpack_text(archive: Archive, packed: Any) -> list[str]:
    text, lengths = archive.take(packed["text"]), archive.take(packed["lengths"])
    if lengths.dtype.kind != "i" or lengths.ndim != 1 or lengths.min(initial=0) < 0 or lengths.sum() != text.size:
        raise Damaged("the lengths of its texts are not those of its text.")
    ends = np.cumsum(lengths).tolist()
    content = text.tobytes()
    return [content[a:b].decode("utf-8", "surrogatepass") for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def pack_labels(archive: Archive, labels: Sequence[Any], where: str) -> Any:
    """A sequence of labels of any type, as an array of objects."""
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return pack_array(archive, array, where)


def _item(value: Any) -> Any:
    """Python's own number or text in place of numpy's."""
    return None if value is pd.NA or value is pd.NaT else value


# What pandas makes of other names may be anything that is registered with it, or a file that holds a time zone.
_DTYPE = re.compile(
    r"object|str|string|boolean|U?Int(8|16|32|64)|Float(32|64)|timedelta64\[(s|ms|us|ns)\]"
    r"|datetime64\[(s|ms|us|ns)(, (?P<zone>[\w+/:-]{1,60}))?\]"
)
_FREQUENCY = re.compile(r"\d{0,6}[A-Za-z]{1,4}(-[A-Z]{3}){0,2}")  # such as "M", "2W-SUN"
_OFFSET = re.compile(r"UTC([+-]\d\d:\d\d)?")


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _is_dtype(name: Any) -> bool:
    """Whether a file may name this dtype."""
    found = _DTYPE.fullmatch(name) if isinstance(name, str) else None
    zone = found and found["zone"]
    return bool(found) and (zone is None or bool(_OFFSET.fullmatch(zone)) or zone in _zones())


def pack_column(archive: Archive, column: Any, where: str) -> Any:
    """One column, or the labels of an index: dtype and values."""
    packed = _pack_column(archive, column, where)
    if not _is_dtype(packed.get("dtype", "object")):
        raise LgmError(
            f"{where} has the dtype {packed['dtype']}, which cannot be kept in a file. Nothing was written. Convert it "
            "to numbers, text, or dates with a time zone that has a name."
        )
    return packed


def _pack_column(archive: Archive, column: Any, where: str) -> dict[str, Any]:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        values = pd.Categorical(column)
        categories = pack_column(archive, values.categories, where)
        codes = pack_array(archive, values.codes, where)
        return {"categories": categories, "codes": codes, "ordered": bool(values.ordered)}
    if isinstance(dtype, pd.IntervalDtype):
        index = pd.IntervalIndex(column)
        ends = (pack_column(archive, each, where) for each in (index.left, index.right))
        return dict(zip(("left", "right"), ends, strict=True), closed=index.closed)
    if isinstance(dtype, pd.PeriodDtype):
        index = pd.PeriodIndex(column)
        return {"ordinals": pack_array(archive, index.asi8, where), "freq": index.freqstr}
    if isinstance(dtype, np.dtype) and dtype.kind not in "OMm":
        return {"values": pack_array(archive, column.to_numpy(), where)}
    if hasattr(dtype, "numpy_dtype") and dtype.kind in "biuf":  # nullable numbers
        missing = np.asarray(column.isna())
        filled = column.to_numpy(dtype=dtype.numpy_dtype, na_value=0)
        masks = pack_array(archive, missing, where)
        return {"values": pack_array(archive, filled, where), "missing": masks, "dtype": str(dtype)}
    if dtype.kind in "Mm":
        return {"ticks": pack_array(archive, pd.Index(column).asi8, where), "dtype": str(dtype)}
    return {"values": pack_array(archive, column.to_numpy(dtype=object), where), "dtype": str(dtype)}


def unpack_column(archive: Archive, packed: Any) -> Any:
    """Inverse of `pack_column`."""
    if not _is_dtype(packed.get("dtype", "object")):
        raise Damaged(f"it has a column of the dtype {str(packed['dtype'])[:80]!r}.")
    if "categories" in packed:
        categories = pd.Index(unpack_column(archive, packed["categories"]))
        return pd.Categorical.from_codes(
            unpack_array(archive, packed["codes"]), categories=categories, ordered=packed["ordered"]
        )
    if "closed" in packed:
        left, right = (unpack_column(archive, packed[end]) for end in ("left", "right"))
        return pd.IntervalIndex.from_arrays(left, right, packed["closed"])
    if "freq" in packed:
        if not isinstance(packed["freq"], str) or not _FREQUENCY.fullmatch(packed["freq"]):
            raise Damaged(f"it has periods of {str(packed['freq'])[:80]!r}.")
        return pd.PeriodIndex.from_ordinals(unpack_array(archive, packed["ordinals"]), freq=packed["freq"])
    if "ticks" in packed:
        return pd.Index(unpack_array(archive, packed["ticks"])).astype(_unit(packed["dtype"])).astype(packed["dtype"])
    values = unpack_array(archive, packed["values"])
    if "missing" in packed:
        out = pd.array(values, dtype=packed["dtype"])
        out[unpack_array(archive, packed["missing"])] = pd.NA
        return out
    return pd.array(values, dtype=packed["dtype"]) if "dtype" in packed else values


def _unit(dtype: str) -> str:
    """Ticks become times of this dtype first; a time zone is put on afterwards (ticks count from 1970 in UTC)."""
    return f"{dtype.split(',')[0].rstrip(']')}, UTC]" if "," in dtype else dtype


def pack_index(archive: Archive, index: pd.Index, where: str) -> Any:
    """The labels of rows."""
    names = [archive.pack(name, where) for name in index.names]
    if type(index) is pd.RangeIndex:
        return {"range": [index.start, index.stop, index.step], "names": names}
    levels = [index.get_level_values(k) for k in range(index.nlevels)]
    return {"levels": [pack_column(archive, level, where) for level in levels], "names": names}


def unpack_index(archive: Archive, packed: Any) -> pd.Index:
    """Inverse of `pack_index`."""
    names = [archive.unpack(name) for name in packed["names"]]
    if "range" in packed:
        index = pd.RangeIndex(*packed["range"], name=names[0])
        if len(index) > archive.rows:
            raise Damaged(f"it has a table of {len(index)} rows.")
        return index
    levels = [unpack_column(archive, level) for level in packed["levels"]]
    return pd.Index(levels[0], name=names[0]) if len(levels) == 1 else pd.MultiIndex.from_arrays(levels, names=names)


def pack_table(archive: Archive, value: Any, where: str) -> Any:
    """A table, as pandas."""
    frame = to_pandas(value)
    names = (value if isinstance(value, pd.DataFrame) else frame).columns.tolist()  # numbers stay numbers
    columns = [
        [archive.pack(name, where), pack_column(archive, frame.iloc[:, i], f"{where}, column {name}")]
        for i, name in enumerate(names)
    ]
    return {"columns": columns, "index": pack_index(archive, frame.index, where)}


def unpack_table(archive: Archive, packed: Any) -> pd.DataFrame:
    """Inverse of `pack_table`."""
    index = unpack_index(archive, packed["index"])
    columns = {
        archive.unpack(name): pd.Series(unpack_column(archive, column), index) for name, column in packed["columns"]
    }
    return pd.DataFrame(columns, index=index)


def is_table(value: Any) -> bool:
    """Whether a value is a table of pandas, polars or Arrow."""
    return isinstance(value, pd.DataFrame) or isinstance(
        nw.from_native(value, eager_only=True, pass_through=True), nw.DataFrame
    )


def pack_series(archive: Archive, value: pd.Series, where: str) -> Any:
    """A series with its index and name."""
    values = pack_column(archive, value, where)
    return {"values": values, "index": pack_index(archive, value.index, where), "name": archive.pack(value.name, where)}


def unpack_series(archive: Archive, packed: Any) -> pd.Series:
    """Inverse of `pack_series`."""
    index, name = unpack_index(archive, packed["index"]), archive.unpack(packed["name"])
    return pd.Series(unpack_column(archive, packed["values"]), index, name=name)


def pack_sparse(archive: Archive, value: Any, where: str) -> Any:
    """A sparse matrix, compressed by rows: there is a number for every row, as for every entry."""
    matrix = sp.csr_array(value)
    parts = {"indptr": matrix.indptr, "indices": matrix.indices, "data": matrix.data}
    return {**{k: pack_array(archive, v, where) for k, v in parts.items()}, "shape": list(matrix.shape)}


def unpack_sparse(archive: Archive, packed: Any) -> Any:
    """Inverse of `pack_sparse`."""
    data, indices, indptr = (unpack_array(archive, packed[k]) for k in ("data", "indices", "indptr"))
    matrix = sp.csr_array((data, indices, indptr), shape=tuple(packed["shape"]))
    matrix.check_format(full_check=True)
    return matrix
