"""Poisson counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from lgm.arrays import FloatArray, IntArray
from lgm.families.counts import log_level, no_events, require_counts
from lgm.families.family import Family
from lgm.families.response import Response


@dataclass(frozen=True)
class Poisson(Family):
    r"""``y_i ~ Poisson(mu_i)``, ``log mu_i = eta_i``.

    A weight multiplies the log-likelihood of its row, as in R's ``glm``: a row of weight 2 counts as two.
    """

    link: str = "log"

    name = "poisson"
    links = ("log",)

    @property
    def kernel(self) -> str | None:
        """With the logarithm."""
        return "poisson_log"

    def check(self, y: Response, name: str) -> None:
        """Whole numbers from zero."""
        require_counts(y, name, self.name)

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """Log of the mean count for each unit of exposure."""
        return log_level(y, offset, weights)

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w (y eta - exp(eta) - log y!)``."""
        return weights * (y.value * eta - jnp.exp(eta) - gammaln(y.value + 1.0))

    def one_sided(self, y: Response) -> IntArray:
        """Zeros."""
        return no_events(y)

    def simulate(
        self,
        rng: np.random.Generator,
        eta: FloatArray,
        theta: Mapping[str, FloatArray],
        weights: FloatArray,
        trials: FloatArray,
    ) -> FloatArray:
        """Counts."""
        return rng.poisson(self.mean(eta, theta)).astype(float)
