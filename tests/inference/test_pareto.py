"""Pareto smoothing against the library that published it, and against its definition."""

import arviz as az
import numpy as np
import pytest
from scipy import stats

from lgm.inference.pareto import fit_generalised_pareto, smooth, threshold


@pytest.mark.skipif(not hasattr(az, "psislw"), reason="this ArviZ keeps psislw elsewhere")
@pytest.mark.parametrize("size", [200, 1000, 4000])
@pytest.mark.parametrize("spread", [0.1, 0.8, 2.0])
def test_equals_arviz(size: int, spread: float) -> None:
    log_weights = spread * np.abs(np.random.default_rng(size).standard_t(5, size))
    expected, k = az.psislw(log_weights)
    found = smooth(log_weights)
    assert found.k == pytest.approx(float(k), abs=1e-10)
    np.testing.assert_allclose(found.log_weights, np.asarray(expected), atol=1e-10)


def test_recovers_a_known_tail() -> None:
    n, shape = 4000, 0.4
    x = np.sort(stats.genpareto(shape, scale=2.0).rvs(n, random_state=1))
    k, sigma = fit_generalised_pareto(x)
    # asymptotic standard deviation of the estimate of k: (1 + k) / sqrt(n); four of them
    assert abs(k - shape) < 4 * (1 + shape) / np.sqrt(n)
    assert abs(sigma / 2.0 - 1.0) < 4 * np.sqrt(2 * (1 + shape) / n)


def test_equal_weights_stay_equal() -> None:
    found = smooth(np.full(500, -3.0))
    np.testing.assert_allclose(np.exp(found.log_weights), 1 / 500)
    assert found.ess == pytest.approx(500.0)
    assert found.k == -np.inf


def test_a_single_point_with_all_the_weight_is_not_to_be_trusted() -> None:
    found = smooth(np.where(np.arange(500) == 7, 0.0, -np.inf))
    assert found.k == np.inf and found.ess == 1.0


def test_threshold() -> None:
    assert threshold(1000) == pytest.approx(2 / 3)
    assert threshold(10_000) == 0.7
