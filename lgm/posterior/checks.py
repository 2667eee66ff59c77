"""What of a model the data cannot tell apart, or do not speak of."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from lgm.data.expression import FUNCTIONS, function, names_of
from lgm.design.design import ROWWISE, Design, numbers_as_text
from lgm.errors import DataWarning, IdentifiabilityError, IdentifiabilityWarning
from lgm.posterior.priors import Priors
from lgm.priors import Constant


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
    for expression in design.entangled:
        names = names_of(expression, (), {}).functions
        own = [name for name in names if name in FUNCTIONS and function(name, design.scope.env) is not FUNCTIONS[name]]
        hidden = f" (`{own[0]}` is a function of your own here, which hides that of formulas)" if own else ""
        warnings.warn(
            f"`{expression.text}` is computed from all rows at once{hidden}, so the fit cannot predict other rows. "
            f"Accepted: {ROWWISE}",
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
