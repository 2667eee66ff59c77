"""What every likelihood provides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from lgm.arrays import FloatArray
from lgm.parameter import Parameter


class Family(Protocol):
    """The distribution of a response given its linear predictor and the family's own hyperparameters."""

    @property
    def name(self) -> str:
        """By which users ask for it."""

    @property
    def link(self) -> str:
        """From the mean to the linear predictor."""

    @property
    def predictors(self) -> tuple[str, ...]:
        """Names of its linear predictors."""

    @property
    def residual(self) -> str | None:
        """Its parameter that is the sd of independent errors of rows, if it has one."""

    def check(self, y: FloatArray, name: str) -> None:
        """Raise a DataError unless the numbers ``y``, less their offset, can be such a response, called ``name``."""

    def scale_of(self, y: FloatArray) -> float:
        """The yardstick of default priors, in units of the linear predictor."""

    def parameters(self, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """Its hyperparameters; weights (n,) are those of the rows with a response."""

    def loglik(self, y: Any, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """Log density of each observation (n,), elementwise, for traced or NumPy arrays."""

    def mean(self, eta: FloatArray, theta: Mapping[str, FloatArray]) -> FloatArray:
        """The expected response."""

    def simulate(
        self, rng: np.random.Generator, eta: FloatArray, theta: Mapping[str, FloatArray], weights: FloatArray
    ) -> FloatArray:
        """New responses: eta (rows, S), each hyperparameter (S,), known weights (rows,)."""
