"""Links and their inverses."""

import jax
import numpy as np
import pytest
from scipy import stats

from lgm.errors import LgmError
from lgm.families.binomial import Binomial
from lgm.families.links import LINKS, log_rate

ETA = np.array([-6.0, -1.0, 0.0, 0.3, 2.5])
DISTRIBUTIONS = {"logit": stats.logistic, "probit": stats.norm, "cloglog": stats.gumbel_l}


@pytest.mark.parametrize("name", LINKS)
def test_the_inverse_is_one(name):
    link = LINKS[name]
    np.testing.assert_allclose(link.forward(link.inverse(ETA)), ETA, rtol=1e-11, atol=1e-14)
    with jax.enable_x64(True):
        np.testing.assert_allclose(np.asarray(link.traced(ETA)), link.inverse(ETA), rtol=1e-13)
        far = jax.vmap(jax.grad(link.traced))(np.array([-1000.0, -40.0, 30.0]))
    assert np.all(np.isfinite(far))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_links_of_probabilities_are_latent_variables(name):
    link, latent = LINKS[name], DISTRIBUTIONS[name]
    np.testing.assert_allclose(link.inverse(ETA), latent.cdf(ETA), rtol=1e-12)
    assert link.spread == pytest.approx(latent.std())


def test_an_unknown_link():
    with pytest.raises(
        LgmError, match="link='logti' of binomial: Did you mean `logit`. accepted: 'logit', 'probit', 'cloglog'"
    ):
        Binomial(link="logti")


def test_the_rate_of_events_for_each_unit_of_exposure():
    """A far offset has no exponential."""
    exposure, weights = np.array([0.5, 2.0, 4.0]), np.array([1.0, 2.0, 1.0])
    expected = np.log(6.0 / (weights @ exposure))
    assert log_rate(6.0, np.log(exposure), weights) == pytest.approx(expected, rel=1e-14)
    assert log_rate(6.0, np.log(exposure) + 2000.0, weights) == pytest.approx(expected - 2000.0, rel=1e-14)
