"""Levels of a group that are of several kinds, each with variances of its own: ``(1 | g, by=f)``."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lgm.arrays import IntArray
from lgm.data.scope import Scope
from lgm.errors import DataError
from lgm.formula.python import Expression
from lgm.formula.sides import Bar
from lgm.terms.levels import Levels
from lgm.terms.members import Members
from lgm.words import counted, listed


@dataclass(frozen=True, eq=False)
class Kinds:
    """The kind of each level.

    Parameters
    ----------
    by : Expression
    group : str
        What messages call the group.
    values : tuple
        The kinds.
    codes : int array (J,)
        Of the levels.
    """

    by: Expression
    group: str
    values: tuple[Hashable, ...]
    codes: IntArray

    @classmethod
    def of(cls, bar: Bar, scope: Scope, members: Members, codes: IntArray) -> Kinds | None:
        """Those of a bar, if it has any.

        Raises
        ------
        DataError
            If a level is of two kinds, or a kind has a single level.
        """
        by = bar.option("by")
        if by is None:
            return None
        if members.grouping.pooled:
            raise DataError(f"`by=` in {bar.text} is for groups of which each row has one level.")
        column = _column(scope, by, bar.text)
        found = Levels.of(column)
        kind = found.positions(column)[0]
        labels = members.grouping.labels
        of_level = np.zeros(members.grouping.n, dtype=np.int64)
        of_level[codes] = kind
        _require_one(of_level[codes] != kind, codes, labels, by, bar)
        counts = np.bincount(of_level, minlength=len(found.values))
        for value, count in zip(found.values, counts.tolist(), strict=True):
            if count < 2:
                raise DataError(
                    f"in {bar.text}, {value!r} of `{by.text}` has {counted(count, 'level')} of `{bar.group_name}`: a "
                    "variance between levels needs at least two. Join it with another."
                )
        return cls(by, bar.group_name, found.values, of_level)

    @property
    def words(self) -> str:
        """Such as ``"variances by f (a, b)"``."""
        return f"variances by {self.by.text} ({listed([str(value) for value in self.values], 5)})"

    @property
    def levels(self) -> list[IntArray]:
        """The levels of each kind."""
        return [np.flatnonzero(self.codes == k) for k in range(len(self.values))]

    def owners(self, name: str) -> list[str]:
        """What owners of hyperparameters are called for each kind, such as ``g[f=a]``."""
        return [f"{name}[{self.by.text}={value}]" for value in self.values]

    def of_new(self, scope: Scope, new: IntArray, labels: np.ndarray[Any, Any]) -> IntArray:
        """Kinds of new levels, where ``new`` says which of them each row has.

        Raises
        ------
        DataError
            If a kind is not known, or a level is of two.
        """
        rows = np.flatnonzero(new >= 0)
        column = _column(scope, self.by, self.group).iloc[rows]
        kind, fresh = Levels(self.values).positions(column)
        if fresh:
            raise DataError(
                f"new levels of `{self.group}` have {listed([repr(value) for value in fresh], 5)} in `{self.by.text}`, "
                f"of which the fit knows no variance. Accepted: {listed([repr(value) for value in self.values], 5)}."
            )
        out = np.zeros(labels.size, dtype=np.int64)
        out[new[rows]] = kind
        if np.any(out[new[rows]] != kind):
            at = labels.tolist()[new[rows][np.flatnonzero(out[new[rows]] != kind)[0]]]
            raise DataError(f"the new level {at!r} of `{self.group}` has two values of `{self.by.text}`.")
        return out


def _column(scope: Scope, by: Expression, where: str) -> pd.Series:
    column = scope.column(by, "the factor by= of a group")
    if column.isna().any():
        raise DataError(f"`by={by.text}` of {where} is missing in {int(column.isna().sum())} rows.")
    return column


def _require_one(
    wrong: np.ndarray[Any, Any], codes: IntArray, labels: np.ndarray[Any, Any], by: Expression, bar: Bar
) -> None:
    if wrong.any():
        level = labels.tolist()[codes[np.flatnonzero(wrong)[0]]]
        raise DataError(
            f"in {bar.text}, the level {level!r} of `{bar.group_name}` has rows with different values of `{by.text}`; "
            f"each level has one variance. Accepted: (1 | {bar.group_name}:{by.text}, by={by.text}), or a factor that "
            "is constant within levels."
        )
