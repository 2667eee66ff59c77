"""The proposal and its draws agree, and resampling takes each point as often as its weight says."""

import numpy as np
import pytest
from scipy import integrate

from lgm.inference.proposal import Proposal, resampled


def test_folded_density_integrates_to_one() -> None:
    proposal = Proposal(np.array([0.3, -0.5]), np.array([[1.0, 0.0], [0.4, 0.7]]), (True, False))
    inner = lambda x, y: float(np.exp(proposal.log_density(np.array([[x, y]]))[0]))  # noqa: E731
    total, _ = integrate.dblquad(inner, -30, 30, 0, 30, epsabs=1e-5)
    # the t with 5 degrees of freedom has less than 1e-5 of its mass beyond 30 scales
    assert total == pytest.approx(1.0, abs=1e-4)


def test_draws_are_from_the_density() -> None:
    proposal = Proposal(np.array([0.3]), np.array([[1.0]]), (True,))
    draws = np.sort(proposal.draw(4096, 1)[:, 0])
    grid = np.linspace(0, 40, 400_001)[1:]
    cdf = np.cumsum(np.exp(proposal.log_density(grid[:, None]))) * (grid[1] - grid[0])
    gap = np.abs(np.interp(draws, grid, cdf) - (np.arange(draws.size) + 0.5) / draws.size).max()
    assert gap < 1.63 / np.sqrt(draws.size)  # Kolmogorov's 1% point; Sobol points are closer than random ones


def test_resampling_is_systematic() -> None:
    weights = np.array([0.5, 0.26, 0.0, 0.24])
    counts = np.bincount(resampled(weights, 1000, np.random.default_rng(1)), minlength=4)
    assert counts.sum() == 1000
    assert np.all(np.abs(counts - 1000 * weights) < 1)
