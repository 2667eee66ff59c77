"""What of a model the data cannot tell apart, or do not speak of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import IntArray
from lgm.data.rowwise import entangled
from lgm.design.design import ROWWISE, Design, numbers_as_text
from lgm.design.fixed_effects import adds
from lgm.design.predictor import Parts, encode
from lgm.errors import DataWarning, IdentifiabilityError, IdentifiabilityWarning, warn
from lgm.formula.sides import Bar
from lgm.posterior.assemble import Analysed
from lgm.posterior.confounding import Moved, Remainder, relations, standardised
from lgm.posterior.priors import Priors
from lgm.priors import Constant, Flat
from lgm.terms.levels import Grouping
from lgm.words import counted, listed

MOST_NAMED = 5  # parameters in a message
FEWEST_TIMES = 3  # rows on average in what looks like a series of its own


def check_identifiability(design: Design, priors: Priors, analysed: Analysed) -> None:
    """Whether the rows can tell the variances apart: the residual's and those of effects (`lgm.posterior.confounding`).

    What the user holds needs no telling.

    Raises
    ------
    IdentifiabilityError
        If they cannot, and a prior that would have to do it is flat; under proper priors it is a warning.
    """
    pairs = list(zip(design.parameters, priors.theta, strict=True))
    known = {name for parameter, prior in pairs for name in parameter.names if isinstance(prior, Constant)}
    flat = {name for parameter, prior in pairs for name in parameter.names if isinstance(prior, Flat)}
    residual = None if design.family.residual in known else design.family.residual
    if residual is not None and design.p == design.n:
        text = f"there are as many fixed effects as rows ({design.n}), so nothing is left to estimate {residual} from."
        accepted, otherwise = "Accepted: fewer predictors, or proper priors.", "Only its prior and theirs speak of it."
        _say(text, accepted, otherwise, proper=priors.proper)
        return
    if not design.terms:
        return
    gram = analysed.pattern.matrix(analysed.gram)
    rows = _Rows(design, gram, Remainder.of(gram, np.arange(design.p), design.p), flat)
    free = list(_free(rows, known))
    moved, remainder, bases = [each.moved for each in free], rows.remainder, []
    for label in dict.fromkeys(each.label for each in free):
        own = np.array([i for i, each in enumerate(free) if each.label == label])
        count = sum(moved[i].right is None for i in own)
        if count > 1 and own.size == count * (count + 1) // 2:
            changed = standardised(remainder, [moved[i] for i in own])
            if changed is not None:
                remainder = changed[0]
                bases.append((own, changed[1]))
    found = relations(remainder, moved, None if residual is None else design.n - design.p, bases)
    silent = [free[int(related[0])] for related in found if related.size == 1]
    for label, parts in itertools.groupby(silent, lambda each: each.label):
        _say_silent(rows, label, list(parts))
    for related in found:
        if related.size > 1:
            _say_alike(rows, [free[i] for i in related if i < len(free)], residual if len(free) in related else None)


class _Rows(NamedTuple):
    """What the rows with a response say of effects: ``A'WA``, what of it the fixed effects leave, and who listens.

    ``flat`` are the parameters that have a flat prior.
    """

    design: Design
    gram: sp.csc_array
    remainder: Remainder
    flat: set[str]


class _Free(NamedTuple):
    """A component with unknown parameters, and the label of its term."""

    label: str
    names: tuple[str, ...]
    moved: Moved


def _free(rows: _Rows, known: set[str]) -> Iterator[_Free]:
    """The components that are not known; a word on terms of which the fixed effects leave nothing."""
    for term, where in zip(rows.design.terms, rows.design.predictor.term_slices(), strict=True):
        names = [name for parameter in term.block.parameters for name in parameter.names if name not in known]
        effects = np.arange(where.start, where.stop)
        if names and rows.remainder.is_nothing(effects):
            _say_spanned(rows, term.label, names, effects)
            continue
        for part in term.components:
            if known.isdisjoint(part.names):
                moved = Moved(effects[part.left], None if part.right is None else effects[part.right])
                yield _Free(term.label, part.names, moved)


def _say_silent(rows: _Rows, label: str, parts: Sequence[_Free]) -> None:
    """Nothing is left of some components of a term: the fixed effects span one side, or no level has both sides."""
    unmet: list[str] = []
    spanned: list[str] = []
    effects: list[IntArray] = []
    for part in parts:
        sides = [side for side in part.moved if side is not None and rows.remainder.is_nothing(side)]
        (spanned if sides else unmet).extend(part.names)
        effects += sides
    if spanned:
        _say_spanned(rows, label, spanned, np.concatenate(effects))
    if unmet:
        text = f"no level has rows for both effects of {listed(unmet, MOST_NAMED)} in {label}, so the data say nothing"
        _say(f"{text} of it.", "", "", proper=rows.flat.isdisjoint(unmet))


def _say_spanned(rows: _Rows, label: str, names: Sequence[str], effects: IntArray) -> None:
    """The fixed effects account for all that these parameters could speak of."""
    parameters = listed(names, MOST_NAMED)
    text = f"beside {_spanning(rows, effects)}, the data say nothing of {parameters} in {label}. Remove one of the two."
    _say(text, "", "", proper=rows.flat.isdisjoint(names))


def _spanning(rows: _Rows, effects: IntArray) -> str:
    """The one piece of the fixed part that spans the columns of these effects, beside the intercept, or all of it."""
    predictor = rows.design.predictor
    intercept = [] if predictor.intercept is None else [predictor.intercept]
    for piece, columns in predictor.spec.term_slices.items():
        fixed = np.unique([*intercept, *range(columns.start, columns.stop)])
        if Remainder.of(rows.gram, fixed, predictor.p).is_nothing(effects):
            return str(piece)
    return "the fixed effects"


def _say_alike(rows: _Rows, parts: Sequence[_Free], residual: str | None) -> None:
    """One of these components, or the residual, can be made of the others."""
    names = [name for part in parts for name in part.names]
    terms = " and ".join(dict.fromkeys(part.label for part in parts))
    parameters, only = listed(names, MOST_NAMED), "Only their priors tell them apart."
    if residual is None:
        text = f"the data cannot tell {parameters} apart: {terms} can say the same in two ways. Remove one of them."
        _say(text, "", only, proper=rows.flat.isdisjoint(names))
    else:
        text = (
            f"{terms} can give each of the {rows.design.n} rows an error of its own, so {parameters} and {residual} "
            f'say the same. Remove the term, or fix {residual}: priors={{"{residual}": lgm.priors.constant(...)}}.'
        )
        _say(text, "", only, proper=rows.flat.isdisjoint([*names, residual]))


def _say(text: str, accepted: str, otherwise: str, *, proper: bool) -> None:
    """An error under flat priors, a warning under proper ones."""
    if not proper:
        raise IdentifiabilityError(f"{text} {accepted}".strip())
    warn(f"{text} {otherwise}".strip(), IdentifiabilityWarning)


def report_cautions(design: Design, priors: Priors) -> None:
    """What the default priors of terms do not expect, where they are in use."""
    for term in design.terms:
        for caution in term.cautions:
            if priors.table.loc[caution.parameter, "source"] == "default":
                warn(caution.text, DataWarning)


def report_terms(design: Design) -> None:
    """Terms that may not mean what their author thinks."""
    for text in (*_without_level(design), *_without_levels(design), *_shared_series(design)):
        warn(text, DataWarning)
    for text in (*_unknown_directions(design), *_single_rows(design), *_categories_without_rows(design)):
        warn(text, IdentifiabilityWarning)


def _without_level(design: Design) -> Iterator[str]:
    """Effects that sum to zero, and no fixed effects that could hold what they sum to."""
    centred = [term.label for term in design.terms if term.centred]
    if centred and not design.predictor.side.offsets and not design.predictor.spans_level:
        yield (
            f"there is no intercept, and the effects of {listed(centred)} sum to zero, so nothing holds the level of "
            f"`{design.formula.response.text}`. Write `1 + ...`, unless that level is zero."
        )


def _without_levels(design: Design) -> Iterator[str]:
    """Centred smooths for the levels of a factor, and nothing that could say how these differ on average."""
    predictor = design.predictor
    for term in design.terms:
        by = next((smooth.by for smooth in term.smooths if smooth.by is not None and smooth.by.levels), None)
        if by is None or not term.centred or any(other.group == by.variable.text for other in design.terms):
            continue
        rows = design.stand_ins
        codes = pd.factorize(rows.column(by.variable, f"by= of {term.label}"))[0]
        fixed = Parts(np.ones(predictor.p, dtype=bool), (False,) * len(design.terms), offset=False)
        x = predictor.X if design.has_rows else encode(predictor, rows, fixed).X
        if adds(x, np.sqrt(2.0 + codes), predictor.intercept):  # no covariate is such numbers
            name = by.variable.text
            yield (
                f"the smooths of {term.label} are centred, so nothing says how the levels of `{name}` differ on "
                f"average. Add `{name}`, or (1 | {name}), unless they do not."
            )


def _shared_series(design: Design) -> Iterator[str]:
    """A series whose times repeat in a way that looks like several series."""
    for term, where in zip(design.terms, design.predictor.term_slices(), strict=True):
        if term.one_series and design.has_rows:
            times = sp.csr_array(design.predictor.Z[:, where]).indices
            how = _several(times, design) if np.bincount(times).max() > 1 else ""
            if how:
                yield (
                    f"{term.label} is one series, which rows with the same time share. Its times repeat: {how}. A "
                    f"series for each level of a factor g is {term.label[:-1]}, replicate=g)."
                )


def _several(times: IntArray, design: Design) -> str:
    """How rows look like several series: once in each level of a group, or one after the other."""
    for source in design.predictor.sources:
        if isinstance(source, Bar) and not source.pooled:
            codes = Grouping.of(source, design.seen)[1]
            once = np.unique(np.column_stack([codes, times]), axis=0).shape[0] == times.size
            if once and times.size >= FEWEST_TIMES * np.unique(codes).size:
                return f"each level of `{source.group_name}` has them once"
    restarts = int(np.count_nonzero(np.diff(times) <= 0))
    if times.size >= FEWEST_TIMES * (restarts + 1):
        return f"in the order of the rows they start again {counted(restarts, 'time')}"
    return ""


def _unknown_directions(design: Design) -> Iterator[str]:
    """Null-space columns, such as the level of a component, that no row with a response has."""
    for term in design.terms:
        for name, values in term.null.items():
            if name not in design.fixed_names and not abs(values).max():
                yield (
                    f"nothing is known about `{name}`, as it is zero in every row with a response; predictions take it "
                    "for zero."
                )


def _single_rows(design: Design) -> Iterator[str]:
    """Levels of one row each beside a parameter of the family that says how much rows vary, or with single trials."""
    family = design.family
    if family.dispersion is None and "event" not in family.forms:
        return
    trials = design.outcomes[1].trials
    once = "event" in family.forms and not design.weighted and (trials is None or bool(np.all(trials == 1)))
    if family.dispersion is None and not once:
        return
    for term, where in zip(design.terms, design.predictor.term_slices(), strict=True):
        # relatives and series say of each other how levels vary
        if term.group and term.components and design.most_rows(where) <= 1:
            names = listed([name for parameter in term.block.parameters for name in parameter.names], MOST_NAMED)
            text = f"each level of `{term.group}` has one row"
            if once:
                yield f"{text}, and one trial says nothing of how levels vary: {names} is as its prior has it."
            else:
                yield (
                    f"{text}, so {names} and {family.dispersion} both say how much single rows vary, and only the "
                    f"shape of the distribution tells them apart. Remove {term.label}, or take a family without "
                    f"{family.dispersion}."
                )


def _categories_without_rows(design: Design) -> Iterator[str]:
    """Ordered categories that no row has."""
    categories, first = design.answer.categories, design.answer.first
    if len(categories) > 2:
        counts = np.bincount((design.y - first).astype(np.int64), minlength=len(categories))
        unseen = [name for name, count in zip(categories, counts, strict=True) if not count]
        if unseen:
            yield (
                f"no row has the response {listed(unseen, MOST_NAMED)}, so only priors say how likely it is. To take "
                f"it out, use `{design.formula.response.text}.cat.remove_unused_categories()`, or number the "
                "categories without gaps."
            )


def report_data(design: Design) -> None:
    """What was done to the data that a user should know of."""
    if design.dropped:
        where = ", ".join(f"{name} ({count})" for name, count in design.missing_in.items())
        warn(
            f"{design.dropped} of {design.dropped + design.used} rows are dropped: missing values in {where}",
            DataWarning,
        )
    for expression in design.entangled:
        warn(
            f"{entangled(expression, design.scope.env)}, so the fit cannot predict other rows. Accepted: {ROWWISE}",
            DataWarning,
        )
    for name, levels, first in numbers_as_text(design):
        warn(
            f"`{name}` holds numbers as text ({first}), which is a factor of {levels} levels. For a slope, make "
            "numbers of it: astype(float).",
            DataWarning,
        )
