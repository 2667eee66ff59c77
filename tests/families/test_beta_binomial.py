"""Beta-binomial successes by their definition."""

from decimal import Decimal, getcontext

import jax
import numpy as np
import pytest
from oracles.elementwise import orders, slope_errors, values
from oracles.laplace import tiny
from scipy import special, stats

from lgm.errors import DataError
from lgm.families import find
from lgm.families.beta_binomial import BetaBinomial
from lgm.families.response import Response

FAMILY = BetaBinomial()
ETA, Y, KAPPA = (
    part.ravel()
    for part in np.meshgrid([-30.0, -4.0, 0.7, 30.0], [0.0, 1.0, 5.0, 12.0], [1e-6, 0.4, 30.0, 1e8], indexing="ij")
)
TRIALS = np.full(Y.size, 12.0)


def log_mass(y, eta, kappa, trials=12):
    """From products of whole numbers, to fifty digits."""
    getcontext().prec = 50
    e, k, y = Decimal(eta).exp(), Decimal(kappa), int(y)
    rising = [
        sum((((x + j) / (j + 1)).ln() for j in range(m)), Decimal(0))
        for x, m in [(k * e / (1 + e), y), (k / (1 + e), trials - y), (k, trials)]
    ]
    return rising[0] + rising[1] - rising[2]


def scipy_log_mass(eta, y, trials, kappa):
    return stats.betabinom.logpmf(y, trials, kappa * special.expit(eta), kappa * special.expit(-eta))


def test_log_likelihood_and_derivatives_keep_their_digits_far_out():
    y = Response(Y, trials=TRIALS)
    exact = np.array([float(log_mass(*row)) for row in zip(Y, ETA, KAPPA, strict=True)])
    found = orders(FAMILY, y, ETA, {"kappa": KAPPA})
    np.testing.assert_allclose(found[0], exact, rtol=1e-12, atol=2e-13)
    assert np.max(slope_errors(FAMILY, y, ETA, {"kappa": KAPPA})) < 1e-7
    near = (np.abs(ETA) < 10) & (KAPPA > 0.1) & (KAPPA < 1e3)
    np.testing.assert_allclose(
        found[0][near], scipy_log_mass(ETA[near], Y[near], 12.0, KAPPA[near]), rtol=1e-12, atol=1e-13
    )
    np.testing.assert_allclose(orders(FAMILY, y, ETA, {"kappa": KAPPA}, 0.5), 0.5 * found, rtol=1e-14)
    binomial = values(find("binomial"), y, ETA)
    np.testing.assert_allclose(
        found[0][(KAPPA == 1e8) & (ETA == 0.7)], binomial[(KAPPA == 1e8) & (ETA == 0.7)], rtol=1e-6
    )


@pytest.mark.parametrize("link", ["probit", "cloglog"])
def test_other_links(link):
    family, y, eta = BetaBinomial(link=link), Response(np.arange(13.0), trials=np.full(13, 12.0)), np.full(13, -0.4)
    found = orders(family, y, eta, {"kappa": 3.0})
    mu = family.mean(eta, {})
    np.testing.assert_allclose(found[0], stats.betabinom.logpmf(y.value, 12, 3 * mu, 3 * (1 - mu)), rtol=1e-11)
    assert np.sum(np.exp(found[0])) == pytest.approx(1.0, abs=1e-13)
    assert np.max(slope_errors(family, y, eta, {"kappa": 3.0})) < 1e-7


def test_laplace_is_that_of_dense_algebra():
    y = Response(np.array([0.0, 3, 1, 9, 2, 0]), trials=np.array([4.0, 5, 1, 9, 6, 2]))
    tiny("betabinomial", y, scipy_log_mass).check([0.7, 2.3])


@pytest.mark.parametrize("kappa", [0.3, 6.0, 1e4])
def test_information_is_positive_and_at_most_fishers(kappa):
    y, eta, theta = Response(np.arange(13.0), trials=np.full(13, 12.0)), np.full(13, 0.9), {"kappa": kappa}
    found = orders(FAMILY, y, eta, theta)
    fisher = np.sum(np.exp(found[0]) * found[1] ** 2)
    with jax.enable_x64(True):
        ours = np.asarray(FAMILY.information(y, eta, theta, np.full(13, 2.0)))[0] / 2.0
    assert 0.5 * fisher < ours <= fisher * (1 + 1e-12)


@pytest.mark.parametrize("kappa", [1e-3, 4.0])
def test_new_successes(kappa):
    n = 100_000
    drawn = FAMILY.simulate(
        np.random.default_rng(1), np.full((1, n), 0.8), {"kappa": np.full(n, kappa)}, np.ones(1), np.array([12.0])
    )[0]
    true = stats.betabinom(12, kappa * special.expit(0.8), kappa * special.expit(-0.8))
    y = np.arange(13)
    m4 = np.sum(true.pmf(y) * (y - true.mean()) ** 4)
    assert abs(drawn.mean() - true.mean()) < 4 * np.sqrt(true.var() / n)
    assert abs(drawn.var() - true.var()) < 4 * np.sqrt((m4 - true.var() ** 2) / n)
    assert 12 * FAMILY.mean(np.array([0.8]), {}) == pytest.approx(true.mean())


def test_the_default_prior():
    y = Response(np.array([1.0, 2.0]), trials=np.full(2, 4.0))
    (parameter,) = FAMILY.parameters(y, 1.0, np.ones(2))
    assert (parameter.names, repr(parameter.default)) == (("kappa",), "pc_prec(3, 0.05)")


def test_bad_responses():
    with pytest.raises(DataError, match='`y` is of single trials, .* beta_binomial is .* family="bernoulli"'):
        FAMILY.check(Response(np.array([1.0, 0.0])), "`y`")
    with pytest.raises(DataError, match="5 successes of 4 trials in row 1 .*; accepted: whole numbers"):
        FAMILY.check(Response(np.array([5.0]), trials=np.array([4.0])), "`y`")
    with pytest.raises(DataError, match="0 successes of 0 trials in row 1 .*; accepted: .* at least one trial"):
        FAMILY.check(Response(np.array([0.0]), trials=np.array([0.0])), "`y`")
