"""What is amiss with a model, asked by tests that are calibrated, and said in words."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy  # of which parts that are slow to read come when first needed

from lgm.arrays import FloatArray
from lgm.errors import LgmError
from lgm.results import basis_check
from lgm.results.checking import places
from lgm.results.checking.faults import Drawn, Question
from lgm.results.checking.observed import Observed
from lgm.results.checking.questions import OF_RESIDUALS, questions, refuse
from lgm.results.progress import bar
from lgm.words import counted, suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit

CHECKS = (*OF_RESIDUALS, "basis")
NORMALS = 999  # sets of residuals of a right model
LEVEL = 0.05  # how often a right model is said to be amiss, at most
_HELD = 2_000_000  # numbers at once
_NEARLY_ONE = 0.95  # p-values above it count as it where several are combined


@dataclass(frozen=True, eq=False)
class Check:
    """What `Fit.check` found.

    Parameters
    ----------
    table : pandas.DataFrame
        One row for each check: ``check``, ``about``, what was measured and its ``value``, what a right model has on
        average (``if right``), ``p``, and whether it is ``amiss``.
    sentences : tuple of str
        What is amiss, and what to try; empty where nothing is.
    notes : tuple of str
        How the numbers were made, and the verdict on the draws.
    """

    table: pd.DataFrame
    sentences: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def amiss(self) -> list[str]:
        """Names of the checks that found something."""
        return list(dict.fromkeys(self.table.loc[self.table["amiss"], "check"]))

    @property
    def _shown(self) -> pd.DataFrame:
        table = self.table.drop(columns="measured")
        for column in ("value", "if right"):
            table[column] = [f"{v:.4g}" for v in table[column]]
        table["p"] = ["< 0.002" if p < 0.002 else f"{p:.3f}" for p in table["p"]]
        table["amiss"] = ["yes" if amiss else "" for amiss in table["amiss"]]
        return table

    def __repr__(self) -> str:
        said = [textwrap.fill(f"- {line}", 100, subsequent_indent="  ") for line in self.sentences]
        notes = [textwrap.fill(note, 100) for note in self.notes]
        return "\n".join([self._shown.to_string(index=False), "", *(said or ["Nothing is amiss."]), "", *notes])

    def _repr_html_(self) -> str:
        said = "".join(f"<li>{html.escape(line)}</li>" for line in self.sentences)
        said = f"<ul>{said}</ul>" if said else "<p>Nothing is amiss.</p>"
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"<div>{self._shown.to_html(index=False, border=0)}{said}{notes}</div>"


def check(
    fit: Fit, checks: Sequence[str] | str | None, *, draws: int, time: Any, near: Any, loo: bool, seed: int
) -> Check:
    """See `Fit.check`."""
    if not isinstance(draws, (int, np.integer)) or isinstance(draws, bool) or draws < 1:
        raise LgmError(f"draws={draws!r}; accepted: how many draws of the posterior give residuals, from 1.")
    rows = Observed(fit)
    wanted = None if checks is None else [checks] if isinstance(checks, str) else list(checks)
    for name in wanted or []:
        if name not in CHECKS:
            known = ", ".join(map(repr, CHECKS))
            raise LgmError(f"there is no check {name!r}.{suggest(str(name), list(CHECKS))} Accepted: {known}.")
    asked = [q for q in questions(rows, time, near) if wanted is None or q.check in wanted]
    smooth = (wanted is None or "basis" in wanted) and any(term.smooths for term in fit.design.terms)
    made = {question.check for question in asked} | ({"basis"} if smooth else set())
    for name in wanted or []:
        if name not in made:
            raise refuse(rows, name)
    numbers = rows.some(draws)
    found = [*_answers(rows, asked, numbers, seed), *(_bases(fit, seed) if smooth else [])]
    table = pd.DataFrame(
        [(f.check, f.about, f.measured, f.value, f.expected, f.p) for f in found],
        columns=["check", "about", "measured", "value", "if right", "p"],
    )
    table["amiss"] = _holm(table["p"].to_numpy(dtype=float)) <= LEVEL
    said = [
        f"{f.says[:1].upper()}{f.says[1:]} ({f.measured} {f.value:.4g}; {f.expected:.4g} if the model is right). "
        f"To try: {f.advice}."
        for f, amiss in zip(found, table["amiss"], strict=True)
        if amiss
    ]
    return Check(table, tuple(said), _notes(fit, numbers.size, loo=loo))


@dataclass(frozen=True)
class _Found:
    check: str
    about: str
    measured: str
    value: float
    expected: float
    p: float
    says: str
    advice: str


def _answers(rows: Observed, asked: Sequence[Question], numbers: Any, seed: int) -> list[_Found]:
    if not asked:
        return []
    drawn = _drawn(rows, places.scores(places.given_draws(rows, numbers, seed)), numbers)
    observed = [question.statistic(drawn) for question in asked]
    reference: list[list[FloatArray]] = [[] for _ in asked]
    rng, step, middle = np.random.default_rng([seed, 11]), max(_HELD // rows.n, 1), [numbers.size // 2]
    zero, rank = drawn.zero[:, middle], drawn.rank[:, middle]
    with bar(NORMALS, "residuals of a right model", progress=rows.fit.progress) as shown:
        for start in range(0, NORMALS, step):
            count = min(step, NORMALS - start)
            right = Drawn(rng.standard_normal((rows.n, count)), zero, rank)
            for question, found in zip(asked, reference, strict=True):
                found.append(question.statistic(right))
            shown.update(count)
    return [_found(q, o, np.concatenate(r)) for q, o, r in zip(asked, observed, reference, strict=True)]


def _drawn(rows: Observed, scores: FloatArray, numbers: Any) -> Drawn:
    """With what some statistics need beside the residuals."""
    d, eta = rows.fit.design, rows.eta.draws(only=numbers)
    theta = {kind: draws[numbers] for kind, draws in rows.theta.items()}
    zero = d.family.cdf(np.zeros(rows.n), eta, theta, d.weights, rows.trials) if d.family.whole else None
    rank = scipy.stats.rankdata(eta, axis=0) / rows.n * 2.0 - 1.0
    return Drawn(scores, np.zeros((rows.n, numbers.size)) if zero is None else zero, rank)


def _found(question: Question, observed: FloatArray, reference: FloatArray) -> _Found:
    ordered, size = np.sort(reference), reference.size
    above = (1.0 + size - np.searchsorted(ordered, observed, side="left")) / (size + 1.0)
    below = (1.0 + np.searchsorted(ordered, observed, side="right")) / (size + 1.0)
    p = np.asarray(above if not question.low else np.minimum(1.0, 2.0 * np.minimum(above, below)), dtype=float)
    value, expected = float(np.mean(observed)), float(np.mean(reference))
    says = question.low if question.low and value < expected else question.high
    return _Found(
        question.check, question.about, question.expected, value, expected, together(p), says, question.advice
    )


def together(p: FloatArray) -> float:
    """One p-value of several that depend on each other in some way (Liu & Xie 2020, Cauchy combination test)."""
    mean = np.mean(np.tan((0.5 - np.minimum(p, _NEARLY_ONE)) * np.pi))
    return float(0.5 - np.arctan(mean) / np.pi)


def _holm(p: FloatArray) -> FloatArray:
    """P-values such that the least of those without a fault is above a level with the probability that this says."""
    order = np.argsort(p, kind="stable")
    out = np.empty(p.size)
    out[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return out


def _bases(fit: Fit, seed: int) -> list[_Found]:
    found = []
    for name, row in basis_check.table(fit, seed).iterrows():
        if np.isfinite(row["p-value"]):
            p = (1.0 + basis_check.REPEATS * row["p-value"]) / (basis_check.REPEATS + 1.0)
            says = f"the basis of {name} is too small for what it has to follow"
            advice = f"k larger than {row.iloc[0]:.0f} + 1, of which {row['edf']:.1f} degrees of freedom are used"
            found.append(_Found("basis", str(name), "k-index", row["k-index"], 1.0, float(p), says, advice))
    return found


def _notes(fit: Fit, draws: int, *, loo: bool) -> tuple[str, ...]:
    level = f"{100 * LEVEL:.0f}%"
    notes = [
        f"Residuals by {counted(draws, 'draw')} of the posterior, beside {NORMALS} sets of residuals of a right model. "
        f"Amiss is what stands out among all {level} of the time at most if the model is right (Holm)."
    ]
    notes.append(f"First of all: {fit.doubt}" if fit.doubt else fit.verdict)
    if fit.design.weighted and fit.design.family.weights_count:
        notes.append("Weights count rows; residuals of rows with weights other than one are not calibrated.")
    return (*notes, *(fit.loo().notes if loo else ()))
