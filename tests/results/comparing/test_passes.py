"""Which thetas a criterion is taken over."""

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.inference import pareto
from lgm.results.comparing.passes import Thetas, smoothed

DATA = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, 2.5]})


@pytest.fixture(scope="module")
def fit() -> lgm.Fit:
    return lgm.fit("y ~ 1", DATA, method="importance", seed=1, progress=False)


def test_weighted_points_are_taken_as_they_are(fit: lgm.Fit) -> None:
    found = Thetas.of(fit, 5)
    assert found.proposed
    assert np.exp(found.log_weights).sum() == pytest.approx(1.0)
    drawn = fit.draws.theta[:, found.draws]
    np.testing.assert_array_equal(found.theta[found.which], drawn)
    known = found.numbers >= 0
    np.testing.assert_array_equal(found.theta[known], fit.draws.theta[0][found.numbers[known]])


def test_few_draws_of_many(fit: lgm.Fit) -> None:
    """Where points take too much memory, some of the draws, each as often as it was drawn."""
    found = Thetas.of(fit, 5, most=100)
    assert not found.proposed
    assert found.which.size == 100
    np.testing.assert_allclose(np.exp(found.log_weights), np.bincount(found.which[0]) / 100)
    np.testing.assert_array_equal(found.theta[found.which], fit.draws.theta[:, found.draws])
    np.testing.assert_array_equal(found.theta, fit.draws.theta[0][found.numbers])


def test_weights_are_smoothed_ratios() -> None:
    log_density = np.random.default_rng(1).normal(size=(200, 2))
    log_density[:, 1] = np.nan
    even = Thetas(np.arange(200.0)[:, None], np.full(200, -np.log(200)), np.arange(200)[None], *[np.arange(200)] * 2)
    found = smoothed(even, log_density)
    expected = pareto.smooth(-log_density[:, 0])
    np.testing.assert_allclose(found.log[:, 0], expected.log_weights, atol=1e-12)
    assert found.k[0] == expected.k
    assert np.isnan(found.log[:, 1]).all()
    assert np.isnan(found.k[1])
