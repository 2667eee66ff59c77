"""A fit in words: numbers, verdict, text and HTML."""

from __future__ import annotations

import html as _html
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.design import Design
from lgm.errors import LgmError
from lgm.formula import suggest
from lgm.inference.draws import ENOUGH, Draws, Points
from lgm.inference.pareto import threshold
from lgm.pattern import FloatArray
from lgm.terms.term import Term, Variable

if TYPE_CHECKING:
    from lgm.results import Fit

RHAT_LIMIT = 1.01
DIVERGENT_SHARE = 0.005


def verdict(summary: pd.DataFrame, draws: Draws, method: str = "nuts") -> str:
    """One line: can the draws be trusted, and what to do if not. Hyperparameters that are held are not judged."""
    if not np.ptp(draws.theta, axis=(0, 1)).any():
        return _of_held(summary, draws, method)
    if draws.points is not None:
        return _of_points(draws.points)
    moving = summary[summary["sd"] > 0]
    chains, kept, _ = draws.theta.shape
    diverging = int(np.sum(draws.stats["diverging"]))
    rhat, ess = moving["r_hat"].max(), moving[["ess_bulk", "ess_tail"]].min(axis=None)
    shown = "no R-hat from one chain" if chains == 1 else f"largest R-hat {rhat:.3f}"
    plural = "" if diverging == 1 else "s"
    facts = f"{shown}, smallest effective sample size {ess:.0f}, {diverging} divergence{plural}"
    if rhat > RHAT_LIMIT:
        worst = moving["r_hat"].idxmax()
        return (
            f"Not converged: {facts}. The chains disagree about {worst}: draw more (draws={2 * kept}, warmup="
            f"{2 * draws.warmup}); if that does not help, give it a narrower prior."
        )
    if diverging > DIVERGENT_SHARE * chains * kept:
        return (
            f"Doubtful: {facts}. Divergences can bias the draws: raise warmup to {2 * draws.warmup}, or give the "
            "standard deviations narrower priors."
        )
    if not ess >= ENOUGH:
        wanted = f" to about {_rounded_up(kept * ENOUGH / ess)}" if ess > 0 else ""
        return f"Too few draws: {facts}. Raise draws{wanted}, so that every effective sample size reaches {ENOUGH}."
    if chains == 1:
        return f"Unchecked: {facts}. Run chains=4, so that the chains can be compared."
    return f"Converged: {facts}."


def _of_held(summary: pd.DataFrame, draws: Draws, method: str) -> str:
    if method == "mode":
        ends = "" if draws.standard_errors is None else _at_an_end(summary, draws.standard_errors)
        return (
            "Conditional: hyperparameters are held at their posterior mode, with standard errors from the curvature "
            f'there; intervals of effects leave out their uncertainty.{ends} Use method="nuts" for all of it.'
        )
    return "Exact: every hyperparameter is fixed, so the draws are independent."


def _at_an_end(summary: pd.DataFrame, standard_errors: FloatArray) -> str:
    """Which hyperparameters have their mode at the end of their range: it says little of where they are."""
    names = summary.index[-standard_errors.size :][np.isnan(standard_errors)]
    return f" The mode of {', '.join(names)} is at the end of the range." if len(names) else ""


def _of_points(points: Points) -> str:
    """The verdict on weighted points: can the weights be trusted, and are there enough of them."""
    limit = threshold(points.log_weights.size)
    facts = (
        f"Pareto k {points.k:.2f} (limit {limit:.2f}), {points.ess:.0f} effective of {points.log_weights.size} points"
    )
    if not points.k <= limit:
        return f'Not reliable: {facts}. A few points carry most of the weight: use method="nuts".'
    if points.ess < ENOUGH:
        return f'Too few points: {facts}, fewer than {ENOUGH}. Use method="nuts".'
    return f"Reliable: {facts}."


def facts(fit: Fit) -> dict[str, Any]:
    """What the engine says of itself, beyond a table: its name, and for weighted points how they did."""
    points = fit.draws.points
    found: dict[str, Any] = {"method": fit.method}
    if points is not None and np.isfinite(points.ess):
        found |= {"pareto_k": points.k, "ess": points.ess}
        if fit.prior.proper:
            found |= {"log_evidence": points.log_evidence, "log_evidence_se": points.log_evidence_se}
    return found


