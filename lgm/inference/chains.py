"""Draws of theta from Markov chains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.inference.draws import ENOUGH, Draws, Verdict

RHAT_LIMIT = 1.01
DIVERGENT_SHARE = 0.005
AGREEING = 4.0  # Monte Carlo errors by which the largest of some tens of differences may be off by chance


@dataclass(frozen=True, eq=False)
class Chains(Draws):
    """Draws of several chains.

    Parameters
    ----------
    step_size : float array (chains,)
    warmup : int
        Draws spent on adaptation, per chain.
    apart : float
        How far chains with a few divergences are from weighted points, in Monte Carlo errors
        (`lgm.inference.agreement`); NaN where nothing was compared.
    """

    step_size: FloatArray
    warmup: int
    apart: float = field(default=math.nan, kw_only=True)

    @property
    def few(self) -> bool:
        """Whether some draws diverged, and so few that they may be of no matter."""
        diverging = self.stats["diverging"]
        return 0 < np.sum(diverging) <= DIVERGENT_SHARE * diverging.size

    def effects_at(self) -> None:
        """None: chains move in theta alone."""

    def without_effects(self) -> Chains:
        """The same."""
        return self

    def summarised(
        self,
        table: pd.DataFrame,
        variables: Callable[[], Mapping[str, FloatArray]],
        of_chains: Callable[..., pd.DataFrame],
    ) -> pd.DataFrame:
        """With effective sample sizes and R-hat of all that moves."""
        drawn = variables()
        moving = {name: x for name, x in drawn.items() if np.ptp(x) > 0}
        table.loc[[name for name in drawn if name not in moving], "sd"] = 0.0
        return table.join(of_chains(moving))

    def facts(self, *, proper: bool) -> dict[str, Any]:
        """Nothing beyond the table."""
        return {}

    def described(self) -> str:
        """Such as ``"4 chains of 1000 after 150 for warm-up"``."""
        chains, draws, _ = self.theta.shape
        return f"{chains} chain{'s' if chains > 1 else ''} of {draws} after {self.warmup} for warm-up{self._stopped}"

    def verdict(self, summary: pd.DataFrame, *, points: bool = True) -> Verdict:
        """By R-hat, divergences and effective sample sizes, in this order; what is held is not judged.

        A few divergences are of no matter where weighted points agree with the chains.

        Without ``points``, weighted points around the mode would not stand for theta, and are no advice.
        """
        moving = summary[summary["sd"] > 0]
        chains, kept, _ = self.theta.shape
        diverging = int(np.sum(self.stats["diverging"]))
        if chains > 1:  # what moves between chains and not within them has no R-hat
            moving = moving.fillna({"r_hat": math.inf, "ess_bulk": 0.0, "ess_tail": 0.0})
        rhat, ess = moving["r_hat"].max(), moving[["ess_bulk", "ess_tail"]].min(axis=None)
        shown = "no R-hat from one chain" if chains == 1 else f"largest R-hat {rhat:.3f}"
        plural = "" if diverging == 1 else "s"
        agree = points and self.apart <= AGREEING  # not where it is NaN
        where = " (weighted points around the mode agree)" if agree else ""
        facts = f"{shown}, smallest effective sample size {ess:.0f}, {diverging} divergence{plural}{where}"
        if rhat > RHAT_LIMIT:
            worst = moving["r_hat"].idxmax()
            return Verdict(
                f"Not converged: {facts}. The chains disagree about {worst}: draw more (draws={2 * kept}, warmup="
                f"{2 * self.warmup}); if that does not help, give it a narrower prior.",
                doubted=True,
            )
        if diverging and not agree:
            bias = (
                "Few, but where they are the chains may not have gone" if self.few else "Divergences can bias the draws"
            )
            if points and self.apart > AGREEING:
                bias = f"Weighted points around the mode differ from the chains by {self.apart:.0f} Monte Carlo errors"
            other = 'compare with method="importance", ' if points else ""
            narrower = f"or give the {'standard deviations' if points else 'scales'} narrower priors"
            return Verdict(
                f"Doubtful: {facts}. {bias}: raise warmup to {2 * self.warmup}, {other}{narrower}.", doubted=True
            )
        if not ess >= ENOUGH:
            advice = f"Raise draws, so that every effective sample size reaches {ENOUGH}."
            if ess > 0:
                worst = moving[["ess_bulk", "ess_tail"]].min(axis=1).idxmin()
                wanted = _rounded_up(kept * ENOUGH / ess)
                advice = f"Raise draws to about {wanted}, so that {worst}, the smallest, reaches {ENOUGH}."
            return Verdict(f"Too few draws: {facts}. {advice}", doubted=True)
        if chains == 1:
            return Verdict(f"Unchecked: {facts}. Run chains=4, so that the chains can be compared.", doubted=True)
        return Verdict(f"Converged: {facts}.", doubted=False)


def _rounded_up(wanted: float) -> int:
    """Two leading digits, upwards."""
    step = 10 ** max(math.floor(math.log10(wanted)) - 1, 0)
    return int(math.ceil(wanted / step) * step)
