"""Predictions: the linear predictor at rows of data, through the family, summarised or as draws."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtri

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.data.table import Rows, Table, of_library, read_weights
from lgm.design import design
from lgm.design.predictor import NewRows, Parts
from lgm.errors import DataError, LgmError, PredictionWarning
from lgm.results.linear_predictor import LinearPredictor, linear_predictor, parts_of
from lgm.results.progress import bar
from lgm.results.quantiles import Tails, spread
from lgm.words import counted

if TYPE_CHECKING:
    from lgm.results.fit import Fit

KINDS = ("mean", "response", "draws")


def predict(
    fit: Fit,
    new_data: Any,
    kind: str,
    *,
    terms: Any,
    exclude: Any,
    new_levels: str,
    include_group_specific: Any,
    weights: Any,
    seed: int,
) -> pd.DataFrame | xr.DataArray:
    """See `Fit.predict`."""
    _require(kind in KINDS, f'kind={kind!r}; accepted: "mean", "response" or "draws".')
    _require(
        new_levels in ("sample", "zero", "error"), f'new_levels={new_levels!r}; accepted: "sample", "zero", "error".'
    )
    parts = parts_of(fit, terms, exclude, include_group_specific)
    noise, given = None, fit.design.rows if new_data is None else Table.of(new_data, "new_data")
    if isinstance(given, Rows):
        what, table, complete, missing = "the data have", None, given.complete, given.missing_in
        if kind == "response":
            noise = _own_weights(fit, weights)
    else:
        what, (complete, missing) = "new_data has", design.complete_rows(fit.design, given, parts)
        table = given.rows(complete)
        if kind == "response":
            noise = _weights(fit, given, weights, np.flatnonzero(complete))
    found = _predicted(fit, table, parts, kind, new_levels, noise, seed) if complete.any() else _nothing(fit, kind)
    if missing:
        columns = ", ".join(f"{name} ({count})" for name, count in missing.items())
        rows = counted(int(np.count_nonzero(~complete)), "row")
        text = f"{what} missing values in {columns}: the predictions of {rows} are missing too"
        warnings.warn(text, PredictionWarning, stacklevel=3)
        found = _in_place(fit, found, given.index, complete)
    return of_library(found, given.library) if isinstance(found, pd.DataFrame) else found


def _predicted(
    fit: Fit, table: Table | None, parts: Parts, kind: str, new_levels: str, noise: FloatArray | None, seed: int
) -> pd.DataFrame | xr.DataArray:
    """Complete rows; new responses have these weights."""
    rows = design.encode(fit.design, table, parts)
    _announce(rows, new_levels)
    eta = linear_predictor(fit, rows, new_levels=new_levels, seed=seed)
    if kind == "draws":
        return _labelled(fit, fit.design.family.mean(eta.draws(), _family_theta(fit)), eta.rows.index)
    if kind == "mean" and fit.design.family.link == "identity":
        sd = eta.exact_sd()
        if sd is not None:
            return _normal(fit, eta, sd)
    return _summarised(fit, eta, noise, np.random.default_rng([seed, 3]))


def _in_place(fit: Fit, found: Any, index: pd.Index, complete: BoolArray) -> Any:
    """The predictions of complete rows among all rows; those of the others are NaN."""
    if isinstance(found, xr.DataArray):
        draws = np.full((len(index), fit.draws.theta[..., 0].size), np.nan)
        draws[complete] = found.values.reshape(draws.shape[1], found.sizes["row"]).T
        return _labelled(fit, draws, index)
    values = np.full((len(index), found.shape[1]), np.nan)
    values[complete] = found
    return pd.DataFrame(values, index, found.columns)


def _nothing(fit: Fit, kind: str) -> pd.DataFrame | xr.DataArray:
    """The predictions of no row."""
    if kind == "draws":
        return _labelled(fit, np.empty((0, fit.draws.theta[..., 0].size)), pd.RangeIndex(0))
    return pd.DataFrame(columns=["mean", "sd", *fit.interval_names], dtype=float)


def _normal(fit: Fit, eta: LinearPredictor, sd: FloatArray) -> pd.DataFrame:
    """Mean, sd and interval of a linear predictor that is normal."""
    mean, away = eta.mean(), ndtri((1.0 + fit.interval) / 2.0) * sd
    values = np.column_stack([mean, sd, mean - away, mean + away])
    return pd.DataFrame(values, index=eta.rows.index, columns=["mean", "sd", *fit.interval_names])


def _summarised(fit: Fit, eta: LinearPredictor, noise: FloatArray | None, rng: np.random.Generator) -> pd.DataFrame:
    """Mean, sd and interval of the expected response, or of new responses with these weights."""
    theta, family, size = _family_theta(fit), fit.design.family, fit.effects.size

    def values(part: IntArray) -> Iterator[FloatArray]:
        for numbers, drawn in eta.blocks(part):
            own = {name: draws[numbers] for name, draws in theta.items()}
            yield (
                family.mean(drawn, own)
                if noise is None
                else family.simulate(rng, drawn, own, noise[part], np.ones(part.size))
            )

    def fill(part: IntArray) -> None:
        out[part, 0] = eta.mean(part)
        out[part, 1], ends = spread(values(part), part.size, size, fit.interval)
        out[part, 2:] = ends.T
        shown.update(part.size)

    out = np.empty((eta.n, 4))
    parts = list(eta.pieces(Tails.bytes(size, fit.interval)))
    workers = os.cpu_count() if eta.in_one and noise is None else 1  # noise is drawn in the order of the rows
    with bar(eta.n, "predictions", progress=fit.progress) as shown, ThreadPoolExecutor(workers) as pool:
        for part in parts[:1]:  # makes what all share
            fill(part)
        list(pool.map(fill, parts[1:]))
    return pd.DataFrame(out, index=eta.rows.index, columns=["mean", "sd", *fit.interval_names])


def _labelled(fit: Fit, values: FloatArray, index: pd.Index) -> xr.DataArray:
    """Draws (rows, S) by chain, draw and row."""
    chains, draws, _ = fit.draws.theta.shape
    coords = {"chain": np.arange(chains), "draw": np.arange(draws), "row": _row_labels(index)}
    shaped = values.T.reshape(chains, draws, len(index))
    return xr.DataArray(shaped, coords, ("chain", "draw", "row"), name=fit.design.formula.response.text)


def _row_labels(index: pd.Index) -> np.ndarray[Any, Any]:
    if not isinstance(index, pd.MultiIndex):
        return index.to_numpy()
    labels = np.empty(len(index), dtype=object)
    labels[:] = list(index)  # a row of several labels is a tuple of them
    return labels


def _family_theta(fit: Fit) -> dict[str, FloatArray]:
    """Draws of the family's own hyperparameters."""
    d = fit.design
    theta = dict(zip(d.theta_names, fit.draws.theta.reshape(-1, len(d.theta_names)).T, strict=True))
    return {name: theta[name] for parameter in d.family_parameters for name in parameter.names}


