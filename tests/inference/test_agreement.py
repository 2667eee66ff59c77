"""Chains beside weighted points: the same posterior, one of which a part is missing, and what a fit says then."""

from dataclasses import replace

import numpy as np
import pytest

import lgm
from lgm.errors import ConvergenceWarning
from lgm.inference import sampler
from lgm.inference.agreement import apart
from lgm.inference.draws import Mixture


def _points(seed: int = 1, size: int = 1024) -> Mixture:
    """Of a standard normal and a log-normal value, from a proposal twice as wide."""
    z = 2.0 * np.random.default_rng(seed).standard_normal((size, 2))
    raw = -0.5 * np.sum(z**2, axis=1) * (1.0 - 0.25)
    theta = np.column_stack([z[:, 0], np.exp(z[:, 1])])
    return Mixture(theta, raw - np.logaddexp.reduce(raw), np.zeros((size, 0)), np.zeros((size, 0, 0)))


def _chains(seed: int, most: float = np.inf) -> np.ndarray:
    """Draws (4, 1000, 2) whose second value is at most so large."""
    z = np.random.default_rng(seed).standard_normal((3, 4000, 2))
    second = np.exp(z[..., 1])
    pooled = np.column_stack([z[0, :, 0], second[second <= most][:4000]])
    return pooled.reshape(4, 1000, 2)


def test_draws_of_the_same_posterior_agree() -> None:
    found = [apart(_chains(seed), np.array([[0.0, 4.0]]), _points(seed + 50)) for seed in range(10)]
    assert max(found) < 4.0 and np.mean(found) > 0.5  # of a dozen standard normals, the largest


def test_chains_that_lack_a_tail_do_not() -> None:
    """The upper tenth: exp(1.2816)."""
    assert all(apart(_chains(seed, np.exp(1.2816)), np.array([[0.0, 3.5]]), _points(seed)) > 4.0 for seed in range(5))


def test_neither_do_chains_that_lack_a_part_inside_where_they_diverged() -> None:
    """A twentieth of all in the middle, so that no value's quantiles tell."""
    theta = _chains(1)
    hole = np.all(np.abs([theta[..., 0], np.log(theta[..., 1])]) < 0.3, axis=0)
    assert 0.04 < hole.mean() < 0.07
    theta[hole] = np.random.default_rng(3).permutation(theta[~hole])[: np.sum(hole)]
    at_its_edge, elsewhere = np.array([[0.3, np.exp(0.3)]]), np.array([[-1.5, np.exp(1.5)]])
    points = _points(2, 4096)
    assert apart(theta, at_its_edge, points) > 4.0 > apart(theta, elsewhere, points)


def test_a_value_that_is_held_is_in_no_region() -> None:
    theta = _chains(1)
    theta[..., 0] = 2.0
    points = _points()
    assert apart(theta, theta[:1, 0], replace(points, theta=points.theta + [100.0, 0.0])) < 4.0


def _diverging(monkeypatch: pytest.MonkeyPatch, lack: float) -> lgm.Fit:
    """A fit of which one draw is said to have diverged, and chains do not go beyond a quantile of the sd."""
    run = sampler.run

    def diverged(*args, **options):
        made = run(*args, **options)
        made.stats["diverging"] = np.zeros_like(made.stats["diverging"])
        made.stats["diverging"][0, 7] = True
        most = np.quantile(made.drawn[..., 0], lack)
        made.drawn[..., 0] = np.where(made.drawn[..., 0] > most, made.drawn[..., 0] * 0.5, made.drawn[..., 0])
        return made

    monkeypatch.setattr(sampler, "run", diverged)
    return lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), draws=500, seed=1, progress=False)


def test_one_divergence_is_of_no_matter_where_points_agree(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    fit = _diverging(monkeypatch, 1.0)
    assert "1 divergence (weighted points around the mode agree)" in fit.verdict
    assert fit.verdict.startswith("Converged") and fit.draws.apart < 4.0
    fit.save(tmp_path / "fit.lgm")
    assert lgm.load(tmp_path / "fit.lgm").verdict == fit.verdict


def test_and_is_doubtful_where_they_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(ConvergenceWarning, match="Weighted points around the mode differ from the chains by"):
        fit = _diverging(monkeypatch, 0.8)
    assert fit.verdict.startswith("Doubtful")


def test_nothing_is_compared_without_a_divergence() -> None:
    fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), draws=50, seed=1, progress=False)
    assert np.isnan(fit.draws.apart)
