"""The Gaussian likelihood, for which the latent effects are integrated out exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from lgm.arrays import FloatArray
from lgm.errors import DataError
from lgm.parameter import POSITIVE, Parameter
from lgm.priors import exponential


@dataclass(frozen=True)
class Gaussian:
    r"""``y_i ~ N(eta_i, sigma^2 / w_i)`` with known weights w.

    ``sigma`` has an exponential prior whose mean is the sd of the response, for a row of typical weight.
    """

    name = "gaussian"
    link = "identity"
    predictors = ("mu",)
    residual = "sigma"

    def check(self, y: FloatArray, name: str) -> None:
        """Not all values are the same."""
        if float(np.std(y)) <= 1e-13 * float(np.max(np.abs(y))):
            raise DataError(
                f"the response {name} is {y[0]:g} in all {y.size} rows that have one; there is nothing to model."
            )

    def scale_of(self, y: FloatArray) -> float:
        """Standard deviation of the response."""
        return float(np.std(y))

    def parameters(self, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """The residual sd of a row of weight one, while the yardstick is that of rows of typical weight."""
        scale = yardstick * float(np.exp(0.5 * np.mean(np.log(weights))))
        default = exponential(1.0 / scale)
        return (Parameter(("sigma",), "sigma", POSITIVE, default, 0.5 * scale, (("Residual", "sigma"),)),)

    def loglik(self, y: Any, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``-1/2 (log 2 pi sigma^2 / w + w (y - eta)^2 / sigma^2)``."""
        precision = weights / jnp.square(theta["sigma"])
        return 0.5 * (jnp.log(precision / (2.0 * jnp.pi)) - precision * jnp.square(y - eta))

    def mean(self, eta: FloatArray, theta: Mapping[str, FloatArray]) -> FloatArray:
        """The linear predictor itself."""
        return eta

    def simulate(
        self, rng: np.random.Generator, eta: FloatArray, theta: Mapping[str, FloatArray], weights: FloatArray
    ) -> FloatArray:
        """The linear predictor with independent errors added."""
        return eta + (1.0 / np.sqrt(weights))[:, None] * theta["sigma"] * rng.standard_normal(eta.shape)