def _require(fine: bool, message: str) -> None:
    if not fine:
        raise LgmError(message)


def _announce(rows: NewRows, new_levels: str) -> None:
    for encoded in rows.encoded:
        if encoded is None:
            continue
        for note in encoded.notes:
            warnings.warn(note, PredictionWarning, stacklevel=5)
        novel = encoded.novel
        if novel is not None and novel.population:
            if new_levels == "error":
                raise DataError(f'new_data has {novel.what}; accepted: new_levels="sample" or "zero", or known levels.')
            how = "drawn from the population" if new_levels == "sample" else "set to zero"
            warnings.warn(f"{novel.what}: their effects are {how}", PredictionWarning, stacklevel=5)


def _own_weights(fit: Fit, weights: Any) -> FloatArray:
    """The weights of the rows of the fit: their own, or others."""
    if weights is None or (isinstance(weights, str) and weights == fit.inputs.weights):
        return fit.design.all_weights
    frame, rows = fit.design.scope.frame, fit.design.rows
    if not isinstance(weights, str):
        return read_weights(weights, pd.DataFrame(index=rows.index), kept=rows.kept)
    if weights not in frame:
        raise DataError(
            f"the fit did not keep the column {weights!r}: its formula does not name it. Accepted: an array with one "
            f"number for each of the {len(rows.index)} rows, or new_data with that column."
        )
    return read_weights(weights, frame)


def _weights(fit: Fit, table: Table, weights: Any, kept: IntArray) -> FloatArray:
    """The weights of new rows, by default in the column that gave those of the fit."""
    given = fit.inputs.weights
    if weights is None and isinstance(given, str) and given in table.names:
        weights = given
    if weights is None and fit.design.weighted:
        text = "the fit has weights, but none are given for new_data: each of its rows counts with weight 1"
        warnings.warn(text, PredictionWarning, stacklevel=4)
    frame = table.select({weights} if isinstance(weights, str) else ())
    return read_weights(weights, frame, table.names, kept)
