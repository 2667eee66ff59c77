"""The Gaussian family by its definition."""

import jax
import numpy as np
import pytest
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
