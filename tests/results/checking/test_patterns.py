"""Smooth lines, quantiles and autocorrelations of residuals by their definitions."""

import numpy as np
import pytest
import scipy.stats

from lgm.results.checking import patterns

RNG = np.random.default_rng(3)


def test_a_trend_is_a_least_squares_spline() -> None:
    """It has whatever a cubic polynomial has, and its standard error is that of the regression."""
    x = RNG.uniform(0.0, 5.0, 200)
    line = patterns.trend(x, 1.0 - 2.0 * x)
    assert line is not None
    np.testing.assert_allclose(line.mean, 1.0 - 2.0 * line.x, atol=1e-8)
    np.testing.assert_allclose(line.se, 0.0, atol=1e-8)
    curve = np.sin(x)
    found = patterns.trend(x, curve + 0.3 * RNG.normal(size=200))
    assert found is not None
    assert np.mean(np.abs(found.mean - np.sin(found.x)) < 2.5 * found.se) > 0.8
    assert found.se[50] == pytest.approx(0.3 * np.sqrt(7 / 200), rel=0.5)
    assert patterns.trend(np.repeat([0.0, 1.0], 30), np.zeros(60)) is None


def test_quantiles_have_the_intervals_of_order_statistics() -> None:
    values = RNG.normal(size=50)
    found = patterns.quantiles(values, 0.9)
    np.testing.assert_array_equal(found.values, np.sort(values))
    many = np.sort(RNG.normal(size=(4000, 50)), axis=1)
    np.testing.assert_allclose(found.low[[0, 24, 49]], np.quantile(many, 0.05, axis=0)[[0, 24, 49]], atol=0.1)
    np.testing.assert_allclose(found.normal, scipy.stats.norm.ppf((np.arange(50) + 0.5) / 50))


def test_autocorrelations_are_of_pairs_so_far_apart() -> None:
    values, order = RNG.normal(size=80), RNG.permutation(80).astype(float)
    found = patterns.autocorrelations(values, order, None)
    z = values[np.argsort(order)] - values.mean()
    for lag in (1, 3):
        assert found.loc[lag, "correlation"] == pytest.approx(np.mean(z[lag:] * z[:-lag]) / np.mean(z**2))
        assert found.loc[lag, "pairs"] == 80 - lag


def test_autocorrelations_do_not_cross_groups() -> None:
    values, group = RNG.normal(size=80), np.repeat(np.arange(10), 8)
    found = patterns.autocorrelations(values, np.tile(np.arange(8.0), 10), group)
    z = (values - values.mean()).reshape(10, 8)
    assert found.loc[2, "correlation"] == pytest.approx(np.mean(z[:, 2:] * z[:, :-2]) / np.mean(z**2))
    assert found.index.max() == 7 and found.loc[7, "pairs"] == 10
