"""A fit in words: numbers, verdict, text and HTML."""

from __future__ import annotations

import html as _html
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.design.design import Design

if TYPE_CHECKING:
    from lgm.results.fit import Fit


def facts(fit: Fit) -> dict[str, Any]:
    """What the engine says of itself, beyond a table: its name, and for weighted points how they did."""
    return {"method": fit.method, **fit.draws.facts(proper=fit.chosen_priors.proper)}


def _head(fit: Fit) -> list[tuple[str, str]]:
    d = fit.design
    return [
        ("Formula", d.formula.source),
        ("Family", f"{d.family.name} ({d.family.link} link)" + (", weighted" if d.weighted else "")),
        ("Rows", _rows(d)),
        *((term.label, term.size) for term in d.terms),
        ("Draws", f"{fit.draws.described()} ({fit.method}, seed {fit.seed})"),
        *_evidence(facts(fit)),
    ]


def _evidence(found: dict[str, Any]) -> list[tuple[str, str]]:
    """``log p(y)`` with two digits of its Monte Carlo error."""
    if "log_evidence" not in found:
        return []
    value, se = found["log_evidence"], found["log_evidence_se"]
    decimals = max(1 - math.floor(math.log10(se)), 0) if 0 < se < math.inf else 2
    return [("log p(y)", f"{value:.{decimals}f} (Monte Carlo error {se:.{decimals}f})")]


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
    colour = "#009E73" if fit.doubt is None else "#D55E00"
    return (
        f"<div><table>{head}</table><details><summary>Priors</summary><table>{priors}</table></details>"
        f"<table><thead><tr><th></th>{columns}</tr></thead><tbody>{body}</tbody></table>"
        f'<p style="border-left:4px solid {colour}; padding-left:0.6em">{_html.escape(fit.verdict)}</p></div>'
    )


def _html_row(name: str, value: str, cell: str) -> str:
    return f"<tr><th {cell}>{_html.escape(name)}</th><td {cell}>{_html.escape(value)}</td></tr>"
