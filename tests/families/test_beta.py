"""Beta proportions by their definition."""

import jax
import numpy as np
import pytest
from oracles.elementwise import orders, slope_errors, values
from oracles.grouped import agrees, by_rows
from scipy import special, stats

from lgm.errors import DataError
from lgm.families.beta import Beta
from lgm.families.response import Response

FAMILY = Beta()
Y = np.array([0.12, 0.3, 0.8, 0.21, 0.9, 0.4, 0.11, 0.02])


@pytest.mark.parametrize("link", Beta.links)
def test_log_likelihood(link):
    rng = np.random.default_rng(1)
    family, y, eta, w = Beta(link), rng.uniform(size=6), rng.standard_normal(6), rng.uniform(0.3, 3.0, 6)
    mu = family.linked.inverse(eta)
    found = values(family, Response(y), eta, {"kappa": 3.5}, w)
    np.testing.assert_allclose(found, w * stats.beta(3.5 * mu, 3.5 * (1.0 - mu)).logpdf(y), rtol=1e-12)


@pytest.mark.parametrize("link", Beta.links)
def test_derivatives(link):
    y = Response(np.full(5, 0.7))
    assert np.max(slope_errors(Beta(link), y, [-3.0, -1.0, 0.0, 0.5, 1.0], {"kappa": 6.0})) < 1e-6


def test_far_out():
    """Where mu is too small for a double, the log density goes on as ``eta``: the slope is one."""
    found = orders(FAMILY, Response(np.full(2, 0.3)), [-2000.0, 2000.0], {"kappa": 6.0})
    assert np.all(np.isfinite(found))
    np.testing.assert_allclose(found[1], [1.0, -1.0], rtol=1e-12)


def test_information_is_the_expected_curvature():
    """By the mean over quantiles of the response."""
    mu, kappa = special.expit(0.4), 5.0
    y = stats.beta(mu * kappa, (1 - mu) * kappa).ppf((np.arange(20_000) + 0.5) / 20_000)
    second = orders(FAMILY, Response(y), np.full(y.size, 0.4), {"kappa": kappa})[2]
    with jax.enable_x64(True):
        found = np.asarray(FAMILY.information(Response(y[:3]), np.array([0.4, -900.0, 900.0]), {"kappa": kappa}, 1.0))
    assert found[0] == pytest.approx(-second.mean(), rel=1e-3)
    np.testing.assert_allclose(found[1:], 1.0, rtol=1e-12)


def test_new_responses():
    n, kappa, mean = 40_000, 4.0, special.expit(-1.0)
    theta = {"kappa": np.full(n, kappa)}
    drawn = FAMILY.simulate(np.random.default_rng(2), np.full((1, n), -1.0), theta, np.ones(1), np.ones(1))
    known = stats.beta(mean * kappa, (1 - mean) * kappa)
    assert known.var() == pytest.approx(mean * (1 - mean) / (1 + kappa))
    assert abs(drawn.mean() - mean) < 4 * known.std() / np.sqrt(n)
    assert abs(drawn.var() / known.var() - 1) < 4 * np.sqrt((known.stats("k") + 2) / n)
    far = FAMILY.simulate(
        np.random.default_rng(2), np.array([[-900.0, 900.0]]), {"kappa": np.ones(1)}, np.ones(1), np.ones(1)
    )
    assert far.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.2, 1.0], "1 in row 2 .* binomial, with the successes and the trials"),
        ([0.0, 0.4], "0 in row 1 .* by bernoulli"),
        ([0.2, 35.0], "35 in row 2 .* Percentages: divide them by 100"),
        ([0.2, -35.0], "-35 in row 2 .* gaussian or t"),
        ([0.2, 0.2], "nothing to model"),
    ],
)
def test_what_is_no_proportion(values, words):
    with pytest.raises(DataError, match=words):
        FAMILY.check(Response(np.array(values)), "`y`")


def test_laplace_is_that_of_dense_algebra():
    y = by_rows(Y)

    def logp(eta):
        mu = special.expit(eta)
        return stats.beta(3.0 * mu, 3.0 * (1.0 - mu)).logpdf(y(eta))

    agrees("beta", Y, {"kappa": 3.0}, logp)
