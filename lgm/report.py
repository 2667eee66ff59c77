"""A fit in words: diagnostics, verdict, text and HTML."""

from __future__ import annotations

import html as _html
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from lgm.design import Design
from lgm.errors import LgmError
from lgm.formula import suggest
from lgm.inference.nuts import Draws

if TYPE_CHECKING:
    from lgm.results import Fit

RHAT_LIMIT = 1.01
ESS_LIMIT = 400  # Vehtari et al. (2021), sec. 4.4: enough for stable estimates of R-hat and of quantiles


@contextmanager
def quiet_arviz() -> Iterator[Any]:
    """ArviZ, read when first needed; 0.23 announces its successor at import, which is not the user's concern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import arviz  # noqa: PLC0415, TID253 - read late, so that `import lgm` stays fast

        yield arviz


def diagnostics(draws: xr.Dataset) -> pd.DataFrame:
    """Bulk and tail effective sample sizes and R-hat (Vehtari et al. 2021), one row per variable."""
    with quiet_arviz() as az:
        bulk, tail, rhat = az.ess(draws, method="bulk"), az.ess(draws, method="tail"), az.rhat(draws)
    names = list(draws.data_vars)
    columns = {"ess_bulk": bulk, "ess_tail": tail, "r_hat": rhat}
    return pd.DataFrame({c: [float(d[n]) for n in names] for c, d in columns.items()}, index=names)


def verdict(summary: pd.DataFrame, draws: Draws) -> str:
    """One line: can the draws be trusted, and what to do if not. Constants (held parameters) are not judged."""
    moving = summary[np.isfinite(summary["r_hat"])]
    diverging = int(draws.stats["diverging"].sum())
    share = diverging / draws.stats["diverging"].size
    if moving.empty:
        return "Exact: every hyperparameter is fixed, so the draws are independent."
    rhat, ess = moving["r_hat"].max(), moving[["ess_bulk", "ess_tail"]].min(axis=None)
    facts = f"largest R-hat {rhat:.3f}, smallest effective sample size {ess:.0f}, {diverging} divergences"
    worst = moving["r_hat"].idxmax()
    if rhat > RHAT_LIMIT:
        return (
            f"Not converged: {facts}. The chains disagree about {worst}: raise warmup and draws, or look at its prior."
        )
    if share > 0.005:
        return f"Doubtful: {facts}. Divergences bias the draws: raise warmup, or use a stronger prior on the sds."
    if ess < ESS_LIMIT:
        return f"Too few draws: {facts}. Raise draws until every effective sample size is above {ESS_LIMIT}."
    return f"Converged: {facts}."


def _head(fit: Fit) -> list[tuple[str, str]]:
    d, (chains, draws, _) = fit.design, fit.draws.theta.shape
    rows = [
        ("Formula", d.formula.source),
        ("Family", "gaussian (identity link)"),
        ("Rows", _rows(d)),
        *((term.label, term.size) for term in d.terms),
        ("Draws", f"{chains} chains of {draws} after {fit.draws.warmup} warm-up, {fit.method}, seed {fit.seed}"),
    ]
    return rows


def _rows(d: Design) -> str:
    parts = [f"{d.n}"]
    predicted = int(np.count_nonzero(~d.rows.observed))
    if predicted:
        parts.append(f"{predicted} more without a response are predicted")
    if d.rows.dropped:
        parts.append(f"{d.rows.dropped} dropped (missing predictors)")
    return ", ".join(parts)


def _formatted(summary: pd.DataFrame) -> pd.DataFrame:
    table = summary.copy()
    for column in table.columns:
        if column.startswith("ess"):
            table[column] = [f"{v:.0f}" for v in table[column]]
        elif column == "r_hat":
            table[column] = [f"{v:.3f}" for v in table[column]]
        else:
            table[column] = [f"{v:.4g}" for v in table[column]]
    return table.rename_axis(None)


def text(fit: Fit) -> str:
    """What ``print(fit)`` shows."""
    head = _head(fit)
    width = max(len(name) for name, _ in head)
    lines = [f"{name:<{width}}  {value}" for name, value in head]
    priors = fit.priors.rename_axis(None).rename(columns=str.capitalize)
    return "\n".join(
        [
            *lines,
            "",
            "Priors",
            _indent(priors.to_string()),
            "",
            _indent(_formatted(fit.summary()).to_string()),
            "",
            fit.verdict,
        ]
    )


def _indent(block: str) -> str:
    return "\n".join("  " + line for line in block.splitlines())


def html(fit: Fit) -> str:
    """What a notebook shows."""
    rows = "".join(f"<tr><th>{_html.escape(k)}</th><td>{_html.escape(v)}</td></tr>" for k, v in _head(fit))
    priors = fit.priors.rename_axis(None).rename(columns=str.capitalize).to_html(border=0)
    table = _formatted(fit.summary()).to_html(border=0)
    return (
        f"<div><table>{rows}</table>{table}<details><summary>Priors</summary>{priors}</details>"
        f"<p>{_html.escape(fit.verdict)}</p></div>"
    )


def unknown_term(term: str | None, design: Design) -> LgmError:
    """Error for a term that the fit does not have."""
    known = [t.label for t in design.terms] + [v.name for t in design.terms for v in t.variables]
    if not known:
        return LgmError("this model has no latent terms; its fixed effects are in fit.fixef().")
    listed = ", ".join(dict.fromkeys(known))
    return LgmError(f"there is no term {term!r}. {suggest(str(term), known)} Terms and effects: {listed}.")
