"""Some rows of data in partitions as a design that has rows: what is asked of rows is asked of these."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.data.expression import names_of
from lgm.data.table import Table
from lgm.design import answer as answers
from lgm.design import predictor as predictors
from lgm.design.design import Design, joined_names, require_each_taken, rows_in_use
from lgm.design.predictor import Parts
from lgm.design.summed import CollapsedDesign, SummedDesign
from lgm.errors import DataError
from lgm.sparse import side_by_side


@dataclass(frozen=True, eq=False, kw_only=True)
class PartDesign(Design):
    """The rows of a partition in the columns of the whole.

    Parameters
    ----------
    normal : float array (p, p)
        ``X'X`` of the fixed columns over all rows of the fit.
    """

    normal: FloatArray

    @property
    def is_part(self) -> bool:
        """Yes."""
        return True

    def triangle(self, columns: IntArray) -> FloatArray:
        """R of ``X = QR`` for some fixed columns, over all rows of the fit."""
        return np.asarray(np.linalg.cholesky(self.normal[np.ix_(columns, columns)]).T)


def part_of(design: SummedDesign, table: Table, weights: str | None, missing: str) -> PartDesign | None:
    """The rows of a partition; None if no row has all predictors and a response.

    Raises
    ------
    DataError
        For missing columns, levels that the fit does not have, or a response that the family does not take.
    """
    formula, family = design.formula, design.family
    env = design.scope.env
    every = (*formula.mu.expressions, *formula.response.expressions)
    needed = joined_names([names_of(each, table.names, env) for each in every]).columns
    if not table.select(needed).notna().to_numpy(dtype=bool).all(axis=1).any():
        return None
    scope, rows, w = rows_in_use(formula, table, env, weights, missing)
    scope = design.scope.on(scope.frame)
    levels = design.levels if isinstance(design, CollapsedDesign) else None
    answer = answers.read(scope, rows.observed, family, w, weighted=weights is not None, levels=levels)
    seen = scope if rows.observed.all() else scope.on(scope.frame.loc[rows.observed])
    found = predictors.encode(design.predictor, seen, Parts.all(design.predictor))
    for each in found.encoded:
        if each is not None and each.novel is not None:
            raise DataError(f"it has {each.novel.what}. Accepted: rows that the fit is of; fit.predict() takes others.")
    require_each_taken(formula, family, answer.response, seen.frame.index)
    z = side_by_side([each.z for each in found.encoded if each is not None], seen.n)
    back = np.asarray(np.linalg.inv(design.reference.basis), dtype=float)
    return PartDesign(
        formula=formula,
        family=family,
        scope=scope,
        rows=rows,
        answer=answer,
        all_weights=w,
        predictor=replace(design.predictor, X=found.X, Z=z, offset=found.offset),
        family_parameters=design.family_parameters,
        normal=design.sums.within_at(back),
    )
