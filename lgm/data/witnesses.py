"""Distinct values that some expressions take together: how often, and a row of the data that has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray, IntArray
from lgm.errors import DataError


@dataclass(frozen=True)
class Question:
    """What is asked of a partition.

    Parameters
    ----------
    what : str
        In words, for messages.
    most : int
        Distinct values that are held.
    otherwise : str
        What can be done where there are more.
    """

    what: str
    most: int
    otherwise: str


@dataclass(frozen=True, eq=False)
class Witnesses:
    """One row for each distinct combination of values, the first that has it.

    Parameters
    ----------
    question : Question
    values : tuple of arrays (m,)
        Of each expression.
    counts : float array (m,)
        Rows that have them.
    frame : pandas.DataFrame
        The rows.
    """

    question: Question
    values: tuple[np.ndarray[Any, Any], ...]
    counts: FloatArray
    frame: pd.DataFrame

    @classmethod
    def of(cls, question: Question, values: Sequence[pd.Series], frame: pd.DataFrame) -> Witnesses:
        """Those of some rows.

        Raises
        ------
        DataError
            If there are more of them than are held.
        """
        plain = [
            column.astype(object).to_numpy() if isinstance(column.dtype, pd.CategoricalDtype) else column.to_numpy()
            for column in values
        ]
        return _distinct(question, plain, np.ones(len(frame)), frame)

    def __add__(self, other: Witnesses) -> Witnesses:
        values = [_joined(one, two) for one, two in zip(self.values, other.values, strict=True)]
        counts = np.concatenate([self.counts, other.counts])
        return _distinct(self.question, values, counts, pd.concat([self.frame, other.frame], ignore_index=True))


def _joined(one: np.ndarray[Any, Any], two: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Numbers stay numbers, everything else becomes objects."""
    if one.dtype != two.dtype and not (one.dtype.kind in "iuf" and two.dtype.kind in "iuf"):
        one, two = one.astype(object), two.astype(object)
    return np.concatenate([one, two])


def _distinct(
    question: Question, values: Sequence[np.ndarray[Any, Any]], counts: FloatArray, frame: pd.DataFrame
) -> Witnesses:
    code: IntArray = np.zeros(len(frame), dtype=np.int64)
    size = 1
    for column in values:  # two at a time: the product of two counts never overflows
        own, found = pd.factorize(column, use_na_sentinel=False)
        code = code * len(found) + own
        if size > 1:
            code = pd.factorize(code)[0]
        size = int(code.max(initial=-1)) + 1
    code, found = pd.factorize(code)
    m = len(found)
    if m > question.most:
        raise DataError(
            f"{question.what} has more than {question.most} distinct values, which data in partitions are not "
            f"collected for. Accepted: {question.otherwise}"
        )
    first = np.full(m, len(frame), dtype=np.int64)
    np.minimum.at(first, code, np.arange(len(frame)))
    total = np.bincount(code, counts, minlength=m).astype(float)
    return Witnesses(question, tuple(column[first] for column in values), total, frame.iloc[first])
