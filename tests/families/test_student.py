"""Student's t by its definition."""

import jax
import numpy as np
import pytest
from oracles.elementwise import orders, slope_errors, values
from oracles.grouped import agrees, by_rows
from scipy import stats

from lgm.errors import DataError
from lgm.families import find
from lgm.families.response import Response
from lgm.families.student import Student

FAMILY = Student()
Y = np.array([1.2, -0.3, 0.8, 2.1, 9.0, 0.4, -1.1, 0.2])


def test_log_likelihood():
    rng = np.random.default_rng(1)
    y, eta, w = rng.standard_normal(6), rng.standard_normal(6), rng.uniform(0.3, 3.0, 6)
    for nu in (0.7, 2.5, 30.0):
        found = values(FAMILY, Response(y), eta, {"sigma": 1.7, "nu": nu}, w)
        np.testing.assert_allclose(found, stats.t(nu, eta, 1.7 / np.sqrt(w)).logpdf(y), rtol=1e-12)


def test_many_degrees_of_freedom_are_the_gaussian_family():
    y, eta = np.array([0.3, -2.0]), np.array([0.0, 1.0])
    found = values(FAMILY, Response(y), eta, {"sigma": 1.5, "nu": 1e12}, 2.0)
    np.testing.assert_allclose(found, stats.norm(eta, 1.5 / np.sqrt(2.0)).logpdf(y), rtol=1e-10)


def test_derivatives():
    eta = np.array([-8.0, -1.0, 0.0, 0.3, 2.0, 30.0])
    assert np.max(slope_errors(FAMILY, Response(np.full(6, 0.3)), eta, {"sigma": 1.3, "nu": 4.0})) < 1e-7
    assert np.all(np.isfinite(orders(FAMILY, Response(np.zeros(2)), [-1e8, 1e8], {"sigma": 1.3, "nu": 4.0})))


def test_the_quadratic_of_a_step_is_below_the_log_likelihood():
    """So that steps ascend: at any distance, it has the value and the slope there."""
    y, eta, theta = Response(np.zeros(5)), np.array([-9.0, -1.0, 0.0, 0.4, 5.0]), {"sigma": 0.8, "nu": 3.0}
    value, slope, second = orders(FAMILY, y, eta, theta)[:3]
    with jax.enable_x64(True):
        curvature = np.asarray(FAMILY.information(y, eta, theta, np.ones(5)))
    assert np.all(curvature > 0) and np.all(curvature >= -second - 1e-12)
    for step in np.linspace(-12.0, 12.0, 41):
        bound = value + slope * step - 0.5 * curvature * step**2
        assert np.all(values(FAMILY, y, eta + step, theta) >= bound - 1e-10)


def test_new_responses():
    """Of 40,000, the share beyond a quantile has the error of a binomial share."""
    n, w, nu = 40_000, np.array([1.0, 4.0]), 3.5
    theta = {"sigma": np.full(n, 2.0), "nu": np.full(n, nu)}
    drawn = FAMILY.simulate(np.random.default_rng(2), np.ones((2, n)), theta, w, np.ones(2))
    for p in (0.05, 0.5, 0.9):
        ends = 1.0 + 2.0 / np.sqrt(w) * stats.t(nu).ppf(p)
        assert np.all(np.abs(np.mean(drawn < ends[:, None], axis=1) - p) < 4 * np.sqrt(p * (1 - p) / n))


def test_default_priors_follow_the_unit():
    y = Response(np.array([1.0, 2.0, 4.0, 90.0]))
    assert FAMILY.scale_of(y, np.zeros(4)) == pytest.approx(np.std(y.value))
    assert FAMILY.level_of(y, np.zeros(4), np.ones(4)) == 3.0
    sigma, nu = FAMILY.parameters(y, 10.0, np.ones(4))
    assert (sigma.kind, repr(sigma.default), nu.kind, repr(nu.default)) == (
        "sigma",
        "exponential(0.1)",
        "nu",
        "shifted_gamma(2, 2, 0.1)",
    )


def test_a_constant_response():
    with pytest.raises(DataError, match="there is nothing to model"):
        FAMILY.check(Response(np.full(3, 2.0)), "`y`")


def test_names():
    assert find("student") == find("t") == FAMILY and hash(find("t")) == hash(FAMILY)


def test_laplace_is_that_of_dense_algebra():
    y = by_rows(Y)
    agrees("t", Y, {"sigma": 0.6, "nu": 4.0}, lambda eta: stats.t(4.0, eta, 0.6).logpdf(y(eta)), level=0.5)
