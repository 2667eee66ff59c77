"""The Gaussian family by its definition."""

import jax
import numpy as np
import pytest
from oracles.elementwise import orders, slope_errors
from oracles.grouped import agrees, by_rows
from scipy import stats

from lgm.errors import DataError, LgmError
from lgm.families import find
from lgm.families.gaussian import Gaussian
from lgm.families.response import Response

FAMILY = Gaussian()


def test_log_likelihood():
    rng = np.random.default_rng(1)
    y, eta, w = rng.standard_normal(6), rng.standard_normal(6), rng.uniform(0.3, 3.0, 6)
    with jax.enable_x64(True):
        found = np.asarray(FAMILY.loglik(Response(y), eta, {"sigma": 1.7}, w))
    np.testing.assert_allclose(found, stats.norm(eta, 1.7 / np.sqrt(w)).logpdf(y), rtol=1e-14)


def test_new_responses_have_the_sd_of_their_weight():
    """A variance from n draws has a relative error of sqrt(2 / n)."""
    n, w = 40_000, np.array([1.0, 4.0])
    drawn = FAMILY.simulate(np.random.default_rng(2), np.zeros((2, n)), {"sigma": np.full(n, 3.0)}, w, np.ones(2))
    np.testing.assert_allclose(drawn.var(axis=1), 9.0 / w, rtol=4 * np.sqrt(2 / n))
    assert np.all(np.abs(drawn.mean(axis=1)) < 4 * 3.0 / np.sqrt(w * n))


def test_sigma_is_that_of_a_row_of_weight_one():
    y = Response(np.array([1.0, 2.0, 4.0, 9.0]))
    yardstick = FAMILY.scale_of(y, np.zeros(4))
    assert yardstick == pytest.approx(np.std(y.value))
    (plain,) = FAMILY.parameters(y, yardstick, np.ones(4))
    (heavy,) = FAMILY.parameters(y, yardstick, np.full(4, 9.0))
    assert plain.names == ("sigma",) and plain.places == (("Residual", "sigma"),)
    assert (plain.start, heavy.start) == pytest.approx((yardstick / 2, 3 * yardstick / 2))


def test_a_constant_response():
    with pytest.raises(DataError, match="the response `y` is 2 in all 3 rows"):
        FAMILY.check(Response(np.full(3, 2.0)), "`y`")
    FAMILY.check(Response(np.array([1.0, 1.0 + 1e-9])), "`y`")


@pytest.mark.parametrize("name", ["poison", None, 3])
def test_an_unknown_family(name):
    with pytest.raises(LgmError, match=r'is not available;.* accepted: "gaussian"'):
        find(name)


LOG = Gaussian("log")


def test_log_link():
    rng = np.random.default_rng(4)
    y, eta, w = rng.standard_normal(6), rng.standard_normal(6), rng.uniform(0.3, 3.0, 6)
    found = orders(LOG, Response(y), eta, {"sigma": 1.7}, w)
    np.testing.assert_allclose(found[0], stats.norm(np.exp(eta), 1.7 / np.sqrt(w)).logpdf(y), rtol=1e-12)
    assert np.max(slope_errors(LOG, Response(y), eta, {"sigma": 1.7})) < 1e-7
    with jax.enable_x64(True):
        known = np.asarray(LOG.information(Response(y), eta, {"sigma": 1.7}, w))
    at_mean = orders(LOG, Response(np.exp(eta)), eta, {"sigma": 1.7}, w)[2]  # linear in y
    np.testing.assert_allclose(known, -at_mean, rtol=1e-12)


def test_log_link_has_the_unit_of_the_response_in_sigma_only():
    y = Response(np.array([100.0, 200.0, 600.0]))
    assert LOG.level_of(y, np.zeros(3), np.ones(3)) == pytest.approx(np.log(300.0))
    assert LOG.scale_of(y, np.zeros(3)) == 1.0
    (sigma,) = LOG.parameters(y, 1.0, np.ones(3))
    assert sigma.start == pytest.approx(np.std(y.value) / 2)


def test_laplace_with_the_log_link_is_that_of_dense_algebra():
    y = np.array([1.2, 0.3, 0.8, 2.1, 4.0, 0.4, 1.1, -0.2])
    at = by_rows(y)
    agrees(LOG, y, {"sigma": 0.5}, lambda eta: stats.norm(np.exp(eta), 0.5).logpdf(at(eta)))
