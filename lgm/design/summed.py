"""A design of which only sums over its rows are kept: that of data in partitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.moments import Moments
from lgm.data.scope import Scope
from lgm.data.values import Values
from lgm.design.collapse import Observations
from lgm.design.design import Design
from lgm.design.predictor import NewRows, Parts, Predictor
from lgm.design.reference import Reference
from lgm.design.sums import Sums
from lgm.errors import LgmError
from lgm.families.response import Response
from lgm.terms.term import Encoded, Term

_ABSENT = (
    "the rows of this fit were read in partitions and are not in memory. Accepted: what effects, hyperparameters and "
    "new_data= say, such as fit.predict(some_rows), fit.conditional_effects() and fit.plot_term(...); data= in "
    "fit.predictions, fit.comparisons, fit.slopes, fit.residuals and fit.loo, which read the rows again; or a fit to "
    "rows in one table."
)


def refuse_rows() -> NoReturn:
    """Say that the rows are not at hand.

    Raises
    ------
    LgmError
    """
    raise LgmError(_ABSENT)


class Absent:
    """Stands where rows would be, and says that they are not."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        refuse_rows()


@dataclass(frozen=True, eq=False, kw_only=True)
class SummedPredictor(Predictor):
    """A linear predictor without rows.

    Parameters
    ----------
    moves_level : bool
        Whether they can move all rows by the same.
    """

    moves_level: bool

    @property
    def spans_level(self) -> bool:
        """Whether the fixed effects can move all rows by the same."""
        return self.moves_level


@dataclass(frozen=True, eq=False, kw_only=True)
class SummedDesign(Design):
    """A design without rows.

    Parameters
    ----------
    sums : Sums
    reference : Reference
        About which they are.
    outcome : Moments
        Of the response less its offset.
    log_weights : Moments
    incomplete, unanswered : int
        Rows that were left out: without a predictor, or without a response.
    missing : dict
        Number of missing values by predictor.
    values : dict of Values
        Of the columns of the predictors.
    """

    sums: Sums
    reference: Reference
    outcome: Moments
    log_weights: Moments
    incomplete: int
    unanswered: int
    missing: Mapping[str, int]
    values: Mapping[str, Values]

    @property
    def n(self) -> int:
        """Number of rows with a response."""
        return self.sums.n

    @property
    def used(self) -> int:
        """The same: others are left out."""
        return self.sums.n

    @property
    def dropped(self) -> int:
        """Number of rows left out."""
        return self.incomplete + self.unanswered

    @property
    def why_dropped(self) -> str:
        """In words."""
        whys = {"missing predictors": self.incomplete, "no response": self.unanswered}
        return ", ".join(why for why, count in whys.items() if count)

    @property
    def missing_in(self) -> Mapping[str, int]:
        """Number of missing values by predictor, and of rows that miss the response alone."""
        every = {**self.missing, self.formula.response.text: self.unanswered}
        return {name: count for name, count in every.items() if count}

    @property
    def predicted(self) -> int:
        """None."""
        return 0

    @property
    def has_rows(self) -> bool:
        """No."""
        return False

    @property
    def response(self) -> Response:
        """Not there."""
        refuse_rows()

    @property
    def seen(self) -> Scope:
        """Not there."""
        refuse_rows()

    @property
    def weights(self) -> FloatArray:
        """Not there."""
        refuse_rows()

    @property
    def stand_ins(self) -> Scope:
        """Rows of the data that have all values of the variables of the terms."""
        return self.scope

    @property
    def latent(self) -> FloatArray:
        """``Z'1``, over the rows with a response."""
        return self.sums.latent

    def average(self, parts: Parts) -> NewRows:
        """One row with the averages of some columns over the rows with a response, each of which counts once."""
        x = np.where(parts.fixed, self.predictor.columns.mean, 0.0)
        z = self.latent / self.n
        pieces = tuple(
            Encoded(sp.csc_array(z[None, place])) if used else None
            for place, used in zip(self.predictor.term_slices(), parts.terms, strict=True)
        )
        offset = np.array([self.sums.offset / self.n if parts.offset else 0.0])
        return NewRows(pd.RangeIndex(1), sp.csc_array(x[None]), pieces, offset)

    @property
    def weighs(self) -> bool:
        """Whether some weight is not one."""
        return self.log_weights.low < 0.0 or self.log_weights.high > 0.0

    @property
    def weighted(self) -> bool:
        """Whether the weights differ."""
        return self.log_weights.low < self.log_weights.high

    @property
    def level(self) -> float:
        """Mean of the response less its offset."""
        return self.outcome.mean

    def spread(self, *, about_zero: bool) -> float:
        """Its standard deviation, or root mean square."""
        return self.outcome.root_mean_square() if about_zero else self.outcome.sd()

    def about_zero(self, term: Term) -> Term:
        """A term with hyperparameters as they are printed."""
        return term.about_zero(self.scope)

    def with_terms(self, terms: tuple[Term, ...]) -> Design:
        """The same design with terms about zero."""
        blocks = self._to_zero(terms)
        found = self.sums if blocks is None else self.sums.changed(blocks)
        return replace(self, predictor=replace(self.predictor, terms=terms), sums=found)

    def _to_zero(self, terms: tuple[Term, ...]) -> list[Any] | None:
        """What columns of the latent effects are multiplied by, for terms about zero; None for nothing."""
        changes = [None if new is old else old.to_zero for old, new in zip(self.terms, terms, strict=True)]
        if all(change is None for change in changes):
            return None
        return [sp.eye_array(t.block.n) if c is None else c for c, t in zip(changes, terms, strict=True)]


@dataclass(frozen=True, eq=False, kw_only=True)
class CollapsedDesign(SummedDesign):
    """A design of rows that are in memory once for all that are alike.

    Parameters
    ----------
    distinct : Observations
        Of which the columns are as printed, those of fixed effects first; its response knows how many rows of the data
        each stands for.
    levels : tuple, optional
        The two values of a response that is a category.
    """

    distinct: Observations
    levels: tuple[Any, ...] | None = None

    @property
    def outcomes(self) -> tuple[sp.csc_array, Response]:
        """Fixed columns (m, p) and the response, of rows of which each may stand for several that are alike."""
        return sp.csc_array(self.distinct.a[:, : self.p]), self.distinct.y

    @property
    def latent(self) -> FloatArray:
        """``Z'1``, over the rows with a response."""
        return np.asarray(self.distinct.a[:, self.p :].T @ np.asarray(self.distinct.y.times))

    def most_rows(self, effects: slice) -> float:
        """Of some latent effects, the largest number of rows that have the same one."""
        columns = self.distinct.a[:, slice(effects.start + self.p, effects.stop + self.p)]
        return float(np.max(abs(columns).sign().T @ np.asarray(self.distinct.y.times), initial=0.0))

    @property
    def level(self) -> float:
        """Where the linear predictor is about, as the family says it."""
        rows = self.distinct
        return self.family.level_of(rows.y, rows.offset, rows.weights)

    def spread(self, *, about_zero: bool) -> float:
        """The yardstick of default priors."""
        return self.family.scale_of(self.distinct.y, self.distinct.offset, about_zero=about_zero)

    def with_terms(self, terms: tuple[Term, ...]) -> Design:
        """The same design with terms about zero."""
        blocks, rows = self._to_zero(terms), self.distinct
        if blocks is not None:
            change = sp.block_diag([sp.eye_array(self.p), *blocks], format="csc")
            rows = rows._replace(blocks=(sp.csc_array(rows.a @ change),))
        return replace(self, predictor=replace(self.predictor, terms=terms), distinct=rows)
