"""Leave-one-out: how well each row, or each group of rows, is predicted from all others."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import logsumexp

from lgm.arrays import BoolArray, FloatArray
from lgm.data.table import of_library
from lgm.errors import LgmError
from lgm.inference.pareto import threshold
from lgm.results.comparing import conditional, pit, refits
from lgm.results.comparing.estimable import unknown_without
from lgm.results.comparing.labels import Labels
from lgm.results.comparing.over_theta import carried
from lgm.results.comparing.passes import Thetas, Weights, cavities_at, parts, rows_of, smoothed
from lgm.words import counted, listed

if TYPE_CHECKING:
    from lgm.results.fit import Fit

REFITTED = 64  # thetas at which fits without a row are made, where the response is not Gaussian
REFITS = 20_000  # of them in all
REACHED = 0.5  # Pareto k up to which draws of the posterior have been where the weights lead
SMALL = 0.01  # error of a row's log density that is not worth a fit


@dataclass(frozen=True, eq=False)
class Criterion:
    """An estimate of the expected log pointwise predictive density (elpd) of new data.

    Parameters
    ----------
    name : str
        Such as ``"loo"``.
    what : str
        What was left out, in words.
    table : pandas.DataFrame
        One row for each thing left out, with its ``elpd``.
    notes : tuple of str
        What should be known of the estimate.
    fit : Fit
    """

    name: str
    what: str
    table: pd.DataFrame
    notes: tuple[str, ...]
    fit: Fit = field(repr=False)

    @property
    def pointwise(self) -> Any:
        """The contribution of each row or group; for polars and Arrow data a table of theirs."""
        by_row = len(self.table) == self.fit.nobs
        return of_library(self.table, self.fit.design.rows.library if by_row else None)

    @property
    def elpd(self) -> float:
        """The sum over all that was left out."""
        return float(self.table["elpd"].sum(min_count=1))  # of what has a density

    @property
    def se(self) -> float:
        """Standard error of `elpd`: as much as it would vary with other data of this size."""
        return _se(self.table["elpd"])

    @property
    def estimates(self) -> pd.DataFrame:
        """The elpd, the effective number of parameters, and the former on the scale of the deviance."""
        rows: dict[str, tuple[float, float]] = {f"elpd_{self.name}": (self.elpd, self.se)}
        p = f"p_{self.name}"
        if p in self.table:
            rows[p] = (float(self.table[p].sum()), _se(self.table[p]))
        rows[f"{self.name}ic"] = (-2.0 * self.elpd, 2.0 * self.se)
        return pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "se"])

    def __repr__(self) -> str:
        table = self.estimates.map("{:.1f}".format).to_string()
        return "\n".join([self.what, "", table, "", *self.notes])


def _se(values: pd.Series) -> float:
    values = values.dropna()
    return float(np.sqrt(values.size * values.var(ddof=1))) if values.size > 1 else np.nan


@dataclass(frozen=True, eq=False, repr=False)
class Loo(Criterion):
    """Leave-one-out, by rows or by groups of rows.

    Parameters
    ----------
    name, what, table, notes, fit
        As for `Criterion`. The table has for each row or group ``elpd``, the log density of its response given all
        others; ``se``, its Monte Carlo error; ``p_loo``, how much less that is than given all; ``pareto_k``, whether
        importance weights of theta can be trusted; ``error``, what the approximation may have missed; ``reliable``,
        whether ``pareto_k`` is small enough, at most a half for draws of the posterior.
    thetas : Thetas
        Those behind it.
    log_density : float array (S, n)
        Log densities given theta and all others.
    """

    thetas: Thetas
    log_density: FloatArray

    @property
    def log_likelihood(self) -> xr.DataArray:
        """Log densities (chain, draw, row) of each row or group given theta and all others, effects integrated out.

        ``az.loo`` of these is this estimate. The draws are some of those of the fit, evenly spread; their numbers are
        the coordinates.
        """
        chains = np.arange(len(self.thetas.which))
        values = self.log_density[self.thetas.which]
        coords = {"chain": chains, "draw": self.thetas.draws, "row": np.arange(values.shape[-1])}
        return xr.DataArray(values, coords, ("chain", "draw", "row"), name="log_likelihood")

    @property
    def weights(self) -> Weights:
        """Normalised log weights (S, n) of the thetas given all but one row or group, and Pareto k."""
        return smoothed(self.thetas, self.log_density)

    @cached_property
    def pit(self) -> pd.DataFrame:
        """Probabilities of a smaller response than that of each row, given all others: ``lower`` and ``upper``.

        ``P(y < y_i)`` and ``P(y <= y_i)``, which differ where responses are discrete or censored. Of a model that is
        right, numbers drawn evenly between the two are uniform. By simulation unless the response is Gaussian.
        """
        if self.name != "loo":
            raise LgmError("pit is for single rows given all others; accepted: fit.loo().pit.")
        return pit.leave_one_out(self)


def loo(fit: Fit) -> Loo:
    """By rows; see `Criteria.loo`."""
    rows, n = rows_of(fit), fit.nobs
    thetas = Thetas.of(fit, n)
    if not fit.draws.conditional:
        return _conditional(fit, thetas)
    found = _by_rows(fit, thetas, rows)
    found.log_density[:, unknown_without(fit, each_row(fit))] = np.nan
    return _result(fit, "loo", f"Leave-one-out, {counted(n, 'row')}", fit_index(fit), thetas, found)


def each_row(fit: Fit) -> Labels:
    """Every row by itself."""
    index = fit_index(fit).to_flat_index()  # a label of several parts is a tuple of them
    return Labels(np.arange(fit.nobs), index.rename("row"))


class _Found(NamedTuple):
    log_density: FloatArray  # (S, n)
    given_all: FloatArray  # log p(y_i | y) (n,)
    error: FloatArray  # (n,)


def _by_rows(fit: Fit, thetas: Thetas, rows: Any) -> _Found:
    size, n = thetas.size, fit.nobs
    log_density, total, doubt = np.empty((size, n)), np.full(n, -np.inf), np.zeros(n)
    for at, found in cavities_at(fit, thetas.theta, rows):
        log_density[at] = found.log_density
        given = logsumexp(found.log_density_given_all + thetas.log_weights[at, None], axis=0)
        total = np.logaddexp(total, given)
        doubt += np.exp(thetas.log_weights[at]) @ np.abs(found.doubt)
    if fit.analysed.marginal.data.normal:
        return _Found(log_density, total, np.zeros(n))
    return _refitted(fit, thetas, rows, _Found(log_density, total, doubt))


def _refitted(fit: Fit, thetas: Thetas, rows: Any, found: _Found) -> _Found:
    """With fits without each row where cavities may be off, as many as there is time for."""
    doubted = np.flatnonzero(~(found.error <= SMALL))
    at = thetas.spread(max(min(REFITTED, REFITS // max(doubted.size, 1)), 1))
    units = doubted[np.argsort(-np.nan_to_num(found.error[doubted], nan=np.inf))][: REFITS // at.size]
    if not units.size:
        return found
    units = np.sort(units)
    known = refits.units_left_out(fit, rows, np.arange(fit.nobs), units, thetas.theta[at])
    base = found.log_density[:, units]
    base = np.where(np.all(np.isfinite(base), axis=0), base, 0.0)
    log_density, error = found.log_density.copy(), found.error.copy()
    log_density[:, units], error[units] = carried(base, known, at, thetas.slow)
    return found._replace(log_density=log_density, error=error)


def _conditional(fit: Fit, thetas: Thetas) -> Loo:
    """From draws of the effects with theta, which are all that is known of them."""
    log_density = conditional.log_likelihood(fit, thetas.numbers)
    given = logsumexp(log_density + thetas.log_weights[:, None], axis=0)
    found = _Found(log_density, given, np.zeros(fit.nobs))
    what = f"Leave-one-out given the effects, {counted(fit.nobs, 'row')}"
    return _result(fit, "loo", what, fit_index(fit), thetas, found)


def fit_index(fit: Fit) -> pd.Index:
    """Labels of the rows with a response."""
    return fit.design.rows.frame.index[fit.design.rows.observed]


def _result(fit: Fit, name: str, what: str, index: pd.Index, thetas: Thetas, found: _Found) -> Loo:
    weights = smoothed(thetas, found.log_density)
    elpd, se, total = summed(thetas, weights, found.log_density)
    columns: dict[str, Any] = {
        "elpd": elpd,
        "se": se,
        f"p_{name}": found.given_all - elpd,
        "pareto_k": weights.k,
        "error": found.error,
    }
    columns["reliable"] = reliable(thetas, weights.k)
    table = pd.DataFrame(columns, index)
    said = notes(thetas, table, total)
    return Loo(name, what, table, said, fit, thetas, found.log_density)


def reliable(thetas: Thetas, k: FloatArray) -> BoolArray:
    """Whether weights (n,) with this k tell of theta without each unit: whether there are thetas where it would be."""
    if not thetas.moved:
        return np.ones(k.size, dtype=bool)
    limit = threshold(thetas.size)
    return ~(k > (limit if thetas.proposed else min(REACHED, limit)))


def summed(thetas: Thetas, weights: Weights, log_density: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """The elpd (n,) of each unit, its Monte Carlo error (n,), and that of their sum."""
    n = log_density.shape[1]
    elpd, square, whole = np.empty(n), np.zeros(n), np.zeros(thetas.size)
    for at in parts(n):
        each = weights.log[:, at] + log_density[:, at]
        elpd[at] = logsumexp(each, axis=0)
        if thetas.moved:
            pull = np.exp(each - elpd[at]) - np.exp(weights.log[:, at])  # of each theta on the log of a mean of ratios
            whole += np.nansum(pull, axis=1)
            square[at] = np.sum(pull**2, axis=0)
    return elpd, np.sqrt(square), float(np.sqrt(np.sum(whole**2)))


def notes(thetas: Thetas, table: pd.DataFrame, total: float) -> tuple[str, ...]:
    """What should be known of sums over a table, with their Monte Carlo error."""
    found = []
    unknown = int(table["elpd"].isna().sum())
    if unknown:
        found.append(f"{unknown} of {len(table)} have no density given the others, and are left out.")
    if not thetas.moved:
        return (*found, "The hyperparameters are held: what they learn from what is left out is not taken from them.")
    limit = threshold(thetas.size)
    high = int(np.sum(table["pareto_k"] > limit))
    k = f"Pareto k: all below {limit:.2f}." if not high else f"Pareto k above {limit:.2f} in {high} of {len(table)}."
    error = "" if np.isnan(total) else f"Monte Carlo error of the elpd {total:.2g}, "
    found.append(f"{error}{counted(thetas.size, 'value')} of the hyperparameters. {k}")
    doubted = table.loc[~reliable(thetas, table["pareto_k"].to_numpy()), "pareto_k"]
    if doubted.size:
        worst = listed(list(doubted.sort_values(ascending=False).index), 5)
        found.append(
            f"Not reliable: {worst} (Pareto k up to {doubted.max():.2f}), without which the hyperparameters are where "
            "few draws are, so that the elpd may be off by more than its Monte Carlo error. For rows "
            "fit.loo(reloo=True) fits again without each of these; for groups there is fit.kfold(groups=...)."
        )
    return tuple(found)
