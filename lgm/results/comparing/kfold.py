"""K-fold cross-validation: real refits of a model without some rows, of the same structure, so that none compiles."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pandas as pd
from scipy.special import logsumexp

from lgm.arrays import FloatArray, IntArray
from lgm.errors import LgmError, LgmWarning
from lgm.inference.compile import jit
from lgm.posterior import density
from lgm.posterior.density import Marginal
from lgm.posterior.every_row import EveryRow
from lgm.results.comparing import conditional
from lgm.results.comparing.labels import Labels, by_group, folds
from lgm.results.comparing.loo import Criterion, fit_index
from lgm.results.comparing.new_rows import predicted
from lgm.results.comparing.passes import Thetas, rows_of
from lgm.results.progress import bar
from lgm.words import counted, listed
from lgm.xla import own_settings

if TYPE_CHECKING:
    from lgm.results.fit import Fit

STOPPED = "Stopped early"


@jit
def _keeping(post: Marginal, rows: EveryRow, kept: jax.Array) -> Marginal:
    return density.keeping(post, rows, kept)


def kfold(fit: Fit, k: Any, groups: Any, seed: int) -> Criterion:
    """See `Criteria.kfold`."""
    units = _units(fit, k, groups, seed)
    rows, n = rows_of(fit), fit.nobs
    elpd = np.full(n, np.nan)
    done: list[Any] = []
    doubted: list[Any] = []
    with bar(len(units.index), "folds", progress=fit.progress) as shown:
        for unit, label in enumerate(units.index):
            out = np.flatnonzero(units.of == unit)
            try:
                elpd[out], doubt = fold(fit, rows, out)
            except KeyboardInterrupt:
                if not done:
                    raise
                break
            done.append(label)
            doubted += [label] if doubt else []
            shown.update()
    table = pd.DataFrame({str(units.index.name): units.index.take(units.of), "elpd": elpd}, fit_index(fit))
    what = f"{len(units.index)}-fold cross-validation, {counted(n, 'row')}, folds by {units.index.name}"
    return Criterion("kfold", what, table, _notes(units, done, doubted), fit)


def _notes(units: Labels, done: list[Any], doubted: list[Any]) -> tuple[str, ...]:
    found = []
    if len(done) < len(units.index):
        found.append(f"{STOPPED}: {len(done)} of {len(units.index)} folds; the rows of the others are left out.")
    if doubted:
        found.append(f"Refits in doubt: {listed(doubted, 5)}.")
    return tuple(found)


def _units(fit: Fit, k: Any, groups: Any, seed: int) -> Labels:
    if groups is not None:
        if k is not None:
            raise LgmError("k= counts folds of rows at random, groups= names them; give one of them.")
        return by_group(fit, groups)
    k = 10 if k is None else k
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or not 2 <= k <= fit.nobs:
        raise LgmError(f"k={k!r}; accepted: a whole number from 2 to the number of rows, {fit.nobs}.")
    return folds(fit.nobs, int(k), seed)


def fold(fit: Fit, rows: EveryRow, out: IntArray) -> tuple[FloatArray, bool]:
    """Log densities of the rows that are left out, and whether the refit is in doubt."""
    again = refit(fit, rows, out)
    if not fit.draws.conditional:
        each = conditional.log_likelihood(again, np.arange(again.draws.theta[..., 0].size))[:, out]
        return logsumexp(each, axis=0) - np.log(len(each)), again.doubt is not None
    thetas = Thetas.of(again, out.size)
    each = predicted(fit, rows, thetas, out)
    return logsumexp(each + thetas.log_weights[:, None], axis=0), again.doubt_of_theta is not None


def refit(fit: Fit, rows: EveryRow, out: IntArray) -> Fit:
    """The same fit without some rows."""
    kept = np.ones(fit.nobs)
    kept[out] = 0.0
    analysed = fit.model.analysed
    with own_settings():
        marginal = _keeping(analysed.marginal, rows, kept)
    model = replace(fit.model, analysed=replace(analysed, marginal=marginal))
    chains, draws, _ = fit.draws.theta.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LgmWarning)
        method: Any = fit.method
        approximation: Any = "auto" if fit.run.rung is None or fit.method == "joint" else fit.run.rung.name
        again: Fit = model.fit(
            method=method,
            approximation=approximation,
            chains=chains if chains > 1 else 4,
            draws=draws if chains > 1 else max(draws // 4, 4),
            seed=fit.seed,
            progress=False,
        )
    return again
