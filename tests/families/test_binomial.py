"""Successes out of trials by their definition."""

import jax
import numpy as np
import pytest
from oracles.elementwise import orders, slope_errors
from scipy import stats
from scipy.special import expit

from lgm.errors import DataError, LgmError
from lgm.families import find, is_listed
from lgm.families.response import Response

INVERSE = {"logit": expit, "probit": stats.norm.cdf, "cloglog": lambda eta: -np.expm1(-np.exp(eta))}


@pytest.mark.parametrize("link", INVERSE)
def test_log_likelihood(link):
    rng = np.random.default_rng(1)
    trials = rng.integers(1, 9, 30).astype(float)
    y, eta, w = np.floor(trials * rng.random(30)), rng.normal(size=30), rng.uniform(0.5, 2.0, 30)
    with jax.enable_x64(True):
        found = np.asarray(find("binomial", link).loglik(Response(y, trials), eta, {}, w))
    np.testing.assert_allclose(found, w * stats.binom(trials, INVERSE[link](eta)).logpmf(y), rtol=1e-12)


@pytest.mark.parametrize("link", INVERSE)
def test_derivatives(link):
    y, eta = Response(np.array([0.0, 1.0, 0.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0, 2.0, 2.0])), np.linspace(-2, 1, 5)
    assert np.all(np.isfinite(orders(find("binomial", link), y, eta)))
    assert np.max(slope_errors(find("binomial", link), y, eta)[:3]) < 1e-7


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
