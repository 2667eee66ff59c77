"""Zero-inflated responses by their definition."""

from typing import Any

import jax
import numpy as np
import pytest
from oracles.elementwise import orders, slope_errors, values
from oracles.laplace import tiny
from scipy import special, stats

from lgm.errors import DataError
from lgm.families import find
from lgm.families.response import Response
from lgm.families.zero_inflated import ZeroInflatedBinomial, ZeroInflatedNegativeBinomial, ZeroInflatedPoisson

ETA, Y, ZI = (
    part.ravel()
    for part in np.meshgrid([-30.0, -5.0, 0.4, 2.5, 30.0], [0.0, 1.0, 6.0], [1e-9, 0.3, 0.98], indexing="ij")
)


def mixed(y, zi, log_f):
    """The log of the mixture, by `logaddexp`."""
    other = np.log1p(-zi) + log_f
    return np.where(y == 0.0, np.logaddexp(np.log(zi), other), other)


def poisson(eta, y, trials, zi):
    return mixed(y, zi, y * eta - np.exp(eta) - special.gammaln(y + 1))


def negativebinomial(eta, y, trials, shape, zi):
    ways = special.gammaln(y + shape) - special.gammaln(shape) - special.gammaln(y + 1)
    ratio = np.logaddexp(0.0, eta - np.log(shape))
    return mixed(y, zi, ways + y * (eta - np.log(shape) - ratio) - shape * ratio)


def binomial(eta, y, trials, zi):
    ways = special.gammaln(trials + 1) - special.gammaln(y + 1) - special.gammaln(trials - y + 1)
    return mixed(y, zi, ways + y * special.log_expit(eta) + (trials - y) * special.log_expit(-eta))


CASES: dict[str, Any] = {
    "poisson": (ZeroInflatedPoisson(), poisson, {}),
    "negativebinomial": (ZeroInflatedNegativeBinomial(), negativebinomial, {"shape": 1.4}),
    "binomial": (ZeroInflatedBinomial(), binomial, {"trials": 7.0}),
}


@pytest.mark.parametrize("case", CASES)
def test_log_likelihood_and_derivatives(case):
    family, log_mass, also = CASES[case]
    trials = np.full(Y.size, also.get("trials", 1.0))
    own = {kind: value for kind, value in also.items() if kind == "shape"}
    y = Response(Y, trials=trials if "trials" in also else None)
    found = orders(family, y, ETA, {**own, "zi": ZI})
    np.testing.assert_allclose(found[0], log_mass(ETA, Y, trials, *own.values(), ZI), rtol=1e-12, atol=1e-14)
    # zeros far down: one digit of 1e-9 in the mixture is gone in the differences
    assert np.max(slope_errors(family, y, ETA, {**own, "zi": ZI})) < 1e-7
    np.testing.assert_allclose(orders(family, y, ETA, {**own, "zi": ZI}, 0.5), 0.5 * found, rtol=1e-14)


@pytest.mark.parametrize("case", CASES)
def test_the_probabilities_sum_to_one(case):
    family, _, also = CASES[case]
    n = 8 if "trials" in also else 400
    y = Response(np.arange(float(n)), trials=np.full(n, 7.0) if "trials" in also else None)
    found = values(family, y, np.full(n, 0.9), {"shape": 1.4, "zi": 0.3})
    assert np.sum(np.exp(found)) == pytest.approx(1.0, abs=1e-13)


def test_laplace_is_that_of_dense_algebra():
    tiny("zero_inflated_poisson", Response(np.array([0.0, 3, 0, 7, 2, 0])), poisson).check([0.4, 0.1])


@pytest.mark.slow
def test_laplace_of_others_is_that_of_dense_algebra():
    counts = Response(np.array([0.0, 3, 0, 19, 2, 0]))
    tiny("zero_inflated_negbinomial", counts, negativebinomial).check([0.7, 1.5, 0.25])
    shares = Response(np.array([0.0, 3, 0, 7, 2, 1]), trials=np.array([4.0, 5, 3, 9, 6, 2]))
    tiny("zero_inflated_binomial", shares, binomial).check([0.7, 0.25])


@pytest.mark.parametrize("case", CASES)
def test_information_is_at_least_the_observed_one(case):
    family, _, also = CASES[case]
    y, theta = Response(Y, trials=np.full(Y.size, 7.0)), {"shape": 1.4, "zi": ZI}
    observed = -orders(family, y, ETA, theta)[2]
    found = np.asarray(information(family, y, theta))
    assert np.all(found >= 0) and np.all(found >= observed - 1e-6 * np.abs(observed) - 1e-12)
    np.testing.assert_allclose(found[Y > 0], observed[Y > 0], rtol=1e-6, atol=1e-12)


def information(family, y, theta):
    with jax.enable_x64(True):
        return family.information(y, np.asarray(ETA), theta, 1.0)


@pytest.mark.parametrize("case", CASES)
def test_new_responses(case):
    family, _, also = CASES[case]
    n, zi = 100_000, 0.35
    theta = {"shape": np.full(n, 1.4), "zi": np.full(n, zi)}
    trials = also.get("trials", 1.0)
    drawn = family.simulate(np.random.default_rng(1), np.full((1, n), 0.6), theta, np.ones(1), np.array([trials]))[0]
    other = {
        "poisson": stats.poisson(np.exp(0.6)),
        "negativebinomial": stats.nbinom(1.4, 1.4 / (1.4 + np.exp(0.6))),
        "binomial": stats.binom(7, special.expit(0.6)),
    }[case]
    mean, zero = (1 - zi) * other.mean(), zi + (1 - zi) * other.pmf(0)
    variance = (1 - zi) * (other.var() + zi * other.mean() ** 2)
    assert abs(drawn.mean() - mean) < 4 * np.sqrt(variance / n)
    assert abs(np.mean(drawn == 0) - zero) < 4 * np.sqrt(zero * (1 - zero) / n)
    assert family.mean(np.array([0.6]), {"zi": np.array(zi)}) * trials == pytest.approx(mean)


def test_default_priors():
    counts = Response(np.array([0.0, 4.0, 0.0]))
    found = find("zero_inflated_negbinomial").parameters(counts, 1.0, np.ones(3))
    assert [(p.names[0], repr(p.default)) for p in found] == [("shape", "pc_prec(3, 0.05)"), ("zi", "beta(1, 1)")]
    (parameter,) = find("zero_inflated_poisson").parameters(counts, 1.0, np.ones(3))
    assert parameter.start == pytest.approx(0.5 * 2.5 / 4.0)


def test_bad_responses():
    with pytest.raises(DataError, match="`y` has -1 in row 1 .* but poisson is for counts"):
        ZeroInflatedPoisson().check(Response(np.array([-1.0])), "`y`")
    with pytest.raises(DataError, match='`y` is of single trials, .* zero_inflated_binomial .* family="bernoulli"'):
        ZeroInflatedBinomial().check(Response(np.array([1.0, 0.0])), "`y`")
    with pytest.raises(DataError, match="8 successes of 7 trials in row 2"):
        ZeroInflatedBinomial().check(Response(np.array([1.0, 8.0]), trials=np.full(2, 7.0)), "`y`")
