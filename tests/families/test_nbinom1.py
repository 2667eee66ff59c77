"""Negative binomial counts with a variance proportional to the mean, by their definition."""

from decimal import Decimal, getcontext

import numpy as np
import pytest
from oracles.elementwise import orders, slope_errors, values
from oracles.laplace import tiny
from scipy import stats

from lgm.families import find
from lgm.families.nbinom1 import NegativeBinomial1
from lgm.families.response import Response

FAMILY = NegativeBinomial1()
ETA, Y, DISPERSION = (
    part.ravel()
    for part in np.meshgrid([-30.0, -6.0, 0.7, 9.0, 30.0], [0.0, 1.0, 40.0], [1e-8, 0.4, 30.0, 1e6], indexing="ij")
)


def log_mass(y, eta, dispersion):
    """From products of whole numbers, to fifty digits."""
    getcontext().prec = 50
    d, y = Decimal(dispersion), int(y)
    r = Decimal(eta).exp() / d
    return sum((((r + k) / (k + 1)).ln() for k in range(y)), Decimal(0)) + y * (d / (1 + d)).ln() - r * (1 + d).ln()


def scipy_log_mass(eta, y, trials, dispersion):
    return stats.nbinom.logpmf(y, np.exp(eta) / dispersion, 1.0 / (1.0 + dispersion))


def test_log_likelihood_and_derivatives_keep_their_digits_far_out():
    exact = np.array([float(log_mass(*row)) for row in zip(Y, ETA, DISPERSION, strict=True)])
    found = orders(FAMILY, Response(Y), ETA, {"dispersion": DISPERSION})
    np.testing.assert_allclose(found[0], exact, rtol=1e-12, atol=1e-12)
    assert np.max(slope_errors(FAMILY, Response(Y), ETA, {"dispersion": DISPERSION})) < 1e-7
    near = (np.abs(ETA) < 10) & (DISPERSION > 1e-3) & (DISPERSION < 1e3)
    np.testing.assert_allclose(
        found[0][near], scipy_log_mass(ETA[near], Y[near], None, DISPERSION[near]), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(
        orders(FAMILY, Response(Y), ETA, {"dispersion": DISPERSION}, 2.0), 2.0 * found, rtol=1e-14
    )
    poisson = orders(find("poisson"), Response(Y), ETA)
    almost = (DISPERSION == 1e-8) & (ETA > 0.0) & (ETA < 10.0)
    np.testing.assert_allclose(found[0][almost], poisson[0][almost], rtol=1e-5)


def test_the_probabilities_sum_to_one():
    found = values(FAMILY, Response(np.arange(300.0)), np.full(300, 1.2), {"dispersion": 2.5})
    assert np.sum(np.exp(found)) == pytest.approx(1.0, abs=1e-13)


def test_laplace_is_that_of_dense_algebra():
    """The count of 30 is so large that the log-likelihood of its row is not concave."""
    tiny("nbinom1", Response(np.array([0.0, 3, 1, 30, 2, 0])), scipy_log_mass).check([0.7, 1.3])


def test_information_is_positive_and_at_most_fishers():
    """Fisher's is the mean of the squared slope."""
    y, eta, dispersion = np.arange(2000.0), 1.3, np.array([0.2, 7.0])
    for d in dispersion:
        found = orders(FAMILY, Response(y), np.full(y.size, eta), {"dispersion": d})
        fisher = np.sum(np.exp(found[0]) * found[1] ** 2)
        ours = float(FAMILY.information(Response(y), np.float64(eta), {"dispersion": d}, 2.0)) / 2.0
        assert 0.5 * fisher < ours <= fisher


def test_new_counts():
    n, d = 200_000, 3.0
    drawn = FAMILY.simulate(
        np.random.default_rng(1), np.full((1, n), 1.1), {"dispersion": np.full(n, d)}, np.ones(1), np.ones(1)
    )[0]
    true = stats.nbinom(np.exp(1.1) / d, 1.0 / (1.0 + d))
    assert true.var() == pytest.approx(np.exp(1.1) * (1.0 + d))
    m4 = true.var() ** 2 * (true.stats("k") + 3.0)
    assert abs(drawn.mean() - true.mean()) < 4 * np.sqrt(true.var() / n)
    assert abs(drawn.var() - true.var()) < 4 * np.sqrt((m4 - true.var() ** 2) / n)


def test_the_default_prior_of_the_dispersion():
    wide, narrow = np.array([0.0, 4.0, 20.0]), np.array([1.0, 2.0, 1.0])
    (parameter,) = FAMILY.parameters(Response(wide), 1.0, np.ones(3))
    assert parameter.names == ("dispersion",)
    assert float(parameter.default.distribution.mean) == pytest.approx(np.var(wide) / 8.0)
    for few in (narrow, np.zeros(3)):
        (parameter,) = FAMILY.parameters(Response(few), 1.0, np.ones(3))
        assert repr(parameter.default) == "exponential(1)"
