"""Gamma measurements: a constant coefficient of variation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from scipy.special import gammainc

from lgm.arrays import FloatArray
from lgm.families.family import Rng, Theta
from lgm.families.positive import Positive
from lgm.families.response import Response
from lgm.parameter import POSITIVE, Parameter
from lgm.priors import pc_prec


@dataclass(frozen=True)
class Gamma(Positive):
    r"""``y_i ~ Gamma(shape w_i, rate = shape w_i / mu_i)``, ``log mu_i = eta_i``, with known weights w.

    The variance is ``mu_i^2 / (shape w_i)``: as in R's ``glm``, the dispersion ``1 / shape`` of a row is divided by its
    weight, so that a mean of w measurements has the weight w. The coefficient of variation of a row of typical
    weight, ``1 / sqrt(shape)``, has an exponential prior by which it is above 3 with probability 5%
    (`lgm.priors.pc_prec`).

    References
    ----------
    McCullagh & Nelder (1989), Generalized Linear Models, chapter 8.
    """

    name = "gamma"
    dispersion = "shape"
    aliases = ("Gamma",)
    weights_count = False

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """The shape of a row of weight one."""
        typical = float(np.exp(np.mean(np.log(weights))))
        prior = pc_prec(3.0 * float(np.sqrt(typical)), 0.05)
        return (Parameter(("shape",), "shape", POSITIVE, prior, 2.0 / typical, (("Response", "shape"),)),)

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """With ``a = shape w``: ``a (log(a y) - eta - y exp(-eta)) - log y - log Gamma(a)``."""
        a = theta["shape"] * weights
        return a * (jnp.log(a * y.value) - eta - y.value * jnp.exp(-eta)) - jnp.log(y.value) - gammaln(a)

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """The incomplete gamma function."""
        a = theta["shape"] * weights[:, None]
        return np.asarray(gammainc(a, a * np.maximum(y, 0.0)[:, None] / self.mean(eta, theta)))

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Measurements."""
        a = theta["shape"] * weights[:, None]
        return self.mean(eta, theta) / a * rng.gamma(a)
