"""Poisson counts by their definition."""

import numpy as np
import pytest
from oracles.elementwise import orders, slope_errors, values
from oracles.laplace import tiny
from scipy import stats

from lgm.families.poisson import Poisson
from lgm.families.response import Response

FAMILY = Poisson()
ETA, Y = (part.ravel() for part in np.meshgrid([-30.0, -2.0, 0.4, 6.0, 30.0], [0.0, 1.0, 70.0], indexing="ij"))


def log_mass(eta, y, trials):
    return stats.poisson.logpmf(y, np.exp(eta))


def test_log_likelihood_and_derivatives():
    found = orders(FAMILY, Response(Y), ETA)
    np.testing.assert_allclose(found[0], log_mass(ETA, Y, None), rtol=1e-12)
    np.testing.assert_allclose(found[1], Y - np.exp(ETA), rtol=1e-14)
    np.testing.assert_allclose(found[2:], np.tile(-np.exp(ETA), (3, 1)), rtol=1e-14)
    assert np.max(slope_errors(FAMILY, Response(Y), ETA)) < 1e-7
    np.testing.assert_allclose(orders(FAMILY, Response(Y), ETA, weights=0.3), 0.3 * found, rtol=1e-14)


def test_the_probabilities_sum_to_one():
    found = values(FAMILY, Response(np.arange(80.0)), np.full(80, 1.2))
    assert np.sum(np.exp(found)) == pytest.approx(1.0, abs=1e-14)


def test_laplace_is_that_of_dense_algebra():
    tiny("poisson", Response(np.array([0.0, 3, 1, 7, 2, 0])), log_mass).check([0.7])


def test_new_counts():
    n = 100_000
    drawn = FAMILY.simulate(np.random.default_rng(1), np.full((1, n), 1.3), {}, np.ones(1), np.ones(1))[0]
    mu = np.exp(1.3)
    assert abs(drawn.mean() - mu) < 4 * np.sqrt(mu / n)
    assert abs(drawn.var() - mu) < 4 * np.sqrt((mu + 2 * mu**2) / n)


@pytest.mark.parametrize("eta", [-25.0, 0.2, 3.0])
def test_counts_above_zero(eta):
    n, mu = 50_000, np.exp(eta)
    drawn = FAMILY.positive(np.random.default_rng(2), np.full(n, eta), {})
    zero = FAMILY.nonzero(np.array([eta]), {})[0]
    for k in (1, 2, 5):
        p = stats.poisson.pmf(k, mu) / -np.expm1(-zero)
        assert abs(np.mean(drawn == k) - p) <= 4 * np.sqrt(p * max(1 - p, 0.0) / n) + 1e-9
    assert drawn.min() >= 1.0


def test_the_level_is_that_of_a_unit_of_exposure():
    y = Response(np.array([3.0, 10.0]))
    assert FAMILY.level_of(y, np.log([2.0, 5.0]), np.ones(2)) == pytest.approx(np.log(13.5 / 7.0))
    assert np.isfinite(FAMILY.level_of(Response(np.zeros(2)), np.zeros(2), np.ones(2)))


def test_the_kernel_knows_it():
    assert FAMILY.kernel == "poisson_log" and FAMILY.log_concave
