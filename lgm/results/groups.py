"""The groups of a fit's ArviZ object: each is a dataset by chain and draw, or by row of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from lgm.data.expression import names_of
from lgm.errors import LgmError
from lgm.results.arviz import plain_labels
from lgm.results.comparing import conditional
from lgm.results.comparing.passes import Thetas
from lgm.results.learned import learned
from lgm.results.tables import LEAD
from lgm.words import suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit


def light(fit: Fit) -> dict[str, xr.Dataset]:
    """What every object has: the draws, how they were made, and the data, where their rows are at hand."""
    stats = {name: (LEAD, values) for name, values in fit.draws.stats.items()}
    name = "prior" if fit.method == "prior" else "posterior"
    found = {name: fit.posterior, "sample_stats" if name == "posterior" else "sample_stats_prior": xr.Dataset(stats)}
    if not fit.design.has_rows:
        return found
    observed = _by_row(fit, {_response(fit): fit.design.as_given})
    return {**found, "observed_data": observed, "constant_data": _constant_data(fit)}


def posterior_predictive(fit: Fit) -> xr.Dataset:
    """New responses at the rows that have one."""
    return _predictive(fit)


def prior(fit: Fit) -> xr.Dataset:
    """Draws of all parameters and effects from their priors."""
    return _from_prior(fit).posterior


def prior_predictive(fit: Fit) -> xr.Dataset:
    """New responses that the priors imply."""
    return _predictive(_from_prior(fit))


def log_likelihood(fit: Fit) -> xr.Dataset:
    """Of each row given theta and all others, effects integrated out: the densities behind `Fit.loo`."""
    return _by_draw(fit, fit.loo().log_likelihood)


def log_likelihood_given_effects(fit: Fit) -> xr.Dataset:
    """Of each row given its own effects, at the same draws."""
    fit, draws = learned(fit, "log likelihood"), Thetas.of(fit, fit.nobs).draws
    chains, size, _ = fit.draws.theta.shape
    numbers = (size * np.arange(chains)[:, None] + draws).ravel()
    values = conditional.log_likelihood(fit, numbers).reshape(chains, draws.size, -1)
    coords = {"chain": np.arange(chains), "draw": draws}
    return _by_draw(fit, xr.DataArray(values, coords, (*LEAD, "row")))


HEAVY = {
    "posterior_predictive": posterior_predictive,
    "prior": prior,
    "prior_predictive": prior_predictive,
    "log_likelihood": log_likelihood,
    "log_likelihood_given_effects": log_likelihood_given_effects,
}


def require_known(names: tuple[str, ...]) -> None:
    """Raise unless these are some, and all of them can be made."""
    if not names:
        raise LgmError(f"add_groups() needs to know which ones. Accepted: {', '.join(map(repr, HEAVY))}.")
    for name in names:
        if name not in HEAVY:
            near = suggest(str(name), list(HEAVY))
            raise LgmError(f"there is no group {name!r} to add.{near} Accepted: {', '.join(map(repr, HEAVY))}.")


def _from_prior(fit: Fit) -> Fit:
    """As many draws from the prior as from the posterior, in one chain."""
    found: Fit = fit.model.fit(method="prior", chains=1, draws=fit.effects.size, seed=fit.seed, progress=fit.progress)
    return found


def _predictive(fit: Fit) -> xr.Dataset:
    drawn = fit.posterior_predict()
    observed = fit.design.rows.kept[fit.design.rows.observed]
    values = drawn.values[..., observed]
    coords = {**{name: drawn[name].values for name in LEAD}, "row": _labels(fit)}
    return xr.Dataset({_response(fit): ((*LEAD, "row"), values)}, coords)


def _by_draw(fit: Fit, values: xr.DataArray) -> xr.Dataset:
    return xr.Dataset({_response(fit): values.assign_coords(row=_labels(fit)).drop_attrs()})


def _response(fit: Fit) -> str:
    return fit.design.formula.response.text


def _labels(fit: Fit) -> np.ndarray[Any, Any]:
    """Of the rows that have a response."""
    return plain_labels(fit.design.scope.frame.index[fit.design.rows.observed])


def _by_row(fit: Fit, columns: dict[str, Any]) -> xr.Dataset:
    return xr.Dataset({name: ("row", values) for name, values in columns.items()}, {"row": _labels(fit)})


def _constant_data(fit: Fit) -> xr.Dataset:
    """The predictors, as far as they are columns, and known weights and trials."""
    d, seen = fit.design, fit.design.seen.frame
    found = [names_of(each, seen.columns, d.scope.env).columns for each in d.formula.mu.expressions]
    used = dict.fromkeys(name for names in found for name in names if name not in ("row", _response(fit)))
    columns = {name: plain_labels(pd.Index(seen[name])) for name in used}
    if d.weighs:
        columns["weights"] = d.weights
    if d.response.trials is not None:
        columns["trials"] = np.asarray(d.response.trials)
    return _by_row(fit, columns)
