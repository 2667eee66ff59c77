"""A design from data in partitions, which are gone through two or three times."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import BoolArray, FloatArray
from lgm.data.expression import names_of
from lgm.data.model_matrix import materialise
from lgm.data.moments import Moments
from lgm.data.partitions import Partitions
from lgm.data.scope import Scope, StandIns, taken
from lgm.data.table import MOST_WEIGHT
from lgm.design import answer as answers
from lgm.design import predictor as predictors
from lgm.design.answer import Answer, require_form
from lgm.design.columns import COLLINEAR, Columns
from lgm.design.design import check_formula, joined_names, require_distinct_names, require_several
from lgm.design.distinct import MOST, Distinct
from lgm.design.fixed_effects import require_difference, require_independent, require_seen, residuals
from lgm.design.passes import Collapsing, Spreading, Summing
from lgm.design.predictor import Parts, Predictor
from lgm.design.reference import Reference
from lgm.design.summed import Absent, CollapsedDesign, SummedDesign, SummedPredictor
from lgm.design.sums import Sums, require_same
from lgm.design.survey import CHANGED, RESPONSE, Plan, Survey, of_bar, of_call, of_factor, require_terms, survey
from lgm.errors import DataError
from lgm.families import FAMILIES
from lgm.families.family import Family
from lgm.families.response import Response
from lgm.formula.sides import Bar, Call, Formula, RightHandSide
from lgm.terms import TERMS
from lgm.terms.term import Term
from lgm.words import listed, suggest

T = TypeVar("T")


def build(
    formula: Formula,
    data: Partitions,
    family: Family,
    env: Mapping[str, Any],
    weights: Any,
    missing: str,
    done: Callable[[], object] = lambda: None,
) -> SummedDesign:
    """Evaluate a formula on data in partitions, which are gone through two or three times.

    Parameters
    ----------
    formula, family, env, missing
        As in `lgm.design.design.build`, but for missing responses: their rows are left out.
    data : Partitions
    weights : None or str
    done : callable
        Called after each partition, where that is known.

    Raises
    ------
    FormulaError, DataError, IdentifiabilityError
        As there, and for what cannot be put together from partitions; the partition is named.
    """
    check_formula(formula)
    plan = _plan(formula, data, family, env, weights, missing)
    found = data.reduced(partial(survey, plan), operator.add, plan.columns, done)
    _check(plan, found, family)
    build = _Build(plan, found, data, done)
    design = build.design(family)
    require_distinct_names(design)
    return design


def _plan(
    formula: Formula, data: Partitions, family: Family, env: Mapping[str, Any], weights: Any, missing: str
) -> Plan:
    if not (family.conjugate or collapses(family)):
        takers = [f'"{name}"' for name, kind in FAMILIES.items() if name == kind.name and collapses(kind)]
        raise DataError(
            f'family="{family.name}" with the {family.link} link needs each row by itself, and data in partitions are '
            f'not in memory. Accepted: family="gaussian" with its identity link; counts and proportions, of which rows '
            f"that are alike are one: {listed(takers, len(takers))}; or a part of the rows in one table."
        )
    require_form(formula, family)
    require_terms(formula)
    names = data.names
    if weights is not None and not isinstance(weights, str):
        raise DataError("weights of data in partitions are a column of them; accepted: its name.")
    if weights is not None and weights not in names:
        raise DataError(
            f"weights={weights!r} is not a column of the data.{suggest(weights, names)} Columns: {listed(names)}"
        )
    used = joined_names([names_of(each, names, env) for each in formula.mu.expressions])
    response = joined_names([names_of(each, names, env) for each in formula.response.expressions])
    around = taken(joined_names([used, response]), env)
    return Plan(formula, family, around, tuple(names), used.columns, response.columns, weights, missing)


def collapses(family: Family | type[Family]) -> bool:
    """Whether rows of a family can be made one where they are alike: counts and proportions."""
    return family.whole and family.weights_count and "categories" not in family.forms


def _check(plan: Plan, found: Survey, family: Family) -> None:
    text = plan.formula.response.text
    if not found.n:
        counts = ", ".join(f"`{name}` ({count})" for name, count in found.missing.items() if count)
        raise DataError(f"no row is left: every row misses `{text}`{f', or a predictor: {counts}' * bool(counts)}.")
    require_several(plan.formula, found.n)
    if family.conjugate:
        ends = Response(np.array([found.answer.low, found.answer.high]))
        family.check(ends, f"`{text}`" + (" less its offset" if plan.formula.mu.offsets else ""))
    low, high = found.log_weights.low, found.log_weights.high
    if high - low > np.log(MOST_WEIGHT):
        raise DataError(
            f"the weights `{plan.weights}` go from {np.exp(low):g} to {np.exp(high):g}; beside the largest, the "
            "smallest count for nothing that double precision could show."
        )


@dataclass(frozen=True, eq=False)
class _Build:
    plan: Plan
    found: Survey
    data: Partitions
    done: Callable[[], object]

    def _reduced(self, function: Callable[[Any, int], T]) -> T:
        return self.data.reduced(function, operator.add, self.plan.columns, self.done)

    def design(self, family: Family) -> SummedDesign:
        plan, found = self.plan, self.found
        side, scope = plan.formula.mu, self._whole()
        none = Response(np.zeros(0))
        yardstick = found.answer.sd() if family.conjugate else family.scale_of(none, none.value)
        spec, _, names = materialise(side.fixed, scope)
        if not (names or side.bars or side.calls):
            accepted = "an intercept, `y ~ 1`, a predictor, or a term such as `(1 | g)`."
            raise scope.formula.error("Without an intercept nothing is left to estimate.", side.fixed.span, accepted)
        intercept = names.index("Intercept") if "Intercept" in names else None
        moments = self._moments(scope)
        terms = predictors.terms_of(side, scope, yardstick, lambda source: self._standing(source, scope, moments))
        predictors.require_once(scope, names, terms)
        every = _without_rows(side, spec, names, terms, intercept)
        reference = self._reference(every, scope, len(names))
        summing = Summing(plan, found, every, dict(scope.memory), reference)
        rows, levels = None, None
        if family.conjugate:
            sums = self._reduced(summing)
        else:
            levels = self._levels()
            both = self._reduced(Collapsing(summing, family, levels, self._refusal()))
            sums, rows = both.sums, both.rows
        require_same(sums, found.n, CHANGED)
        dropped = _spanned(sums, reference, names, every.null_names)
        kept = np.setdiff1d(np.arange(every.p), dropped)
        sums, reference = sums.without(dropped), reference.at(kept)
        predictor = SummedPredictor(
            **{**vars_of(every), **_without(every, kept), "columns": sums.summary(reference)},
            moves_level=intercept is not None or _spans_level(sums),
        )
        typical = np.array([np.exp(found.log_weights.mean)])
        summed = SummedDesign(
            formula=plan.formula,
            family=family,
            scope=Scope(plan.formula, scope.frame, plan.env, plan.names, tuple(TERMS), dict(scope.memory)),
            rows=Absent(),  # type: ignore[arg-type]
            answer=Answer(Absent()),  # type: ignore[arg-type]
            all_weights=np.zeros(0),
            predictor=predictor,
            family_parameters=family.parameters(none, yardstick, typical) if rows is None else (),
            sums=sums,
            reference=reference,
            outcome=found.answer,
            log_weights=found.log_weights,
            incomplete=found.incomplete,
            unanswered=found.rows - found.incomplete - found.n,
            missing=found.missing,
            values=found.values,
        )
        if rows is None:
            return summed
        return self._collapsed(
            summed, rows.at(np.append(kept, np.arange(every.p, every.p + every.q))), levels, yardstick
        )

    def _reference(self, every: Predictor, scope: StandIns, k: int) -> Reference:
        """By rows of the first pass, for the fixed columns, of which the first k are no null spaces of terms."""
        sample = self.plan.scope(self.found.cast(self.found.sample))
        x = predictors.encode(every, replace(sample, memory=scope.memory), Parts.all(every)).X
        return Reference.of(x, *self.found.outcomes, every.intercept, k)

    def _collapsed(
        self, summed: SummedDesign, rows: Distinct, levels: tuple[Any, ...] | None, yardstick: float
    ) -> CollapsedDesign:
        """With the rows that differ, and what they say of the response."""
        plan, family, side = self.plan, summed.family, self.plan.formula.response
        distinct = rows.rows(family)
        if not family.adds_up:  # else each row has said all
            family.check(distinct.y, f"`{side.text}`")
        share = plan.weights is not None and "trials" in family.forms and levels is None and not side.counts_trials
        categories = () if levels is None else tuple(str(level) for level in levels)
        nothing = Moments(self.found.n, 0.0, np.array([float(self.found.n), 0.0, 0.0]), 0.0, 0.0)
        trials = joined_names([names_of(each, plan.names, plan.env) for each in side.of_trials]).columns
        frame = summed.scope.frame
        some = {name: self.found.sample[name].iloc[0] for name in trials if name not in frame}
        changes = {
            "answer": Answer(Absent(), categories=categories, share=share),  # type: ignore[arg-type]
            "family_parameters": family.parameters(distinct.y, yardstick, distinct.mass),
            "scope": replace(summed.scope, frame=frame.assign(**some)),
            "log_weights": nothing if share else summed.log_weights,
        }
        return CollapsedDesign(**{**vars_of(summed), **changes}, distinct=distinct, levels=levels)

    def _levels(self) -> tuple[Any, ...] | None:
        """The two values of a response that is a category."""
        asked = self.found.witnesses.get(RESPONSE)
        if asked is None:
            return None
        plan = self.plan
        frame = pd.DataFrame({name: self.found.kinds[str(name)].cast(asked.frame[name]) for name in asked.frame})
        return answers.event_of(plan.scope(frame.reset_index(drop=True)), plan.family)

    def _refusal(self) -> str:
        """What keeps rows apart, by the rows that were kept of the first pass."""
        sample = self.found.sample
        counts = {name: int(sample[name].nunique()) for name in self.plan.needed}
        most = max(counts, key=lambda name: counts[name], default="")
        what = f"`{most}` alone has {counts[most]} different values in {len(sample)} of them. " if counts else ""
        return (
            f"more than {MOST} rows differ in their predictors, and family={self.plan.family.name!r} needs all of them "
            f"at once. {what}Accepted: fewer values, such as `np.round({most or 'x'}, 1)` in the formula or classes "
            "in a column; a part of the rows; or all of them in one table, where memory suffices."
        )

    def _whole(self) -> StandIns:
        """Rows that have all levels of the factors and groups, and others."""
        frames = [each.frame for key, each in self.found.witnesses.items() if key != RESPONSE]
        sample = self.found.sample[list(self.plan.needed)]
        return self._stands([*frames, sample], None, self.found.memory())

    def _stands(self, frames: list[pd.DataFrame], counts: FloatArray | None, memory: dict[str, Any]) -> StandIns:
        frame = self.found.cast(pd.concat(frames, ignore_index=True))
        plan = self.plan
        return StandIns(plan.formula, frame, plan.env, plan.names, tuple(TERMS), memory, counts=counts)

    def _standing(self, source: Bar | Call, whole: Scope, moments: Mapping[str, Any]) -> Scope:
        """The rows that a term is read from: those that have its levels or values."""
        found = self.found.witnesses
        if isinstance(source, Call):
            own = found[of_call(source)]
            return self._stands([own.frame], own.counts, whole.memory)
        frames = [found[of_bar(source)].frame]
        factors = [of_factor(each) for each in source.effects.factors.values()]
        frames += [found[key].frame for key in factors if key in found]
        return replace(self._stands(frames, None, whole.memory), columns_of=moments)

    def _moments(self, scope: Scope) -> dict[str, tuple[FloatArray, FloatArray, BoolArray]]:
        """Mean and sd of the columns of varying effects, beyond intercepts, in one more pass if there are some."""
        effects = {bar.effects.text: bar.effects for bar in self.plan.formula.mu.bars if bar.effects.factors}
        if not effects:
            return {}
        specs = {text: materialise(each, scope, "The part before a bar")[0] for text, each in effects.items()}
        sums = self._reduced(Spreading(self.plan, self.found, dict(scope.memory), effects, specs))
        return {
            text: (
                np.array([each.mean for each in own]),
                np.array([each.sd() for each in own]),
                np.array([each.is_indicator() for each in own]),
            )
            for text, own in sums.of.items()
        }


def vars_of(made: Predictor | SummedDesign) -> dict[str, Any]:
    """Its fields."""
    return {each.name: getattr(made, each.name) for each in fields(made)}


def _without_rows(
    side: RightHandSide, spec: Any, names: list[str], terms: list[tuple[Bar | Call, Term]], intercept: int | None
) -> Predictor:
    """All columns, and no rows: those of the fixed effects, of null spaces of terms, and of the terms."""
    nulls = tuple(name for _, term in terms for name in term.null)
    x = sp.csc_array((0, len(names) + len(nulls)))
    return Predictor(
        side=side,
        X=x,
        Z=sp.csc_array((0, sum(term.block.n for _, term in terms))),
        offset=np.zeros(0),
        fixed_names=(*names, *nulls),
        intercept=intercept,
        spec=spec,
        terms=tuple(term for _, term in terms),
        sources=tuple(source for source, _ in terms),
        null_names=nulls,
        columns=Columns.of(x),
        gram=np.zeros((0, 0)),
    )


def _without(predictor: Predictor, kept: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, Any]:
    names = tuple(predictor.fixed_names[j] for j in kept)
    nulls = tuple(name for name in predictor.null_names if name in names)
    return {"X": sp.csc_array((0, kept.size)), "fixed_names": names, "null_names": nulls}


def _spanned(
    sums: Sums, reference: Reference, names: list[str], nulls: tuple[str, ...]
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Null-space columns that the fixed effects before them span; the fixed effects themselves have to be distinct."""
    columns, intercept, k = sums.summary(reference), reference.intercept, len(names)
    basis = sums.standard(reference)
    gram = sums.within_at(np.asarray(np.linalg.solve(reference.basis, basis), dtype=float))
    own = sums.without(np.arange(k, k + len(nulls)))
    first = reference.at(np.arange(k))
    require_seen(own.summary(first), names, intercept)
    require_independent(own.summary(first), gram[:k, :k], basis[:k, :k], names, intercept)
    for j, name in enumerate(nulls, k):
        if columns.stored[j] == sums.n and columns.high[j] > columns.low[j]:
            require_difference(columns.low[j], columns.high[j], name)
    outside = (gram.diagonal() > 0) & (residuals(gram) > COLLINEAR)
    return np.flatnonzero(~outside[k:]) + k


def _spans_level(sums: Sums) -> bool:
    """Whether the fixed columns span one, which is none of them."""
    p = sums.p
    whole = np.empty((p + 1, p + 1))
    whole[:p, :p], whole[p, :p], whole[:p, p], whole[p, p] = sums.within, sums.total, sums.total, sums.n
    length = np.sqrt(whole.diagonal())
    return bool(residuals(whole / np.outer(length, length))[p] <= COLLINEAR)
