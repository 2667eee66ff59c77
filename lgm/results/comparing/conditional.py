"""``log p(y_i | eta_i, theta)`` at draws of effects and theta: what criteria given the effects are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.design import design
from lgm.families.family import Family
from lgm.families.response import Response
from lgm.inference.compile import compiled
from lgm.results.linear_predictor import linear_predictor
from lgm.results.tables import theta_of_family
from lgm.xla import own_settings

if TYPE_CHECKING:
    from lgm.results.fit import Fit


ROWS_TIMES_DRAWS = 2_000_000  # that are worked on at once


@compiled(shapes=lambda post, how: ())
def _of_draws(family: Family, y: Response, eta: jax.Array, own: dict[str, jax.Array], weights: jax.Array) -> jax.Array:
    return jax.vmap(lambda eta, own: family.loglik(y, eta, own, weights))(eta, own)


def linear_predictors(fit: Fit, numbers: IntArray) -> FloatArray:
    """Of the rows with a response (S, n), at draws with these numbers (S,)."""
    observed = np.flatnonzero(fit.design.rows.observed)
    predictor = linear_predictor(fit, design.encode(fit.design))
    place = np.full(fit.draws.theta[..., 0].size, -1)
    place[numbers] = np.arange(numbers.size)
    out = np.empty((numbers.size, observed.size))
    step = max(ROWS_TIMES_DRAWS // place.size, 1)
    for start in range(0, observed.size, step):
        for drawn, eta in predictor.blocks(observed[start : start + step]):
            kept = place[drawn] >= 0
            out[place[drawn[kept]], start : start + step] = eta[:, kept].T
    return out


def log_likelihood(fit: Fit, numbers: IntArray) -> FloatArray:
    """Log-likelihoods (S, n) of the rows with a response, at draws with these numbers (S,)."""
    d = fit.design
    own = {kind: values[numbers] for kind, values in theta_of_family(fit).items()}
    eta = linear_predictors(fit, numbers)
    step = max(ROWS_TIMES_DRAWS // d.n, 1)
    for start in range(0, numbers.size, step):
        part = slice(start, start + step)
        some = {kind: values[part] for kind, values in own.items()}
        with own_settings():
            eta[part] = np.asarray(_of_draws(d.family, d.response, eta[part], some, d.weights))
    return eta


def at_means(fit: Fit) -> float:
    """The log-likelihood at posterior means of the linear predictors and of the family's parameters."""
    d = fit.design
    eta = linear_predictor(fit, design.encode(d)).mean(np.flatnonzero(d.rows.observed))
    own = {kind: values.mean(axis=0) for kind, values in theta_of_family(fit).items()}
    with own_settings():
        batch = jax.tree.map(lambda x: np.asarray(x)[None], (eta, own))
        return float(np.sum(np.asarray(_of_draws(d.family, d.response, *batch, d.weights))))
