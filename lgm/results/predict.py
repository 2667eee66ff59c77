"""Predictions: the design's columns at other rows times the draws of the effects."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgm.arrays import FloatArray
from lgm.data.scope import names_in
from lgm.data.table import read_weights, to_pandas
from lgm.design import design
from lgm.design.design import Design
from lgm.design.predictor import NewRows
from lgm.errors import DataError, LgmError, PredictionWarning
from lgm.posterior.latent_prior import by_kind

if TYPE_CHECKING:
    from lgm.results.fit import Fit

_CHUNK = 2_000_000  # numbers held at once: rows times draws


def predict(
    fit: Fit,
    new_data: Any,
    kind: str,
    *,
    new_levels: str,
    include_group_specific: bool,
    weights: Any,
    seed: int,
) -> pd.DataFrame:
    """See `Fit.predict`."""
    _require(kind in ("mean", "response"), f'kind={kind!r}; accepted: "mean" or "response".')
    _require(
        new_levels in ("sample", "zero", "error"), f'new_levels={new_levels!r}; accepted: "sample", "zero", "error".'
    )
    d = fit.design
    if new_data is not None:
        new_data = _table(d, new_data, include_group_specific)
    rows = design.encode(d, new_data)
    used = [include_group_specific or term.group is None for term in d.terms]
    _announce(rows, used, new_levels)
    rng = np.random.default_rng([seed, 2])
    zero = [enc.novel is None or (enc.novel.population and new_levels == "zero") for enc in rows.encoded]
    fresh = [_fresh(fit, j, rows, rng) if use and not zero[j] else None for j, use in enumerate(used)]
    noise_weights = _weights(fit, new_data, weights) if kind == "response" else None
    n, draws = len(rows.index), fit.effects.draws
    mean, drawn = _Effects(fit.effects.mean[None], _means(fresh)), _Effects(draws, [f and f.draws for f in fresh])
    theta = fit.draws.theta.reshape(-1, fit.draws.theta.shape[-1])
    own = dict(zip(d.theta_names, theta.T, strict=True))
    family_theta = {name: own[name] for parameter in d.family_parameters for name in parameter.names}
    out = np.empty((n, 4))
    step = max(_CHUNK // len(draws), 1)
    for start in range(0, n, step):
        part = np.arange(start, min(start + step, n))
        out[part, 0] = _linear_predictor(fit, rows, used, mean, part)[:, 0]
        eta = _linear_predictor(fit, rows, used, drawn, part)
        if noise_weights is not None:
            eta = d.family.simulate(rng, eta, family_theta, noise_weights[part])
        out[part, 1] = eta.std(axis=1, ddof=1)
        out[part, 2:] = np.quantile(eta, [(1 - fit.interval) / 2, (1 + fit.interval) / 2], axis=1).T
    return pd.DataFrame(out, index=rows.index, columns=["mean", "sd", *fit.interval_names])


class _Effects(NamedTuple):
    """Fitted effects, and those that only the new rows have, term by term: one row per posterior draw."""

    u: FloatArray
    fresh: list[FloatArray | None]


class _Fresh(NamedTuple):
    """Effects that the fit does not have: their mean given each draw of theta and of the fitted effects, and draws."""

    means: FloatArray
    draws: FloatArray


def _means(fresh: list[_Fresh | None]) -> list[FloatArray | None]:
    return [None if part is None else part.means.mean(axis=0, keepdims=True) for part in fresh]


def _table(d: Design, new_data: Any, include_group_specific: bool) -> pd.DataFrame:
    """New data as pandas; at the population level groups need not be there, so any level of the fit stands in."""
    frame = to_pandas(new_data, "new_data")
    if not include_group_specific:
        grouping = {name for bar in d.formula.mu.bars for factor in bar.group for name in names_in(factor)}
        known = d.scope.frame
        for name in sorted(grouping & set(known.columns) - set(frame.columns)):
            frame[name] = pd.Series(known[name].iloc[[0] * len(frame)].array, index=frame.index)
    return frame


def _require(fine: bool, message: str) -> None:
    if not fine:
        raise LgmError(message)


def _linear_predictor(
    fit: Fit, rows: NewRows, used: list[bool], effects: _Effects, take: npt.NDArray[np.int64]
) -> FloatArray:
    """``A u + offset`` at some rows, shape (rows, draws)."""
    p = fit.design.p
    eta = rows.offset[take, None] + rows.X[take] @ effects.u[:, :p].T
    for j, (place, encoded) in enumerate(zip(fit.design.predictor.term_slices(), rows.encoded, strict=True)):
        if used[j]:
            eta = eta + encoded.z[take] @ effects.u[:, p + place.start : p + place.stop].T
            fresh = effects.fresh[j]
            if fresh is not None and encoded.novel is not None:
                eta = eta + encoded.novel.z[take] @ fresh.T
    return np.asarray(eta)


def _fresh(fit: Fit, j: int, rows: NewRows, rng: np.random.Generator) -> _Fresh:
    """The effects of term j that the fit does not have, given each posterior draw."""
    d, novel = fit.design, rows.encoded[j].novel
    assert novel is not None
    theta = fit.draws.theta.reshape(-1, fit.draws.theta.shape[-1])
    own = by_kind(theta, fit.analysed.posterior.prior.places[j])
    place = d.predictor.term_slices()[j]
    b = fit.effects.draws[:, d.p + place.start : d.p + place.stop]
    normals = rng.standard_normal((len(theta), novel.z.shape[1]))
    draws = np.asarray(novel.draw(own, b, normals))
    # The mean is linear in b. Where theta is not in it, the mean of b gives it exactly.
    if not novel.mean_needs_theta:
        b = fit.effects.mean[None, d.p + place.start : d.p + place.stop]
        own = {kind: values[:1] for kind, values in own.items()}
    return _Fresh(np.asarray(novel.draw(own, b, np.zeros((len(b), normals.shape[1])))), draws)


def _announce(rows: NewRows, used: list[bool], new_levels: str) -> None:
    for encoded, use in zip(rows.encoded, used, strict=True):
        if not use:
            continue
        for note in encoded.notes:
            warnings.warn(note, PredictionWarning, stacklevel=4)
        novel = encoded.novel
        if novel is not None and novel.population:
            if new_levels == "error":
                raise DataError(f'new_data has {novel.what}; accepted: new_levels="sample" or "zero", or known levels.')
            how = "drawn from the population" if new_levels == "sample" else "set to zero"
            warnings.warn(f"{novel.what}: their effects are {how}", PredictionWarning, stacklevel=4)


def _weights(fit: Fit, new_data: pd.DataFrame | None, weights: Any) -> FloatArray:
    """The weight of each row; the rows of the fit keep their own."""
    if new_data is None:
        return fit.design.all_weights if weights is None else read_weights(weights, fit.design.scope.frame)
    given = fit.inputs.weights
    if weights is None and isinstance(given, str) and given in new_data.columns:
        weights = given
    if weights is None and fit.design.weighted:
        text = "the fit has weights, but none are given for new_data: each of its rows counts with weight 1"
        warnings.warn(text, PredictionWarning, stacklevel=4)
    return read_weights(weights, new_data)
