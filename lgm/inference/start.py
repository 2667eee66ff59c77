"""Where NUTS starts: weighted points around the mode give starts that are spread like the posterior, and the metric.

The points are evaluated by the function that found the mode, so nothing more is compiled for them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lgm.arrays import FloatArray
from lgm.inference import pareto
from lgm.inference.coordinates import Whitened, Working
from lgm.inference.mode import evaluated
from lgm.inference.proposal import Proposal, resampled
from lgm.inference.scales import working_scale

POINTS = 128  # a power of two, as Sobol points want it
PRIOR_POINTS = 5.0  # what the identity, the metric at the mode, counts for beside the weighted points


class Start(NamedTuple):
    """Starts in whitened coordinates, and the metric there.

    Parameters
    ----------
    z : float array (chains, d)
    value : float array (chains,)
        Log density.
    grad : float array (chains, d)
    metric : float array (d, d)
        NUTS' inverse mass matrix: about the covariance of the posterior.
    """

    z: FloatArray
    value: FloatArray
    grad: FloatArray
    metric: FloatArray


def from_points(target: Whitened, chains: int, seed: int) -> Start:
    """Starts resampled from weighted draws of a Student t around the mode, and their covariance as the metric.

    The metric is shrunk towards that of the mode, the more the fewer points carry the weight.
    """
    proposal = Proposal(target.centre, target.root, target.bend.folded)
    x = proposal.draw(POINTS, seed)
    z, values, grads = _at_working(target, target.bend.to_working(x))
    smoothed = pareto.smooth(values - proposal.log_density(x))
    weights = np.exp(smoothed.log_weights)
    away = z - weights @ z
    covariance = away.T @ (weights[:, None] * away)
    metric = (smoothed.ess * covariance + PRIOR_POINTS * np.eye(z.shape[1])) / (smoothed.ess + PRIOR_POINTS)
    chosen = resampled(weights, chains, np.random.default_rng(seed))
    return Start(z[chosen], values[chosen], grads[chosen], metric)


def from_thetas(target: Whitened, thetas: FloatArray) -> Start:
    """Starts at given thetas (chains, k), natural scale, with the metric of the mode."""
    working = [working_scale(target.post.hyper, theta) for theta in thetas]
    z, values, grads = _at_working(target, np.array(working))
    return Start(z, values, grads, np.eye(z.shape[1]))


def _at_working(target: Whitened, points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Points of the working scale in coordinates z, their log densities and gradients."""
    at = evaluated(Working(target.post))
    values, grads = map(np.array, zip(*map(at, points), strict=True))
    return target.from_working(points, values, grads)
