"""Student's t: measurements with outliers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.special import stdtr

from lgm.arrays import FloatArray
from lgm.families.checks import require_varied
from lgm.families.family import Family, Rng, Theta
from lgm.families.response import Response
from lgm.families.stable import log_rising
from lgm.parameter import POSITIVE, Parameter
from lgm.priors import exponential, shifted_gamma


@dataclass(frozen=True)
class Student(Family):
    r"""``y_i = eta_i + sigma / sqrt(w_i) t_i`` with t_i of Student's distribution with nu degrees of freedom.

    Sigma is the scale: the sd of a row is ``sigma sqrt(nu / (nu - 2)) / sqrt(w_i)``. A weight divides the squared scale
    of its row, as it does the variance of a Gaussian one, which the limit of large nu is. ``sigma`` has an exponential
    prior whose mean is the sd of the response, for a row of typical weight. ``nu - 2`` has a gamma(2, 0.1) prior, so
    that the sd exists (Juarez & Steel 2010); less than 2 may be held or given another prior, and then eta is the median
    and perhaps no mean.

    References
    ----------
    Lange, Little & Taylor (1989), Robust statistical modeling using the t distribution, JASA 84.
    """

    link: str = "identity"

    name = "t"
    links = ("identity",)
    aliases = ("student", "student_t")
    residual = "sigma"
    log_concave = False
    weights_count = False

    def check(self, y: Response, name: str) -> None:
        """Not all values are the same."""
        require_varied(y, name)

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """Median of the response."""
        return float(np.median(y.value - offset))

    def scale_of(self, y: Response, offset: FloatArray, *, about_zero: bool = False) -> float:
        """Standard deviation of the response; without an intercept, its root mean square."""
        return y.spread(offset, about_zero=about_zero)

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """The scale of a row of weight one, while the yardstick is that of rows of typical weight; and nu."""
        scale = yardstick * float(np.exp(0.5 * np.mean(np.log(weights))))
        return (
            Parameter(("sigma",), "sigma", POSITIVE, exponential(1.0 / scale), 0.4 * scale, (("Residual", "sigma"),)),
            Parameter(("nu",), "nu", POSITIVE, shifted_gamma(2.0, 2.0, 0.1), 10.0, (("Residual", "nu"),)),
        )

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``-(nu + 1) / 2 log(1 + r^2 / nu) - log(sigma / sqrt(w))`` and a constant, r the standardised residual."""
        nu, precision = theta["nu"], weights / jnp.square(theta["sigma"])
        constant = log_rising(jnp.log(0.5 * nu), jnp.asarray(0.5)) + 0.5 * jnp.log(precision / nu / math.pi)
        return constant - 0.5 * (nu + 1.0) * jnp.log1p(precision * jnp.square(y.value - eta) / nu)

    def information(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """The precision of the normal errors whose mixture t is, as expected given the residual.

        The quadratic with this curvature is nowhere above the log-likelihood, so that a step by it always ascends; one
        by Fisher's information ``w (nu + 1) / ((nu + 3) sigma^2)`` may not, and takes more of them.
        """
        nu, precision = theta["nu"], weights / jnp.square(theta["sigma"])
        return (nu + 1.0) * precision / (nu + precision * jnp.square(y.value - eta))

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """That of the standardised error."""
        return np.asarray(stdtr(theta["nu"], (y[:, None] - eta) * np.sqrt(weights)[:, None] / theta["sigma"]))

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """The location with independent errors added."""
        nu = np.broadcast_to(theta["nu"], eta.shape)
        return eta + (1.0 / np.sqrt(weights))[:, None] * theta["sigma"] * rng.standard_t(nu)
