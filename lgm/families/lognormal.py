"""Lognormal measurements and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from lgm.arrays import FloatArray
from lgm.families.family import Rng, Theta
from lgm.families.response import Response
from lgm.families.standard import NORMAL
from lgm.families.times import Times, log_likelihood, log_times
from lgm.parameter import POSITIVE, Parameter
from lgm.priors import exponential


@dataclass(frozen=True)
class Lognormal(Times):
    r"""``log y_i ~ N(eta_i, sigma^2)``: the median is ``exp(eta_i)``, the mean ``exp(eta_i + sigma^2 / 2)``.

    ``sigma`` has an exponential prior with mean one. Values may be censored on the right, on the left or between two
    values; what counts is then the probability. Without censoring and weights this is the Gaussian model of ``log(y)``,
    on the scale of y.

    A weight multiplies the log-likelihood of its row: a row of weight 2 counts as two.

    References
    ----------
    Johnson, Kotz & Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 14.
    """

    name = "lognormal"
    residual = "sigma"

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """Mean of the logarithms."""
        return float(np.average(np.log(y.value) - offset, weights=weights))

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """The sd of the logarithm."""
        return (Parameter(("sigma",), "sigma", POSITIVE, exponential(1.0), 0.5, (("Residual", "sigma"),)),)

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``-w ((log y - eta)^2 / (2 sigma^2) + log(y sigma sqrt(2 pi)))``, or of censored values ``w log P``."""
        return weights * log_likelihood(y, NORMAL, eta, theta["sigma"])

    def mean(self, eta: FloatArray, theta: Theta) -> FloatArray:
        """``exp(eta + sigma^2 / 2)``."""
        return np.exp(eta + 0.5 * np.square(theta["sigma"]))

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """That of the standardised logarithm."""
        return np.asarray(ndtr((log_times(y) - eta) / theta["sigma"]))

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Values, none of them censored."""
        return np.exp(eta + theta["sigma"] * rng.standard_normal(eta.shape))
