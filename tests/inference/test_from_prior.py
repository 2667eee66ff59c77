"""A fit of the prior: its draws against the distributions that were given."""

import numpy as np
import pytest
from scipy import stats

import lgm
from lgm import priors

DRAWS = 4000


@pytest.fixture(scope="module")
def fit():
    given = {"Intercept": priors.normal(200, 30), "sd": priors.exponential(0.1), "sigma": priors.half_normal(20)}
    model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), priors=given)
    return model.fit(method="prior", chains=2, draws=DRAWS // 2, seed=4, progress=False)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Intercept", stats.norm(200, 30)),
        ("sd(Intercept|Batch)", stats.expon(scale=10)),
        ("sigma", stats.halfnorm(scale=20)),
    ],
)
def test_draws_are_those_of_the_prior(fit, name, wanted):
    """The critical value of Kolmogorov and Smirnov's distance at one in 10,000."""
    draws = fit.posterior[name].to_numpy().ravel()
    assert stats.kstest(draws, wanted.cdf).statistic < 2.23 / np.sqrt(DRAWS)


def test_what_is_said_of_it(fit):
    assert fit.verdict == "Exact: independent draws from the prior, for which no response was used."
    assert "4000, independent (prior, seed 4)" in str(fit)
    assert (fit.summary()["ess_bulk"] == DRAWS).all()


def test_its_model_still_has_its_rows(fit):
    at = {"sd(Intercept|Batch)": 40.0, "sigma": 50.0}
    whole = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), priors=fit.model.inputs.priors)
    assert fit.model.log_likelihood(at) == whole.log_likelihood(at)
    mode = {"method": "mode", "seed": 1, "progress": False}
    assert fit.model.fit(**mode).summary().equals(whole.fit(**mode).summary())


def test_it_is_saved(fit, tmp_path):
    fit.save(tmp_path / "prior.lgm")
    again = lgm.load(tmp_path / "prior.lgm")
    assert again.method == "prior"
    assert again.summary().equals(fit.summary())
    assert again.predict().equals(fit.predict())


def test_a_flat_prior_has_no_draws():
    model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), priors={"Intercept": priors.flat()})
    with pytest.raises(lgm.PriorError, match=r"the prior of Intercept is flat, so nothing can be drawn from it"):
        model.fit(method="prior")
