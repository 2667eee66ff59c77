"""Counts that are zero with one probability, and follow a distribution without zero otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from lgm.arrays import FloatArray
from lgm.errors import DataError
from lgm.families.counts import Counts
from lgm.families.family import Rng, Theta
from lgm.families.negativebinomial import NegativeBinomial
from lgm.families.poisson import Poisson
from lgm.families.response import Response
from lgm.families.stable import log_one_minus_exp
from lgm.families.zero_inflated import curvature, zero_probability, zero_share
from lgm.parameter import Parameter


class Hurdle(Counts):
    """Zero with the probability ``zi``, else a count of another family given that it is above zero."""

    of: ClassVar[type[Poisson | NegativeBinomial]]

    @property
    def other(self) -> Poisson | NegativeBinomial:
        """The family of counts that is truncated."""
        return self.of(link=self.link)

    def check(self, y: Response, name: str) -> None:
        """Whole numbers from zero, not all of them zero."""
        super().check(y, name)
        if not np.any(y.value):
            raise DataError(
                f"the response {name} is 0 in all {y.number} rows that have one; {self.name} has a linear predictor "
                "for counts above 0, and there is none."
            )

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """Log of the mean of the counts above zero for each unit of exposure."""
        return super().level_of(y, offset, weights * (np.asarray(y.value) > 0.0))

    def one_sided(self, y: Response) -> None:
        """Zeros say nothing of the linear predictor, which is that of the others."""
        return

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """Those of the other family, and ``zi``."""
        return (*self.other.parameters(y, yardstick, weights), zero_probability(zero_share(y)))

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w log zi`` for zeros, ``w (log(1 - zi) + log f(y) - log(1 - f(0)))`` for others."""
        log_f = self.other.loglik(y, eta, theta, 1.0)
        log_zero = self.other.loglik(replace(y, value=jnp.zeros_like(y.value)), eta, theta, 1.0)
        above = jnp.log1p(-theta["zi"]) + log_f - log_one_minus_exp(jnp.log(-log_zero))
        return weights * jnp.where(y.value == 0.0, jnp.log(theta["zi"]), above)

    def information(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """That of the other family for counts above zero: at least the observed one, so Newton ascends.

        It is the information if the zeros that are cut off were known (Louis 1982).
        """
        return weights * jnp.where(y.value == 0.0, 0.0, curvature(self.other, y, eta, theta))

    def mean(self, eta: FloatArray, theta: Theta) -> FloatArray:
        """``(1 - zi) mu / (1 - f(0))``."""
        eta = np.maximum(eta, -700.0)  # the mean of the counts above zero is then one to rounding
        return (1.0 - theta["zi"]) * np.exp(eta) / -np.expm1(-self.other.nonzero(eta, theta))

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """``zi + (1 - zi) (F(y) - F(0)) / (1 - F(0))`` from zero on."""
        eta = np.maximum(eta, -700.0)
        zero = self.other.nonzero(eta, theta)
        above = self.other.above(y, eta, theta) / -np.expm1(-zero)
        return np.where(y[:, None] < 0.0, 0.0, 1.0 - (1.0 - theta["zi"]) * np.where(y[:, None] < 1.0, 1.0, above))

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Counts above zero, some of them made zero."""
        drawn = self.other.positive(rng, np.maximum(eta, -700.0), theta)
        return np.where(rng.random(eta.shape) < theta["zi"], 0.0, drawn)


@dataclass(frozen=True)
class HurdlePoisson(Hurdle):
    r"""Zero with the probability ``zi``, else ``Poisson(mu_i)`` given that it is above zero, ``log mu_i = eta_i``.

    The mean of the response is ``(1 - zi) mu_i / (1 - exp(-mu_i))``. All zeros are of one kind (``zi`` is ``hu`` in
    brms), so ``zi`` and the effects have independent posteriors. ``zi`` is uniform on (0, 1) by default, ``beta(1,
    1)``, as in brms.

    A weight multiplies the log-likelihood of its row, as in R's ``glm``: a row of weight 2 counts as two.

    References ---------- Mullahy, J. (1986), Specification and testing of some modified count data models. Journal of
    Econometrics 33, 341-365.
    """

    name = "hurdle_poisson"
    of = Poisson


@dataclass(frozen=True)
class HurdleNegativeBinomial(Hurdle):
    r"""Zero with the probability ``zi``, else ``NB(mu_i, shape)`` given that it is above zero, ``log mu_i = eta_i``.

    The mean of the response is ``(1 - zi) mu_i / (1 - (1 + mu_i / shape)^-shape)``. All zeros are of one kind (``zi``
    is ``hu`` in brms), so ``zi`` is independent of all others given the data. ``zi`` is uniform on (0, 1) by default,
    ``beta(1, 1)``, as in brms; ``shape`` is as in `NegativeBinomial`.

    A weight multiplies the log-likelihood of its row, as in R's ``glm``: a row of weight 2 counts as two.

    References ---------- Mullahy, J. (1986), Specification and testing of some modified count data models. Journal of
    Econometrics 33, 341-365.
    """

    name = "hurdle_negativebinomial"
    dispersion = "shape"
    aliases = ("hurdle_negbinomial", "hurdle_negative_binomial")
    log_concave = False
    of = NegativeBinomial
