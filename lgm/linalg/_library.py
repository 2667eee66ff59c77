"""The compiled kernel's own functions, with types: what `_kernel/host.cc` exports.

It is a library with a C interface, which no version of Python has a part in; ctypes lets go of the interpreter's lock
while a function runs. What XLA calls is registered in `lgm.linalg._ffi`.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_double, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgm.arrays import FloatArray

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

_PATH = Path(__file__).with_name("liblgm_kernel" + (".dll" if sys.platform == "win32" else ".so"))
if not _PATH.exists():
    raise ImportError(
        "lgm's compiled kernel is not beside its Python files: this looks like a checkout that was not installed. "
        "Run `pip install .` in it (a C++17 compiler is needed) and start Python elsewhere"
    )
library = ctypes.CDLL(str(_PATH))


class Cost(ctypes.Structure):
    """What one factorisation takes: numbers of entries, and operations."""

    _fields_ = (
        ("nnz_factor", c_int64),
        ("stored", c_int64),
        ("row_entries", c_int64),
        ("largest_front", c_int64),
        ("flops", c_double),
    )
    nnz_factor: int
    stored: int
    row_entries: int
    largest_front: int
    flops: float


_ERRORS: dict[int, type[Exception]] = {1: ValueError, 2: MemoryError}
_POINTERS = {np.dtype(kind): POINTER(kind) for kind in (c_int32, c_int64, c_double)}

library.lgm_error.restype = c_char_p


def _function(name: str, *types: Any, result: Any = c_int32) -> Callable[..., Any]:
    function = getattr(library, name)
    function.argtypes, function.restype = types, result
    return function


def _answered(answer: int) -> None:
    if answer:
        raise _ERRORS.get(answer, RuntimeError)(library.lgm_error().decode())


def _sized(*arrays: npt.NDArray[Any]) -> list[Any]:
    """Address and length of each."""
    return [part for array in arrays for part in (_address(array), array.size)]


def _address(array: npt.NDArray[Any]) -> Any:
    if array.ndim != 1 or not array.flags.c_contiguous:
        raise ValueError("the kernel takes arrays of one dimension without gaps")
    return ctypes.cast(array.ctypes.data, _POINTERS[array.dtype])


_SIZED64, _SIZED32 = (POINTER(c_int64), c_int64), (POINTER(c_int32), c_int64)
_DOUBLES = POINTER(c_double)
_MATRIX = (*_SIZED64, *_SIZED64, *_SIZED32, *_SIZED32)
_predict_cost = _function("lgm_predict_cost", *_MATRIX, POINTER(Cost))
_register_analysis = _function("lgm_register_analysis", c_char_p, *_MATRIX, POINTER(Cost), POINTER(c_int64))
_register_arrow = _function("lgm_register_arrow", c_char_p, *_SIZED64, *_SIZED64, *_SIZED32, c_int32, *_SIZED32)
_minimum_degree = _function("lgm_minimum_degree", *_SIZED64, *_SIZED32, POINTER(c_int32))
_likelihood = _function("lgm_likelihood", c_char_p, c_int64, *[_DOUBLES] * 5, c_int64, _DOUBLES)
writes_wide_info = _function("lgm_writes_wide_info", c_void_p)
use_blas = _function("lgm_use_blas", POINTER(c_void_p), c_int32, c_void_p, c_void_p, result=None)
set_max_threads = _function("lgm_set_max_threads", c_int64, result=None)


def predict_cost(indptr: Int64s, indices: Int64s, order: Int32s, negative: Int32s) -> Cost:
    """What a factorisation in this order takes; `negative` are the rows whose pivots are below zero."""
    cost = Cost()
    _answered(_predict_cost(*_sized(indptr, indices, order, negative), ctypes.byref(cost)))
    return cost


def register_analysis(key: str, indptr: Int64s, indices: Int64s, order: Int32s, negative: Int32s) -> tuple[Cost, int]:
    """Makes an analysis known under this key; its cost, and the bytes that one evaluation works in."""
    cost, workspace = Cost(), c_int64()
    parts = _sized(indptr, indices, order, negative)
    _answered(_register_analysis(key.encode(), *parts, ctypes.byref(cost), ctypes.byref(workspace)))
    return cost, workspace.value


def register_arrow(key: str, indptr: Int64s, indices: Int64s, head: Int32s, size: int, border: Int32s) -> None:
    """Makes known what iterative solves need of a pattern: blocks of `size` rows each in `head`, and its last rows."""
    _answered(_register_arrow(key.encode(), *_sized(indptr, indices, head), size, *_sized(border)))


def minimum_degree(indptr: Int64s, indices: Int32s) -> Int32s:
    """Of a graph's neighbour lists (both directions, no loops): ``order[new] = old``."""
    order = np.empty(indptr.size - 1, dtype=np.int32)
    _answered(_minimum_degree(*_sized(indptr, indices), _address(order)))
    return order


def likelihood(
    name: str, eta: FloatArray, value: FloatArray, trials: FloatArray, weights: FloatArray, own: FloatArray
) -> FloatArray:
    """Of each row: log-likelihood with its constants, and its derivatives of order one to three in eta; (n, 4)."""
    rows = [eta, value, trials, weights]
    if len({array.size for array in rows}) > 1:
        raise ValueError("all arrays have one number per row")
    out = np.empty(4 * eta.size)
    _answered(_likelihood(name.encode(), eta.size, *map(_address, rows), *_sized(own), _address(out)))
    return out.reshape(-1, 4)
