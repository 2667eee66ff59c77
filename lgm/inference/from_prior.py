"""Draws of theta from its prior, as independent as draws can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import jax
import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.inference.compile import Plan
from lgm.inference.draws import Draws, Expected, Run, Verdict
from lgm.inference.keys import key
from lgm.posterior.density import Marginal
from lgm.xla import own_settings


@dataclass(frozen=True, eq=False)
class Independent(Draws):
    """One chain of independent draws."""

    def effects_at(self) -> None:
        """None: effects are drawn given theta."""

    def without_effects(self) -> Self:
        """The same."""
        return self

    def summarised(
        self,
        table: pd.DataFrame,
        variables: Callable[[], Mapping[str, FloatArray]],
        of_chains: Callable[..., pd.DataFrame],
    ) -> pd.DataFrame:
        """Each draw counts as one."""
        size = float(self.theta.shape[1])
        return table.assign(ess_bulk=size, ess_tail=size, r_hat=np.nan)

    def facts(self, *, proper: bool) -> dict[str, Any]:
        """Nothing beyond the table."""
        return {}

    def described(self) -> str:
        """Such as ``"4000, independent"``."""
        return f"{self.theta.shape[1]}, independent"

    def verdict(self, summary: pd.DataFrame, *, points: bool = True) -> Verdict:
        """Always the same."""
        return Verdict("Exact: independent draws from the prior, for which no response was used.", doubted=False)


@dataclass(frozen=True)
class FromPrior:
    """Draws from the prior; it serves a posterior of no rows (`lgm.posterior.no_rows`)."""

    draws: int
    seed: int

    moves = False

    def expected(self, post: Marginal) -> Expected:
        """As many thetas as draws, none of them with effects."""
        return Expected(self.draws, self.draws)

    def programs(self, post: Marginal) -> list[Plan]:
        """Nothing."""
        return []

    def run(self, post: Marginal, start: FloatArray) -> Run[Independent]:
        """See `lgm.inference.engine.Engine`."""
        with own_settings():
            theta = jax.vmap(post.hyper.sample)(key(self.seed, 12, shape=(self.draws,)))
            lp = np.asarray(jax.vmap(post.hyper.log_prior)(theta))
        stats = {"lp": lp[None], "diverging": np.zeros((1, self.draws), dtype=bool)}
        return Run(None, Independent(np.asarray(theta)[None], stats, False), "prior")
