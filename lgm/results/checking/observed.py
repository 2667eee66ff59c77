"""The rows with a response: what was observed there, the linear predictor, and columns that a user names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray, IntArray
from lgm.data.expression import names_of
from lgm.data.table import of_library, per_row
from lgm.design import predictor as predictors
from lgm.design.predictor import NewRows, Parts
from lgm.errors import DataError, LgmError
from lgm.families.times import KNOWN
from lgm.formula.sides import Bar
from lgm.results.linear_predictor import LinearPredictor, linear_predictor
from lgm.results.tables import theta_of_family
from lgm.words import listed, suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit


@dataclass(frozen=True, eq=False)
class Observed:
    """The rows of a fit that have a response (n,)."""

    fit: Fit

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.fit.design.n

    @property
    def y(self) -> FloatArray:
        """The response as it is given (n,), successes as shares where it is given so."""
        return np.asarray(self.fit.design.as_given)

    @property
    def trials(self) -> FloatArray:
        """Numbers of trials (n,), one where nothing is said."""
        trials = self.fit.design.response.trials
        return np.ones(self.n) if trials is None else np.asarray(trials)

    @property
    def shares(self) -> FloatArray:
        """What a number that a family draws is divided by (n,) to be as the response is given."""
        return self.trials if self.fit.design.answer.share else np.ones(self.n)

    @property
    def censored(self) -> IntArray:
        """Codes (n,), zero where the response is known."""
        codes = self.fit.design.response.censored
        return np.full(self.n, KNOWN) if codes is None else np.asarray(codes)

    @cached_property
    def eta(self) -> LinearPredictor:
        """The linear predictor."""
        return linear_predictor(self.fit, self._encoded)

    @cached_property
    def theta(self) -> dict[str, FloatArray]:
        """Draws of the family's own parameters by kind."""
        return theta_of_family(self.fit)

    @cached_property
    def _encoded(self) -> NewRows:
        d = self.fit.design
        return predictors.encode(d.predictor, d.seen, Parts.all(d.predictor))

    def some(self, draws: int) -> IntArray:
        """Numbers of so many draws, spread over all, in ascending order; all where there are no more."""
        size = self.fit.effects.size
        return np.unique(np.linspace(0, size - 1, min(draws, size)).round().astype(np.int64))

    def redrawn(self, groups: Any) -> LinearPredictor:
        """The same with the effects of groups drawn from their population: as of other levels in place of these."""
        wanted = _groups(self.fit, groups)
        if not wanted:
            return self.eta
        d, encoded = self.fit.design, list(self._encoded.encoded)
        for j, (term, source) in enumerate(zip(d.terms, d.predictor.sources, strict=True)):
            if term.group in wanted and isinstance(source, Bar):
                frame = d.seen.frame.copy()
                for factor in source.group:
                    for name in names_of(factor, frame.columns, d.scope.env).columns:
                        frame[name] = pd.Categorical(["another " + str(value) for value in frame[name]])
                encoded[j] = term.encode(d.seen.on(frame))
        return linear_predictor(self.fit, replace(self._encoded, encoded=tuple(encoded)))

    def column(self, given: Any, argument: str) -> pd.Series:
        """A column of the data by its name, or an array with one value for each row of the data, at these rows.

        Raises
        ------
        DataError
            For a column that the fit did not keep, or an array of another length.
        """
        d = self.fit.design
        if isinstance(given, str):
            if given in d.seen.frame:
                return d.seen.frame[given].rename(given)
            known = list(d.seen.frame.columns)
            raise DataError(
                f"{argument}={given!r} is not among the columns that the fit kept, those of its formula."
                f"{suggest(given, known)} Accepted: {listed(known)}, or an array with one value for each of the "
                f"{len(d.rows.index)} rows of the data."
            )
        given = np.asarray(given) if isinstance(given, (list, tuple)) else given
        column = per_row(given, pd.DataFrame(index=d.rows.index), argument)
        if column is None:
            raise DataError(
                f"{argument}= is neither the name of a column nor an array with one value for each of the "
                f"{len(d.rows.index)} rows of the data."
            )
        name = getattr(given, "name", None) or argument
        return column.iloc[d.rows.kept[d.rows.observed]].rename(str(name))

    def among_all(self, values: FloatArray, name: str) -> Any:
        """Numbers of these rows (n,) among all rows of the data, NaN in the others, with the index of the data."""
        rows = self.fit.design.rows
        out = np.full(len(rows.index), np.nan)
        out[rows.kept[rows.observed]] = values
        found = pd.Series(out, rows.index, name=name)
        return found if rows.library is None else of_library(found.to_frame(), rows.library)[name]


def _groups(fit: Fit, wanted: Any) -> list[str]:
    """Groups by what a user says: True, False, one or several."""
    known = list(dict.fromkeys(term.group for term in fit.design.terms if term.group))
    if isinstance(wanted, (bool, np.bool_)):
        if wanted and not known:
            raise LgmError("redraw=True is for models with groups, such as (1 | g), and this one has none.")
        return known if wanted else []
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in known:
            groups = ", ".join(map(repr, known)) or "there are none"
            raise LgmError(
                f"redraw= has {name!r}.{suggest(str(name), known)} Accepted: True, False, groups ({groups})."
            )
    return names
