"""Whole numbers and booleans compute as R's do: as doubles where whole numbers of 64 bits would wrap around.

NumPy computes whole numbers modulo a power of two and takes ``+`` of booleans for "or". In a formula a sum of booleans
counts, and a number that no double holds exactly is the nearest double. Smaller ones stay whole numbers, so that they
are labels as they are printed.
"""

from __future__ import annotations

import ast
import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

_EXACT = 2.0**53  # all whole numbers below it are doubles

OPERATORS: dict[type[ast.operator | ast.unaryop], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.MatMult: operator.matmul,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}

_METHODS = {
    *("add", "sub", "mul", "pow", "floordiv", "mod", "dot", "radd", "rsub", "rmul", "rpow", "rfloordiv", "rmod"),
    *("sum", "prod", "cumsum", "cumprod"),
}  # of pandas and NumPy


def compute(function: Callable[..., Any], *operands: Any, **options: Any) -> Any:
    """The value of an operator or a function of numbers.

    Examples
    --------
    >>> compute(operator.add, np.array([True, False]), np.array([True, True])).tolist()
    [2, 1]
    >>> compute(operator.pow, np.array([3, 10_000_000]), 3).tolist()
    [27.0, 1e+21]
    """
    if not any(map(_is_whole, operands)) or not all(_is_whole(each) or isinstance(each, int) for each in operands):
        return function(*operands, **options)
    try:
        doubles = function(*map(_double, operands), **options)
        exact = bool(np.all(np.abs(np.asarray(doubles, dtype=float)) < _EXACT))
    except (TypeError, ValueError):  # a function of bits, or one whose values are no numbers
        return function(*operands, **options)
    try:
        return function(*map(_whole, operands), **options) if exact else doubles
    except (ValueError, OverflowError):  # a negative power, or operands beyond 64 bits
        return doubles


def called_with_doubles(function: Callable[..., Any], *values: Any, **options: Any) -> Any:
    """The value of a function that expects numbers, whatever dtype they have."""
    return function(*(_double(each) if _is_whole(each) else each for each in values), **options)


def as_called(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a formula calls in place of a function or method, so that whole numbers do not wrap around."""
    if isinstance(function, np.ufunc):
        return functools.partial(compute, function)
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
    if name in _METHODS and _is_whole(owner):
        return functools.partial(compute, lambda own, *others, **options: getattr(own, name)(*others, **options), owner)
    return functools.partial(_call, function)


def _call(function: Callable[..., Any], *values: Any, **options: Any) -> Any:
    result = function(*values, **options)
    if not (_is_integer(result) and any(map(_is_integer, values))):
        return result
    try:
        doubles = called_with_doubles(function, *values, **options)
        exact = bool(np.all(np.abs(np.asarray(doubles, dtype=float)) < _EXACT))
    except Exception:  # it takes whole numbers only, as a look-up by position does
        return result
    return result if exact else doubles


def _is_whole(value: Any) -> bool:
    """Whether it is an array, a column or a NumPy scalar of whole numbers or booleans; Python's own never wrap."""
    return getattr(getattr(value, "dtype", None), "kind", "") in ("b", "i", "u")


def _is_integer(value: Any) -> bool:
    return _is_whole(value) and value.dtype.kind != "b"


def _double(value: Any) -> Any:
    if isinstance(value, int):
        return float(value)
    return value.astype("Float64" if pd.api.types.is_extension_array_dtype(value.dtype) else float)


def _whole(value: Any) -> Any:
    if isinstance(value, int):
        return int(value)
    if value.dtype.kind == "u" and np.any(np.asarray(value) > np.iinfo(np.int64).max):
        raise OverflowError
    return value.astype("Int64" if pd.api.types.is_extension_array_dtype(value.dtype) else np.int64)
