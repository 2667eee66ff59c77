"""Pareto smoothing against the library that published it, and against its definition."""

import arviz as az
import numpy as np
import pytest
from scipy import stats

from lgm.inference import pareto
from lgm.inference.pareto import smooth, threshold


@pytest.mark.skipif(not hasattr(az, "psislw"), reason="this ArviZ keeps psislw elsewhere")
@pytest.mark.parametrize("size", [200, 1000, 4000])
@pytest.mark.parametrize("spread", [0.1, 0.8, 2.0])
def test_equals_arviz(size: int, spread: float) -> None:
    log_weights = spread * np.abs(np.random.default_rng(size).standard_t(5, size))
    expected, k = az.psislw(log_weights)
    found = smooth(log_weights)
    assert found.k == pytest.approx(float(k), abs=1e-10)
    np.testing.assert_allclose(found.log_weights, np.asarray(expected), atol=1e-10)


def by_definition(log_weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Vehtari et al. (2024), sec. 2.2, with the estimate of Zhang & Stephens (2009) for the tail."""
    size = log_weights.size
    order = np.argsort(log_weights, kind="stable")
    out = log_weights - log_weights.max()
    longest = int(np.ceil(min(size / 5, 3 * np.sqrt(size))))
    cutoff = np.exp(out[order[-longest - 1]])
    x = np.exp(out[order[-longest:]]) - cutoff
    x = x[x > 0]
    n = x.size
    m = 30 + int(np.sqrt(n))
    b = 1 / x[-1] + (1 - np.sqrt(m / (np.arange(m) + 0.5))) / (3 * x[int(n / 4 + 0.5) - 1])
    k = np.mean(np.log1p(-b[:, None] * x), axis=1)
    log_posterior = n * (np.log(-b / k) - k - 1)
    weights = np.exp(log_posterior - log_posterior.max())
    mean = b @ weights / weights.sum()
    shape = np.mean(np.log1p(-mean * x))
    k_shrunk = (n * shape + 5) / (n + 10)
    quantiles = stats.genpareto(k_shrunk, scale=-shape / mean).ppf((np.arange(n) + 0.5) / n)
    out[order[-n:]] = np.log(np.minimum(cutoff + quantiles, 1.0))
    return k_shrunk, out - np.log(np.sum(np.exp(out)))


@pytest.mark.parametrize("size", [64, 128, 640, 1024, 2048, 3072])
@pytest.mark.parametrize("kind", ["plain", "heavy", "ties", "some without a density", "a handful"])
def test_equals_the_definition(size: int, kind: str) -> None:
    """At sizes where ArviZ would take a shorter tail, and where part of the tail is no larger than what is below."""
    rng = np.random.default_rng(size)
    log_weights = rng.normal(size=size)
    if kind == "heavy":
        log_weights = 5.0 * np.abs(rng.standard_t(3, size))
    if kind == "ties":
        log_weights = np.round(log_weights, 1)
    if kind == "some without a density":
        log_weights[rng.random(size) < 0.5] = -np.inf
    if kind == "a handful":
        log_weights = np.where(np.arange(size) < 7, log_weights, -np.inf)
    k, expected = by_definition(log_weights)
    found = smooth(log_weights)
    assert found.k == pytest.approx(k, abs=1e-10)
    np.testing.assert_allclose(np.exp(found.log_weights), np.exp(expected), rtol=1e-10, atol=1e-14)


def test_recovers_a_known_tail() -> None:
    n, shape = 4000, 0.4
    size = (n // 3) ** 2
    tail = stats.genpareto(shape, scale=2.0)
    found = smooth(np.log(tail.rvs(size, random_state=1)))
    n = int(np.ceil(3.0 * np.sqrt(size)))
    # asymptotic standard deviation of the estimate of k: (1 + k) / sqrt(n); four of them
    assert abs(found.k - shape) < 4 * (1 + shape) / np.sqrt(n)
    # above its cutoff u the tail is a generalised Pareto too, of scale sigma + k u; its median tells the scale
    ascending = np.sort(found.log_weights)
    cutoff = tail.ppf(1 - n / size)
    median = cutoff + (2.0 + shape * cutoff) * (2.0**shape - 1.0) / shape
    ratio = np.exp(ascending[-n // 2] - ascending[-n - 1])
    assert abs((ratio - 1.0) / (median / cutoff - 1.0) - 1.0) < 4 * np.sqrt(2 * (1 + shape) / n)


def test_equal_weights_stay_equal() -> None:
    found = smooth(np.full(500, -3.0))
    np.testing.assert_allclose(np.exp(found.log_weights), 1 / 500)
    assert found.ess == pytest.approx(500.0)
    assert found.k == -np.inf


def test_a_single_point_with_all_the_weight_is_not_to_be_trusted() -> None:
    found = smooth(np.where(np.arange(500) == 7, 0.0, -np.inf))
    assert found.k == np.inf and found.ess == 1.0


def test_the_few_largest_of_which_all_are_equal() -> None:
    found = smooth(np.where(np.arange(500) < 9, 0.0, -np.inf))
    assert found.k == -np.inf and found.ess == pytest.approx(9.0)


def test_a_tail_beyond_all_numbers_is_not_to_be_trusted() -> None:
    """Most of the tail is zero beside the largest weight: no shape can be fitted, and nothing is smoothed."""
    log_weights = np.concatenate([np.linspace(-720.0, -709.0, 60), [-2.0, -1.0, 0.0], np.full(937, -np.inf)])
    found = smooth(log_weights)
    assert found.k == np.inf
    np.testing.assert_allclose(np.exp(found.log_weights), np.exp(log_weights) / np.sum(np.exp(log_weights)))


def test_threshold() -> None:
    assert threshold(1000) == pytest.approx(2 / 3)
    assert threshold(10_000) == 0.7


def test_many_columns_at_once() -> None:
    """As one by one, also where weights are equal, zero, or one has it all."""
    rng = np.random.default_rng(6)
    log_weights = rng.normal(size=(300, 40)) * np.linspace(0.01, 6.0, 40)
    log_weights[:, 0] = 0.0
    log_weights[:250, 1] = -np.inf
    log_weights[:, 2] = np.round(log_weights[:, 2], 1)
    log_weights[7, 3] = 1e4
    found, k = pareto.smooth_columns(log_weights)
    for i, column in enumerate(log_weights.T):
        expected = pareto.smooth(column)
        np.testing.assert_allclose(found[:, i], expected.log_weights, atol=1e-9)
        np.testing.assert_allclose(k[i], expected.k, atol=1e-9)
