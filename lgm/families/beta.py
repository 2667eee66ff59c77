"""Beta: proportions that are no shares of a count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, polygamma
from scipy.special import betainc

from lgm.arrays import FloatArray
from lgm.families.binomial import log_probabilities
from lgm.families.checks import RowError, require_varied
from lgm.families.family import Family, Rng, Theta
from lgm.families.response import Response
from lgm.parameter import POSITIVE, Parameter
from lgm.priors import pc_prec


@dataclass(frozen=True)
class Beta(Family):
    r"""``y_i ~ Beta(mu_i kappa, (1 - mu_i) kappa)`` in (0, 1), with a logit, probit or cloglog link.

    The variance is ``mu_i (1 - mu_i) / (1 + kappa)``; ``kappa`` is the ``phi`` of brms and glmmTMB. ``1 / sqrt(kappa)``
    has an exponential prior by which it is above 3 with probability 5% (`lgm.priors.pc_prec`).

    A weight multiplies the log-likelihood of its row: a row of weight 2 counts as two.

    References
    ----------
    Ferrari & Cribari-Neto (2004), Beta regression for modelling rates and proportions, J. Applied Statistics 31.
    """

    link: str = "logit"

    name = "beta"
    dispersion = "kappa"
    links = ("logit", "probit", "cloglog")
    aliases = ("Beta", "beta_family")
    log_concave = False

    def check(self, y: Response, name: str) -> None:
        """Numbers between 0 and 1, neither included."""
        values = np.asarray(y.value)
        wrong = np.flatnonzero(~((values > 0.0) & (values < 1.0)))
        if wrong.size:
            accepted = f", but beta is for proportions between 0 and 1, neither included. {_instead(values)}"
            raise RowError(f"the response {name} has {values[wrong[0]]:g}", wrong, accepted)
        require_varied(y, name)

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """Link of the mean."""
        return float(self.linked.forward(np.average(y.value, weights=weights)) - y.mean(offset))

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """The precision."""
        return (Parameter(("kappa",), "kappa", POSITIVE, pc_prec(3.0, 0.05), 5.0, (("Response", "kappa"),)),)

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w ((a - 1) log y + (b - 1) log(1 - y) - log B(a, b))`` with ``a = mu kappa``, ``b = (1 - mu) kappa``."""
        kappa = theta["kappa"]
        log_a, log_b = (part + jnp.log(kappa) for part in log_probabilities(self.link, eta))
        a, b = jnp.exp(log_a), jnp.exp(log_b)
        # log Gamma(a) = log Gamma(1 + a) - log a, which is finite where a is too small for a double
        log_beta = gammaln(1.0 + a) - log_a + gammaln(1.0 + b) - log_b - gammaln(kappa)
        return weights * ((a - 1.0) * jnp.log(y.value) + (b - 1.0) * jnp.log1p(-y.value) - log_beta)

    def information(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w kappa^2 mu'^2 (psi'(a) + psi'(b))``, by the slopes of ``log a`` and ``log b``."""
        eta = jnp.asarray(eta)
        logs, slopes = jax.jvp(lambda e: log_probabilities(self.link, e), (eta,), (jnp.ones_like(eta),))
        return weights * sum(
            jnp.square(slope) * (1.0 + jnp.square(part) * polygamma(1, 1.0 + part))
            for part, slope in zip((theta["kappa"] * jnp.exp(log) for log in logs), slopes, strict=True)
        )

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """The incomplete beta function."""
        mu, kappa, least = self.mean(eta, theta), theta["kappa"], np.finfo(float).tiny
        shapes = np.maximum(mu * kappa, least), np.maximum((1.0 - mu) * kappa, least)
        return np.asarray(betainc(*shapes, np.clip(y, 0.0, 1.0)[:, None]))

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Proportions; what is closer to an end than a double can be is that end."""
        mu, kappa = self.mean(eta, theta), theta["kappa"]
        least = np.finfo(float).tiny
        return rng.beta(np.maximum(mu * kappa, least), np.maximum((1.0 - mu) * kappa, least))


def _instead(values: FloatArray) -> str:
    """What to do with a response that is none of beta's."""
    low, high = float(np.min(values)), float(np.max(values))
    if low >= 0.0 and high <= 1.0:
        return (
            "Shares of a count, 0 and 1 among them: binomial, with the successes and the trials. Other zeros and ones "
            "may be modelled apart, by bernoulli, and the rows between them by beta."
        )
    if low >= 0.0 and 1.0 < high <= 100.0:
        return "Percentages: divide them by 100. Other positive measurements: gamma or lognormal."
    return "Other measurements: gaussian or t; positive ones: gamma or lognormal."
