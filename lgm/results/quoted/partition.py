"""Variance partition: how much of the variance of the linear predictor each term accounts for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.design import predictor as predictors
from lgm.design.design import Design
from lgm.design.predictor import Parts
from lgm.errors import LgmError
from lgm.families.family import Theta
from lgm.posterior.latent_prior import by_kind
from lgm.posterior.no_rows import without_rows
from lgm.posterior.pinned import pinned
from lgm.results.drawing import Drawing
from lgm.results.exact import row_variances
from lgm.results.linear_predictor import linear_predictor
from lgm.results.progress import bar
from lgm.results.quoted import on_response
from lgm.results.quoted.errors import trials_of

if TYPE_CHECKING:
    from lgm.results.fit import Fit

SCALES = ("latent", "response")
MOST_THETAS = 100
MOST_ROWS = 500  # different ones of a term, over which its variance is averaged
_ERRORS, _FIXED = "Residual", "fixed effects"


def table(fit: Fit, *, fixed: bool, scale: str) -> pd.DataFrame:
    """See `Fit.icc`."""
    if scale not in SCALES:
        raise LgmError(f"scale={scale!r}; accepted: {', '.join(map(repr, SCALES))}.")
    parts = variances(fit, of_response=scale == "response" and not fit.design.family.conjugate)
    whole = sum(x for name, x in parts.items() if fixed or name != _FIXED)
    ends = [(1 - fit.interval) / 2, (1 + fit.interval) / 2]
    shares = {name: x / whole for name, x in parts.items() if fixed or name != _FIXED}
    rows = {name: [x.mean(), x.std(ddof=1) if x.size > 1 else 0.0, *np.quantile(x, ends)] for name, x in shares.items()}
    return pd.DataFrame.from_dict(rows, "index", columns=["mean", "sd", *fit.interval_names]).rename_axis("part")


def variances(fit: Fit, *, of_response: bool = False) -> dict[str, FloatArray]:
    """Of each term, of the fixed effects over the rows, and of errors on the scale of the link or response (draws,).

    Raises
    ------
    LgmError
        Without a latent term, and for families that have no variance on this scale.
    """
    d, size = fit.design, fit.effects.size
    if all(term.of_predictors for term in d.terms):
        raise LgmError("this model has no groups or other latent terms among which a variance could be divided.")
    if of_response:
        on_response.require_numbers(fit)
    numbers = np.unique(np.linspace(0, size - 1, min(size, MOST_THETAS)).astype(int))
    thetas = fit.effects.drawing.thetas[numbers]
    parts = Parts(np.ones(d.p, dtype=bool), tuple(term.of_predictors for term in d.terms), False)
    lines = linear_predictor(fit, predictors.encode(d.predictor, d.seen, parts)).draws(only=numbers)
    if of_response:
        rows = on_response.chosen_rows(d.n)
        each = _at_rows(fit, thetas, [(name, z[rows]) for name, z in _columns(d)])
        at = lines[rows] + d.predictor.offset[rows, None]
        between, found, errors = on_response.partition(fit, rows, at, each, _of_family(fit, thetas))
        return {_FIXED: between, **found, _ERRORS: errors}
    different = {name: _different_rows(z) for name, z in _columns(d)}
    each = _at_rows(fit, thetas, [(name, z) for name, (z, _) in different.items()])
    found = {name: counts @ each[name] / counts.sum() for name, (_, counts) in different.items()}
    middle = (lines + d.predictor.offset[:, None]).mean(axis=0) + 0.5 * sum(found.values())
    errors = _errors(fit, middle, thetas)
    return {_FIXED: lines.var(axis=0, ddof=1), **found, _ERRORS: errors}


def _at_rows(fit: Fit, thetas: FloatArray, terms: list[tuple[str, sp.csr_array]]) -> dict[str, FloatArray]:
    """Prior variance (rows, draws) of what each term adds to some rows of its columns among all, at each theta."""
    alone = replace(fit.analysed, marginal=without_rows(pinned(fit.analysed.marginal)))
    found = {name: np.empty((rows.shape[0], len(thetas))) for name, rows in terms}
    with bar(len(thetas) * len(found), "variances", progress=fit.progress) as shown:
        for name, rows in terms:
            for s, theta in enumerate(thetas):
                one = Drawing(alone, theta[None], fit.seed, progress=False)
                each = row_variances(one, rows, solves=rows.shape[0])
                assert each is not None
                found[name][:, s] = each
                shown.update(1)
    return found


def _columns(d: Design) -> list[tuple[str, sp.csr_array]]:
    """For each term its columns among those of all effects, by row with a response."""
    out = []
    for term, where in zip(d.terms, d.predictor.term_slices(), strict=True):
        if term.of_predictors:
            continue
        z = sp.csr_array(term.z)
        z.sort_indices()
        size = d.p + d.predictor.q
        out.append((term.label, sp.csr_array((z.data, z.indices + d.p + where.start, z.indptr), (z.shape[0], size))))
    return out


def _different_rows(z: sp.csr_array) -> tuple[sp.csr_array, IntArray]:
    """Different ones, at most so many, and how often each occurs."""
    first: dict[tuple[bytes, bytes], int] = {}
    counts: dict[tuple[bytes, bytes], int] = {}
    for i in range(z.shape[0]):
        part = slice(z.indptr[i], z.indptr[i + 1])
        key = (z.indices[part].tobytes(), z.data[part].tobytes())
        first.setdefault(key, i)
        counts[key] = counts.get(key, 0) + 1
    chosen = np.array(list(first.values()))
    kept = np.unique(np.linspace(0, chosen.size - 1, min(chosen.size, MOST_ROWS)).astype(int))
    return z[chosen[kept]], np.array(list(counts.values()))[kept]


def _of_family(fit: Fit, thetas: FloatArray) -> Theta:
    """Draws of the family's parameters by kind."""
    own = by_kind(thetas, fit.model.analysed.marginal.data.places)
    return {kind: values[:, 0] if values.shape[1] == 1 else values for kind, values in own.items()}


def _errors(fit: Fit, middle: FloatArray, thetas: FloatArray) -> FloatArray:
    """The distribution-specific variance (draws,), where the linear predictor is in its middle (draws,)."""
    d, family = fit.design, fit.design.family
    theta = _of_family(fit, thetas)
    if family.link == "identity" and family.residual is not None:
        weights = d.all_weights[d.rows.observed]
        spread = family.variance(np.zeros((d.n, len(thetas))), theta, weights, trials_of(fit))
        if spread is not None:
            return np.asarray(spread.mean(axis=0))
    if family.link in ("logit", "probit", "cloglog") and family.residual is None:
        return np.full(len(thetas), family.linked.spread**2)
    if family.link == "log":
        eta, one = middle[None], np.ones(1)
        spread = family.variance(eta, theta, one, one)
        if spread is not None:
            return np.log1p(spread / np.square(family.mean(eta, theta)))[0]
    raise LgmError(
        f"{family.name} with the {family.link} link has no known variance on the scale of the linear predictor; "
        'scale="response" '
        "divides the variance of responses."
    )
