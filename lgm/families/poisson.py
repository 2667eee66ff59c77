"""Poisson counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.special import gammainc, gammaincc, gammaln

from lgm.arrays import FloatArray
from lgm.families.counts import Truncatable, at_counts, first_event, poisson_draws
from lgm.families.family import Rng, Sums, Theta
from lgm.families.response import Response
from lgm.families.stable import log_factorial


@dataclass(frozen=True)
class Poisson(Truncatable):
    r"""``y_i ~ Poisson(mu_i)``, ``log mu_i = eta_i``.

    A weight multiplies the log-likelihood of its row, as in R's ``glm``: a row of weight 2 counts as two.
    """

    name = "poisson"
    adds_up = True

    @property
    def kernel(self) -> str | None:
        """With the logarithm."""
        return "poisson_log"

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w (y eta - exp(eta) - log y!)``."""
        return weights * (y.value * eta - jnp.exp(eta) - log_factorial(y.value))

    def added_up(self, y: Response, sums: Sums) -> tuple[Response, FloatArray, FloatArray]:
        """The sum of counts, whose mean is so many times theirs."""
        total, size = sums(y.value), sums(np.ones(y.size))
        constant = gammaln(total + 1.0) - sums(gammaln(y.value + 1.0)) - total * np.log(size)
        return Response(total), np.log(size), constant

    def variance(self, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """The mean."""
        return self.mean(eta, theta)

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """A gamma probability: that as many events take longer."""
        return at_counts(y, lambda k: gammaincc(k + 1.0, np.exp(eta)))

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Counts."""
        return poisson_draws(rng, self.mean(eta, theta))

    def nonzero(self, eta: FloatArray, theta: Theta) -> FloatArray:
        """The mean."""
        return np.exp(eta)

    def above(self, y: FloatArray, eta: FloatArray, theta: Theta) -> FloatArray:
        """That so many events take less."""
        return np.asarray(gammainc(np.floor(y)[:, None] + 1.0, np.exp(eta)))

    def positive(self, rng: np.random.Generator, eta: FloatArray, theta: Theta) -> FloatArray:
        """The first event and those after it."""
        mean = np.exp(eta)
        return 1.0 + poisson_draws(rng, mean - first_event(rng, mean))
