"""Exponential times by their definition."""

import jax
import numpy as np
from oracles.elementwise import orders, slope_errors, values
from oracles.grouped import agrees, by_rows
from scipy import stats

from lgm.families.exponential import Exponential
from lgm.families.response import Response

FAMILY = Exponential()
Y = np.array([1.2, 0.3, 0.8, 2.1, 9.0, 0.4, 1.1, 0.2])


def test_log_likelihood():
    rng = np.random.default_rng(1)
    y, eta, w = rng.gamma(2.0, size=6), rng.standard_normal(6), rng.uniform(0.3, 3.0, 6)
    found = values(FAMILY, Response(y), eta, {}, w)
    np.testing.assert_allclose(found, w * stats.expon(scale=np.exp(eta)).logpdf(y), rtol=1e-12)


def test_censored_times_are_probabilities():
    y, upper, eta = np.array([1.0, 1.0, 0.5]), np.array([1.0, 1.0, 0.9]), np.array([0.3, -0.2, 1.0])
    known = stats.expon(scale=np.exp(eta))
    found = values(FAMILY, Response(y, upper=upper, censored=np.array([1, -1, 2])), eta)
    expected = [known.sf(y)[0], known.cdf(y)[1], (known.cdf(upper) - known.cdf(y))[2]]
    np.testing.assert_allclose(found, np.log(expected), rtol=1e-12)


def test_derivatives():
    y = Response(np.full(4, 0.7), upper=np.full(4, 1.1), censored=np.array([0, 1, -1, 2]))
    for level in (-2.0, 0.0, 3.0):
        assert np.max(slope_errors(FAMILY, y, np.full(4, level))) < 1e-6
    for level in (-600.0, 700.0):
        assert np.all(np.isfinite(orders(FAMILY, y, np.full(4, level))))


def test_the_log_likelihood_is_concave():
    with jax.enable_x64(True):
        for code in (0, 1, -1, 2):
            y = Response(np.full(9, 0.7), upper=np.full(9, 1.1), censored=np.full(9, code))
            assert np.all(orders(FAMILY, y, np.linspace(-4.0, 4.0, 9))[2] <= 0.0)


def test_new_responses():
    n = 40_000
    drawn = FAMILY.simulate(np.random.default_rng(2), np.full((1, n), 0.5), {}, np.ones(1), np.ones(1))
    assert abs(drawn.mean() - np.exp(0.5)) < 4 * np.exp(0.5) / np.sqrt(n)
    assert abs(np.mean(drawn > 1.0) - np.exp(-np.exp(-0.5))) < 4 * 0.5 / np.sqrt(n)


def test_laplace_is_that_of_dense_algebra():
    y = by_rows(Y)
    agrees("exponential", Y, {}, lambda eta: stats.expon(scale=np.exp(eta)).logpdf(y(eta)))
