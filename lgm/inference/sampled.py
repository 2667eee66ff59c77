"""Draws of theta and of the effects with it, from Markov chains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from numpyro import diagnostics

from lgm.arrays import FloatArray, IntArray
from lgm.inference.chains import Chains
from lgm.inference.draws import Mixture, joined

CHUNK = 256  # effects that are looked at together


@dataclass(frozen=True, eq=False)
class Sampled(Chains):
    """Draws of several chains that move in theta and all effects.

    Parameters
    ----------
    effects : float array (chains, draws, p + q)
        Internal coordinates; (chains, draws, 0) where they are kept elsewhere.
    """

    effects: FloatArray

    conditional: ClassVar[bool] = False

    def effects_at(self) -> tuple[Mixture, IntArray] | None:  # type: ignore[override]
        """The draws as points of equal weight, each its own conditional mean: no other is known."""
        if not self.effects.shape[-1]:
            return None
        u = joined(self.effects)
        theta = self.theta.reshape(len(u), -1)
        return Mixture(theta, np.full(len(u), -np.log(len(u))), u, u[:, None]), np.arange(len(u))

    def without_effects(self) -> Sampled:
        """The same chains of theta alone."""
        return replace(self, effects=self.effects[..., :0])

    def described(self) -> str:
        """Such as ``"4 chains of 1000 after 150 for warm-up, effects among them"``."""
        return f"{super().described()}, effects among them"

    def judged(
        self,
        table: pd.DataFrame,
        effects: Callable[[], Mapping[str, FloatArray]],
        of_chains: Callable[..., pd.DataFrame],
    ) -> pd.DataFrame:
        """With the effects of which chains say least, and of which they disagree most."""
        drawn = effects()
        moving = [name for name, x in drawn.items() if np.ptp(x) > 0]
        if not moving:
            return table
        rhat, ess = _screened([drawn[name] for name in moving])
        worst = {moving[place]: drawn[moving[place]] for place in (int(np.argmax(rhat)), int(np.argmin(ess)))}
        sds = pd.DataFrame({"sd": {name: x.std() for name, x in worst.items()}})
        return pd.concat([table, sds.join(of_chains(worst))])


def _screened(drawn: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """R-hat and effective sample sizes of many variables (chains, draws), quick ones that only rank them."""
    parts = [np.stack(drawn[start : start + CHUNK], axis=-1) for start in range(0, len(drawn), CHUNK)]
    rhat = np.concatenate([diagnostics.split_gelman_rubin(x) for x in parts])
    return rhat, np.concatenate([diagnostics.effective_sample_size(x) for x in parts])
