"""Draws of theta that are resampled from weighted points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray, IntArray
from lgm.inference.draws import ENOUGH, Draws, Mixture, Points, Verdict, without_density
from lgm.posterior.hyperparameters import Hyperparameters


@dataclass(frozen=True, eq=False)
class Weighted(Draws):
    """Equally weighted draws in one chain, resampled from weighted points.

    Parameters
    ----------
    points : Points
    index : int array (draws,)
        Which point each draw is.
    """

    points: Points
    index: IntArray

    def effects_at(self) -> tuple[Mixture, IntArray] | None:
        """Effects at the points, or the fixed ones where all were too large to keep."""
        return (self.points, self.index) if self.points.mean.shape[1] else None

    def weighted(self, new: Callable[[], Points]) -> Points:
        """These."""
        return self.points

    def without_effects(self) -> Weighted:
        """The same draws and points, and nothing of u."""
        return replace(self, points=self.points.without_effects())

    def printed(self, hyper: Hyperparameters) -> Weighted:
        """The same draws and points, with theta as tables show it."""
        return replace(super().printed(hyper), points=self.points.printed(hyper))

    def summarised(
        self,
        table: pd.DataFrame,
        variables: Callable[[], Mapping[str, FloatArray]],
        of_chains: Callable[..., pd.DataFrame],
    ) -> pd.DataFrame:
        """Points give moments directly; what was resampled from them says nothing of their number."""
        weights, theta = np.exp(self.points.log_weights), self.points.theta
        mean = np.where(np.ptp(theta, axis=0) > 0, weights @ theta, theta[0])  # what is held has no sd by rounding
        moments = np.column_stack([mean, np.sqrt(weights @ (theta - mean) ** 2)])
        table.iloc[len(table) - mean.size :, :2] = moments
        return table.assign(ess_bulk=self.points.ess, ess_tail=np.nan, r_hat=np.nan)

    def facts(self, *, proper: bool) -> dict[str, Any]:
        """Pareto k, numbers of effective and of failed points, and ``log p(y)`` with its Monte Carlo error."""
        points = self.points
        found = {"pareto_k": points.k, "ess": points.ess, "failed": points.failed}
        evidence = {"log_evidence": points.log_evidence, "log_evidence_se": points.log_evidence_se}
        return {**found, **evidence} if proper else found

    def described(self) -> str:
        """Such as ``"4000 from 1024 weighted points"``."""
        return f"{self.theta.shape[1]} from {self.points.size} weighted points{self._stopped}"

    def verdict(self, summary: pd.DataFrame, *, points: bool = True) -> Verdict:
        """Can the weights be trusted where the points are, and are there enough of them."""
        own = self.points
        failed = without_density(own.failed, own.size)
        facts = f"Pareto k {own.k:.2f} (limit {own.limit:.2f}), {own.ess:.0f} effective of {own.size} points"
        if not own.k <= own.limit:
            advice = 'A few points carry most of the weight: use method="nuts", or fallback="nuts".'
            return Verdict(f"Not reliable: {facts}. {advice}{failed}", doubted=True)
        if own.ess < ENOUGH:
            advice = 'Use method="nuts", or fallback="nuts".'
            return Verdict(f"Too few points: {facts}, fewer than {ENOUGH}. {advice}{failed}", doubted=True)
        where = "around the mode and where standard deviations are zero"
        return Verdict(f"Reliable: {facts}, {where}.{failed}", doubted=False)
