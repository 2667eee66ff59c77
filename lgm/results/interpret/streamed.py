"""Averages over rows in partitions, of which one at a time is in memory: sums by cell, added up over partitions."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.expression import names_of
from lgm.data.partitions import partitions_of
from lgm.data.table import Table
from lgm.design import design
from lgm.design.design import joined_names
from lgm.design.part import part_of
from lgm.design.predictor import NewRows, Parts
from lgm.design.summed import SummedDesign
from lgm.errors import DataError, LgmError, PredictionWarning, warn
from lgm.results.effects import KEPT_BYTES
from lgm.results.interpret import grid
from lgm.results.interpret.estimates import (
    ROUNDING,
    Estimand,
    How,
    compared,
    grouped,
    is_linear,
    names_of_by,
    of_draws,
    of_line,
    outcomes,
    summed,
)
from lgm.results.interpret.grid import Rows, Variables
from lgm.results.interpret.questions import Question
from lgm.results.linear_predictor import linear_predictor, parts_of
from lgm.results.progress import bar
from lgm.terms.term import Encoded
from lgm.words import listed

if TYPE_CHECKING:
    from lgm.results.fit import Fit

_MOST_NOTES = 3


@dataclass(frozen=True, eq=False)
class Totals:
    """Sums over the rows of some partitions, by cell.

    Parameters
    ----------
    labels : pandas.DataFrame
        What the cells are called.
    counts : float array (cells,)
        Rows.
    line, sizes : sparse arrays (cells, p + q + 1)
        Of the linear predictor: columns of all effects, then the offset; and the same of absolute values.
    drawn : tuple of float arrays (cells m, S)
        Each sum in all draws; none where the linear predictor is all that counts.
    drawn_sizes : float array (cells m, S), optional
        The same of absolute values, of a sum that may cancel.
    notes : tuple of str
        What rows need beyond the data of the fit.
    """

    labels: pd.DataFrame
    counts: FloatArray
    line: sp.csr_array
    sizes: sp.csr_array
    drawn: tuple[FloatArray, ...]
    drawn_sizes: FloatArray | None
    notes: tuple[str, ...]

    def __add__(self, other: Totals) -> Totals:
        if not (len(self.counts) and len(other.counts)):
            return self if len(self.counts) else other
        names = list(self.labels)
        cells, labels = grouped(pd.concat([self.labels, other.labels], ignore_index=True), names or True)
        where = sp.csr_array((np.ones(cells.size), (cells, np.arange(cells.size))), shape=(len(labels), cells.size))

        def joined(one: FloatArray, two: FloatArray) -> FloatArray:
            m = len(one) // len(self.counts)
            return np.asarray(sp.kron(where, sp.eye_array(m), format="csr") @ np.concatenate([one, two]))

        one, two = self.drawn_sizes, other.drawn_sizes
        return Totals(
            labels,
            np.asarray(where @ np.concatenate([self.counts, other.counts])),
            sp.csr_array(where @ sp.vstack([self.line, other.line], format="csr")),
            sp.csr_array(where @ sp.vstack([self.sizes, other.sizes], format="csr")),
            tuple(joined(*pair) for pair in zip(self.drawn, other.drawn, strict=True)),
            None if one is None or two is None else joined(one, two),
            tuple(dict.fromkeys([*self.notes, *other.notes]))[:_MOST_NOTES],
        )


@dataclass(frozen=True, eq=False)
class Adding:
    """The sums of one partition, as a function that can be sent elsewhere.

    Parameters
    ----------
    fit : Fit
    variables : Variables
    question : Question
    by : bool or names of columns
    given : dict
        Values of variables that all rows get.
    parts : Parts
        What of the linear predictor counts.
    how : How
    """

    fit: Fit
    variables: Variables
    question: Question
    by: Any
    given: Mapping[str, Sequence[Any]]
    parts: Parts
    how: How

    def __call__(self, part: Any, number: int) -> Totals:
        """Those of the rows that the fit is of."""
        fit, how, question = self.fit, self.how, self.question
        rows = self._rows(Table.of(part, "it", least=0))
        if rows is None:
            dim = fit.design.p + fit.design.q + 1
            none = sp.csr_array((0, dim))
            return Totals(pd.DataFrame(), np.zeros(0), none, none, (), None, ())
        cells, labels = grouped(rows.frame, self.by)
        each = sp.csr_array((np.ones(cells.size), (cells, np.arange(cells.size))), shape=(len(labels), cells.size))
        versions = question.versions(rows.frame)
        weights = versions.weights(each)
        encoded = design.encode(fit.design, versions.stacked(rows).frame.reset_index(drop=True), rows.parts)
        found = replace(encoded, encoded=tuple(self._known(piece) for piece in encoded.encoded))
        estimand = Estimand(weights, question.compare, question.of_rows)
        line, contrast = _columns(fit, found), estimand.contrast
        drawn: tuple[FloatArray, ...] = ()
        sizes = None
        if not (is_linear(fit, how) and estimand.is_sum):
            self._require_room(len(labels))
            drawn, sizes = summed(fit, linear_predictor(fit, found, seed=how.seed), estimand, how)
        return Totals(
            labels,
            np.bincount(cells, minlength=len(labels)).astype(float),
            sp.csr_array(contrast @ line),
            sp.csr_array(abs(contrast) @ abs(line)),
            drawn,
            sizes,
            tuple(note for piece in found.encoded if piece is not None for note in piece.notes)[:_MOST_NOTES],
        )

    def _rows(self, table: Table) -> Rows | None:
        fit, given = self.fit, self.fit.inputs
        assert isinstance(fit.design, SummedDesign)
        part = part_of(fit.design, table, given.weights, given.missing)
        if part is None:
            return None
        frame = part.seen.frame
        absent = [name for name in names_of_by(self.by) if name not in frame]
        lost = [name for name in absent if name not in table.names]
        if lost:
            raise DataError(f"it lacks the column(s) {listed(lost)}. It has: {listed(table.names)}.")
        others = table.select(absent).iloc[part.rows.kept[part.rows.observed]]
        frame = frame.assign(**{name: others[name].to_numpy() for name in absent}).reset_index(drop=True)
        needed = dict.fromkeys([*self.variables.needed(self.parts), *names_of_by(self.by)])
        frame = frame[[name for name in frame if name in needed]]
        frame = frame.assign(
            **{name: grid.column_of(self.variables, name, list(frame[name])) for name in self._categories(frame)}
        )
        return Rows(grid.set_to(self.variables, frame, self.given).reset_index(drop=True), self.parts, {})

    def _categories(self, frame: pd.DataFrame) -> list[str]:
        """Columns of categories, which are those of all partitions."""
        own = self.variables.frame
        return [name for name in frame if name in own and isinstance(own[name].dtype, pd.CategoricalDtype)]

    def _known(self, piece: Encoded | None) -> Encoded | None:
        if piece is None or piece.novel is None:
            return piece
        if self.how.new_levels == "zero":
            piece = piece.without_population()
        if piece.novel is not None:
            raise LgmError(
                f"there is {piece.novel.what}, whose effects are drawn for rows that are in memory. Accepted: "
                "new_levels='zero', include_group_specific=False, values that the fit has, or a part of the rows as "
                "new_data=."
            )
        return piece

    def _require_room(self, cells: int) -> None:
        m, size = max(len(outcomes(self.fit, self.how)), 1), self.fit.effects.size
        if 16.0 * cells * m * size > KEPT_BYTES:
            raise LgmError(
                f"by= gives {cells} averages with {size} draws of each, more than memory is used for. Accepted: by= "
                'with fewer values, a fit with fewer draws, or kind="linear".'
            )


def over_partitions(
    fit: Fit, data: Any, question: Question, by: Any, conditions: Any, groups: Any, how: How
) -> tuple[pd.DataFrame, FloatArray]:
    """`answered` for the rows of a fit of data in partitions, which are read again.

    Raises
    ------
    LgmError
        For a fit that has its rows, an estimate for each row, or effects that the fit does not have.
    """
    if not isinstance(fit.design, SummedDesign):
        raise LgmError("data= is for fits of data in partitions; this one has its rows. Accepted: no data=.")
    if isinstance(by, (bool, np.bool_)) and not by:
        raise LgmError(
            "by=False gives an estimate for each row of data=. Accepted: by=True, names of columns, or "
            "fit.predict(partitions) for the expected response of each row."
        )
    variables = Variables.of(fit)
    parts = parts_of(fit, None, None, True if groups is None else groups)
    given = grid.conditions_of(conditions, variables)
    fit.effects  # made once, not in each partition  # noqa: B018
    adding = Adding(replace(fit, progress=False), variables, question, by, given, parts, how)
    found = partitions_of(data)
    if found is None:
        totals = adding(data, 0)
    else:
        with bar(found.count, "partitions read", progress=fit.progress) as shown:
            totals = found.reduced(adding, operator.add, _columns_read(fit, found.names, by), shown.update)
    if not len(totals.counts):
        raise DataError(f"no row of data= has all predictors and a response `{fit.design.formula.response.text}`.")
    for note in totals.notes:
        warn(note, PredictionWarning)
    return totals.labels, _estimates(fit, totals, question, how)


def _columns_read(fit: Fit, names: tuple[str, ...], by: Any) -> tuple[str, ...]:
    formula, weights = fit.design.formula, fit.inputs.weights
    every = (*formula.mu.expressions, *formula.response.expressions)
    own = joined_names([names_of(each, names, fit.design.scope.env) for each in every]).columns
    more = [name for name in (*names_of_by(by), weights) if name in names]
    return tuple(dict.fromkeys([*own, *more]))


def _columns(fit: Fit, rows: NewRows) -> sp.csr_array:
    """Rows in the columns of all effects, then the offset."""
    blocks = fit.design.predictor.blocks
    pieces = [
        sp.csc_array((len(rows.index), block.n)) if piece is None else piece.z
        for piece, block in zip(rows.encoded, blocks, strict=True)
    ]
    return sp.csr_array(sp.hstack([rows.X, *pieces, sp.csc_array(rows.offset[:, None])], format="csr"))


def _estimates(fit: Fit, totals: Totals, question: Question, how: How) -> FloatArray:
    """Mean, sd and ends of the interval (cells m, 4); see `estimates`."""
    each = sp.diags_array(1.0 / totals.counts)
    kept = abs(totals.line) - ROUNDING * totals.sizes > 0
    whole = sp.csc_array(each @ totals.line.multiply(kept))
    whole.eliminate_zeros()
    predictor, n = fit.design.predictor, len(totals.counts)
    p, q = fit.design.p, fit.design.q
    pieces = tuple(
        Encoded(sp.csc_array(whole[:, p + place.start : p + place.stop])) for place in predictor.term_slices()
    )
    offset = whole[:, [p + q]].toarray().ravel()
    line = linear_predictor(fit, NewRows(pd.RangeIndex(n), sp.csc_array(whole[:, :p]), pieces, offset), seed=how.seed)
    if not totals.drawn:
        return of_line(fit, line)
    m = len(totals.drawn[0]) // n
    share = 1.0 / np.repeat(totals.counts, m)[:, None]
    sums, sizes = tuple(share * sums for sums in totals.drawn), totals.drawn_sizes
    drawn = compared(sums, None if sizes is None else share * sizes, question.compare)
    return of_draws(fit, drawn, line, np.arange(n))
