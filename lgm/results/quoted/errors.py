"""How much responses vary about what is expected of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.families.family import Theta

if TYPE_CHECKING:
    from lgm.results.fit import Fit

REPEATS = 10  # simulated responses of a row and a draw where a family's variance has no closed form


def trials_of(fit: Fit) -> FloatArray:
    """Of the rows with a response (n,), one where nothing is said."""
    trials = fit.design.response.trials
    return np.ones(fit.design.n) if trials is None else np.asarray(trials)


def variances(fit: Fit, rows: IntArray, eta: FloatArray, theta: Theta, rng: np.random.Generator) -> FloatArray:
    """Of new responses about their mean (rows, B), at linear predictors (rows, B) of some rows with a response.

    Exact, or without bias by simulation.
    """
    d = fit.design
    weights, trials = d.all_weights[d.rows.observed][rows], trials_of(fit)[rows]
    exact = d.family.variance(eta, theta, weights, trials)
    if exact is not None:
        return exact
    mean, total = d.family.mean(eta, theta), np.zeros(eta.shape)
    for _ in range(REPEATS):
        drawn = d.family.simulate(rng, eta, theta, weights, trials)
        total += (drawn / trials[:, None] - mean) ** 2
    return total / REPEATS
