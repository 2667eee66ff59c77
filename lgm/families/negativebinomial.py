"""Counts that vary more than Poisson ones, with a variance that is quadratic in the mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.numpy import log
from scipy.special import betainc, expit

from lgm.arrays import FloatArray
from lgm.families.counts import Truncatable, at_counts, first_event, poisson_draws
from lgm.families.family import Rng, Theta
from lgm.families.response import Response
from lgm.families.stable import log_factorial, log_rising, softplus
from lgm.parameter import POSITIVE, Parameter
from lgm.priors import pc_prec


@dataclass(frozen=True)
class NegativeBinomial(Truncatable):
    r"""``y_i ~ NB(mu_i, shape)``, ``log mu_i = eta_i``, with the variance ``mu_i + mu_i^2 / shape``.

    It is a Poisson count whose mean is ``mu_i`` times a gamma variable of mean one and sd ``1 / sqrt(shape)``: "NB2",
    in glmmTMB ``nbinom2``, in R's ``dnbinom`` its ``size``. That sd has by default an exponential prior with mean one,
    up to rounding, ``P(1 / sqrt(shape) > 3) = 5 %``: Poisson counts are within reach, factors that are zero for most
    rows are not likely. Where the data do not tell the counts from Poisson ones, ``shape`` has no finite mean; read its
    quantiles.

    A weight multiplies the log-likelihood of its row, as in R's ``glm``: a row of weight 2 counts as two.

    References
    ----------
    Lawless, J. F. (1987), Negative binomial and mixed Poisson regression. Canadian Journal of Statistics 15, 209-225.
    """

    name = "negativebinomial"
    dispersion = "shape"
    aliases = ("negative_binomial", "negbinomial", "nbinom2", "neg_binomial_2")

    @property
    def kernel(self) -> str | None:
        """With the logarithm."""
        return "negativebinomial_log"

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """The shape."""
        return (Parameter(("shape",), "shape", POSITIVE, pc_prec(3.0, 0.05), 1.0, (("Response", "shape"),)),)

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w (log Gamma(y + r) / (Gamma(r) y!) + y log mu / (mu + r) - r log(1 + mu / r))`` with r the shape."""
        shape = theta["shape"]
        log_shape = log(shape)
        rate = softplus(eta - log_shape)
        ways = log_rising(log_shape, y.value) - y.value * log_shape - log_factorial(y.value)
        return weights * (ways + y.value * (eta - rate) - shape * rate)

    def variance(self, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """``mu + mu^2 / shape``."""
        mu = self.mean(eta, theta)
        return np.asarray(mu + np.square(mu) / theta["shape"])

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """A beta probability."""
        shape = theta["shape"]
        return at_counts(y, lambda k: betainc(shape, k + 1.0, expit(np.log(shape) - eta)))

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Poisson counts with gamma factors."""
        return poisson_draws(rng, self.mean(eta, theta) * rng.gamma(theta["shape"], size=eta.shape) / theta["shape"])

    def nonzero(self, eta: FloatArray, theta: Theta) -> FloatArray:
        """``shape log(1 + mu / shape)``."""
        return theta["shape"] * _log_ratio(eta, theta)

    def above(self, y: FloatArray, eta: FloatArray, theta: Theta) -> FloatArray:
        """The other beta probability."""
        shape = theta["shape"]
        return np.asarray(betainc(np.floor(y)[:, None] + 1.0, shape, expit(eta - np.log(shape))))

    def positive(self, rng: np.random.Generator, eta: FloatArray, theta: Theta) -> FloatArray:
        """The count is that of members of a Poisson number of clusters, of logarithmic sizes; the first is certain."""
        shape, ratio = theta["shape"], _log_ratio(eta, theta)
        clusters = shape * ratio
        first = 1.0 + np.floor(-rng.exponential(size=eta.shape) / np.log(-np.expm1(-rng.random(eta.shape) * ratio)))
        rest = shape * (1.0 - first_event(rng, clusters) / clusters)
        return first + poisson_draws(rng, np.exp(eta) / shape * rng.gamma(np.maximum(rest, 0.0)))


def _log_ratio(eta: FloatArray, theta: Theta) -> FloatArray:
    """``log(1 + mu / shape)``."""
    return np.logaddexp(0.0, eta - np.log(theta["shape"]))
