"""Inverse Gaussian measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.special import log_ndtr, ndtr

from lgm.arrays import FloatArray
from lgm.families.family import Rng, Theta
from lgm.families.positive import Positive
from lgm.families.response import Response
from lgm.parameter import POSITIVE, Parameter
from lgm.priors import pc_prec


@dataclass(frozen=True)
class Wald(Positive):
    r"""``y_i ~ InverseGaussian(mu_i, shape w_i)``, ``log mu_i = eta_i``, with known weights w.

    ``f(y) = sqrt(a / (2 pi y^3)) exp(-a (y - mu)^2 / (2 mu^2 y))`` with ``a = shape w``. The variance is
    ``mu_i^3 / (shape w_i)``: as in R's ``glm``, the dispersion ``1 / shape`` of a row is divided by its weight. The
    shape has the unit of y. The coefficient of variation of a row of typical weight whose mean is that of the response
    has an exponential prior by which it is above 3 with probability 5% (`lgm.priors.pc_prec`).

    References
    ----------
    McCullagh & Nelder (1989), Generalized Linear Models, section 2.2.2.
    """

    name = "wald"
    dispersion = "shape"
    aliases = ("inverse.gaussian", "inverse_gaussian")
    log_concave = False
    weights_count = False

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """The shape of a row of weight one."""
        mean = float(np.average(y.value, weights=weights))
        unit = mean / float(np.exp(np.mean(np.log(weights))))
        prior = pc_prec(3.0 / float(np.sqrt(unit)), 0.05)
        return (Parameter(("shape",), "shape", POSITIVE, prior, 2.0 * unit, (("Response", "shape"),)),)

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``1/2 log(a / (2 pi y^3)) - a (y / mu - 1)^2 / (2 y)`` with ``a = shape w``."""
        a = theta["shape"] * weights
        squares = jnp.square(y.value * jnp.exp(-eta) - 1.0) / y.value
        return 0.5 * (jnp.log(a / (2.0 * jnp.pi)) - 3.0 * jnp.log(y.value) - a * squares)

    def information(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``shape w / mu``."""
        return theta["shape"] * weights * jnp.exp(-eta)

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """By normal probabilities (Shuster 1968)."""
        value, mean = np.maximum(y, 1e-200)[:, None], self.mean(eta, theta)
        a = theta["shape"] * weights[:, None]
        root = np.sqrt(a / value)
        other = np.exp(2.0 * a / mean + log_ndtr(-root * (value / mean + 1.0)))
        return np.where(y[:, None] > 0.0, np.minimum(ndtr(root * (value / mean - 1.0)) + other, 1.0), 0.0)

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Measurements."""
        return rng.wald(self.mean(eta, theta), theta["shape"] * weights[:, None])
