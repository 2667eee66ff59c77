"""Fits from draws that a test chooses: everything after sampling, without sampling."""

from collections.abc import Mapping

import numpy as np

from lgm.inference.chains import Chains
from lgm.inference.draws import Run
from lgm.inference.mode import Mode
from lgm.model import Model
from lgm.results.fit import Fit


def fit_of(model: Model, theta: np.ndarray, *, interval: float = 0.95, seed: int = 1) -> Fit:
    """A fit with these draws of theta (chains, draws, k), as it is printed."""
    theta = model.analysed.marginal.hyper.from_printed(theta)
    shape, k = theta.shape[:2], theta.shape[2]
    stats = {
        "diverging": np.zeros(shape, dtype=bool),
        "n_steps": np.full(shape, 3),
        "acceptance_rate": np.full(shape, 0.9),
        "energy": np.zeros(shape),
        "lp": np.zeros(shape),
    }
    mode = Mode(np.zeros(k), np.eye(k), 0.0, 0.0)
    return Fit(model, Run(mode, Chains(theta, stats, False, np.ones(shape[0]), 200), "nuts"), interval, seed)


def around(model: Model, centre: Mapping[str, float], *, spread: float = 0.1, chains: int = 4, draws: int = 100) -> Fit:
    """A fit whose theta scatters around a centre; ``spread`` is relative, and zero holds theta there."""
    names = model.design.theta_names
    assert set(names) == set(centre)
    noise = np.random.default_rng(0).standard_normal((chains, draws, len(names)))
    return fit_of(model, np.array([centre[name] for name in names]) * (1.0 + spread * np.clip(noise, -4, 4)))
