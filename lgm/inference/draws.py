"""What an engine returns: draws of theta and how they came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lgm.arrays import FloatArray

ENOUGH = 400  # effective draws for stable estimates of R-hat and of quantiles (Vehtari et al. 2021, sec. 4.4)


@dataclass(frozen=True)
class Points:
    """A posterior of theta as weighted points, with the effects given theta at each of them.

    Parameters
    ----------
    theta : float array (S, k)
        Natural scale.
    log_weights : float array (S,)
        Smoothed and normalised: their exponentials sum to one.
    k : float
        Pareto k of the raw weights (Vehtari et al. 2024); NaN for a single point.
    ess : float
        Effective number of points, ``1 / sum w^2``.
    log_evidence, log_evidence_se : float
        ``log p(y)`` and its Monte Carlo error; NaN if some prior is improper.
    mean : float array (S, p + q)
        ``E[u | theta, y]`` at each point, internal coordinates; (S, 0) where it was too large to keep.
    draws : float array (S, m, p + q)
        Draws of u at each point; m = 0 where they were too large to keep.
    """

    theta: FloatArray
    log_weights: FloatArray
    k: float
    ess: float
    log_evidence: float
    log_evidence_se: float
    mean: FloatArray
    draws: FloatArray


@dataclass(frozen=True)
class Draws:
    """Kept draws of theta.

    Parameters
    ----------
    theta : float array (chains, draws, k)
        Natural scale.
    stats : dict of arrays (chains, draws)
        ``diverging``, ``n_steps``, ``acceptance_rate``, ``energy``, ``lp`` (log density of the
        coordinates that the engine moves).
    step_size : float array (chains,)
        Of NUTS; empty for other engines.
    warmup : int
        Draws spent on adaptation, per chain.
    interrupted : bool
        Whether the run was stopped before all draws were made.
    points : Points, optional
        The weighted points that the draws were taken from, for engines that weight.
    index : int array (draws,), optional
        Which point each draw is.
    standard_errors : float array (k,), optional
        Of theta, from the curvature at its mode, for the engine that holds it there; NaN for an sd of zero.
    """

    theta: FloatArray
    stats: dict[str, npt.NDArray[Any]]
    step_size: FloatArray
    warmup: int
    interrupted: bool
    points: Points | None = None
    index: npt.NDArray[np.int64] | None = None
    standard_errors: FloatArray | None = None