def _rounded_up(wanted: float) -> int:
    """Two leading digits, upwards."""
    step = 10 ** max(math.floor(math.log10(wanted)) - 1, 0)
    return int(math.ceil(wanted / step) * step)


def _head(fit: Fit) -> list[tuple[str, str]]:
    d = fit.design
    return [
        ("Formula", d.formula.source),
        ("Family", "gaussian (identity link)" + (", weighted" if d.weighted else "")),
        ("Rows", _rows(d)),
        *((term.label, term.size) for term in d.terms),
        ("Draws", f"{_drawn(fit.draws, fit.method)} ({fit.method}, seed {fit.seed})"),
        *_evidence(facts(fit)),
    ]


def _evidence(found: dict[str, Any]) -> list[tuple[str, str]]:
    """``log p(y)`` with two digits of its Monte Carlo error."""
    if "log_evidence" not in found:
        return []
    value, se = found["log_evidence"], found["log_evidence_se"]
    decimals = max(1 - math.floor(math.log10(se)), 0) if 0 < se < math.inf else 2
    return [("log p(y)", f"{value:.{decimals}f} (Monte Carlo error {se:.{decimals}f})")]


def _drawn(kept: Draws, method: str) -> str:
    chains, draws, _ = kept.theta.shape
    stopped = ", stopped early" if kept.interrupted else ""
    if kept.points is None:
        return f"{chains} chain{'s' if chains > 1 else ''} of {draws} after {kept.warmup} for warm-up{stopped}"
    if len(kept.points.theta) > 1:
        return f"{draws} from {len(kept.points.theta)} weighted points{stopped}"
    return f"{draws}, hyperparameters held" + (" at their mode" if method == "mode" else "")


def _rows(d: Design) -> str:
    parts = [f"{d.n}"]
    predicted = int(np.count_nonzero(~d.rows.observed))
    if predicted:
        parts.append(f"{predicted} more without a response are predicted")
    if d.rows.dropped:
        parts.append(f"{d.rows.dropped} dropped (missing predictors)")
    return ", ".join(parts)


def formatted(summary: pd.DataFrame) -> pd.DataFrame:
    """Numbers as text: in each row as many decimals as give its sd three digits; sample sizes are whole."""
    table = pd.DataFrame("", index=summary.index, columns=summary.columns, dtype=object)
    values = [c for c in summary.columns if c != "r_hat" and not c.startswith("ess")]
    table[values] = [_row(row) for row in summary[values].to_numpy(dtype=float)]
    for column in table.columns.difference(values):
        digits = 3 if column == "r_hat" else 0
        table[column] = ["-" if np.isnan(v) else f"{v:.{digits}f}" for v in summary[column]]
    for column in values:
        table[column] = _aligned(list(table[column]))
    return table.rename_axis(index=None, columns=None)


def _row(row: np.ndarray) -> list[str]:
    """Mean, sd and interval with common decimals; "-" stands for what a constant or an engine does not have."""
    mean, sd = row[:2]
    if not sd > 0:
        return [f"{mean:.4g}", "-", "-", "-"][: row.size]
    decimals = 2 - math.floor(math.log10(sd)) if np.isfinite(sd) else 7
    style = ".3e" if decimals > 6 or np.nanmax(np.abs(row)) >= 1e7 else f".{max(decimals, 0)}f"
    return ["-" if np.isnan(v) else f"{v:{style}}" for v in row]


def _aligned(cells: list[str]) -> list[str]:
    """Decimal points under each other."""
    tails = [len(cell) - cell.index(".") if "." in cell else 0 for cell in cells]
    return [cell + " " * (max(tails) - tail) for cell, tail in zip(cells, tails, strict=True)]


def text(fit: Fit) -> str:
    """What ``print(fit)`` shows."""
    priors = [(str(name), row.prior + _given(row.source)) for name, row in fit.priors.iterrows()]
    table = formatted(fit.summary()).to_string()
    return "\n".join([*_columns(_head(fit)), "", "Priors", *_columns(priors, "  "), "", table, "", fit.verdict])


