"""The later passes over data in partitions, as functions of a partition that can be sent elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from lgm.data.model_matrix import materialise
from lgm.data.moments import Moments
from lgm.design import predictor as predictors
from lgm.design.predictor import Parts, Predictor
from lgm.design.reference import Reference
from lgm.design.sums import Sums
from lgm.design.survey import CHANGED, Plan, Survey
from lgm.errors import DataError
from lgm.formula.sides import Effects


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
        scope = replace(self.plan.scope(self.found.cast(read.frame)), memory=self.memory)
        rows = predictors.encode(self.predictor, scope, Parts.all(self.predictor))
        for each in rows.encoded:
            if each is not None and each.novel is not None:
                raise DataError(f"{CHANGED}: {each.novel.what}.")
        y = scope.numbers(self.plan.formula.response.value, "the response") - rows.offset
        z = sp.hstack(
            [sp.csc_array((scope.n, 0)), *(each.z for each in rows.encoded if each is not None)], format="csc"
        )
        return Sums.of(rows.X, z, y, read.weights, self.reference)


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
