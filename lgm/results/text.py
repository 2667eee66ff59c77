"""A fit in words: numbers, verdict, text and HTML."""

from __future__ import annotations

import html as _html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.design.design import Design
from lgm.inference.held import Conditional

if TYPE_CHECKING:
    from lgm.results.fit import Fit


def facts(fit: Fit) -> dict[str, Any]:
    """What the engine says of itself, beyond a table: its name, and for weighted points how they did."""
    approximation = {} if fit.run.rung is None else fit.run.rung.facts
    return {"method": fit.method, **approximation, **fit.draws.facts(proper=fit.chosen_priors.proper)}


def _model(d: Design) -> list[tuple[str, str]]:
    return [
        ("Formula", d.formula.source),
        ("Family", f"{d.family.name} ({d.family.link} link)" + (", weighted" if d.weighted else "")),
        *([("Response", d.answer.meaning)] if d.answer.meaning else []),
        ("Rows", _rows(d)),
        *((term.label, term.size) for term in d.terms),
    ]


def _head(fit: Fit) -> list[tuple[str, str]]:
    return [
        *_model(fit.design),
        ("Draws", f"{fit.draws.described()} ({fit.method}, seed {fit.seed})"),
        *([] if fit.run.rung is None else fit.run.rung.said(held=isinstance(fit.draws, Conditional))),
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
    if d.predicted:
        parts.append(f"{d.predicted} more without a response are predicted")
    if d.dropped:
        parts.append(f"{d.dropped} dropped ({d.why_dropped})")
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
    return in_step(row, sd)


def in_step(values: Sequence[float] | np.ndarray, sd: float) -> list[str]:
    """Numbers with as many decimals as give sd three digits, none of which are lost where exponents are needed.

    Examples
    --------
    >>> in_step([251.40510, 237.8, 265.0], 6.87)
    ['251.41', '237.80', '265.00']
    >>> in_step([0.1110000123, 0.1109999], 2e-8)
    ['1.110000123e-01', '1.109999000e-01']
    """
    values = np.asarray(values, dtype=float)
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    decimals = 2 - math.floor(math.log10(sd)) if 0 < sd < math.inf else 2
    if decimals <= 6 and largest < 1e7:
        style = f".{max(decimals, 0)}f"
    else:
        style = f".{min(max(decimals + math.floor(math.log10(largest or 1.0)), 3), 15)}e"
    return ["-" if np.isnan(v) else f"{v:{style}}" for v in values]


def _aligned(cells: list[str]) -> list[str]:
    """Decimal points under each other."""
    tails = [len(cell) - cell.index(".") if "." in cell else 0 for cell in cells]
    return [cell + " " * (max(tails) - tail) for cell, tail in zip(cells, tails, strict=True)]


def doubt(fit: Fit) -> str:
    """Why the numbers may mislead, in a sentence for a picture; nothing if they may be trusted."""
    if fit.verdict.startswith(("Converged", "Exact", "Reliable")):
        return ""
    return fit.verdict.split(". ")[0].split("; ")[0].rstrip(".") + "."


def text(fit: Fit) -> str:
    """What ``print(fit)`` shows."""
    table = formatted(fit.summary()).to_string()
    lines = [*_columns(_head(fit)), "", "Priors", *_columns(_priors(fit.priors), "  ")]
    return "\n".join([*lines, "", table, "", fit.verdict])


def model_text(design: Design, priors: pd.DataFrame) -> str:
    """What ``print(model)`` shows."""
    return "\n".join([*_columns(_described(design)), "", "Priors", *_columns(_priors(priors), "  ")])


def _described(design: Design) -> list[tuple[str, str]]:
    return [*_model(design), ("Effects", f"{design.p} fixed, {design.q} latent")]


def _priors(table: pd.DataFrame) -> list[tuple[str, str]]:
    return [
        (str(name), row.prior + ("" if row.source == "default" else f"  ({row.source})"))
        for name, row in table.iterrows()
    ]


def _columns(rows: list[tuple[str, str]], indent: str = "") -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"{indent}{name:<{width}}  {value}" for name, value in rows]


CELL = 'style="text-align:left; white-space:pre-wrap"'


def model_html(design: Design, priors: pd.DataFrame) -> str:
    """What a notebook shows of a model."""
    return f"<div>{_html_table(_described(design))}<p>Priors</p>{_html_table(_priors(priors))}</div>"


def html(fit: Fit) -> str:
    """What a notebook shows; colours are left to the notebook, so that it is readable on dark pages too."""
    table = formatted(fit.summary())
    columns = "".join(f'<th style="text-align:right">{_html.escape(c)}</th>' for c in table.columns)
    number = 'style="text-align:right; white-space:pre; font-variant-numeric:tabular-nums"'
    body = "".join(
        f"<tr><th {CELL}>{_html.escape(str(name))}</th>"
        + "".join(f"<td {number}>{_html.escape(v)}</td>" for v in row)
        + "</tr>"
        for name, row in zip(table.index, table.to_numpy(), strict=True)
    )
    colour = "#D55E00" if doubt(fit) else "#009E73"
    return (
        f"<div>{_html_table(_head(fit))}<details><summary>Priors</summary>{_html_table(_priors(fit.priors))}</details>"
        f"<table><thead><tr><th></th>{columns}</tr></thead><tbody>{body}</tbody></table>"
        f'<p style="border-left:4px solid {colour}; padding-left:0.6em">{_html.escape(fit.verdict)}</p></div>'
    )


def _html_table(rows: list[tuple[str, str]]) -> str:
    cells = (f"<tr><th {CELL}>{_html.escape(a)}</th><td {CELL}>{_html.escape(b)}</td></tr>" for a, b in rows)
    return f"<table>{''.join(cells)}</table>"
