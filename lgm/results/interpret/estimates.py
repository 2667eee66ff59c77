"""Averages of the expected response over rows, and comparisons of them: mean, sd and interval, in bounded memory.

What is linear in the effects needs no draws of rows: averages and differences are rows of the design themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.special import ndtri

from lgm.arrays import FloatArray, IntArray
from lgm.design import design
from lgm.design.predictor import NewRows
from lgm.errors import LgmError
from lgm.results.averages import Average
from lgm.results.effects import KEPT_BYTES
from lgm.results.interpret.grid import Rows
from lgm.results.linear_predictor import LinearPredictor, linear_predictor
from lgm.results.predict import announce
from lgm.results.progress import bar
from lgm.results.quantiles import spread
from lgm.results.seeds import seed_of
from lgm.results.tables import theta_of_family

if TYPE_CHECKING:
    from lgm.results.fit import Fit

Compare = Callable[[FloatArray, FloatArray], FloatArray]

KINDS = ("mean", "linear")
NEW_LEVELS = ("sample", "zero", "error")
HELD = 2_000_000  # numbers in one piece of work
ROUNDING = 1e-13  # of what is added up, where it cancels
BLOCK = 64  # draws in one piece where all of them cannot be held


@dataclass(frozen=True)
class How:
    """How a user wants the answer.

    Parameters
    ----------
    kind : {"mean", "linear"}
        The expected response, or the linear predictor.
    new_levels : {"sample", "zero", "error"}
    seed : int
        For effects that the fit does not have.
    """

    kind: str
    new_levels: str
    seed: int

    @classmethod
    def of(cls, fit: Fit, kind: Any, new_levels: Any = "sample", seed: int | None = None) -> How:
        """Check what a user says."""
        if kind not in KINDS:
            raise LgmError(f"kind={kind!r}; accepted: {', '.join(map(repr, KINDS))}.")
        if new_levels not in NEW_LEVELS:
            raise LgmError(f"new_levels={new_levels!r}; accepted: {', '.join(map(repr, NEW_LEVELS))}.")
        return cls(kind, new_levels, seed_of(fit, seed))


@dataclass(frozen=True)
class Estimand:
    """What is estimated, in each of some cells: a weighted sum of rows, or a function of two such sums.

    Parameters
    ----------
    weights : one or two sparse arrays (cells, rows)
    compare : callable, optional
        Of the two sums.
    of_rows : callable, optional
        Of the expected response of each row, before the sums.
    """

    weights: tuple[sp.csr_array, ...]
    compare: Compare | None = None
    of_rows: Callable[[FloatArray], FloatArray] | None = None

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.weights[0].shape[0])

    @property
    def is_sum(self) -> bool:
        """Whether it is linear in the expected response."""
        return self.compare is None and self.of_rows is None

    @property
    def contrast(self) -> sp.csr_array:
        """The sum, or the difference of both."""
        return self.weights[0] if len(self.weights) == 1 else sp.csr_array(self.weights[0] - self.weights[1])


def outcomes(fit: Fit, how: How) -> tuple[str, ...]:
    """The categories of which each has a number of its own."""
    return fit.design.family.outcomes if how.kind == "mean" else ()


def encoded(fit: Fit, rows: Rows, how: How) -> NewRows:
    """The rows in the columns of the design; what they need beyond the fit is said."""
    found = design.encode(fit.design, rows.frame.reset_index(drop=True), rows.parts)
    announce(found, how.new_levels)
    return found


def estimates(fit: Fit, rows: NewRows, estimand: Estimand, how: How) -> FloatArray:
    """Mean, sd and ends of the interval (cells m, 4) in each cell, where m outcomes have one each.

    As in `Fit.predict`: means of what is linear in the effects are exact mixtures over theta, and all is exact where
    such is normal. Elsewhere these are of draws, and the mean has what is known of the linear predictor as a control.
    """
    line = linear_predictor(fit, combined(rows, estimand.contrast), new_levels=how.new_levels, seed=how.seed)
    if is_linear(fit, how) and estimand.is_sum:
        return of_line(fit, line)
    eta = linear_predictor(fit, rows, new_levels=how.new_levels, seed=how.seed)
    return _of_draws(fit, eta, line, estimand, how)


def is_linear(fit: Fit, how: How) -> bool:
    """Whether what is averaged is the linear predictor, or as linear in the effects."""
    return how.kind == "linear" or fit.design.family.conjugate


def of_line(fit: Fit, line: LinearPredictor) -> FloatArray:
    """The numbers of linear predictors: exact where they are normal, else with an exact mean."""
    sd = line.exact_sd()
    if sd is None:
        return _of_lines(fit, line)
    mean, away = line.mean(), ndtri((1.0 + fit.interval) / 2.0) * sd
    return np.column_stack([mean, sd, mean - away, mean + away])


def combined(rows: NewRows, weights: sp.csr_array) -> NewRows:
    """Weighted sums of rows, as rows."""

    def of(columns: sp.csc_array) -> sp.csc_array:
        found = sp.csc_array(weights @ columns)
        if weights.data.min(initial=0.0) < 0.0:  # what cancels leaves nothing, not its rounding
            known = abs(found) - ROUNDING * (abs(weights) @ abs(columns)) > 0
            found = sp.csc_array(found.multiply(known))
        found.eliminate_zeros()
        return found

    pieces = tuple(
        None
        if each is None
        else replace(
            each, z=of(each.z), novel=None if each.novel is None else replace(each.novel, z=of(each.novel.z)), null={}
        )
        for each in rows.encoded
    )
    return NewRows(pd.RangeIndex(weights.shape[0]), of(rows.X), pieces, np.asarray(weights @ rows.offset))


def _of_lines(fit: Fit, line: LinearPredictor) -> FloatArray:
    out, size = np.empty((line.n, 4)), fit.effects.size
    for part in line.pieces(8 * size):
        out[part, 0] = line.mean(part)
        blocks = (drawn for _, drawn in line.blocks(part))
        out[part, 1], ends = spread(blocks, part.size, size, fit.interval)
        out[part, 2:] = ends.T
    return out


def _of_draws(fit: Fit, eta: LinearPredictor, line: LinearPredictor, estimand: Estimand, how: How) -> FloatArray:
    """By pieces of the cells, and of each piece by pieces of its rows."""
    size, m = fit.effects.size, max(len(outcomes(fit, how)), 1)
    out = np.empty((m * estimand.cells, 4))
    step = max(int((HELD if eta.in_one else KEPT_BYTES / 32) // (size * m)), 1)
    with bar(estimand.cells, "averages", progress=fit.progress) as shown:
        for start in range(0, estimand.cells, step):
            part = np.arange(start, min(start + step, estimand.cells))
            weights = tuple(each[part] for each in estimand.weights)
            drawn = compared(*summed(fit, eta, replace(estimand, weights=weights), how), estimand.compare)
            out[m * part[0] : m * (part[-1] + 1)] = of_draws(fit, drawn, line, part)
            shown.update(part.size)
    return out


def of_draws(fit: Fit, drawn: FloatArray, line: LinearPredictor, part: IntArray) -> FloatArray:
    """The numbers (cells m, 4) of draws (cells m, S) in some cells, with the linear predictor there as a control."""
    out, m = np.empty((len(drawn), 4)), len(drawn) // part.size
    average = Average(np.repeat(line.mean(part), m))
    average.add(drawn, np.repeat(line.draws(part), m, axis=0))
    out[:, 0] = average.value()
    out[:, 1], ends = spread([drawn], len(drawn), drawn.shape[1], fit.interval)
    out[:, 2:] = ends.T
    return out


def summed(
    fit: Fit, eta: LinearPredictor, estimand: Estimand, how: How
) -> tuple[tuple[FloatArray, ...], FloatArray | None]:
    """Draws (cells m, S) of one or two weighted sums of rows; of one that may cancel, also what was added up."""
    size, m = fit.effects.size, max(len(outcomes(fit, how)), 1)
    theta, weights = theta_of_family(fit), estimand.weights
    used = np.unique(np.concatenate([each.indices for each in weights]))
    sums = tuple(np.zeros((m * estimand.cells, size)) for _ in weights)
    signed = estimand.compare is None and weights[0].data.min(initial=0.0) < 0.0
    sizes = np.zeros_like(sums[0]) if signed else None
    step = max(int(HELD // size if eta.in_one else KEPT_BYTES // (8 * m * BLOCK)), 1)
    for first in range(0, used.size, step):
        rows = used[first : first + step]
        parts = [sp.kron(each[:, rows], sp.eye_array(m), format="csr") for each in weights]
        for numbers, drawn in eta.blocks(rows):
            own = {kind: draws[numbers] for kind, draws in theta.items()}
            values = expected(fit, drawn, own, how)
            values = values if estimand.of_rows is None else estimand.of_rows(values)
            for total, part in zip(sums, parts, strict=True):
                total[:, numbers] += part @ values
                if sizes is not None:
                    sizes[:, numbers] += abs(part) @ np.abs(values)
    return sums, sizes


def compared(sums: tuple[FloatArray, ...], sizes: FloatArray | None, compare: Compare | None) -> FloatArray:
    """A function of two sums, or one; what is rounding beside what was added up is nothing."""
    if compare is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            return compare(*sums)
    if sizes is not None:
        sums[0][np.abs(sums[0]) <= ROUNDING * sizes] = 0.0
    return sums[0]


def expected(fit: Fit, eta: FloatArray, theta: dict[str, FloatArray], how: How) -> FloatArray:
    """Draws (rows, B) of the linear predictor on the scale that is asked for, (rows m, B) for m outcomes."""
    family = fit.design.family
    if how.kind == "linear":
        return eta
    if family.outcomes:
        return np.moveaxis(family.probabilities(eta, theta), 0, 1).reshape(-1, eta.shape[1])
    return family.mean(eta, theta)


def averages(cells: IntArray, count: int) -> sp.csr_array:
    """Weights of averages over the rows of each cell; rows with a negative number are in none."""
    rows = np.flatnonzero(cells >= 0)
    sizes = np.bincount(cells[rows], minlength=count)
    return sp.csr_array((1.0 / sizes[cells[rows]], (cells[rows], rows)), shape=(count, cells.size))


def grouped(frame: pd.DataFrame, by: Any) -> tuple[IntArray, pd.DataFrame]:
    """The cell of each row (n,), and what the cells are called: a row of columns each.

    ``by`` is False for a cell for each row, True for one cell, or names of columns.
    """
    names = list(names_of_by(by))
    if not names:
        one = bool(by) or not isinstance(by, (bool, np.bool_))
        cells = np.zeros(len(frame), dtype=np.int64) if one else np.arange(len(frame))
        return cells, pd.DataFrame(index=pd.RangeIndex(1)) if one else frame
    groups = frame[names].groupby(names, sort=True, observed=True, dropna=False)
    cells = groups.ngroup().to_numpy()
    first = np.unique(cells, return_index=True)[1]
    return cells, frame[names].iloc[first].reset_index(drop=True)


def names_of_by(by: Any) -> tuple[str, ...]:
    """The columns that ``by=`` names."""
    if isinstance(by, (bool, np.bool_)):
        return ()
    names = [by] if isinstance(by, str) else by
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise LgmError(f"by={by!r}; accepted: True for one average, False for each row, or names of columns.")
    return tuple(names)


def table(
    fit: Fit, labels: pd.DataFrame, values: FloatArray, how: How, words: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """A table of estimates beside what they are of; a variable of the name of a column of it gets an underscore.

    ``words`` come first, the same in each row or one for each.
    """
    own, categories, words = ["mean", "sd", *fit.interval_names], outcomes(fit, how), words or {}
    taken = {*own, *words, *(["category"] if categories else [])}
    labels = labels.rename(columns={name: f"{name}_" for name in labels if name in taken})
    labels = pd.concat([pd.DataFrame(dict(words), labels.index), labels], axis=1) if words else labels
    if categories:
        labels = labels.iloc[np.repeat(np.arange(len(labels)), len(categories))]
        codes = np.tile(np.arange(len(categories)), len(values) // len(categories))
        labels = labels.assign(category=pd.Categorical.from_codes(codes, list(categories), ordered=True))
    return labels.assign(**dict(zip(own, values.T, strict=True)))
