r"""Links from a mean to the linear predictor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr as traced_ndtr
from scipy.special import expit, ndtr, ndtri

from lgm.arrays import FloatArray
from lgm.families.stable import logistic


@dataclass(frozen=True)
class Link:
    """A link ``eta = g(mu)``.

    Parameters
    ----------
    forward, inverse : callable
        ``g`` and its inverse, elementwise, for NumPy arrays.
    traced : callable
        The inverse for JAX arrays.
    spread : float
        Size of a usual difference in ``eta``: the sd of the latent variable whose threshold model the link is
        (logistic, normal, Gumbel), one for the logarithm. The yardstick of default priors.
    """

    forward: Callable[[Any], Any]
    inverse: Callable[[Any], Any]
    traced: Callable[[Any], Any]
    spread: float


LINKS: dict[str, Link] = {
    "identity": Link(lambda mu: mu, lambda eta: eta, lambda eta: eta, 1.0),
    "log": Link(np.log, np.exp, jnp.exp, 1.0),
    "logit": Link(
        lambda mu: np.log(mu) - np.log1p(-mu),
        expit,
        logistic,
        math.pi / math.sqrt(3.0),
    ),
    "probit": Link(ndtri, ndtr, traced_ndtr, 1.0),
    "cloglog": Link(
        lambda mu: np.log(-np.log1p(-mu)),
        lambda eta: -np.expm1(-np.exp(eta)),
        lambda eta: -jnp.expm1(-jnp.exp(eta)),
        math.pi / math.sqrt(6.0),
    ),
}


def log_rate(total: float, offset: FloatArray, weights: FloatArray) -> float:
    """``log(total / sum w exp(offset))``, whatever the size of the offset (n,).

    Examples
    --------
    >>> round(log_rate(6.0, np.log([1.0, 2.0]), np.ones(2)), 6)  # six in three units of exposure
    0.693147
    """
    highest = float(np.max(offset))
    return float(np.log(total) - np.log(np.sum(weights * np.exp(offset - highest))) - highest)