def _given(source: str) -> str:
    return "" if source == "default" else f"  ({source})"


def _columns(rows: list[tuple[str, str]], indent: str = "") -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"{indent}{name:<{width}}  {value}" for name, value in rows]


def html(fit: Fit) -> str:
    """What a notebook shows; colours are left to the notebook, so that it is readable on dark pages too."""
    cell = 'style="text-align:left; white-space:pre-wrap"'
    head = "".join(_html_row(name, value, cell) for name, value in _head(fit))
    priors = "".join(_html_row(str(name), row.prior + _given(row.source), cell) for name, row in fit.priors.iterrows())
    table = formatted(fit.summary())
    columns = "".join(f'<th style="text-align:right">{_html.escape(c)}</th>' for c in table.columns)
    number = 'style="text-align:right; white-space:pre; font-variant-numeric:tabular-nums"'
    body = "".join(
        f"<tr><th {cell}>{_html.escape(str(name))}</th>"
        + "".join(f"<td {number}>{_html.escape(v)}</td>" for v in row)
        + "</tr>"
        for name, row in zip(table.index, table.to_numpy(), strict=True)
    )
    colour = "#009E73" if fit.verdict.startswith(("Converged", "Exact", "Reliable")) else "#D55E00"
    return (
        f"<div><table>{head}</table><details><summary>Priors</summary><table>{priors}</table></details>"
        f"<table><thead><tr><th></th>{columns}</tr></thead><tbody>{body}</tbody></table>"
        f'<p style="border-left:4px solid {colour}; padding-left:0.6em">{_html.escape(fit.verdict)}</p></div>'
    )


def _html_row(name: str, value: str, cell: str) -> str:
    return f"<tr><th {cell}>{_html.escape(name)}</th><td {cell}>{_html.escape(value)}</td></tr>"


def place(name: str, kind: str, term: Term) -> tuple[str, str]:
    """Group (or term) of a hyperparameter, and its name within: ``sd(Days|Subject)`` is ``("Subject", "sd(Days)")``."""
    owner = term.variables[0].dim if term.kind == "group" else term.label
    inside = name.removeprefix(f"{kind}(").removesuffix(")")
    effect = inside.removesuffix(f"|{owner}")
    return owner, kind if inside == owner or effect == inside else f"{kind}({effect})"


def effects(fit: Fit, wanted: str | None) -> pd.DataFrame:
    """See `Fit.ranef`."""
    p, tables = fit.design.p, []
    for term, where in zip(fit.design.terms, fit.design.term_slices(), strict=True):
        for variable in term.variables:
            if wanted is not None and not is_named(wanted, term, variable):
                continue
            at = p + where.start + variable.index
            ends = np.quantile(fit.effects.draws[:, at], [(1 - fit.interval) / 2, (1 + fit.interval) / 2], axis=0)
            values = np.column_stack([fit.effects.mean[at], fit.effects.sd[at], *ends])
            index = pd.MultiIndex.from_arrays([[variable.name] * at.size, variable.labels], names=["effect", "level"])
            tables.append(pd.DataFrame(values, index, columns=["mean", "sd", *fit.interval_names]))
    if not tables:
        raise unknown_term(wanted, fit.design)
    return pd.concat(tables)


def is_named(name: str, term: Term, variable: Variable) -> bool:
    """Whether a name that a user typed means this part of a term: the whole term, the effect, or its group."""
    known = [term.label, variable.name, *([variable.dim] if term.kind == "group" else [])]
    return _plain(name) in map(_plain, known)


def _plain(name: str) -> str:
    return name.replace(" ", "")


def unknown_term(term: str | None, design: Design) -> LgmError:
    """Error for a term that the fit does not have."""
    known = [t.label for t in design.terms] + [v.name for t in design.terms for v in t.variables]
    if not known:
        return LgmError("this model has no latent terms; its fixed effects are in fit.fixef().")
    listed = ", ".join(dict.fromkeys(known))
    return LgmError(f"there is no term {term!r}.{suggest(str(term), known)} Terms and effects: {listed}.")
