"""Hurdle counts by their definition."""

from decimal import Decimal, getcontext

import jax
import numpy as np
import pytest
from oracles.elementwise import orders, slope_errors, values
from oracles.laplace import tiny
from scipy import special, stats

from lgm.errors import DataError
from lgm.families import find
from lgm.families.hurdle import HurdleNegativeBinomial, HurdlePoisson
from lgm.families.response import Response

ETA, Y, SHAPE = (
    part.ravel()
    for part in np.meshgrid([-30.0, -9.3, -2.0, 1.5, 9.0, 30.0], [0.0, 1.0, 2.0, 40.0], [1e-6, 0.4, 1e8], indexing="ij")
)
THETA = {"shape": SHAPE, "zi": np.full(Y.size, 0.3)}
FAMILIES = [HurdlePoisson(), HurdleNegativeBinomial()]


def log_mass(y, eta, shape, zi=0.3):
    """To fifty digits; Poisson without a shape."""
    getcontext().prec = 50
    mu, y, zi = Decimal(eta).exp(), int(y), Decimal(zi)
    if y == 0:
        return zi.ln()
    if shape is None:
        terms, zero = [(mu / (k + 1)).ln() for k in range(y)], -mu
    else:
        r = Decimal(shape)
        terms, zero = [((r + k) / (k + 1) * mu / (mu + r)).ln() for k in range(y)], -r * (1 + mu / r).ln()
    return (1 - zi).ln() + sum(terms) + zero - (1 - zero.exp()).ln()


def poisson(eta, y, trials, zi):
    log_f = y * eta - np.exp(eta) - special.gammaln(y + 1)
    return np.where(y == 0, np.log(zi), np.log1p(-zi) + log_f - np.log(-np.expm1(-np.exp(eta))))


def negativebinomial(eta, y, trials, shape, zi):
    other = stats.nbinom(shape, shape / (shape + np.exp(eta)))
    return np.where(y == 0, np.log(zi), np.log1p(-zi) + other.logpmf(y) - other.logsf(0))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_log_likelihood_and_derivatives_keep_their_digits_far_out(family):
    shapes = [None] * Y.size if isinstance(family, HurdlePoisson) else SHAPE
    exact = np.array([float(log_mass(*row)) for row in zip(Y, ETA, shapes, strict=True)])
    found = orders(family, Response(Y), ETA, THETA)
    np.testing.assert_allclose(found[0], exact, rtol=1e-12, atol=1e-13)
    assert np.max(slope_errors(family, Response(Y), ETA, THETA)) < 1e-7
    np.testing.assert_allclose(orders(family, Response(Y), ETA, THETA, 0.5), 0.5 * found, rtol=1e-14)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_probabilities_sum_to_one(family):
    found = values(family, Response(np.arange(500.0)), np.full(500, 1.1), {"shape": 1.3, "zi": 0.2})
    assert np.sum(np.exp(found)) == pytest.approx(1.0, abs=1e-13)


@pytest.mark.slow
def test_laplace_is_that_of_dense_algebra():
    counts = Response(np.array([0.0, 3, 0, 7, 1, 1]))
    tiny("hurdle_poisson", counts, poisson).check([0.7, 0.25])
    tiny("hurdle_negbinomial", counts, negativebinomial).check([0.7, 1.5, 0.25])


def test_concavity():
    """Poisson is log-concave; the negative binomial is not, and its information is at least the observed one."""
    observed = {family.name: -orders(family, Response(Y), ETA, THETA)[2] for family in FAMILIES}
    assert HurdlePoisson.log_concave and np.all(observed["hurdle_poisson"] > -1e-14)
    mine = observed["hurdle_negativebinomial"]
    assert not HurdleNegativeBinomial.log_concave and np.min(mine) < -1e-3
    with jax.enable_x64(True):
        found = np.asarray(HurdleNegativeBinomial().information(Response(Y), ETA, THETA, 1.0))
    assert np.all(found >= 0) and np.all(found >= mine - 1e-9 * (1 + np.abs(mine)))


@pytest.mark.parametrize("eta", [-20.0, 0.6])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_new_counts(family, eta):
    n, zi, shape = 100_000, 0.35, 1.4
    theta = {"shape": np.full(n, shape), "zi": np.full(n, zi)}
    drawn = family.simulate(np.random.default_rng(1), np.full((1, n), eta), theta, np.ones(1), np.ones(1))[0]
    y = np.arange(1.0, 300.0)
    mass = np.exp(poisson(eta, y, None, zi) if family is FAMILIES[0] else negativebinomial(eta, y, None, shape, zi))
    mean, square = np.sum(y * mass), np.sum(y**2 * mass)
    assert abs(drawn.mean() - mean) < 4 * np.sqrt((square - mean**2) / n)
    assert abs(np.mean(drawn == 0) - zi) < 4 * np.sqrt(zi * (1 - zi) / n)
    assert family.mean(np.array([eta]), {"shape": shape, "zi": zi})[0] == pytest.approx(mean, rel=1e-9)


def test_means_without_an_end():
    eta = np.array([-1e4, -800.0, -40.0])
    for family in FAMILIES:
        np.testing.assert_allclose(family.mean(eta, {"shape": np.array(2.0), "zi": np.array(0.25)}), 0.75, rtol=1e-12)


def test_default_priors_and_level():
    counts = Response(np.array([0.0, 4.0, 0.0, 2.0]))
    found = find("hurdle_negbinomial").parameters(counts, 1.0, np.ones(4))
    assert [(p.names[0], repr(p.default)) for p in found] == [("shape", "pc_prec(3, 0.05)"), ("zi", "beta(1, 1)")]
    assert found[1].start == pytest.approx(2.5 / 5.0)
    assert HurdlePoisson().level_of(counts, np.zeros(4), np.ones(4)) == pytest.approx(np.log(6.5 / 2.0))


def test_bad_counts():
    with pytest.raises(DataError, match="`y` has 0.5 in row 2 .* hurdle_poisson is for counts"):
        HurdlePoisson().check(Response(np.array([1.0, 0.5])), "`y`")
    with pytest.raises(DataError, match="`y` is 0 in all 2 rows that have one; hurdle_poisson has a linear predictor"):
        HurdlePoisson().check(Response(np.zeros(2)), "`y`")
