"""Estimators in scikit-learn's form: its own checks of them, its tools around them, and lgm's numbers inside."""

import warnings

import numpy as np
import pandas as pd
import pytest

import lgm

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.base import clone
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from lgm.sklearn import LatentGaussianClassifier, LatentGaussianRegressor

SLEEP = lgm.load_dataset("sleepstudy")
QUICK = {"method": "mode", "draws": 50, "random_state": 1}
GROUPS = "Days + (Days|Subject)"


@pytest.fixture(scope="module")
def people() -> LatentGaussianRegressor:
    return LatentGaussianRegressor(GROUPS, **QUICK).fit(SLEEP, SLEEP["Reaction"])


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [LatentGaussianRegressor(**QUICK), LatentGaussianClassifier(**QUICK)])
def test_the_checks_of_scikit_learn(estimator) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checked = check_estimator(estimator, on_fail=None, expected_failed_checks=_EXPECTED)
    failed = {each["check_name"]: each["exception"] for each in checked if each["status"] == "failed"}
    assert not failed


_EXPECTED: dict[str, str] = {}


def test_it_is_the_fit_of_lgm(people: LatentGaussianRegressor) -> None:
    fit = lgm.fit("Reaction ~ Days + (Days|Subject)", SLEEP, method="mode", draws=50, seed=1, progress=False)
    expected = fit.predict(SLEEP)["mean"]
    np.testing.assert_allclose(people.predict(SLEEP), expected, rtol=1e-6)
    mean, sd = people.predict(SLEEP, return_std=True)
    np.testing.assert_allclose(mean, expected, rtol=1e-6)
    sigma = fit.summary().loc["sigma", "mean"]
    assert np.all(sd > 0.9 * sigma) and np.all(sd < 1.5 * sigma)
    named = LatentGaussianRegressor(f"Reaction ~ {GROUPS}", **QUICK).fit(
        SLEEP.drop(columns="Reaction"), SLEEP["Reaction"]
    )
    np.testing.assert_allclose(named.predict(SLEEP.drop(columns="Reaction")), people.predict(SLEEP), rtol=1e-12)


def test_draws_of_new_responses(people: LatentGaussianRegressor) -> None:
    drawn = people.sample_y(SLEEP, 150, random_state=3)
    assert drawn.shape == (180, 150)
    np.testing.assert_array_equal(drawn, people.sample_y(SLEEP, 150, random_state=3))
    mean, sd = people.predict(SLEEP, return_std=True)
    z = (drawn.mean(axis=1) - mean) / (sd / np.sqrt(150))
    assert np.sqrt(np.mean(z**2)) < 1.5
    with pytest.raises(lgm.LgmError, match="n_samples=201; accepted: from 1 to 200"):
        people.sample_y(SLEEP, 201)


def test_folds_with_new_groups() -> None:
    """A new person is one of the population: what is known of them is their days."""
    model = LatentGaussianRegressor(GROUPS, **QUICK, new_levels="zero")
    with pytest.warns(lgm.PredictionWarning, match="6 new levels of Subject"):
        scores = cross_val_score(clone(model), SLEEP, SLEEP["Reaction"], groups=SLEEP["Subject"], cv=GroupKFold(3))
    assert scores.shape == (3,) and np.all(np.isfinite(scores)) and np.all(scores < 0.6)


def test_arrays_and_pipelines() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 2))
    y = 1.0 + X @ [2.0, -1.0] + 0.1 * rng.normal(size=60)
    piped = make_pipeline(StandardScaler(), LatentGaussianRegressor("x0 + x1", **QUICK)).fit(X, y)
    assert piped.score(X, y) > 0.99
    plain = LatentGaussianRegressor(**QUICK).fit(X, y)
    np.testing.assert_allclose(plain.fit_.fixef()["mean"].to_numpy()[1:], [2.0, -1.0], atol=0.1)
    assert plain.n_features_in_ == 2 and clone(plain).get_params()["method"] == "mode"


def test_classes() -> None:
    rng = np.random.default_rng(4)
    X = pd.DataFrame({"x": rng.normal(size=90)})
    y = np.where(X["x"] + 0.3 * rng.normal(size=90) > 0, "yes", "no")
    two = LatentGaussianClassifier("x", **QUICK).fit(X, y)
    p = two.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    expected = lgm.fit("y ~ x", X.assign(y=y), "bernoulli", method="mode", draws=50, seed=1, progress=False).predict(X)
    np.testing.assert_allclose(p[:, 1], expected["mean"], atol=0.02)
    assert two.score(X, y) > 0.85 and set(two.sample_y(X, 2).ravel()) == {"no", "yes"}
    three = pd.Series(pd.Categorical(np.select([X["x"] < -0.5, X["x"] < 0.5], ["low", "middle"], "high")))
    three = three.cat.set_categories(["low", "middle", "high"], ordered=True)
    three[::7] = "middle"
    many = LatentGaussianClassifier("x", family="cumulative", **QUICK).fit(X, three)
    assert many.classes_.tolist() == ["low", "middle", "high"]
    p = many.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-9)
    assert many.predict(pd.DataFrame({"x": [-3.0, 3.0]})).tolist() == ["low", "high"]


def test_what_is_refused() -> None:
    with pytest.raises(lgm.FormulaError, match=r"`log\(y\)` stands before"):
        LatentGaussianRegressor("log(y) ~ Days", **QUICK).fit(SLEEP, SLEEP["Reaction"])
    with pytest.raises(lgm.FormulaError, match="`table` is not a column"):  # nor a variable of the estimator
        LatentGaussianRegressor("table", **QUICK).fit(SLEEP, SLEEP["Reaction"])
    with pytest.raises(ValueError, match="only one class"):
        LatentGaussianClassifier("Days", **QUICK).fit(SLEEP, np.ones(180))
    with pytest.raises(lgm.LgmError, match="family='poisson'; accepted"):
        LatentGaussianClassifier("Days", family="poisson", **QUICK).fit(SLEEP, np.arange(180) % 2)
