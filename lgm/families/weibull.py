"""Weibull times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.scipy.special import gammaln as traced_gammaln
from scipy.special import gammaln

from lgm.arrays import FloatArray
from lgm.families.family import Rng, Theta
from lgm.families.response import Response
from lgm.families.standard import EXTREME
from lgm.families.times import Times, log_likelihood, log_times
from lgm.parameter import POSITIVE, Parameter
from lgm.priors import gamma


@dataclass(frozen=True)
class Weibull(Times):
    r"""``P(y_i > t) = exp(-(t / s_i)^shape)`` with the mean ``mu_i = s_i Gamma(1 + 1 / shape)``, ``log mu_i = eta_i``.

    With a shape of one times are exponential, with more the hazard grows. The parametrisation is that of brms. Minus
    shape times an effect is a log hazard ratio. Times may be censored on the right, on the left or between two values;
    what counts is then the probability. ``shape`` has a ``gamma(2, 1)`` prior, whose mode is one.

    A weight multiplies the log-likelihood of its row: a row of weight 2 counts as two.

    References
    ----------
    Kalbfleisch & Prentice (2002), The Statistical Analysis of Failure Time Data, sections 2.2 and 3.2.
    """

    name = "weibull"
    dispersion = "shape"

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """The shape."""
        return (Parameter(("shape",), "shape", POSITIVE, gamma(2.0, 1.0), 1.0, (("Response", "shape"),)),)

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w (log(shape / y) + z - exp(z))``, ``z = shape log(y / s)``; of censored times ``w log P``."""
        scale = 1.0 / theta["shape"]
        return weights * log_likelihood(y, EXTREME, eta - traced_gammaln(1.0 + scale), scale)

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """``1 - exp(-(y / s)^shape)``."""
        shape = theta["shape"]
        return -np.expm1(-np.exp(shape * (log_times(y) - eta + gammaln(1.0 + 1.0 / shape))))

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Times, none of them censored."""
        shape = theta["shape"]
        return np.exp(eta - gammaln(1.0 + 1.0 / shape)) * rng.weibull(shape, eta.shape)
