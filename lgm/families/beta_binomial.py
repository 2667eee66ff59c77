"""Successes out of trials that vary more than binomial ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from scipy.special import betaln

from lgm.arrays import FloatArray
from lgm.errors import DataError
from lgm.families.binomial import Binomial, log_probabilities, trials_of
from lgm.families.family import Rng, Theta
from lgm.families.response import Response
from lgm.families.stable import log_rising
from lgm.parameter import POSITIVE, Parameter
from lgm.priors import pc_prec

_LEAST = np.finfo(float).tiny  # of a shape of the beta distribution


@dataclass(frozen=True)
class BetaBinomial(Binomial):
    r"""``y_i ~ Binomial(n_i, p_i)``, ``p_i ~ Beta(mu_i kappa, (1 - mu_i) kappa)``; logit, probit or cloglog link.

    The variance of y is ``n mu (1 - mu) (1 + (n - 1) / (kappa + 1))``: two trials of one row are correlated by ``1 /
    (kappa + 1)``. ``kappa`` is bambi's name (``phi`` in brms and glmmTMB). ``1 / sqrt(kappa)`` has by default an
    exponential prior with mean one, up to rounding, ``P(1 / sqrt(kappa) > 3) = 5 %``: binomial responses are within
    reach, rows of successes or failures only are not likely. Where the data do not tell the responses from binomial
    ones, ``kappa`` has no finite mean; read its quantiles.

    A weight multiplies the log-likelihood of its row, as in R's ``glm``: a row of weight 2 counts as two.

    References
    ----------
    Williams, D. A. (1975), The analysis of binary responses from toxicological experiments involving reproduction and
    teratogenicity. Biometrics 31, 949-952.
    """

    name = "beta_binomial"
    forms = ("trials",)
    dispersion = "kappa"
    aliases = ("betabinomial",)
    log_concave = False
    adds_up = False

    @property
    def kernel(self) -> str | None:
        """It does not."""
        return None

    def check(self, y: Response, name: str) -> None:
        """Whole numbers of successes, not only of single trials."""
        super().check(y, name)
        if np.max(trials_of(y)) < 2.0:
            raise DataError(
                f"the response {name} is of single trials, which tell nothing of how much shares vary; {self.name} is "
                'for successes out of several trials. Accepted for single ones: family="bernoulli".'
            )

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """The precision of the shares."""
        return (Parameter(("kappa",), "kappa", POSITIVE, pc_prec(3.0, 0.05), 2.0, (("Response", "kappa"),)),)

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w log C(n, y) B(y + a, n - y + b) / B(a, b)`` with ``a = mu kappa``, ``b = (1 - mu) kappa``."""
        trials, log_kappa = jnp.asarray(trials_of(y)), jnp.log(theta["kappa"])
        ways = gammaln(trials + 1.0) - gammaln(y.value + 1.0) - gammaln(trials - y.value + 1.0)
        shapes = log_kappa + jnp.stack(log_probabilities(self.link, eta))
        outcomes = jnp.sum(log_rising(shapes, jnp.stack([y.value, trials - y.value])), axis=0)
        return weights * (ways + outcomes - log_rising(log_kappa, trials))

    def information(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w (n mu')^2 / var(y)``, at most Fisher's: that of the best score that is linear in y."""
        trials, one = trials_of(y), jnp.ones_like(eta)
        (success, failure), (slope, _) = jax.jvp(lambda e: log_probabilities(self.link, e), (eta,), (one,))
        inflation = 1.0 + (trials - 1.0) / (theta["kappa"] + 1.0)
        return weights * trials * jnp.square(slope) * jnp.exp(success - failure) / inflation

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """By summing up the probabilities of all numbers of successes."""
        kappa, mean, n = theta["kappa"], self.mean(eta, theta), trials[:, None]
        a, b = np.maximum(mean * kappa, _LEAST), np.maximum((1.0 - mean) * kappa, _LEAST)
        total = np.zeros(eta.shape)
        for k in range(int(np.max(np.clip(y, -1.0, trials), initial=-1.0)) + 1):
            rest = np.maximum(n - k, 0.0)
            ways = -np.log(n + 1.0) - betaln(k + 1.0, rest + 1.0)
            total += np.where((y >= k)[:, None] & (k <= n), np.exp(ways + betaln(k + a, rest + b) - betaln(a, b)), 0.0)
        return np.minimum(total, 1.0)

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Numbers of successes with shares that are beta variables."""
        mean = self.mean(eta, theta)
        share = rng.beta(np.maximum(mean * theta["kappa"], _LEAST), np.maximum((1.0 - mean) * theta["kappa"], _LEAST))
        return rng.binomial(trials.astype(np.int64)[:, None], share).astype(float)
