"""Predictions: the design's columns at other rows times the draws of the effects."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm import design as designs
from lgm.errors import DataError, LgmError, PredictionWarning
from lgm.frame import read_weights, to_pandas
from lgm.pattern import FloatArray

if TYPE_CHECKING:
    from lgm.results import Fit

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
    rows = designs.encode(d, new_data)
    used = [include_group_specific or term.kind != "group" for term in d.terms]
    _announce(rows, used, new_levels)
    rng = np.random.default_rng(seed)
    novel = [
        None
        if enc.novel is None or not use or (enc.novel.population and new_levels == "zero")
        else _novel(fit, j, rng)(enc)
        for j, (enc, use) in enumerate(zip(rows.encoded, used, strict=True))
    ]
    noise_scale = _noise_scale(fit, new_data, weights, len(rows.index)) if kind == "response" else None
    n, draws = len(rows.index), fit.effects.draws
    out = np.empty((n, 4))
    step = max(_CHUNK // len(draws), 1)
    low, high = (1 - fit.interval) / 2, (1 + fit.interval) / 2
    exact = all(part is None for part in novel)
    for start in range(0, n, step):
        part = slice(start, min(start + step, n))
        eta = _linear_predictor(fit, rows, used, novel, draws, part)
        out[part, 0] = (
            _linear_predictor(fit, rows, used, novel, fit.effects.mean[None], part)[:, 0] if exact else eta.mean(1)
        )
        if noise_scale is not None:
            sigma = fit.draws.theta[..., -1].ravel()
            eta = eta + noise_scale[part, None] * sigma * rng.standard_normal(eta.shape)
        out[part, 1] = eta.std(axis=1, ddof=1)
        out[part, 2:] = np.quantile(eta, [low, high], axis=1).T
    return pd.DataFrame(out, index=rows.index, columns=["mean", "sd", *fit.interval_names])


def _require(fine: bool, message: str) -> None:
    if not fine:
        raise LgmError(message)


def _linear_predictor(
    fit: Fit, rows: designs.NewRows, used: list[bool], novel: list[Any], u: FloatArray, part: slice
) -> FloatArray:
    """``A u + offset`` at some rows, shape (rows, draws)."""
    d = fit.design
    take = np.arange(part.start, part.stop)
    eta = rows.offset[take, None] + rows.X[take] @ u[:, : d.p].T
    for j, place in enumerate(d.term_slices()):
        if used[j]:
            eta = eta + rows.encoded[j].z[take] @ u[:, d.p + place.start : d.p + place.stop].T
            if novel[j] is not None:
                eta = eta + rows.encoded[j].novel.z[take] @ novel[j].T
    return np.asarray(eta)


def _novel(fit: Fit, j: int, rng: np.random.Generator) -> Any:
    """Draws of the effects of term j that the fit does not have, one row per posterior draw."""

    def make(encoded: Any) -> FloatArray:
        d = fit.design
        theta = fit.draws.theta.reshape(-1, fit.draws.theta.shape[-1])
        (sd0, sd1), (shape0, shape1) = fit.analysed.posterior.layout[j]
        place = d.term_slices()[j]
        b = fit.effects.draws[:, d.p + place.start : d.p + place.stop]
        normals = rng.standard_normal((len(theta), encoded.novel.z.shape[1]))
        factor = fit.scales.get(d.terms[j].label, np.ones(1))
        return np.asarray(encoded.novel.draw(theta[:, sd0:sd1], theta[:, shape0:shape1], b, normals, factor))

    return make


def _announce(rows: designs.NewRows, used: list[bool], new_levels: str) -> None:
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


def _noise_scale(fit: Fit, new_data: Any, weights: Any, n: int) -> FloatArray:
    """``1 / sqrt(weight)`` per row; the rows of the fit keep their own weights."""
    if new_data is None and weights is None:
        return 1.0 / np.sqrt(fit.design.all_weights)
    frame = fit.design.scope.frame if new_data is None else to_pandas(new_data)
    return 1.0 / np.sqrt(read_weights(weights, frame))
