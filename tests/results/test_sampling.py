"""Draws by row: labels, subsets, chunks and groups of the ArviZ object."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import lgm


@pytest.fixture(scope="module")
def fit():
    sleep = lgm.load_dataset("sleepstudy")
    sleep.loc[3, "Reaction"] = np.nan
    formula = "Reaction ~ Days + (Days|Subject)"
    return lgm.fit(formula, sleep, method="importance", chains=2, draws=50, seed=1, progress=False)


@pytest.fixture(scope="module")
def successes():
    cbpp = lgm.load_dataset("cbpp").assign(row=1)
    formula = "cbind(incidence, size - incidence) ~ period + (1|herd)"
    return lgm.fit(formula, cbpp, "binomial", method="mode", draws=25, seed=1, progress=False)


@pytest.mark.parametrize(("asked", "of"), [("linpred", "linear"), ("epred", "mean"), ("predict", "response")])
def test_they_are_predictions(fit, asked, of):
    found = getattr(fit, f"posterior_{asked}")()
    assert found.dims == ("chain", "draw", "row")
    assert found.equals(fit.predict(kind="draws", of=of))


def test_some_draws(fit):
    """Those of the linear predictor are among all of them, at their places."""
    every, some = fit.posterior_linpred(), fit.posterior_linpred(draws=7)
    assert some.sizes["draw"] == 7
    np.testing.assert_array_equal(some, every.sel(draw=some["draw"]))
    with pytest.raises(lgm.LgmError, match=r"draws=101; accepted: a whole number from 1 to 100"):
        fit.posterior_predict(draws=101)


def test_chunks(fit):
    """Together they are the whole; noise is drawn in another order where there is some."""
    parts = list(fit.posterior_linpred(chunk=77, draws=20))
    assert [part.sizes["row"] for part in parts] == [77, 77, 26]
    np.testing.assert_array_equal(np.concatenate(parts, axis=2), fit.posterior_linpred(draws=20))
    noisy = np.concatenate(list(fit.posterior_predict(chunk=100)), axis=2)
    sd = fit.posterior["sigma"].to_numpy()
    residual = (noisy - fit.posterior_linpred().to_numpy()) / sd[..., None]
    assert abs(residual.std() - 1.0) < 4.0 / np.sqrt(2 * residual.size)
    assert [part.sizes["row"] for part in fit.posterior_linpred(chunk="auto")] == [180]
    with pytest.raises(lgm.LgmError, match=r"chunk=0; accepted: a number of rows, from 1"):
        fit.posterior_predict(chunk=0)


def test_chunks_of_new_data(fit):
    new = pd.DataFrame({"Days": [0.0, np.nan, 9.0], "Subject": [308, 308, 309]})
    parts = list(fit.posterior_epred(new, chunk=1))
    assert [part["row"].item() for part in parts] == [0, 2]


def test_chunks_know_how_many_trials_there_are(successes):
    """Of a row of one trial no more than one succeeds."""
    parts = list(successes.posterior_predict(chunk=10, trials=1))
    assert max(float(part.max()) for part in parts) == 1.0


def test_groups(successes):
    before = successes.idata
    assert not hasattr(before, "posterior_predictive")
    found = successes.add_groups("posterior_predictive", "prior", "prior_predictive")
    assert found is successes.idata
    name = "incidence"
    assert found["posterior_predictive"][name].shape == (1, 100, 56)
    np.testing.assert_array_equal(found["posterior_predictive"][name], successes.posterior_predict())
    assert found["prior"]["herd"].size == 15
    assert found["prior_predictive"][name].shape == (1, 100, 56)
    with pytest.raises(lgm.LgmError, match=r"there is no group 'posterior' to add.* Accepted: 'posterior_predictive'"):
        successes.add_groups("posterior")


def test_the_data_in_it(successes):
    constant = successes.idata["constant_data"]
    assert set(constant) == {"period", "herd", "trials"}
    np.testing.assert_array_equal(constant["trials"], lgm.load_dataset("cbpp")["size"])


def test_rows_without_a_response_are_not_in_it(fit):
    found = fit.add_groups("posterior_predictive")
    assert 3 not in found["posterior_predictive"]["row"]
    assert found["posterior_predictive"]["Reaction"].sizes["row"] == found["observed_data"].sizes["row"] == 179


def test_draws_from_the_prior_are_a_prior_there(successes):
    found = successes.model.fit(method="prior", draws=20, seed=1).idata
    assert hasattr(found, "prior")
    assert not hasattr(found, "posterior")


def test_prior_predictive_draws(successes):
    """With a seed, those of a fit of the prior."""
    drawn = successes.model.prior_predictive(40, seed=3)
    again = successes.model.fit(method="prior", chains=1, draws=40, seed=3).posterior_predict()
    assert drawn.equals(again)


def test_log_likelihoods_of_rows(fit):
    """Given the effects by the normal density; with these integrated out, those whose elpd `loo` gives."""
    found = fit.add_groups("log_likelihood", "log_likelihood_given_effects")
    given = found["log_likelihood_given_effects"]["Reaction"]
    eta = fit.posterior_linpred().sel(draw=given["draw"], row=given["row"])
    sigma = fit.posterior["sigma"].sel(draw=given["draw"])
    observed = found["observed_data"]["Reaction"]
    expected = stats.norm.logpdf(observed, eta, sigma.to_numpy()[..., None])
    np.testing.assert_allclose(given, expected, rtol=1e-10)
    integrated = found["log_likelihood"]["Reaction"]
    assert integrated.dims == given.dims
    np.testing.assert_array_equal(integrated["draw"], given["draw"])
    np.testing.assert_array_equal(integrated, fit.loo().log_likelihood)
