"""Levels of a group that are relatives: ``(1 | g, cov=K)`` and ``(1 | g, precision=Q)``."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from lgm.arrays import IntArray
from lgm.data.relationship import LabelledMatrix, read_matrix
from lgm.data.scope import Scope
from lgm.errors import DataError, DataWarning, warn
from lgm.formula.python import Expression
from lgm.formula.sides import Bar
from lgm.formula.tokens import without_backticks
from lgm.precision.related import Relationship
from lgm.terms.levels import Grouping
from lgm.words import amount, listed

LARGE = 2_000  # levels of which an inverse without zeros is worth a word


@dataclass(frozen=True, eq=False)
class Relatives:
    """Levels with a known relationship.

    Parameters
    ----------
    name : str
        Of the matrix.
    grouping : Grouping
        All levels of the matrix, in its order.
    codes : int array
        Of the rows.
    relationship : Relationship
    with_rows : int
        Number of levels that rows have.
    """

    name: str
    grouping: Grouping
    codes: IntArray
    relationship: Relationship
    with_rows: int

    @classmethod
    def of(cls, bar: Bar, scope: Scope, grouping: Grouping, codes: IntArray) -> Relatives | None:
        """Those of a bar, if it has any.

        Raises
        ------
        DataError
            If the matrix is not one of levels of the group, or not positive definite.
        """
        option = next((each for each in bar.options if each.name in ("cov", "precision")), None)
        if option is None:
            return None
        what = f"`{option.name}={option.value.text}` in {bar.text}"
        if len(grouping.levels) > 1:
            raise DataError(f"{what} is for a group of one column, not for combinations; make a column of them.")
        if bar.option("by") is not None:
            raise DataError(f"{what} cannot be joined with `by=`: relatives have one variance.")
        given = _read(scope, option.value, what)
        values = [grouping.levels[0].values[i] for i in grouping.combinations[:, 0].tolist()]
        _require_levels(values, given.levels, what)
        place = {level: i for i, level in enumerate(given.levels)}
        of_rows = np.array([place[value] for value in values], dtype=np.int64)
        found = _relationship(given, option.name == "precision", what)
        return cls(option.value.text, grouping.among(given.levels), of_rows[codes], found, len(values))

    @property
    def typical(self) -> float:
        """Typical standard deviation of a level where sd is one: the geometric mean."""
        return float(np.exp(0.5 * np.mean(np.log(self.relationship.variances))))

    def unknown(self, labels: Sequence[Hashable]) -> str:
        """What to say of levels that the matrix does not have."""
        return (
            f"`{self.name}` does not have the levels {listed(labels, 5)} of new_data, so nothing says how they are "
            "related to the others. A matrix that the model is fitted with may have levels without rows."
        )


def _read(scope: Scope, expression: Expression, what: str) -> LabelledMatrix:
    try:
        return read_matrix(scope.value(expression))
    except DataError as error:
        name = without_backticks(expression.text)
        if name in scope.columns:
            message = f"{what}: `{name}` is a column of the data, and those come before other names."
            accepted = "a matrix with a name that no column has."
            raise scope.formula.error(message, expression.span, accepted, DataError) from None
        raise DataError(f"{what} {error}.") from None


def _require_levels(values: Sequence[Hashable], levels: Sequence[Hashable], what: str) -> None:
    known = set(levels)
    missing = [value for value in values if value not in known]
    if not missing:
        return
    written = {str(level) for level in levels}
    if all(str(value) in written for value in missing):
        raise DataError(
            f"{what} has levels that are text where those of the data are not, or the other way round: "
            f"{listed([repr(value) for value in missing], 3)} in the data. Convert one of them."
        )
    raise DataError(
        f"{what} lacks {len(missing)} of the {len(values)} levels of the data: "
        f"{listed([repr(value) for value in missing], 5)}. It may have more levels than the data, but not fewer."
    )


def _relationship(given: LabelledMatrix, is_precision: bool, what: str) -> Relationship:
    n = len(given.levels)
    if given.dense and n > LARGE and not is_precision:
        warn(
            f"{what} is a dense matrix of {n} levels, whose inverse has {n * (n + 1) // 2:,} numbers "
            f"({amount(4.0 * n * (n + 1))}), and a fit factors it again and again. Where the inverse is known to be "
            "sparse, as that of a pedigree is, give it: precision=(matrix, levels).",
            DataWarning,
        )
    found = Relationship.of_precision(given.matrix) if is_precision else Relationship.of_covariance(given.matrix)
    if found.singular is None:
        return found
    level = given.levels[found.singular]
    raise DataError(
        f"{what} is not positive definite: beside the other levels {level!r} has no variance of its own. Levels that "
        "are copies of each other, such as identical twins, are one level of the model."
    )
