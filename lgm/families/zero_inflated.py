"""Counts and successes of which a share is zero whatever the linear predictor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.errors import DataError
from lgm.families.binomial import Binomial
from lgm.families.family import Family, Rng, Theta
from lgm.families.negativebinomial import NegativeBinomial
from lgm.families.poisson import Poisson
from lgm.families.response import Response
from lgm.families.stable import softplus
from lgm.parameter import PROPORTION, Parameter
from lgm.priors import beta


class ZeroInflated(Family):
    """A mixture: zero with the probability ``zi``, else a response of another family."""

    of: ClassVar[type[Poisson | NegativeBinomial | Binomial]]

    log_concave = False
    whole = True

    @property
    def other(self) -> Family:
        """The family of the responses that are not zero by themselves."""
        return self.of(link=self.link)

    def check(self, y: Response, name: str) -> None:
        """As in the other family."""
        self.other.check(y, name)

    def one_sided(self, y: Response) -> IntArray | None:
        """As in the other family: its zeros are among those of the mixture."""
        return self.other.one_sided(y)

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """As in the other family, by all rows."""
        return self.other.level_of(y, offset, weights)

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """Those of the other family, and ``zi``."""
        return (*self.other.parameters(y, yardstick, weights), zero_probability(0.5 * zero_share(y)))

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w log(zi + (1 - zi) f(0))`` for zeros, ``w (log(1 - zi) + log f(y))`` for others."""
        log_f = self.other.loglik(y, eta, theta, 1.0)
        log_zi, log_rest = jnp.log(theta["zi"]), jnp.log1p(-theta["zi"])
        zero = log_zi + softplus(log_rest - log_zi + log_f)
        return weights * jnp.where(y.value == 0.0, zero, log_rest + log_f)

    def information(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """What the other family has, for zeros times the probability that they are of it.

        That is the information if it were known which zeros are (Louis 1982): at least the observed one, so Newton
        ascends, and the same but for zeros.
        """
        log_f = self.other.loglik(y, eta, theta, 1.0)
        own = jax.nn.sigmoid(jnp.log1p(-theta["zi"]) - jnp.log(theta["zi"]) + log_f)
        return weights * jnp.where(y.value == 0.0, own, 1.0) * curvature(self.other, y, eta, theta)

    def mean(self, eta: FloatArray, theta: Theta) -> FloatArray:
        """``(1 - zi) mu``."""
        return (1.0 - theta["zi"]) * self.other.mean(eta, theta)

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """``zi + (1 - zi) F(y)`` from zero on."""
        inside = self.other.cdf(y, eta, theta, weights, trials)
        assert inside is not None
        return np.where(y[:, None] < 0.0, 0.0, theta["zi"] + (1.0 - theta["zi"]) * inside)

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Those of the other family, some of them made zero."""
        drawn = self.other.simulate(rng, eta, theta, weights, trials)
        return np.where(rng.random(eta.shape) < theta["zi"], 0.0, drawn)


@dataclass(frozen=True)
class ZeroInflatedPoisson(ZeroInflated):
    r"""Zero with the probability ``zi``, else ``Poisson(mu_i)``, ``log mu_i = eta_i``.

    Hence ``P(0) = zi + (1 - zi) exp(-mu_i)``, and the mean of the response is ``(1 - zi) mu_i``. ``zi`` is uniform on
    (0, 1) by default, ``beta(1, 1)``, as in brms: no zeros of this kind are within reach.

    A weight multiplies the log-likelihood of its row, as in R's ``glm``: a row of weight 2 counts as two.

    References
    ----------
    Lambert, D. (1992), Zero-inflated Poisson regression. Technometrics 34, 1-14.
    """

    link: str = "log"

    name = "zero_inflated_poisson"
    links = ("log",)
    of = Poisson


@dataclass(frozen=True)
class ZeroInflatedNegativeBinomial(ZeroInflated):
    r"""Zero with the probability ``zi``, else ``NB(mu_i, shape)``, ``log mu_i = eta_i``, as in `NegativeBinomial`.

    Hence ``P(0) = zi + (1 - zi) (1 + mu_i / shape)^-shape``, and the mean of the response is ``(1 - zi) mu_i``. ``zi``
    is uniform on (0, 1) by default, ``beta(1, 1)``, as in brms; ``shape`` is as in `NegativeBinomial`.

    A weight multiplies the log-likelihood of its row, as in R's ``glm``: a row of weight 2 counts as two.

    References
    ----------
    Greene, W. H. (1994), Accounting for excess zeros and sample selection in Poisson and negative binomial regression
    models. NYU working paper EC-94-10.
    """

    link: str = "log"

    name = "zero_inflated_negativebinomial"
    dispersion = "shape"
    aliases = ("zero_inflated_negbinomial", "zero_inflated_negative_binomial")
    links = ("log",)
    of = NegativeBinomial


@dataclass(frozen=True)
class ZeroInflatedBinomial(ZeroInflated):
    r"""No success with the probability ``zi``, else ``Binomial(n_i, mu_i)`` with a logit, probit or cloglog link.

    The mean share of successes is ``(1 - zi) mu_i``. ``zi`` is uniform on (0, 1) by default, ``beta(1, 1)``, as in
    brms.

    A weight multiplies the log-likelihood of its row, as in R's ``glm``: a row of weight 2 counts as two.

    References
    ----------
    Hall, D. B. (2000), Zero-inflated Poisson and binomial regression with random effects. Biometrics 56, 1030-1039.
    """

    link: str = "logit"

    name = "zero_inflated_binomial"
    links = ("logit", "probit", "cloglog")
    forms = ("trials",)
    of = Binomial

    def check(self, y: Response, name: str) -> None:
        """Whole numbers of successes, not only of single trials."""
        super().check(y, name)
        if y.trials is None or np.max(y.trials) < 2.0:
            raise DataError(
                f"the response {name} is of single trials, which tell nothing of their zeros; {self.name} is for "
                'successes out of several trials. Accepted for single ones: family="bernoulli".'
            )


def zero_probability(start: float) -> Parameter:
    """``zi``, uniform by default."""
    return Parameter(("zi",), "zi", PROPORTION, beta(1.0, 1.0), start, (("Response", "zi"),))


def zero_share(y: Response) -> float:
    """The share of zeros, with one row more than there are, half of it zero."""
    times = np.ones(y.size) if y.times is None else np.asarray(y.times)
    return float((times @ (np.asarray(y.value) == 0.0) + 0.5) / (y.number + 1.0))


def curvature(family: Family, y: Response, eta: Any, theta: Mapping[str, Any]) -> Any:
    """Minus the second derivative of a log-likelihood in eta."""

    def slope(e: Any) -> Any:
        return jax.jvp(lambda e: family.loglik(y, e, theta, 1.0), (e,), (jnp.ones_like(e),))[1]

    return -jax.jvp(slope, (eta,), (jnp.ones_like(eta),))[1]
