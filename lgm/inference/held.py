"""Draws in which theta does not move: held at its mode, or fixed by its priors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from lgm.arrays import BoolArray, FloatArray
from lgm.inference.draws import Draws, Verdict


@dataclass(frozen=True, eq=False)
class Held(Draws):
    """One chain of the same theta."""

    def effects_at(self) -> None:
        """None: given one theta they are normal."""

    def without_effects(self) -> Self:
        """The same."""
        return self

    def summarised(
        self,
        table: pd.DataFrame,
        variables: Callable[[], Mapping[str, FloatArray]],
        of_chains: Callable[..., pd.DataFrame],
    ) -> pd.DataFrame:
        """With the sd and interval that a theta which does not move has."""
        theta = self.theta[0, 0]
        at = len(table) - theta.size
        table.iloc[at:, 0], table.iloc[at:, 1:] = theta, self._spread(table.iloc[at:, 1:].to_numpy())
        return table.assign(ess_bulk=np.nan, ess_tail=np.nan, r_hat=np.nan)

    def facts(self, *, proper: bool) -> dict[str, Any]:
        """Nothing beyond the table."""
        return {}

    def described(self) -> str:
        """Such as ``"4000, hyperparameters held"``; in a model without any, ``"4000, independent"``."""
        return f"{self.theta.shape[1]}, {'hyperparameters held' if self.theta.shape[2] else 'independent'}"

    @abstractmethod
    def _spread(self, of_draws: FloatArray) -> FloatArray:
        """Sd and ends of the interval of theta (k, 3), where those of the draws are known."""


@dataclass(frozen=True, eq=False)
class Exact(Held):
    """Every hyperparameter is fixed by its prior: nothing is left out."""

    def verdict(self, summary: pd.DataFrame, *, points: bool = True) -> Verdict:
        """Always the same, but for a model without hyperparameters."""
        why = "every hyperparameter is fixed" if self.theta.shape[2] else "there are no hyperparameters"
        return Verdict(f"Exact: {why}, so the draws are independent.", doubted=False)

    def _spread(self, of_draws: FloatArray) -> FloatArray:
        return np.column_stack([np.zeros(len(of_draws)), of_draws[:, 1:]])


@dataclass(frozen=True, eq=False)
class Conditional(Held):
    """Theta is held at its posterior mode.

    Parameters
    ----------
    standard_errors : float array (k,)
        From the curvature there; NaN where the mode is at the end of a range, or the density does not fall around it.
    at_end : bool array (k,)
        Where it is at the end of a range.
    settled : bool
        Whether the slope of the density vanishes there.
    """

    standard_errors: FloatArray
    at_end: BoolArray
    settled: bool

    _whole: ClassVar[str] = 'Use method="nuts" for all of it.'

    def described(self) -> str:
        """Such as ``"4000, hyperparameters held at their mode"``."""
        return f"{super().described()} at their mode"

    def verdict(self, summary: pd.DataFrame, *, points: bool = True) -> Verdict:
        """What is left out, and which modes are at the end of their range: that says little of where they are."""
        if not self.settled:
            text = (
                "Not converged: the search for the mode of the hyperparameters stopped where their density still rises."
            )
            return Verdict(f'{text} Use method="nuts", or priors that say more.', doubted=True)
        names = summary.index[-self.at_end.size :]
        ends, unspoken = names[self.at_end], names[np.isnan(self.standard_errors) & ~self.at_end]
        words = f" The mode of {', '.join(ends)} is at the end of the range." if len(ends) else ""
        words += f" The data do not speak of {', '.join(unspoken)}." if len(unspoken) else ""
        return Verdict(
            "Conditional: hyperparameters are held at their posterior mode, with standard errors from the curvature "
            f"there; intervals of effects leave out their uncertainty.{words} {self._whole}",
            doubted=False,
        )

    def _spread(self, of_draws: FloatArray) -> FloatArray:
        return np.column_stack([self.standard_errors, np.full((len(of_draws), 2), np.nan)])
