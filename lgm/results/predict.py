"""Predictions: the linear predictor at rows of data, through the family, summarised or as draws."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtri

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.data.table import Rows, Table, of_library, per_row, read_weights, with_geometry
from lgm.design import answer, design
from lgm.design import predictor as predictors
from lgm.design.predictor import NewRows, Parts
from lgm.errors import DataError, LgmError, PredictionWarning, warn
from lgm.results.averages import Average
from lgm.results.linear_predictor import LinearPredictor, linear_predictor, parts_of
from lgm.results.progress import bar
from lgm.results.quantiles import Tails, spread
from lgm.results.tables import theta_of_family
from lgm.words import counted

if TYPE_CHECKING:
    from lgm.results.fit import Fit

SCALES = ("linear", "mean", "response")
KINDS = (*SCALES, "draws")
NUMBERS, IN_FEW_PASSES = 2_000_000, 10_000_000  # in one piece of a stream; where each takes all effects once more


class Known(NamedTuple):
    """What is known of rows whose responses are drawn (n,)."""

    weights: FloatArray
    trials: FloatArray


def predict(
    fit: Fit,
    new_data: Any,
    kind: str,
    *,
    of: str | None,
    terms: Any,
    exclude: Any,
    new_levels: str,
    include_group_specific: Any,
    weights: Any,
    trials: Any,
    seed: int,
    draws: int | None = None,
) -> pd.DataFrame | xr.DataArray:
    """See `Fit.predict`; of draws, as many as `draws`, or all."""
    _require(kind in KINDS, f"kind={kind!r}; accepted: {', '.join(map(repr, KINDS))}.")
    _require(of is None or kind == "draws", f'of={of!r} goes with kind="draws"; with kind={kind!r} leave it out.')
    _require(of in (None, *SCALES), f"of={of!r}; accepted: {', '.join(map(repr, SCALES))}.")
    scale = (of or "mean") if kind == "draws" else kind
    parts = parts_of(fit, terms, exclude, include_group_specific)
    wanted = _Wanted(scale, _chosen(fit, draws) if kind == "draws" else None, new_levels, seed)
    asked = _asked(fit, new_data, scale, parts, new_levels, weights, trials)
    if not asked.complete.any():
        found = _nothing(fit, wanted)
    elif asked.table is None and asked.known is not None:
        found = _with_unknown_trials(fit, asked, parts, wanted)
    else:
        found = _predicted(fit, asked.table, parts, wanted, asked.known)
    if asked.missing:
        columns = ", ".join(f"{name} ({count})" for name, count in asked.missing.items())
        rows = counted(int(np.count_nonzero(~asked.complete)), "row")
        what = "the data have" if asked.table is None else "new_data has"
        text = f"{what} missing values in {columns}: the predictions of {rows} are missing too"
        warn(text, PredictionWarning)
        found = _in_place(fit, found, asked, wanted)
    return with_geometry(of_library(found, asked.library), new_data) if isinstance(found, pd.DataFrame) else found


class _Asked(NamedTuple):
    """Rows as a user gave them: which of them are complete, and what is known of these."""

    table: Table | None  # the complete ones; None means those of the fit
    index: pd.Index  # of all
    library: str | None
    complete: BoolArray
    missing: dict[str, int]
    known: Known | None


def _asked(fit: Fit, new_data: Any, scale: str, parts: Parts, new_levels: str, weights: Any, trials: Any) -> _Asked:
    _require(
        new_levels in ("sample", "zero", "error"), f'new_levels={new_levels!r}; accepted: "sample", "zero", "error".'
    )
    _refuse_trials(fit, trials)
    known, given = None, fit.design.rows if new_data is None else Table.of(new_data, "new_data")
    if isinstance(given, Rows):
        if scale == "response":
            own = _own_weights(fit, weights)
            known = Known(own, _own_trials(fit, trials, own))
        return _Asked(None, given.index, given.library, given.complete, given.missing_in, known)
    of_trials = fit.design.formula.response.of_trials if scale == "response" and trials is None else ()
    complete, missing = design.complete_rows(fit.design, given, parts, of_trials)
    kept = np.flatnonzero(complete)
    if scale == "response":
        new = _weights(fit, given, weights, kept)
        known = Known(new, _trials(fit, given, trials, new, kept))
    return _Asked(given.rows(complete), given.index, given.library, complete, missing, known)


def stream(
    fit: Fit, new_data: Any, of: str, chunk: int, *, draws: int | None, seed: int, **how: Any
) -> Iterator[xr.DataArray]:
    """Draws of ``of`` for so many rows at a time, those that miss something left out; see `Fit.posterior_predict`."""
    parts = parts_of(fit, how["terms"], how["exclude"], how["include_group_specific"])
    wanted = _Wanted(of, _chosen(fit, draws), how["new_levels"], seed)
    asked = _asked(fit, new_data, of, parts, how["new_levels"], how.get("weights"), how.get("trials"))
    known = asked.known
    if asked.complete.any():
        eta = _eta(fit, asked.table, parts, wanted)
        rng = np.random.default_rng([wanted.seed, 3])
        for start in range(0, eta.n, chunk):
            yield _drawn(fit, eta, slice(start, start + chunk), wanted, known, rng)


def rows_at_once(fit: Fit, of: str, draws: int | None) -> int:
    """Of how many rows draws of ``of`` are made at once where they stream."""
    each = fit.draws.theta.shape[0] * _chosen(fit, draws).size
    outcomes = len(fit.design.family.outcomes) if of == "mean" else 0
    numbers = NUMBERS if fit.effects.held else IN_FEW_PASSES
    return int(max(numbers // (each * max(outcomes, 1)), 1))


def at_observed(fit: Fit, seed: int) -> tuple[FloatArray, FloatArray]:
    """Mean and sd (n,) of new responses at the rows with a response, as it is given."""
    d = fit.design
    eta = linear_predictor(fit, predictors.encode(d.predictor, d.seen, Parts.all(d.predictor)))
    trials = np.ones(d.n) if d.response.trials is None else np.asarray(d.response.trials)
    found = _summarised(fit, eta, "response", Known(d.weights, trials), np.random.default_rng([seed, 3]))
    return found["mean"].to_numpy(), found["sd"].to_numpy()


def _with_unknown_trials(fit: Fit, asked: _Asked, parts: Parts, wanted: _Wanted) -> pd.DataFrame | xr.DataArray:
    """New responses of the rows of the fit; those of which the number of trials is missing are NaN."""
    assert asked.known is not None
    found, unknown = _predicted(fit, None, parts, wanted, asked.known), np.isnan(asked.known.trials)
    if unknown.any():
        rows = counted(int(np.count_nonzero(unknown)), "row")
        text = f"the number of trials of {rows} is missing, and so are the predictions of new responses there"
        warn(text, PredictionWarning)
        if isinstance(found, pd.DataFrame):
            found[unknown] = np.nan
    return found


class _Wanted(NamedTuple):
    """What a user wants to know of complete rows."""

    scale: str
    draws: IntArray | None  # their places within a chain, where draws are wanted instead of a table
    new_levels: str
    seed: int


def _chosen(fit: Fit, draws: int | None) -> IntArray:
    """Places within each chain of so many draws in all, evenly spread; None means all."""
    chains, size, _ = fit.draws.theta.shape
    if draws is None:
        return np.arange(size)
    fine = isinstance(draws, (int, np.integer)) and not isinstance(draws, bool) and 1 <= draws <= chains * size
    _require(fine, f"draws={draws!r}; accepted: a whole number from 1 to {chains * size}, as many as the fit has.")
    return np.linspace(0, size - 1, max(int(draws) // chains, 1)).round().astype(np.int64)


def _predicted(
    fit: Fit, table: Table | None, parts: Parts, wanted: _Wanted, known: Known | None
) -> pd.DataFrame | xr.DataArray:
    """Complete rows, of whose new responses this is known."""
    eta = _eta(fit, table, parts, wanted)
    rng = np.random.default_rng([wanted.seed, 3])
    if wanted.draws is not None:
        return _drawn(fit, eta, slice(None), wanted, known, rng)
    if _mean_is_linear(fit, wanted.scale) and known is None:
        sd = eta.exact_sd()
        if sd is not None:
            return _normal(fit, eta, sd)
    return _summarised(fit, eta, wanted.scale, known, rng)


def _eta(fit: Fit, table: Table | None, parts: Parts, wanted: _Wanted) -> LinearPredictor:
    rows = design.encode(fit.design, table, parts)
    announce(rows, wanted.new_levels)
    return linear_predictor(fit, rows, new_levels=wanted.new_levels, seed=wanted.seed)


def _drawn(
    fit: Fit, eta: LinearPredictor, take: slice, wanted: _Wanted, known: Known | None, rng: np.random.Generator
) -> xr.DataArray:
    """Draws at some of the rows."""
    assert wanted.draws is not None
    chains, size, _ = fit.draws.theta.shape
    numbers = (size * np.arange(chains)[:, None] + wanted.draws).ravel()
    theta = {kind: values[numbers] for kind, values in theta_of_family(fit).items()}
    of_part = None if known is None else Known(*(each[take] for each in known))
    drawn = _on(wanted.scale, fit, eta.draws(take, numbers), theta, of_part, rng)
    return _labelled(fit, drawn, eta.rows.index[take], wanted)


def _mean_is_linear(fit: Fit, scale: str) -> bool:
    """Whether the mean on this scale is that of the linear predictor."""
    return scale == "linear" or fit.design.family.conjugate


def _outcomes(fit: Fit, scale: str) -> tuple[str, ...]:
    """The categories whose probabilities are predicted, if the mean is these."""
    return fit.design.family.outcomes if scale == "mean" else ()


def _on(
    scale: str, fit: Fit, eta: FloatArray, theta: dict[str, FloatArray], known: Known | None, rng: np.random.Generator
) -> FloatArray:
    """Draws (rows, B) of the linear predictor, on another scale; (rows m, B) where m outcomes have probabilities.

    New responses out of an unknown number of trials are NaN.
    """
    family = fit.design.family
    if scale == "linear":
        return eta
    if known is None and family.outcomes:
        return np.moveaxis(family.probabilities(eta, theta), 0, 1).reshape(-1, eta.shape[1])
    if known is None:
        return family.mean(eta, theta)
    trials = np.where(np.isnan(known.trials), 1.0, known.trials)
    drawn = np.asarray(family.simulate(rng, eta, theta, known.weights, trials), dtype=float)
    drawn[np.isnan(known.trials)] = np.nan
    return drawn / known.trials[:, None] if fit.design.answer.share else drawn


def _in_place(fit: Fit, found: Any, asked: _Asked, wanted: _Wanted) -> Any:
    """The predictions of complete rows among all rows; those of the others are NaN."""
    outcomes = _outcomes(fit, wanted.scale)
    each = np.repeat(asked.complete, max(len(outcomes), 1))
    if isinstance(found, xr.DataArray):
        draws = np.full((each.size, found.sizes["chain"] * found.sizes["draw"]), np.nan)
        draws[each] = found.values.reshape(draws.shape[1], -1).T
        return _labelled(fit, draws, asked.index, wanted)
    values = np.full((each.size, 4), np.nan)
    values[each] = found[_columns(fit)]
    return _table(fit, values, asked.index, outcomes)


def _nothing(fit: Fit, wanted: _Wanted) -> pd.DataFrame | xr.DataArray:
    """The predictions of no row."""
    if wanted.draws is not None:
        size = fit.draws.theta.shape[0] * wanted.draws.size
        return _labelled(fit, np.empty((0, size)), pd.RangeIndex(0), wanted)
    return _table(fit, np.empty((0, 4)), pd.RangeIndex(0), _outcomes(fit, wanted.scale))


def _columns(fit: Fit) -> list[str]:
    return ["mean", "sd", *fit.interval_names]


def _table(fit: Fit, values: FloatArray, index: pd.Index, outcomes: tuple[str, ...] = ()) -> pd.DataFrame:
    """Mean, sd and interval (rows, 4), or (rows m, 4) of the probabilities of m outcomes, which a column names."""
    if not outcomes:
        return pd.DataFrame(values, index, _columns(fit))
    found = pd.DataFrame(values, index.repeat(len(outcomes)), _columns(fit))
    codes = np.tile(np.arange(len(outcomes)), len(index))
    found.insert(0, "category", pd.Categorical.from_codes(codes, list(outcomes), ordered=True))
    return found


def _normal(fit: Fit, eta: LinearPredictor, sd: FloatArray) -> pd.DataFrame:
    """Mean, sd and interval of a linear predictor that is normal."""
    mean, away = eta.mean(), ndtri((1.0 + fit.interval) / 2.0) * sd
    return _table(fit, np.column_stack([mean, sd, mean - away, mean + away]), eta.rows.index)


def _summarised(
    fit: Fit, eta: LinearPredictor, scale: str, known: Known | None, rng: np.random.Generator
) -> pd.DataFrame:
    """Mean, sd and interval of the linear predictor, of the expected response, or of new responses."""
    theta, family, size = theta_of_family(fit), fit.design.family, fit.effects.size
    outcomes = _outcomes(fit, scale)
    m = max(len(outcomes), 1)  # numbers of each row

    def values(part: IntArray, average: Average | None) -> Iterator[FloatArray]:
        of_part = None if known is None else Known(*(each[part] for each in known))
        for numbers, drawn in eta.blocks(part):
            own = {kind: draws[numbers] for kind, draws in theta.items()}
            found = _on(scale, fit, drawn, own, of_part, rng)
            if average is not None:
                expected = found if of_part is None else family.mean(drawn, own)
                if of_part is not None and not fit.design.answer.share:
                    expected = of_part.trials[:, None] * expected
                average.add(expected, np.repeat(drawn, m, axis=0))
            yield found

    def fill(part: IntArray) -> None:
        mean = np.repeat(eta.mean(part), m)
        average = None if _mean_is_linear(fit, scale) else Average(mean)
        where = slice(m * part[0], m * (part[-1] + 1))
        out[where, 1], ends = spread(values(part, average), mean.size, size, fit.interval)
        out[where, 0] = mean if average is None else average.value()
        out[where, 2:] = ends.T
        shown.update(part.size)

    out = np.empty((m * eta.n, 4))
    parts = list(eta.pieces(m * Tails.bytes(size, fit.interval)))
    workers = os.cpu_count() if eta.in_one and known is None else 1  # noise is drawn in the order of the rows
    with bar(eta.n, "predictions", progress=fit.progress) as shown, ThreadPoolExecutor(workers) as pool:
        for part in parts[:1]:  # makes what all share
            fill(part)
        list(pool.map(fill, parts[1:]))
    return _table(fit, out, eta.rows.index, outcomes)


def _labelled(fit: Fit, values: FloatArray, index: pd.Index, wanted: _Wanted) -> xr.DataArray:
    """Draws (rows, S), or (rows m, S) of m outcomes, by chain, draw, row and category."""
    assert wanted.draws is not None
    outcomes = _outcomes(fit, wanted.scale)
    coords = {"chain": np.arange(len(fit.draws.theta)), "draw": wanted.draws, "row": _row_labels(index)}
    if outcomes:
        coords["category"] = np.array(outcomes)
    shaped = values.T.reshape([len(each) for each in coords.values()])
    return xr.DataArray(shaped, coords, tuple(coords), name=fit.design.formula.response.text)


def _row_labels(index: pd.Index) -> np.ndarray[Any, Any]:
    if not isinstance(index, pd.MultiIndex):
        return index.to_numpy()
    labels = np.empty(len(index), dtype=object)
    labels[:] = list(index)  # a row of several labels is a tuple of them
    return labels


def _require(fine: bool, message: str) -> None:
    if not fine:
        raise LgmError(message)


def announce(rows: NewRows, new_levels: str) -> None:
    """Say what rows need beyond what the fit has; an error where that is not wanted."""
    for encoded in rows.encoded:
        if encoded is None:
            continue
        for note in encoded.notes:
            warn(note, PredictionWarning)
        novel = encoded.novel
        if novel is not None and np.any(novel.population):
            if new_levels == "error":
                raise DataError(f'new_data has {novel.what}; accepted: new_levels="sample" or "zero", or known levels.')
            how = "drawn from the population" if new_levels == "sample" else "set to zero"
            warn(f"{novel.what}: their effects are {how}", PredictionWarning)


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
    if weights is None and (fit.design.weighted or fit.design.answer.share):
        text = "the fit has weights, but none are given for new_data: each of its rows counts with weight 1"
        warn(text, PredictionWarning)
    frame = table.select({weights} if isinstance(weights, str) else ())
    return read_weights(weights, frame, table.names, kept)


def _refuse_trials(fit: Fit, trials: Any) -> None:
    family = fit.design.family
    if trials is not None and "trials" not in family.forms:
        raise LgmError(f"trials= is for families of successes out of trials; {family.name} is none.")


def _own_trials(fit: Fit, trials: Any, weights: FloatArray) -> FloatArray:
    """The trials of the rows of the fit: their own, NaN where the data do not say, or others."""
    d = fit.design
    if isinstance(trials, str):
        return _read_trials(trials, d.scope.frame, np.arange(len(d.scope.frame)))
    if trials is not None:
        return _read_trials(trials, pd.DataFrame(index=d.rows.index), d.rows.kept)
    if d.answer.share:
        return _whole(weights, "weights=")
    return np.ones(len(d.scope.frame)) if d.answer.trials is None else d.answer.trials


def _trials(fit: Fit, table: Table, trials: Any, weights: FloatArray, kept: IntArray) -> FloatArray:
    """The trials of new rows: as given, or what the formula says of them, or one."""
    if trials is not None:
        return _read_trials(trials, table.select({trials} if isinstance(trials, str) else ()), kept)
    if fit.design.answer.share:
        return _whole(weights, "weights=")
    if not fit.design.formula.response.counts_trials or not kept.size:
        return np.ones(kept.size)
    rows = np.isin(np.arange(len(table)), kept)
    return _whole(answer.trials_of(design.scope_of_trials(fit.design, table.rows(rows))), "the number of trials")


def _whole(values: FloatArray, what: str) -> FloatArray:
    """Numbers of trials, if they can be such; NaN is nothing known."""
    wrong = values[~(((values >= 0) & (values == np.floor(values))) | np.isnan(values))]
    if wrong.size:
        raise DataError(f"{what} has {wrong[0]:g}, but trials are counted; accepted: whole numbers from 0.")
    return values


def _read_trials(trials: Any, frame: pd.DataFrame, kept: IntArray) -> FloatArray:
    if isinstance(trials, str) and trials not in frame:
        raise DataError(f"trials={trials!r} is not a column of the data.")
    values = frame[trials] if isinstance(trials, str) else trials
    values = np.full(len(frame), values) if np.ndim(values) == 0 else values
    column = per_row(np.asarray(values) if isinstance(values, (list, tuple)) else values, frame, "trials")
    accepted = f"a whole number from 0, or one for each of the {len(frame)} rows"
    if column is None or not pd.api.types.is_numeric_dtype(column.dtype):
        raise DataError(f"trials= must be {accepted}.")
    found = column.to_numpy(dtype=float, na_value=np.nan)[kept]
    wrong = found[~((found >= 0) & (found == np.floor(found)) & np.isfinite(found))]
    if wrong.size:
        raise DataError(f"trials= has {wrong[0]:g}; accepted: {accepted}.")
    return found
