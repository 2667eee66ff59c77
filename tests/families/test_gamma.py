"""Gamma measurements by their definition."""

import math

import numpy as np
import pytest
from oracles.elementwise import orders, slope_errors, values
from oracles.grouped import agrees, by_rows
from scipy import stats

from lgm.errors import DataError
from lgm.families import find
from lgm.families.gamma import Gamma
from lgm.families.response import Response

FAMILY = Gamma()
Y = np.array([1.2, 0.3, 0.8, 2.1, 9.0, 0.4, 1.1, 0.2])


def test_log_likelihood():
    """A weight multiplies the shape: it divides the variance, and leaves the mean alone."""
    rng = np.random.default_rng(1)
    y, eta, w = rng.gamma(2.0, size=6), rng.standard_normal(6), rng.uniform(0.3, 3.0, 6)
    known = stats.gamma(2.5 * w, scale=np.exp(eta) / (2.5 * w))
    np.testing.assert_allclose(known.mean(), np.exp(eta), rtol=1e-12)
    np.testing.assert_allclose(known.var(), np.exp(2.0 * eta) / (2.5 * w), rtol=1e-12)
    np.testing.assert_allclose(values(FAMILY, Response(y), eta, {"shape": 2.5}, w), known.logpdf(y), rtol=1e-12)


def test_derivatives():
    y = Response(np.full(5, 0.7))
    assert np.max(slope_errors(FAMILY, y, [-3.0, -1.0, 0.0, 1.0, 4.0], {"shape": 1.5})) < 1e-8
    assert np.all(orders(FAMILY, y, [-3.0, -1.0, 0.0, 1.0, 4.0], {"shape": 1.5})[2] <= 0.0)
    assert np.all(np.isfinite(orders(FAMILY, Response(np.ones(2)), [-600.0, 700.0], {"shape": 1.5})))


def test_new_responses():
    """The sd of a variance of n draws, relative, is sqrt((kurtosis - 1) / n) with the kurtosis 3 + 6 / shape."""
    n, w, shape = 40_000, np.array([1.0, 3.0]), 2.0
    drawn = FAMILY.simulate(np.random.default_rng(2), np.full((2, n), 1.0), {"shape": np.full(n, shape)}, w, np.ones(2))
    a, mean = shape * w, math.e
    assert np.all(np.abs(drawn.mean(axis=1) - mean) < 4 * mean / np.sqrt(a * n))
    assert np.all(np.abs(drawn.var(axis=1) * a / mean**2 - 1) < 4 * np.sqrt((2 + 6 / a) / n))


def test_the_shape_is_that_of_a_row_of_weight_one():
    (plain,) = FAMILY.parameters(Response(Y), 1.0, np.ones(8))
    (heavy,) = FAMILY.parameters(Response(Y), 1.0, np.full(8, 4.0))
    assert (repr(plain.default), repr(heavy.default)) == ("pc_prec(3, 0.05)", "pc_prec(6, 0.05)")


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "0 in row 2 .* Zeros may be modelled apart"), (-1.0, "-1 in row 2 .* gaussian or t")]
)
def test_what_is_not_positive(value, words):
    with pytest.raises(DataError, match=f"`y` has {words}"):
        FAMILY.check(Response(np.array([1.0, value, 2.0])), "`y`")


def test_names():
    assert find("Gamma") == find("gamma") == FAMILY


def test_laplace_is_that_of_dense_algebra():
    y = by_rows(Y)
    agrees("gamma", Y, {"shape": 2.0}, lambda eta: stats.gamma(2.0, scale=np.exp(eta) / 2.0).logpdf(y(eta)))
