"""Whether chains that diverged a few times found what weighted points around the mode find.

A trajectory that ends at a steep wall of the density is stopped and counted, and its transition is still a valid one.
So a few divergences are no error by themselves, but a sign that there may be a region which chains hardly enter. What
they lack can be seen from outside: theta has few values, and a thousand weighted points, a fraction of what the chains
took, say which share of the posterior lies below quantiles of each of them, and which one near the divergences.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lgm.arrays import BoolArray, FloatArray
from lgm.inference.chains import Chains
from lgm.inference.draws import Mixture, joined
from lgm.inference.importance import new_points
from lgm.inference.mode import Mode
from lgm.posterior.density import Marginal

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NEAR = 0.1  # share of the draws that are called near a divergence
BATCHES = 10  # of each chain, whose averages tell the Monte Carlo error


def compared(post: Marginal, mode: Mode, chains: Chains, diverged: FloatArray, seed: int) -> Chains:
    """The chains with how far they are from weighted points, if these can be trusted; as they are if not.

    Parameters
    ----------
    post : Marginal
    mode : Mode
        Of the working density.
    chains : Chains
    diverged : float array (m, k)
        Draws of theta, natural scale, at which a trajectory diverged.
    seed : int
    """
    points = new_points(post, mode, seed)
    if points is None or points.doubt() is not None:
        return chains
    return replace(chains, apart=apart(chains.theta, diverged, points))


def apart(theta: FloatArray, diverged: FloatArray, points: Mixture) -> float:
    """Largest difference between the shares that chains and weighted points have of some regions, in its sd.

    Parameters
    ----------
    theta : float array (chains, draws, k)
    diverged : float array (m, k)
        The regions are those below quantiles of each value, and one around these draws.
    points : Mixture
    """
    draws, weights = joined(theta), np.exp(points.log_weights)
    inside, of_points = _regions(draws, diverged, draws), _regions(draws, diverged, points.theta)
    batches = np.concatenate([each for chain in np.split(inside, len(theta)) for each in _averages(chain)])
    share, own = inside.mean(axis=0), weights @ of_points
    of_chains = np.var(batches, axis=0, ddof=1) / len(batches)
    of_weights = np.square(weights) @ np.square(of_points - own)
    return float(np.max(np.abs(share - own) / np.sqrt(of_chains + of_weights)))


def _averages(inside: BoolArray) -> list[FloatArray]:
    return [each.mean(axis=0, keepdims=True) for each in np.array_split(inside, min(BATCHES, len(inside)))]


def _regions(draws: FloatArray, diverged: FloatArray, theta: FloatArray) -> BoolArray:
    """Which regions (r,) each theta (n, k) is in; distances are in ranks among the draws, so that no scale matters."""
    moving = np.ptp(draws, axis=0) > 0
    below = [theta[:, moving] <= ends for ends in np.quantile(draws[:, moving], QUANTILES, axis=0)]
    ranked = np.sort(draws[:, moving], axis=0)

    def away(values: FloatArray) -> FloatArray:
        ranks, centres = (_ranks(ranked, each[:, moving]) for each in (values, diverged))
        return np.min([np.max(np.abs(ranks - centre), axis=1) for centre in centres], axis=0)

    near = away(theta) <= np.quantile(away(draws), NEAR)
    return np.column_stack([*below, near])


def _ranks(ranked: FloatArray, values: FloatArray) -> FloatArray:
    """Shares of sorted columns (n, k) below values (m, k)."""
    columns = [np.searchsorted(one, other) for one, other in zip(ranked.T, values.T, strict=True)]
    return np.column_stack(columns) / len(ranked)
