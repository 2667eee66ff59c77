"""Residuals against predictions of the same fit, and their places in closed form."""

import numpy as np
import planted
import pytest
from scipy.special import ndtri

from lgm.errors import LgmError
from lgm.results.checking import residuals
from lgm.results.checking.observed import Observed


def test_response_and_pearson_residuals_are_from_predictions() -> None:
    fit = planted.few()
    predicted, y = fit.predict(kind="response"), fit.design.scope.frame["y"]
    np.testing.assert_allclose(fit.residuals("response"), y - predicted["mean"], atol=1e-12)
    np.testing.assert_allclose(fit.residuals("pearson"), (y - predicted["mean"]) / predicted["sd"], rtol=0.1)
    assert fit.residuals("pearson").isna().sum() == 2


def test_quantile_residuals_of_a_gaussian_response_are_standardised() -> None:
    """With theta held the predictive distribution is normal; its distribution function is an average over 100 draws."""
    fit = planted.of("gaussian")
    predicted, y = fit.predict(kind="response"), fit.design.y
    sd = np.sqrt(planted.SIGMA**2 + fit.predict()["sd"] ** 2)
    exact = (y - fit.predict()["mean"]) / sd
    inside = np.abs(exact) < 2.0
    np.testing.assert_allclose(fit.residuals()[inside], exact[inside], atol=0.2)
    assert abs(predicted["sd"].mean() / sd.mean() - 1.0) < 0.1


def test_counts_have_a_place_between_two_and_the_seed_says_which() -> None:
    fit = planted.few()
    one, other = fit.residuals(seed=1), fit.residuals(seed=2)
    assert one.equals(fit.residuals(seed=1)) and not one.equals(other)
    found = residuals.placed(Observed(fit), "posterior", 1)
    for drawn in (one, other):
        assert np.all((drawn.dropna() >= ndtri(found.lower)) & (drawn.dropna() <= ndtri(found.upper)))


def test_residuals_by_all_other_rows_are_larger() -> None:
    fit = planted.of("gaussian")
    loo = fit.loo().pit
    np.testing.assert_allclose(fit.residuals(given="loo"), ndtri(loo["lower"]), atol=1e-9)
    assert np.var(fit.residuals(given="loo")) > np.var(fit.residuals())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kind": "deviance"}, "kind='deviance'; accepted: 'quantile', 'pearson', 'response'"),
        ({"given": "prior"}, "given='prior'; accepted: 'posterior', 'loo'"),
        ({"kind": "pearson", "given": "loo"}, "for kind='quantile'"),
    ],
)
def test_what_there_is_not_is_refused(asked: dict[str, str], message: str) -> None:
    with pytest.raises(LgmError, match=message):
        planted.of("gaussian").residuals(**asked)


def test_of_censored_times_there_are_quantile_residuals_only() -> None:
    with pytest.raises(LgmError, match=r"are censored. Accepted: kind='quantile'"):
        planted.times().residuals("response")
    assert planted.times().residuals().notna().all()


def test_successes_are_shares_as_predictions_are() -> None:
    fit = planted.several()
    y, trials = fit.design.y, np.asarray(fit.design.response.trials)
    found = fit.residuals("response")
    known = found.notna()
    expected = y / trials - fit.predict(kind="response")["mean"][known] / trials
    np.testing.assert_allclose(found[known], expected, atol=1e-12)
    np.testing.assert_allclose(found[known], y / trials - fit.predict()["mean"][known], atol=0.05)


def test_categories_have_quantile_residuals_only() -> None:
    with pytest.raises(LgmError, match=r"has ordered categories. Accepted: kind='quantile'"):
        planted.ordered().residuals("pearson")
