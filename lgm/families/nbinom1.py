"""Counts that vary more than Poisson ones, with a variance that is proportional to the mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.special import betainc

from lgm.arrays import FloatArray
from lgm.families.counts import Counts, at_counts, poisson_draws
from lgm.families.family import Rng, Theta
from lgm.families.response import Response
from lgm.families.stable import log_factorial, log_rising
from lgm.parameter import POSITIVE, Parameter
from lgm.priors import exponential


@dataclass(frozen=True)
class NegativeBinomial1(Counts):
    r"""``y_i ~ NB1(mu_i, dispersion)``, ``log mu_i = eta_i``, with the variance ``mu_i (1 + dispersion)``.

    It is the negative binomial whose shape is ``mu_i / dispersion``, glmmTMB's ``nbinom1``; a dispersion of zero is
    Poisson. The dispersion has by default an exponential prior whose mean is the variance of the response divided by
    its mean, which bounds it from above, or one where that is less.

    A weight multiplies the log-likelihood of its row, as in R's ``glm``: a row of weight 2 counts as two.

    References
    ----------
    Hardin, J. W. & Hilbe, J. M. (2018), Generalized Linear Models and Extensions, 4th ed., sec. 13.
    """

    name = "nbinom1"
    dispersion = "dispersion"
    aliases = ("negativebinomial1",)
    log_concave = False

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """The dispersion."""
        values = np.asarray(y.value)
        ratio = max(float(np.var(values)) / max(float(np.mean(values)), 1.0 / values.size), 1.0)
        default, where = exponential(1.0 / ratio), (("Response", "dispersion"),)
        return (Parameter(("dispersion",), "dispersion", POSITIVE, default, 0.5 * ratio, where),)

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w (log Gamma(y + r) / (Gamma(r) y!) + y log d / (1 + d) - r log(1 + d))``, with ``r = mu / d``."""
        dispersion = theta["dispersion"]
        log_dispersion, rate = jnp.log(dispersion), jnp.log1p(dispersion)
        log_shape = eta - log_dispersion
        ways = log_rising(log_shape, y.value) - log_factorial(y.value)
        return weights * (ways + y.value * (log_dispersion - rate) - jnp.exp(log_shape) * rate)

    def information(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w mu'^2 / var(y) = w mu / (1 + d)``, at most Fisher's: that of the best score that is linear in y."""
        return weights * jnp.exp(eta) / (1.0 + theta["dispersion"])

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """A beta probability."""
        d = theta["dispersion"]
        return at_counts(y, lambda k: betainc(self.mean(eta, theta) / d, k + 1.0, 1.0 / (1.0 + d)))

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Poisson counts whose means are gamma variables."""
        return poisson_draws(rng, theta["dispersion"] * rng.gamma(self.mean(eta, theta) / theta["dispersion"]))
