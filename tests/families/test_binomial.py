"""Successes out of trials by their definition."""

import numpy as np
import pytest
from oracles.elementwise import orders, slope_errors, values
from oracles.laplace import tiny
from scipy import special, stats

from lgm.errors import DataError, LgmError
from lgm.families import find, is_listed
from lgm.families.binomial import Bernoulli, Binomial
from lgm.families.response import Response

ETA, Y = (part.ravel() for part in np.meshgrid([-30.0, -7.0, -0.4, 1.0, 2.5], [0.0, 1.0, 6.0, 9.0], indexing="ij"))
TRIALS = np.full(Y.size, 9.0)
LOG_SHARES = {
    "logit": lambda eta: (special.log_expit(eta), special.log_expit(-eta)),
    "probit": lambda eta: (special.log_ndtr(eta), special.log_ndtr(-eta)),
    "cloglog": lambda eta: (np.log(-np.expm1(-np.exp(eta))), -np.exp(eta)),
}


def log_mass(link):
    def rows(eta, y, trials):
        success, failure = LOG_SHARES[link](eta)
        ways = special.gammaln(trials + 1) - special.gammaln(y + 1) - special.gammaln(trials - y + 1)
        return ways + y * success + (trials - y) * failure

    return rows


@pytest.mark.parametrize("link", Binomial.links)
def test_log_likelihood_and_derivatives(link):
    family, y = Binomial(link=link), Response(Y, trials=TRIALS)
    found = orders(family, y, ETA)
    np.testing.assert_allclose(found[0], log_mass(link)(ETA, Y, TRIALS), rtol=1e-12, atol=1e-14)
    near = np.abs(ETA) < 10
    share = family.mean(ETA[near], {})
    np.testing.assert_allclose(found[0][near], stats.binom.logpmf(Y[near], 9, share), rtol=1e-12, atol=1e-14)
    errors = slope_errors(family, y, ETA)
    assert np.max(errors[:2]) < 1e-7
    assert np.max(errors[:, near]) < 1e-7  # JAX's log_ndtr loses digits of higher derivatives at -30
    np.testing.assert_allclose(orders(family, y, ETA, weights=3.0), 3.0 * found, rtol=1e-14)


def test_curvature_of_the_logit_far_out():
    """``-n mu (1 - mu)``."""
    eta = np.array([-600.0, -36.0, 0.0, 36.0, 600.0])
    found = orders(Bernoulli(), Response(np.array([0.0, 1, 0, 1, 0])), eta)
    np.testing.assert_allclose(found[2], -special.expit(eta) * special.expit(-eta), rtol=1e-13)


@pytest.mark.parametrize("link", Binomial.links)
def test_the_probabilities_sum_to_one(link):
    y = Response(np.arange(8.0), trials=np.full(8, 7.0))
    assert np.sum(np.exp(values(Binomial(link=link), y, np.full(8, -0.7)))) == pytest.approx(1.0, abs=1e-13)


@pytest.mark.parametrize("link", ["logit"])
def test_laplace_is_that_of_dense_algebra(link):
    y = Response(np.array([0.0, 3, 1, 7, 2, 0]), trials=np.array([4.0, 5, 1, 9, 6, 2]))
    tiny(Binomial(link=link), y, log_mass(link)).check([0.7])


def test_new_successes():
    n, mu = 100_000, special.expit(0.8)
    drawn = Binomial().simulate(np.random.default_rng(1), np.full((2, n), 0.8), {}, np.ones(2), np.array([1.0, 12.0]))
    for row, trials in zip(drawn, (1, 12), strict=True):
        variance = trials * mu * (1 - mu)
        assert abs(row.mean() - trials * mu) < 4 * np.sqrt(variance / n)
        assert abs(row.var() - variance) < 4 * variance * np.sqrt((2 + 1 / variance) / n)


@pytest.mark.parametrize(("value", "trials", "said"), [(-1.0, 3.0, "-1"), (4.0, 3.0, "4"), (1.5, 3.0, "1.5")])
def test_successes_that_cannot_be(value, trials, said):
    y = Response(np.array([1.0, value]), trials=np.array([3.0, trials]))
    with pytest.raises(
        DataError,
        match=f"`y` has {said} successes of 3 trials in row 2 .*; accepted: whole numbers .* at least one trial",
    ):
        Binomial().check(y, "`y`")


@pytest.mark.parametrize("trials", [0.0, -2.0, 2.5, np.inf])
def test_trials_that_cannot_be(trials):
    y = Response(np.array([1.0, 0.0]), trials=np.array([3.0, trials]))
    with pytest.raises(DataError, match="`y` has .* trials in row 2 .*; accepted: whole numbers .* at least one trial"):
        Binomial().check(y, "`y`")


def test_the_level_is_that_of_the_share_of_successes():
    y = Response(np.array([1.0, 5.0]), trials=np.array([4.0, 9.0]))
    assert Binomial().level_of(y, np.zeros(2), np.ones(2)) == pytest.approx(special.logit(6.5 / 14.0))
    assert np.isfinite(Bernoulli().level_of(Response(np.ones(3)), np.zeros(3), np.ones(3)))


def test_names_of_the_kernel():
    assert [Binomial(link=link).kernel for link in Binomial.links] == [
        "binomial_logit",
        "binomial_probit",
        "binomial_cloglog",
    ]
    assert find("bernoulli") == Bernoulli()


def test_which_rows_are_one_sided():
    y = Response(np.array([0.0, 1.0, 3.0, 0.0]), np.array([3.0, 3.0, 3.0, 1.0]))
    assert find("binomial").one_sided(y).tolist() == [-1, 0, 1, -1]
    assert find("bernoulli").one_sided(Response(np.array([0.0, 1.0]))).tolist() == [-1, 1]


def test_wrong_responses():
    with pytest.raises(DataError, match="4 successes of 3 trials in row 2 of those with a response"):
        find("binomial").check(Response(np.array([1.0, 4.0]), np.array([2.0, 3.0])), "`y`")
    with pytest.raises(DataError, match=r"`y` has 3 in row 1 .* zeros and ones, booleans, or two categories\. Numbers"):
        find("bernoulli").check(Response(np.array([3.0, 4.0, 0.0])), "`y`")


def test_names_and_links():
    assert find("bernoulli", "probit").link == "probit" and find(find("poisson")).link == "log"
    assert is_listed(find("bernoulli", "cloglog"))
    with pytest.raises(LgmError, match=r"link='probbit' of binomial: Did you mean `probit`\? accepted: 'logit'"):
        find("binomial", "probbit")
    with pytest.raises(LgmError, match=r"family='binomal' is not available; Did you mean `binomial`"):
        find("binomal")
    with pytest.raises(LgmError, match="link='log' beside a family that has one, 'logit'"):
        find(find("binomial"), "log")
