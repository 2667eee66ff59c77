"""A design from data in partitions, which are gone through two or three times."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.expression import names_of
from lgm.data.model_matrix import materialise
from lgm.data.partitions import Partitions
from lgm.data.scope import Scope, StandIns, taken
from lgm.data.table import MOST_WEIGHT
from lgm.design import predictor as predictors
from lgm.design.answer import Answer, require_form
from lgm.design.columns import COLLINEAR
from lgm.design.design import check_formula, joined_names, require_distinct_names
from lgm.design.fixed_effects import require_difference, require_independent, require_seen, residuals
from lgm.design.passes import Spreading, Summing
from lgm.design.predictor import Parts, Predictor
from lgm.design.reference import Reference
from lgm.design.summed import Absent, SummedDesign, SummedPredictor
from lgm.design.sums import Sums, require_same
from lgm.design.survey import CHANGED, Plan, Survey, of_bar, of_call, of_factor, require_terms, survey
from lgm.errors import DataError
from lgm.families.family import Family
from lgm.families.response import Response
from lgm.formula.sides import Bar, Call, Formula
from lgm.terms import TERMS
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
    if not family.conjugate:
        raise DataError(
            f'family="{family.name}" with the {family.link} link needs the rows themselves, and data in partitions are '
            'not in memory. Accepted: family="gaussian", or one table in which rows that are alike are one, with '
            "weights= for how many they are."
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
    return Plan(formula, around, tuple(names), used.columns, response.columns, weights, missing)


def _check(plan: Plan, found: Survey, family: Family) -> None:
    text = plan.formula.response.text
    if not found.n:
        counts = ", ".join(f"`{name}` ({count})" for name, count in found.missing.items() if count)
        raise DataError(f"no row is left: every row misses `{text}`{f', or a predictor: {counts}' * bool(counts)}.")
    if found.n == 1:
        raise DataError(f"only one row has a response `{text}`; there is nothing to model.")
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
        yardstick = found.answer.sd()
        spec, _, names = materialise(side.fixed, scope)
        if not (names or side.bars or side.calls):
            accepted = "an intercept, `y ~ 1`, a predictor, or a term such as `(1 | g)`."
            raise scope.formula.error("Without an intercept nothing is left to estimate.", side.fixed.span, accepted)
        intercept = names.index("Intercept") if "Intercept" in names else None
        moments = self._moments(scope)
        terms = predictors.terms_of(side, scope, yardstick, lambda source: self._standing(source, scope, moments))
        predictors.require_once(scope, names, terms)
        nulls = tuple(name for _, term in terms for name in term.null)
        q = sum(term.block.n for _, term in terms)
        every = Predictor(
            side=side,
            X=sp.csc_array((0, len(names) + len(nulls))),
            Z=sp.csc_array((0, q)),
            offset=np.zeros(0),
            fixed_names=(*names, *nulls),
            intercept=intercept,
            spec=spec,
            terms=tuple(term for _, term in terms),
            sources=tuple(source for source, _ in terms),
            null_names=nulls,
            gram=np.zeros((0, 0)),
        )
        sample = plan.scope(found.cast(found.sample))
        sample = replace(sample, memory=scope.memory)
        x = predictors.encode(every, sample, Parts.all(every)).X
        reference = Reference.of(x, *found.outcomes, intercept, len(names))
        sums = self._sums(every, scope, reference)
        dropped = _spanned(sums, reference, names, nulls)
        kept = np.setdiff1d(np.arange(every.p), dropped)
        sums, reference = sums.without(dropped), reference.at(kept)
        predictor = SummedPredictor(
            **{**vars_of(every), **_without(every, kept)},
            found=sums.summary(reference),
            moves_level=intercept is not None or _spans_level(sums),
        )
        typical = np.array([np.exp(found.log_weights.mean)])
        return SummedDesign(
            formula=plan.formula,
            family=family,
            scope=Scope(plan.formula, scope.frame, plan.env, plan.names, tuple(TERMS), dict(scope.memory)),
            rows=Absent(),  # type: ignore[arg-type]
            answer=Answer(Absent()),  # type: ignore[arg-type]
            all_weights=np.zeros(0),
            predictor=predictor,
            family_parameters=family.parameters(Response(np.zeros(0)), yardstick, typical),
            sums=sums,
            reference=reference,
            outcome=found.answer,
            log_weights=found.log_weights,
            incomplete=found.incomplete,
            unanswered=found.rows - found.incomplete - found.n,
            missing=found.missing,
        )

    def _sums(self, predictor: Predictor, scope: Scope, reference: Reference) -> Sums:
        found = self._reduced(Summing(self.plan, self.found, predictor, dict(scope.memory), reference))
        require_same(found, self.found.n, CHANGED)
        return found

    def _whole(self) -> StandIns:
        """Rows that have all levels of the factors and groups, and others."""
        frames = [each.frame for each in self.found.witnesses.values()]
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

    def _moments(self, scope: Scope) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Mean and sd of the columns of varying effects, beyond intercepts, in one more pass if there are some."""
        effects = {bar.effects.text: bar.effects for bar in self.plan.formula.mu.bars if bar.effects.factors}
        if not effects:
            return {}
        specs = {text: materialise(each, scope, "The part before a bar")[0] for text, each in effects.items()}
        sums = self._reduced(Spreading(self.plan, self.found, dict(scope.memory), effects, specs))
        return {
            text: (np.array([each.mean for each in own]), np.array([each.sd() for each in own]))
            for text, own in sums.of.items()
        }


def vars_of(predictor: Predictor) -> dict[str, Any]:
    """Its fields."""
    return {name: getattr(predictor, name) for name in predictor.__dataclass_fields__}


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
