"""Weibull times by their definition."""

import numpy as np
from oracles.elementwise import orders, slope_errors, values
from oracles.grouped import agrees, by_rows
from scipy import special, stats

from lgm.families.exponential import Exponential
from lgm.families.response import Response
from lgm.families.weibull import Weibull

FAMILY = Weibull()
Y = np.array([1.2, 0.3, 0.8, 2.1, 9.0, 0.4, 1.1, 0.2])


def known(eta, shape):
    return stats.weibull_min(shape, scale=np.exp(eta) / special.gamma(1.0 + 1.0 / shape))


def test_log_likelihood():
    rng = np.random.default_rng(1)
    y, eta, w = rng.gamma(2.0, size=6), rng.standard_normal(6), rng.uniform(0.3, 3.0, 6)
    np.testing.assert_allclose(known(eta, 1.7).mean(), np.exp(eta), rtol=1e-12)
    found = values(FAMILY, Response(y), eta, {"shape": 1.7}, w)
    np.testing.assert_allclose(found, w * known(eta, 1.7).logpdf(y), rtol=1e-12)


def test_censored_times_are_probabilities():
    y, upper, eta = np.array([1.0, 1.0, 0.5]), np.array([1.0, 1.0, 0.9]), np.array([0.3, -0.2, 1.0])
    found = values(FAMILY, Response(y, upper=upper, censored=np.array([1, -1, 2])), eta, {"shape": 0.6})
    of = known(eta, 0.6)
    expected = [of.sf(y)[0], of.cdf(y)[1], (of.cdf(upper) - of.cdf(y))[2]]
    np.testing.assert_allclose(found, np.log(expected), rtol=1e-12)


def test_a_shape_of_one_is_exponential():
    y = Response(np.full(4, 0.7), upper=np.full(4, 1.1), censored=np.array([0, 1, -1, 2]))
    found, expected = orders(FAMILY, y, np.full(4, 0.3), {"shape": 1.0}), orders(Exponential(), y, np.full(4, 0.3))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_derivatives():
    y = Response(np.full(4, 0.7), upper=np.full(4, 1.1), censored=np.array([0, 1, -1, 2]))
    for level in (-1.0, 0.0, 2.0):
        assert np.max(slope_errors(FAMILY, y, np.full(4, level), {"shape": 1.5})) < 1e-6
    for level in (-300.0, 450.0):
        assert np.all(np.isfinite(orders(FAMILY, y, np.full(4, level), {"shape": 1.5})))


def test_new_responses():
    n = 40_000
    theta = {"shape": np.full(n, 1.7)}
    drawn = FAMILY.simulate(np.random.default_rng(2), np.full((1, n), 0.5), theta, np.ones(1), np.ones(1))
    of = known(0.5, 1.7)
    assert abs(drawn.mean() - of.mean()) < 4 * of.std() / np.sqrt(n)
    assert abs(np.mean(drawn > 1.0) - of.sf(1.0)) < 4 * 0.5 / np.sqrt(n)


def test_laplace_is_that_of_dense_algebra():
    y = by_rows(Y)
    agrees("weibull", Y, {"shape": 1.4}, lambda eta: known(eta, 1.4).logpdf(y(eta)))
