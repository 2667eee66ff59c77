"""The Gaussian family: density, what it refuses, new responses, scale of its default prior."""

import jax
import numpy as np
import pytest
from scipy import stats

from lgm.errors import DataError
from lgm.families import find
from lgm.families.gaussian import Gaussian

RNG = np.random.default_rng(2)
Y, ETA, W = RNG.normal(size=12), RNG.normal(size=12), RNG.uniform(0.2, 4.0, 12)
FAMILY = Gaussian()


def test_it_is_found_by_its_name() -> None:
    found = find("gaussian")
    assert found == FAMILY and (found.link, found.predictors, found.residual) == ("identity", ("mu",), "sigma")


@pytest.mark.parametrize("sigma", [1e-3, 0.7, 40.0])
def test_log_density(sigma: float) -> None:
    with jax.enable_x64(True):
        found = np.asarray(FAMILY.loglik(Y, ETA, {"sigma": sigma}, W))
    np.testing.assert_allclose(found, stats.norm(ETA, sigma / np.sqrt(W)).logpdf(Y), rtol=1e-12)


def test_new_responses() -> None:
    """Moments by row, with an error of five standard errors."""
    n = 40_000
    eta, sigma = np.tile(ETA[:, None], (1, n)), np.full(n, 0.7)
    drawn = FAMILY.simulate(np.random.default_rng(3), eta, {"sigma": sigma}, W)
    sd = 0.7 / np.sqrt(W)
    assert np.all(np.abs(drawn.mean(axis=1) - ETA) < 5 * sd / np.sqrt(n))
    np.testing.assert_allclose(drawn.std(axis=1), sd, rtol=5 / np.sqrt(2 * n))
    corr = np.corrcoef(drawn - eta)
    assert np.abs(corr - np.eye(12)).max() < 5 / np.sqrt(n)


def test_each_draw_has_its_own_sigma() -> None:
    drawn = FAMILY.simulate(
        np.random.default_rng(3), np.zeros((5000, 2)), {"sigma": np.array([0.0, 3.0])}, np.ones(5000)
    )
    assert np.all(drawn[:, 0] == 0.0) and drawn[:, 1].std() == pytest.approx(3.0, rel=5 / np.sqrt(10_000))


def test_the_mean_is_the_linear_predictor() -> None:
    assert FAMILY.mean(ETA, {"sigma": np.ones(1)}) is ETA


@pytest.mark.parametrize("y", [np.full(5, 3.0), np.zeros(4), 1e8 + 1e-7 * np.arange(3)])
def test_a_response_that_does_not_vary(y: np.ndarray) -> None:
    with pytest.raises(
        DataError, match=rf"the response `y` is .* in all {y.size} rows that have one; there is nothing"
    ):
        FAMILY.check(y, "`y`")


def test_a_response_that_hardly_varies() -> None:
    FAMILY.check(1e8 + 0.01 * np.arange(3.0), "`y`")


def test_scale() -> None:
    """Of a row of typical weight: with all weights times c^2 the prior of sigma is c times as wide."""
    assert FAMILY.scale_of(Y) == pytest.approx(np.std(Y))
    (sigma,), (wider,) = (FAMILY.parameters(2.0, w) for w in (np.array([0.5, 2.0]), np.array([4.5, 18.0])))
    assert sigma.names == ("sigma",) and repr(sigma.default) == "exponential(0.5)" and sigma.start == pytest.approx(1.0)
    assert repr(wider.default) == "exponential(0.166667)" and wider.start == pytest.approx(3.0)
    assert sigma.places == (("Residual", "sigma"),) and not sigma.domain.holds(0.0)
