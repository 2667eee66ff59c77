"""Known relationships between levels: a covariance matrix or its inverse, with the levels that it is of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.errors import DataError
from lgm.words import listed

ASYMMETRY = 1e-8  # of the largest entry: what rounding in files leaves
_FORMS = "a data frame whose rows and columns are named by levels, or a pair (matrix, levels)"


@dataclass(frozen=True)
class LabelledMatrix:
    """A symmetric matrix, dense or sparse, and the level of each of its rows."""

    matrix: sp.csc_array
    levels: tuple[Hashable, ...]
    dense: bool


def read_matrix(value: Any) -> LabelledMatrix:
    """A matrix in one of the forms that people hold it in.

    Raises
    ------
    DataError
        If it is none of them, not square, not finite or not symmetric, or if a level is missing or stands twice.
    """
    if isinstance(value, pd.DataFrame):
        matrix, levels, columns = value, list(value.index), list(value.columns)
        if set(levels) != set(columns):
            only = listed([repr(each) for each in dict.fromkeys([*levels, *columns]) if each not in levels], 5)
            raise DataError(f"names other levels in its columns ({only}) than in its rows" if only else _odd(levels))
        matrix = value.loc[:, levels] if levels != columns and len(set(levels)) == len(levels) else value
        entries: Any = matrix.to_numpy()
    elif isinstance(value, (tuple, list)) and len(value) == 2 and np.ndim(value[1]) == 1:
        entries, levels = value[0], pd.Index(value[1]).tolist()
    else:
        raise DataError(f"is of the type {type(value).__name__}; accepted: {_FORMS}")
    dense = not sp.issparse(entries)
    try:
        matrix = sp.csc_array(np.asarray(entries, dtype=float) if dense else entries, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"does not hold numbers; accepted: {_FORMS}") from None
    _check(matrix, levels)
    return LabelledMatrix(sp.csc_array((matrix + matrix.T) / 2.0), tuple(levels), dense)


def _odd(levels: Sequence[Hashable]) -> str:
    twice = [repr(level) for level, count in Counter(levels).items() if count > 1]
    return f"has levels twice ({listed(twice, 5)})"


def _check(matrix: sp.csc_array, levels: Sequence[Hashable]) -> None:
    rows, cols = matrix.shape
    if rows != cols:
        raise DataError(f"is {rows} x {cols}, but it must be square")
    if len(levels) != rows:
        raise DataError(f"has {rows} rows, and {len(levels)} levels are named")
    if len(set(levels)) < len(levels):
        raise DataError(_odd(levels))
    if any(level is None or level != level for level in levels):
        raise DataError("has a row whose level is missing")
    if not np.all(np.isfinite(matrix.data)):
        raise DataError("holds numbers that are not finite")
    apart = sp.coo_array(abs(matrix - matrix.T))
    if apart.nnz and apart.data.max() > ASYMMETRY * abs(matrix).max():
        worst = int(np.argmax(apart.data))
        i, j = int(apart.row[worst]), int(apart.col[worst])
        raise DataError(
            f"is not symmetric: {matrix[i, j]:g} for {levels[i]!r} and {levels[j]!r}, {matrix[j, i]:g} the other way"
        )
