"""What of a model the data cannot tell apart, or do not speak of."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from lgm.arrays import IntArray
from lgm.design.design import Design, numbers_as_text
from lgm.design.fixed_effects import adds
from lgm.errors import DataWarning, IdentifiabilityError, IdentifiabilityWarning
from lgm.formula.sides import Bar
from lgm.posterior.priors import Priors
from lgm.priors import Constant
from lgm.terms.levels import Grouping
from lgm.words import counted, listed

FEWEST_TIMES = 3  # rows on average in what looks like a series of its own


def check_identifiability(design: Design, priors: Priors) -> None:
    """The family's residual, unless it is known, needs rows that the fixed effects leave over, and no rival.

    A rival is an effect with a level of its own in every row; weights tell the two apart.
    """
    residual = design.family.residual
    pairs = zip(design.parameters, priors.theta, strict=True)
    known = [parameter.names[0] for parameter, prior in pairs if isinstance(prior, Constant)]
    if residual is None or residual in known:
        return
    if design.p == design.n:
        text = f"there are as many fixed effects as rows ({design.n}), so nothing is left to estimate {residual} from."
        _say(text, "Accepted: fewer predictors, or proper priors.", "Only its prior and theirs speak of it.", priors)
    if design.weighted:
        return
    for label, effect in rivals(design):
        text = (
            f"{label} has as many levels as there are rows ({design.n}), so the standard deviation of {effect} and "
            f"{residual} say the same. Remove the term, or fix {residual}: "
            f'priors={{"{residual}": lgm.priors.constant(...)}}.'
        )
        _say(text, "", "Only their priors tell them apart.", priors)


def rivals(design: Design) -> Iterator[tuple[str, str]]:
    """Terms whose effects add to the data what the residual adds, and the first of these effects in each.

    They have a level of their own in every row with a response, and the same size in all of them.
    """
    for term, where in zip(design.terms, design.predictor.term_slices(), strict=True):
        for effects in term.independent:
            if _is_residual(design.predictor.Z[:, where.start + effects.index]):
                yield term.label, effects.what
                break


def _say(text: str, accepted: str, otherwise: str, priors: Priors) -> None:
    """An error under flat priors, a warning under proper ones."""
    if not priors.proper:
        raise IdentifiabilityError(f"{text} {accepted}".strip())
    warnings.warn(f"{text} {otherwise}", IdentifiabilityWarning, stacklevel=5)


def _is_residual(columns: sp.csc_array) -> bool:
    """Whether each row has an effect of its own, of the same size in all rows, as ``1`` in ``(1|row)`` has."""
    size = np.abs(columns.data)
    alone = np.diff(columns.indptr).max(initial=0) == 1 and columns.nnz == columns.shape[0]
    return bool(alone and np.ptp(size) <= 1e-12 * size.max())


def report_cautions(design: Design, priors: Priors) -> None:
    """What the default priors of terms do not expect, where they are in use."""
    for term in design.terms:
        for caution in term.cautions:
            if priors.table.loc[caution.parameter, "source"] == "default":
                warnings.warn(caution.text, DataWarning, stacklevel=4)


def report_terms(design: Design) -> None:
    """Terms that may not mean what their author thinks."""
    for text in (*_without_level(design), *_shared_series(design)):
        warnings.warn(text, DataWarning, stacklevel=4)
    for text in _unknown_directions(design):
        warnings.warn(text, IdentifiabilityWarning, stacklevel=4)


def _without_level(design: Design) -> Iterator[str]:
    """Effects that sum to zero, and no fixed effects that could hold what they sum to."""
    centred = [term.label for term in design.terms if term.centred]
    if centred and not design.predictor.side.offsets and adds(design.predictor.X, np.ones(design.n), None):
        yield (
            f"there is no intercept, and the effects of {listed(centred)} sum to zero, so nothing holds the level of "
            f"`{design.formula.response.text}`. Write `1 + ...`, unless that level is zero."
        )


def _shared_series(design: Design) -> Iterator[str]:
    """A series whose times repeat in a way that looks like several series."""
    for term, where in zip(design.terms, design.predictor.term_slices(), strict=True):
        if term.one_series:
            times = sp.csr_array(design.predictor.Z[:, where]).indices
            how = _several(times, design) if np.bincount(times).max() > 1 else ""
            if how:
                yield (
                    f"{term.label} is one series, which rows with the same time share. Its times repeat: {how}. A "
                    "series for each group of rows is another model, which is not available yet."
                )


def _several(times: IntArray, design: Design) -> str:
    """How rows look like several series: once in each level of a group, or one after the other."""
    for source in design.predictor.sources:
        if isinstance(source, Bar):
            codes = Grouping.of(source, design.scope)[1][design.rows.observed]
            once = np.unique(np.column_stack([codes, times]), axis=0).shape[0] == times.size
            if once and times.size >= FEWEST_TIMES * np.unique(codes).size:
                return f"each level of `{source.group_name}` has them once"
    restarts = int(np.count_nonzero(np.diff(times) <= 0))
    if times.size >= FEWEST_TIMES * (restarts + 1):
        return f"in the order of the rows they start again {counted(restarts, 'time')}"
    return ""


def _unknown_directions(design: Design) -> Iterator[str]:
    """Null-space columns, such as the level of a component, that no row with a response has."""
    for term in design.terms:
        for name, values in term.null.items():
            if name not in design.fixed_names and not np.any(values[design.rows.observed]):
                yield (
                    f"nothing is known about `{name}`, as it is zero in every row with a response; predictions take it "
                    "for zero."
                )


def report_data(design: Design) -> None:
    """What was done to the data that a user should know of."""
    rows = design.rows
    if rows.dropped:
        where = ", ".join(f"{name} ({count})" for name, count in rows.missing_in.items())
        warnings.warn(
            f"{rows.dropped} of {rows.dropped + len(rows.kept)} rows are dropped: missing values in {where}",
            DataWarning,
            stacklevel=4,
        )
    for name, levels, first in numbers_as_text(design):
        warnings.warn(
            f"`{name}` holds numbers as text ({first}), which is a factor of {levels} levels. For a slope, make "
            "numbers of it: astype(float).",
            DataWarning,
            stacklevel=4,
        )
