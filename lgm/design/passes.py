"""The later passes over data in partitions, as functions of a partition that can be sent elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.data.model_matrix import materialise
from lgm.data.moments import Moments
from lgm.data.scope import Scope
from lgm.design import predictor as predictors
from lgm.design.distinct import Distinct
from lgm.design.predictor import Parts, Predictor
from lgm.design.reference import Reference
from lgm.design.sums import Sums
from lgm.design.survey import CHANGED, Plan, Read, Survey, outcome
from lgm.errors import DataError
from lgm.families.family import Family
from lgm.families.response import Response
from lgm.formula.sides import Effects
from lgm.sparse import side_by_side


@dataclass(frozen=True, eq=False)
class Summing:
    """The last pass: sums over the columns of all effects.

    Parameters
    ----------
    plan : Plan
    found : Survey
    predictor : Predictor
    memory : dict
        What expressions have learnt.
    reference : Reference
    """

    plan: Plan
    found: Survey
    predictor: Predictor
    memory: dict[str, Any]
    reference: Reference

    def __call__(self, part: Any, number: int) -> Sums:
        """The sums of one partition."""
        read = self.plan.read(part, number)
        empty = sp.csc_array((0, self.predictor.p)), sp.csc_array((0, self.predictor.q))
        if not len(read.frame):
            return Sums.of(*empty, np.zeros(0), np.zeros(0), self.reference)
        scope, x, z, offset = self.columns(read)
        y = scope.numbers(self.plan.formula.response.value, "the response") - offset
        return Sums.of(x, z, y, read.weights, self.reference, float(np.sum(offset)))

    def columns(self, read: Read) -> tuple[Scope, sp.csc_array, sp.csc_array, FloatArray]:
        """The rows of a partition: their columns of fixed and of latent effects, and offsets."""
        scope = replace(self.plan.scope(self.found.cast(read.frame)), memory=self.memory)
        rows = predictors.encode(self.predictor, scope, Parts.all(self.predictor))
        for each in rows.encoded:
            if each is not None and each.novel is not None:
                raise DataError(f"{CHANGED}: {each.novel.what}.")
        z = side_by_side([each.z for each in rows.encoded if each is not None], scope.n)
        return scope, rows.X, z, rows.offset


@dataclass(frozen=True, eq=False)
class Collapsed:
    """What is kept of a response that is no Gaussian one: sums over the fixed columns, and the rows that differ."""

    sums: Sums
    rows: Distinct

    def __add__(self, other: Collapsed) -> Collapsed:
        return Collapsed(self.sums + other.sums, self.rows + other.rows)


@dataclass(frozen=True, eq=False)
class Collapsing:
    """The last pass where the likelihood needs rows: those that are alike are one.

    Parameters
    ----------
    summing : Summing
    family : Family
    levels : tuple, optional
        The two values of a response that is a category.
    refusal : str
        What to say if too many rows are left.
    """

    summing: Summing
    family: Family
    levels: tuple[Any, ...] | None
    refusal: str

    def __call__(self, part: Any, number: int) -> Collapsed:
        """The rows of one partition."""
        summing = self.summing
        read = summing.plan.read(part, number)
        p, q = summing.predictor.p, summing.predictor.q
        if not len(read.frame):
            nothing, none = Response(np.zeros(0)), np.zeros(0)
            sums = Sums.of(sp.csc_array((0, p)), sp.csc_array((0, 0)), none, none, summing.reference)
            return Collapsed(sums, Distinct(sp.csc_array((0, p + q)), nothing, (), (), self.refusal))
        scope, x, z, offset = summing.columns(read)
        answer = outcome(summing.plan, scope, read, self.family, self.levels)
        ones, zeros = np.ones(scope.n), np.zeros(scope.n)
        empty = sp.csc_array((scope.n, 0))
        sums = Sums.of(x, empty, zeros, ones, summing.reference, float(np.sum(offset)))
        a = sp.csc_array(sp.hstack([x, z], format="csc"))
        weights = ones if answer.share else read.weights
        return Collapsed(sums, Distinct.of(self.family, a, answer.response, offset, weights, self.refusal))


@dataclass(frozen=True, eq=False)
class Spreads:
    """Moments of the columns of several effects, by the text of these."""

    of: dict[str, list[Moments]]

    def __add__(self, other: Spreads) -> Spreads:
        pairs = {text: zip(own, other.of[text], strict=True) for text, own in self.of.items()}
        return Spreads({text: [one + two for one, two in each] for text, each in pairs.items()})


@dataclass(frozen=True, eq=False)
class Spreading:
    """The pass between, where the mean and scale of varying effects have to be known.

    Parameters
    ----------
    plan : Plan
    found : Survey
    memory : dict
        What expressions have learnt.
    effects, specs : dict
        Effects by their text, and formulaic's memory of each.
    """

    plan: Plan
    found: Survey
    memory: dict[str, Any]
    effects: dict[str, Effects]
    specs: dict[str, Any]

    def __call__(self, part: Any, number: int) -> Spreads:
        """The moments of one partition."""
        read = self.plan.read(part, number)
        if not len(read.frame):
            none = Moments.of(np.zeros(0))
            return Spreads({text: [none] * len(spec.column_names) for text, spec in self.specs.items()})
        scope = replace(self.plan.scope(self.found.cast(read.frame)), memory=self.memory)
        out = {}
        for text, effects in self.effects.items():
            x = materialise(effects, scope, "The part before a bar", self.specs[text])[1]
            out[text] = [Moments.of(x[:, [j]].toarray().ravel()) for j in range(x.shape[1])]
        return Spreads(out)
