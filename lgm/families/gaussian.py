"""The Gaussian likelihood; with the identity link the latent effects are integrated out exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr

from lgm.arrays import FloatArray
from lgm.families.checks import require_varied
from lgm.families.family import Family, Rng, Theta
from lgm.families.response import Response
from lgm.parameter import POSITIVE, Parameter
from lgm.priors import exponential


@dataclass(frozen=True)
class Gaussian(Family):
    r"""``y_i ~ N(mu_i, sigma^2 / w_i)`` with known weights w.

    ``sigma`` has an exponential prior whose mean is the sd of the response, for a row of typical weight.
    """

    link: str = "identity"

    name = "gaussian"
    links = ("identity", "log")
    aliases = ("normal",)
    residual = "sigma"
    log_concave = False  # with the log link
    weights_count = False

    @property
    def conjugate(self) -> bool:
        """With the identity link."""
        return self.link == "identity"

    def check(self, y: Response, name: str) -> None:
        """Not all values are the same."""
        require_varied(y, name)

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """Mean of the response."""
        if self.link == "identity":
            return float(np.mean(y.value - offset))
        return float(np.log(np.maximum(np.mean(y.value), 0.1 * np.std(y.value))) - np.mean(offset))

    def scale_of(self, y: Response, offset: FloatArray, *, about_zero: bool = False) -> float:
        """Standard deviation of the response; without an intercept, its root mean square."""
        if self.link != "identity":
            return super().scale_of(y, offset)
        return y.spread(offset, about_zero=about_zero)

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """The residual sd of a row of weight one, while the yardstick is that of rows of typical weight."""
        spread = yardstick if self.link == "identity" else float(np.std(y.value))
        scale = spread * float(np.exp(0.5 * np.mean(np.log(weights))))
        default = exponential(1.0 / scale)
        return (Parameter(("sigma",), "sigma", POSITIVE, default, 0.5 * scale, (("Residual", "sigma"),)),)

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``-1/2 (log 2 pi sigma^2 / w + w (y - mu)^2 / sigma^2)``."""
        precision = weights / jnp.square(theta["sigma"])
        return 0.5 * (jnp.log(precision / (2.0 * jnp.pi)) - precision * jnp.square(y.value - self.linked.traced(eta)))

    def information(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w mu'(eta)^2 / sigma^2``."""
        slope = 1.0 if self.link == "identity" else self.linked.traced(eta)
        return weights * jnp.square(slope / theta["sigma"])

    def variance(self, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """``sigma^2 / w``."""
        return np.asarray(np.square(theta["sigma"]) / weights[:, None] + np.zeros(eta.shape))

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """That of the standardised error."""
        return np.asarray(ndtr((y[:, None] - self.mean(eta, theta)) * np.sqrt(weights)[:, None] / theta["sigma"]))

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """The mean with independent errors added."""
        errors = (1.0 / np.sqrt(weights))[:, None] * theta["sigma"] * rng.standard_normal(eta.shape)
        return self.mean(eta, theta) + errors
