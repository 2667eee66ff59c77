"""Lognormal values by their definition."""

import numpy as np
import pandas as pd
import pytest
from oracles.elementwise import orders, slope_errors, values
from scipy import stats

import lgm
from lgm.families.lognormal import Lognormal
from lgm.families.response import Response
from lgm.priors import normal

FAMILY = Lognormal()


def known(eta, sigma):
    return stats.lognorm(sigma, scale=np.exp(eta))


def test_log_likelihood():
    rng = np.random.default_rng(1)
    y, eta, w = rng.gamma(2.0, size=6), rng.standard_normal(6), rng.uniform(0.3, 3.0, 6)
    found = values(FAMILY, Response(y), eta, {"sigma": 0.8}, w)
    np.testing.assert_allclose(found, w * known(eta, 0.8).logpdf(y), rtol=1e-12)
    np.testing.assert_allclose(FAMILY.mean(eta, {"sigma": np.array(0.8)}), known(eta, 0.8).mean(), rtol=1e-12)


def test_censored_values_are_probabilities():
    y, upper, eta = np.array([1.0, 1.0, 0.5]), np.array([1.0, 1.0, 0.9]), np.array([0.3, -0.2, 1.0])
    found = values(FAMILY, Response(y, upper=upper, censored=np.array([1, -1, 2])), eta, {"sigma": 0.6})
    of = known(eta, 0.6)
    expected = [of.sf(y)[0], of.cdf(y)[1], (of.cdf(upper) - of.cdf(y))[2]]
    np.testing.assert_allclose(found, np.log(expected), rtol=1e-12)


def test_derivatives():
    y = Response(np.full(4, 0.7), upper=np.full(4, 1.1), censored=np.array([0, 1, -1, 2]))
    for level in (-1.0, 0.0, 2.0):
        assert np.max(slope_errors(FAMILY, y, np.full(4, level), {"sigma": 0.9})) < 1e-6
    for level in (-1e4, 1e4):
        assert np.all(np.isfinite(orders(FAMILY, y, np.full(4, level), {"sigma": 0.9})))


def test_new_responses():
    n = 40_000
    theta = {"sigma": np.full(n, 0.7)}
    drawn = FAMILY.simulate(np.random.default_rng(2), np.full((1, n), 0.5), theta, np.ones(1), np.ones(1))
    assert abs(np.log(drawn).mean() - 0.5) < 4 * 0.7 / np.sqrt(n)
    assert abs(np.log(drawn).var() / 0.49 - 1) < 4 * np.sqrt(2 / n)


def test_it_is_the_gaussian_model_of_logarithms():
    """Laplace's approximation is exact, and the scale of y adds ``-sum(log y)``."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"y": rng.gamma(2.0, size=12), "x": rng.standard_normal(12), "g": np.repeat(list("abcd"), 3)})
    priors = {"Intercept": normal(0.0, 2.0), "x": normal(0.0, 1.5)}
    theta = {"sd(Intercept|g)": 0.7, "sigma": 0.4}
    found = lgm.model("y ~ x + (1|g)", data, "lognormal", priors=priors).log_likelihood(theta)
    exact = lgm.model("np.log(y) ~ x + (1|g)", data, priors=priors, env={"np": np}).log_likelihood(theta)
    assert found == pytest.approx(exact - np.sum(np.log(data["y"])), abs=1e-9)
