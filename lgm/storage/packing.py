"""Arrays, columns, indices and tables as parts of an `Archive`: values to the bit, dtypes by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.data.table import to_pandas

if TYPE_CHECKING:
    from lgm.storage.archive import Archive


def pack_array(archive: Archive, value: Any, where: str) -> Any:
    """An array: a member of its own, or item by item where it holds objects."""
    array = np.asarray(value)
    if array.dtype == object:
        return {"shape": list(array.shape), "items": [archive.pack(_item(v), where) for v in array.ravel()]}
    key = f"a{len(archive.arrays)}"
    archive.arrays[key] = array
    return key


def unpack_array(archive: Archive, packed: Any) -> Any:
    """Inverse of `pack_array`."""
    if isinstance(packed, str):
        return archive.arrays[packed]
    out = np.empty(len(packed["items"]), dtype=object)
    out[:] = [archive.unpack(item) for item in packed["items"]]
    return out.reshape(packed["shape"])


def _item(value: Any) -> Any:
    """Python's own number or text in place of numpy's."""
    return None if value is pd.NA or value is pd.NaT else value


def pack_column(archive: Archive, column: Any, where: str) -> Any:
    """One column, or the labels of an index: dtype and values."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        values = pd.Categorical(column)
        categories = pack_column(archive, values.categories, where)
        codes = pack_array(archive, values.codes, where)
        return {"categories": categories, "codes": codes, "ordered": bool(values.ordered)}
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
    if "categories" in packed:
        categories = pd.Index(unpack_column(archive, packed["categories"]))
        return pd.Categorical.from_codes(
            unpack_array(archive, packed["codes"]), categories=categories, ordered=packed["ordered"]
        )
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
        return pd.RangeIndex(*packed["range"], name=names[0])
    levels = [unpack_column(archive, level) for level in packed["levels"]]
    return pd.Index(levels[0], name=names[0]) if len(levels) == 1 else pd.MultiIndex.from_arrays(levels, names=names)


def pack_table(archive: Archive, value: Any, where: str) -> Any:
    """A table, as pandas."""
    frame = to_pandas(value)
    columns = [[str(name), pack_column(archive, frame[name], f"{where}, column {name}")] for name in frame.columns]
    return {"columns": columns, "index": pack_index(archive, frame.index, where)}


def unpack_table(archive: Archive, packed: Any) -> pd.DataFrame:
    """Inverse of `pack_table`."""
    index = unpack_index(archive, packed["index"])
    columns = {name: pd.Series(unpack_column(archive, column), index) for name, column in packed["columns"]}
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
    """A sparse matrix."""
    entries = sp.coo_array(value)
    parts = {"row": entries.row, "col": entries.col, "data": entries.data}
    return {**{k: pack_array(archive, v, where) for k, v in parts.items()}, "shape": list(entries.shape)}


def unpack_sparse(archive: Archive, packed: Any) -> Any:
    """Inverse of `pack_sparse`: compressed by rows."""
    row, col, data = (unpack_array(archive, packed[k]) for k in ("row", "col", "data"))
    return sp.csr_array(sp.coo_array((data, (row, col)), shape=tuple(packed["shape"])))
