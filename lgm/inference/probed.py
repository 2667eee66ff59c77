"""Theta at its mode, where the density is known up to the error of probes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.inference.draws import Verdict
from lgm.inference.held import Conditional
from lgm.posterior.solvers import Estimated

SMALL = 0.1  # of a standard error: a shift of the mode beside which it does not matter


@dataclass(frozen=True, eq=False)
class Probed(Conditional):
    """As `Conditional`, of a density whose determinant was estimated.

    Parameters
    ----------
    shift : float array (k,)
        Standard error of the mode by that of the probes: what a Newton step makes of the error of the gradient.
    value_error : float
        Standard error of the log likelihood.
    sd_error : float
        Largest relative standard error of the standard deviation of an effect.
    probes : int
    """

    shift: FloatArray
    value_error: float
    sd_error: float
    probes: int

    _whole: ClassVar[str] = 'Where a factorisation fits, solver="direct" with method="nuts" has all of it.'

    @classmethod
    def of(cls, held: Conditional, error: Estimated, covariance: FloatArray) -> Probed:
        """From the error of the density at the mode, and its inverse curvature there (k, k)."""
        moved = covariance @ error.slopes @ covariance
        return cls(
            **{field.name: getattr(held, field.name) for field in fields(Conditional)},
            shift=np.sqrt(np.maximum(np.diag(moved), 0.0)),
            value_error=error.value,
            sd_error=error.sd,
            probes=error.probes,
        )

    @property
    def _largest(self) -> float:
        """The shift in units of the standard error, where it is largest."""
        known = self.standard_errors > 0
        return float(np.max(self.shift[known] / self.standard_errors[known], initial=0.0))

    def facts(self, *, proper: bool) -> dict[str, Any]:
        """What the probes say of their error."""
        return {
            "probes": self.probes,
            "log_likelihood_error": self.value_error,
            "mode_error": self._largest,
            "effect_sd_error": self.sd_error,
        }

    def verdict(self, summary: pd.DataFrame, *, points: bool = True) -> Verdict:
        """With how far the estimate may have moved the mode."""
        found, largest = super().verdict(summary, points=points), self._largest
        words = (
            f"The determinant was estimated by {self.probes} probes. The Monte Carlo error of that is up to "
            f"{largest:.2g} standard errors in the mode and {self.value_error:.2g} in the log likelihood; that of the "
            f"sds of effects is at most {100.0 * self.sd_error:.1g}%."
        )
        if largest > SMALL:
            return Verdict(f'Not exact: {words} Use solver="direct" where it fits. {found.text}', doubted=True)
        return Verdict(f"{found.text} {words}", doubted=found.doubted)
