"""Negative binomial counts by their definition."""

from decimal import Decimal, getcontext

import numpy as np
import pytest
from oracles.elementwise import orders, slope_errors, values
from oracles.laplace import tiny
from scipy import stats

from lgm.errors import DataError
from lgm.families import find
from lgm.families.negativebinomial import NegativeBinomial
from lgm.families.response import Response

FAMILY = NegativeBinomial()
ETA, Y, SHAPE = (
    part.ravel()
    for part in np.meshgrid([-30.0, -6.0, 0.7, 9.0, 30.0], [0.0, 1.0, 40.0], [1e-6, 0.4, 30.0, 1e8], indexing="ij")
)


def log_mass(y, eta, shape):
    """From products of whole numbers, to fifty digits."""
    getcontext().prec = 50
    mu, r, y = Decimal(eta).exp(), Decimal(shape), int(y)
    ways = sum((((r + k) / (k + 1)).ln() for k in range(y)), Decimal(0))
    return ways + y * (mu / (mu + r)).ln() - r * (1 + mu / r).ln()


def scipy_log_mass(eta, y, trials, shape):
    return stats.nbinom.logpmf(y, shape, shape / (shape + np.exp(eta)))


def test_log_likelihood_keeps_its_digits_far_out():
    exact = np.array([float(log_mass(*row)) for row in zip(Y, ETA, SHAPE, strict=True)])
    found = orders(FAMILY, Response(Y), ETA, {"shape": SHAPE})
    np.testing.assert_allclose(found[0], exact, rtol=1e-12, atol=1e-14)
    weighted = orders(FAMILY, Response(Y), ETA, {"shape": SHAPE}, 2.5)
    np.testing.assert_allclose(weighted, 2.5 * found, rtol=1e-14)


def test_log_likelihood_is_that_of_scipy():
    y, eta = np.array([0.0, 2.0, 9.0, 31.0]), np.array([-1.0, 0.4, 2.0, 3.0])
    found = values(FAMILY, Response(y), eta, {"shape": 1.7})
    np.testing.assert_allclose(found, scipy_log_mass(eta, y, None, 1.7), rtol=1e-12)


def test_slope_and_curvature_keep_their_digits_far_out():
    """``(y - mu) r / (r + mu)`` and ``-(y + r) r mu / (r + mu)^2``."""
    mu = np.exp(ETA)
    found = orders(FAMILY, Response(Y), ETA, {"shape": SHAPE})
    np.testing.assert_allclose(found[1], (Y - mu) / (1 + mu / SHAPE), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found[2], -(Y / SHAPE + 1) * mu / (1 + mu / SHAPE) ** 2, rtol=1e-12)
    assert np.max(slope_errors(FAMILY, Response(Y), ETA, {"shape": SHAPE})) < 1e-7


def test_a_large_shape_is_poisson():
    y, eta = np.array([0.0, 3.0, 12.0]), np.array([0.2, 1.0, 2.0])
    found = orders(FAMILY, Response(y), eta, {"shape": 1e12})
    np.testing.assert_allclose(found, orders(find("poisson"), Response(y), eta), rtol=1e-9)


def test_the_probabilities_sum_to_one():
    y = np.arange(400.0)
    found = values(FAMILY, Response(y), np.full(400, 1.2), {"shape": 0.8})
    assert np.sum(np.exp(found)) == pytest.approx(1.0, abs=1e-13)


def test_laplace_is_that_of_dense_algebra():
    tiny("nbinom2", Response(np.array([0.0, 3, 1, 9, 2, 0])), scipy_log_mass).check([0.7, 1.3])


def test_new_counts():
    """The mean has the standard error ``sqrt(V / n)``, the variance ``sqrt((m4 - V^2) / n)``."""
    n, shape = 200_000, 2.5
    drawn = FAMILY.simulate(
        np.random.default_rng(1), np.full((2, n), 1.1), {"shape": np.full(n, shape)}, np.ones(2), np.ones(2)
    )
    true = stats.nbinom(shape, shape / (shape + np.exp(1.1)))
    m4 = true.var() ** 2 * (true.stats("k") + 3.0)
    assert np.all(np.abs(drawn.mean(axis=1) - true.mean()) < 4 * np.sqrt(true.var() / n))
    assert np.all(np.abs(drawn.var(axis=1) - true.var()) < 4 * np.sqrt((m4 - true.var() ** 2) / n))
    assert FAMILY.mean(np.array([1.1]), {}) == pytest.approx(true.mean())


@pytest.mark.parametrize(("eta", "shape"), [(-25.0, 0.7), (0.3, 1e-4), (0.3, 1.6), (2.0, 1e8)])
def test_counts_above_zero(eta, shape):
    """Against the probabilities of 1, 2, 3: a share has the standard error ``sqrt(p (1 - p) / n)``."""
    n, theta = 50_000, {"shape": np.full(50_000, shape)}
    drawn = FAMILY.positive(np.random.default_rng(2), np.full((1, n), eta), theta)[0]
    zero = FAMILY.nonzero(np.array([eta]), {"shape": shape})[0]
    for k in (1, 2, 3):
        p = float(np.exp(float(log_mass(k, eta, shape))) / -np.expm1(-zero))
        assert abs(np.mean(drawn == k) - p) <= 4 * np.sqrt(p * (1 - p) / n) + 1e-9
    assert drawn.min() == 1.0


def test_the_default_prior_of_the_shape():
    (parameter,) = FAMILY.parameters(Response(np.array([0.0, 4.0])), 1.0, np.ones(2))
    assert (parameter.names, parameter.kind, repr(parameter.default)) == (("shape",), "shape", "pc_prec(3, 0.05)")
    assert float(parameter.default.distribution.rate) == pytest.approx(1.0, rel=2e-3)


def test_a_count_that_is_none():
    with pytest.raises(DataError, match="the response `y` has 1.5 in row 2 .* but negativebinomial is for counts"):
        FAMILY.check(Response(np.array([1.0, 1.5])), "`y`")


@pytest.mark.parametrize("name", ["negativebinomial", "negbinomial", "nbinom2", "neg_binomial_2"])
def test_other_names(name):
    assert find(name) == FAMILY and find(name).kernel == "negativebinomial_log"
