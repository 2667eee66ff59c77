"""Exponential times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lgm.arrays import FloatArray
from lgm.families.family import Rng, Theta
from lgm.families.response import Response
from lgm.families.standard import EXTREME
from lgm.families.times import Times, log_likelihood, log_times


@dataclass(frozen=True)
class Exponential(Times):
    r"""``f(y_i) = exp(-y_i / mu_i) / mu_i`` with the mean ``log mu_i = eta_i``; the rate is ``1 / mu_i``.

    Times may be censored on the right, on the left or between two values; what counts is then the probability. The
    parametrisation is that of brms: a positive effect makes times longer, and minus an effect is a log hazard ratio.
    No parameter of its own.

    A weight multiplies the log-likelihood of its row: a row of weight 2 counts as two.

    References
    ----------
    Kalbfleisch & Prentice (2002), The Statistical Analysis of Failure Time Data, sections 2.2 and 3.2.
    """

    name = "exponential"

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w (-eta - y exp(-eta))``, or of censored times ``w log P``."""
        return weights * log_likelihood(y, EXTREME, eta, 1.0)

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """``1 - exp(-y / mu)``."""
        return -np.expm1(-np.exp(log_times(y) - eta))

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Times, none of them censored."""
        return rng.exponential(self.mean(eta, theta))
