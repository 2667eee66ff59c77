"""Inverse Gaussian measurements by their definition."""

import jax
import numpy as np
import pytest
from oracles.elementwise import orders, slope_errors, values
from oracles.grouped import agrees, by_rows
from scipy import stats

from lgm.errors import DataError
from lgm.families import find
from lgm.families.response import Response
from lgm.families.wald import Wald

FAMILY = Wald()
Y = np.array([1.2, 0.3, 0.8, 2.1, 9.0, 0.4, 1.1, 0.2])


def test_log_likelihood():
    """With weights the variance is ``mu^3 / (shape w)``."""
    rng = np.random.default_rng(1)
    y, eta, w = rng.gamma(2.0, size=6), rng.standard_normal(6), rng.uniform(0.3, 3.0, 6)
    mu, a = np.exp(eta), 1.7 * w
    known = stats.invgauss(mu / a, scale=a)
    np.testing.assert_allclose(known.var(), mu**3 / a, rtol=1e-12)
    np.testing.assert_allclose(values(FAMILY, Response(y), eta, {"shape": 1.7}, w), known.logpdf(y), rtol=1e-12)


def test_derivatives():
    y = Response(np.full(5, 0.7))
    assert np.max(slope_errors(FAMILY, y, [-3.0, -1.0, 0.0, 1.0, 4.0], {"shape": 1.5})) < 1e-7
    assert np.all(np.isfinite(orders(FAMILY, Response(np.ones(2)), [-300.0, 700.0], {"shape": 1.5})))


def test_information_is_the_expected_curvature():
    """By the mean over quantiles of the response; the curvature is linear in y, so its error is that of their mean."""
    y = stats.invgauss(np.exp(0.4) / 1.7, scale=1.7).ppf((np.arange(20_000) + 0.5) / 20_000)
    second = orders(FAMILY, Response(y), np.full(y.size, 0.4), {"shape": 1.7})[2]
    with jax.enable_x64(True):
        found = float(FAMILY.information(Response(y[:1]), np.array([0.4]), {"shape": 1.7}, 1.0)[0])
    assert found == pytest.approx(-second.mean(), rel=2e-3)


def test_new_responses():
    n, w, shape, mean = 40_000, np.array([1.0, 3.0]), 2.0, np.exp(0.5)
    drawn = FAMILY.simulate(np.random.default_rng(2), np.full((2, n), 0.5), {"shape": np.full(n, shape)}, w, np.ones(2))
    variance, kurtosis = mean**3 / (shape * w), 3 + 15 * mean / (shape * w)
    assert np.all(np.abs(drawn.mean(axis=1) - mean) < 4 * np.sqrt(variance / n))
    assert np.all(np.abs(drawn.var(axis=1) / variance - 1) < 4 * np.sqrt((kurtosis - 1) / n))


def test_the_prior_of_the_shape_follows_the_unit():
    """A response in other units has the prior of a shape in them: its root is that much smaller or larger."""
    (metres,) = FAMILY.parameters(Response(Y), 1.0, np.ones(8))
    (millimetres,) = FAMILY.parameters(Response(1000.0 * Y), 1.0, np.ones(8))
    rates = [p.default.distribution.rate for p in (metres, millimetres)]
    assert float(rates[1] / rates[0]) == pytest.approx(np.sqrt(1000.0))
    assert millimetres.start == pytest.approx(1000.0 * metres.start)


def test_what_is_not_positive():
    with pytest.raises(DataError, match="wald is for numbers above 0"):
        FAMILY.check(Response(np.array([1.0, 0.0, 2.0])), "`y`")


def test_names():
    assert find("inverse.gaussian") == find("inverse_gaussian") == find("wald") == FAMILY


def test_laplace_is_that_of_dense_algebra():
    y = by_rows(Y)
    agrees("wald", Y, {"shape": 2.0}, lambda eta: stats.invgauss(np.exp(eta) / 2.0, scale=2.0).logpdf(y(eta)))
