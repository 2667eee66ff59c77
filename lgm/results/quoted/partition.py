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
from lgm.posterior.latent_prior import by_kind
from lgm.posterior.no_rows import without_rows
from lgm.posterior.pinned import pinned
from lgm.results.drawing import Drawing
from lgm.results.exact import row_variances
from lgm.results.linear_predictor import linear_predictor
from lgm.results.progress import bar
from lgm.results.quoted.errors import trials_of

if TYPE_CHECKING:
    from lgm.results.fit import Fit

MOST_THETAS = 100
MOST_ROWS = 500  # different ones of a term, over which its variance is averaged
_ERRORS, _FIXED = "Residual", "fixed effects"


def table(fit: Fit, *, fixed: bool) -> pd.DataFrame:
    """See `Fit.icc`."""
    parts = variances(fit)
    whole = sum(x for name, x in parts.items() if fixed or name != _FIXED)
    ends = [(1 - fit.interval) / 2, (1 + fit.interval) / 2]
    shares = {name: x / whole for name, x in parts.items() if fixed or name != _FIXED}
    rows = {name: [x.mean(), x.std(ddof=1) if x.size > 1 else 0.0, *np.quantile(x, ends)] for name, x in shares.items()}
    return pd.DataFrame.from_dict(rows, "index", columns=["mean", "sd", *fit.interval_names]).rename_axis("part")


def variances(fit: Fit) -> dict[str, FloatArray]:
    """Of each term, of the fixed effects over the rows, and of errors on the scale of the link (draws,).

    Raises
    ------
    LgmError
        Without a latent term, and for families that have no variance on this scale.
    """
    d, size = fit.design, fit.effects.size
    if all(term.of_predictors for term in d.terms):
        raise LgmError("this model has no groups or other latent terms among which a variance could be divided.")
    numbers = np.unique(np.linspace(0, size - 1, min(size, MOST_THETAS)).astype(int))
    thetas = fit.effects.drawing.thetas[numbers]
    parts = Parts(np.ones(d.p, dtype=bool), tuple(term.of_predictors for term in d.terms), False)
    lines = linear_predictor(fit, predictors.encode(d.predictor, d.seen, parts)).draws(only=numbers)
    found = _of_terms(fit, thetas)
    middle = (lines + d.predictor.offset[:, None]).mean(axis=0) + 0.5 * sum(found.values())
    errors = _errors(fit, middle, thetas)
    return {_FIXED: lines.var(axis=0, ddof=1), **found, _ERRORS: errors}


def _of_terms(fit: Fit, thetas: FloatArray) -> dict[str, FloatArray]:
    """Prior variance of what each term adds to a row, on average over the rows, at each theta."""
    d = fit.design
    alone = replace(fit.analysed, marginal=without_rows(pinned(fit.analysed.marginal)))
    found = {term.label: np.empty(len(thetas)) for term in d.terms if not term.of_predictors}
    with bar(len(thetas) * len(found), "variances", progress=fit.progress) as shown:
        for term, rows, counts in _different_rows(d):
            for s, theta in enumerate(thetas):
                one = Drawing(alone, theta[None], fit.seed, progress=False)
                each = row_variances(one, rows, solves=rows.shape[0])
                assert each is not None
                found[term][s] = float(counts @ each / counts.sum())
                shown.update(1)
    return found


def _different_rows(d: Design) -> list[tuple[str, sp.csr_array, IntArray]]:
    """For each term the different rows of its columns, among those of all effects, and how often each occurs."""
    out = []
    for term, where in zip(d.terms, d.predictor.term_slices(), strict=True):
        if term.of_predictors:
            continue
        z = sp.csr_array(term.z)
        z.sort_indices()
        first: dict[tuple[bytes, bytes], int] = {}
        counts: dict[tuple[bytes, bytes], int] = {}
        for i in range(z.shape[0]):
            part = slice(z.indptr[i], z.indptr[i + 1])
            key = (z.indices[part].tobytes(), z.data[part].tobytes())
            first.setdefault(key, i)
            counts[key] = counts.get(key, 0) + 1
        chosen = np.array(list(first.values()))
        kept = np.unique(np.linspace(0, chosen.size - 1, min(chosen.size, MOST_ROWS)).astype(int))
        before, after = d.p + where.start, d.predictor.q - where.stop
        n = kept.size
        wide = sp.hstack([sp.csr_array((n, before)), z[chosen[kept]], sp.csr_array((n, after))], format="csr")
        out.append((term.label, sp.csr_array(wide), np.array(list(counts.values()))[kept]))
    return out


def _errors(fit: Fit, middle: FloatArray, thetas: FloatArray) -> FloatArray:
    """The distribution-specific variance (draws,), where the linear predictor is in its middle (draws,)."""
    d, family = fit.design, fit.design.family
    own = by_kind(thetas, fit.model.analysed.marginal.data.places)
    theta = {kind: values[:, 0] if values.shape[1] == 1 else values for kind, values in own.items()}
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
        "fit.r2() gives shares of the variance of responses."
    )
