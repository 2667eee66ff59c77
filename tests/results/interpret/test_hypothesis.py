"""Hypotheses against normal distributions, draws, and Bayes factors of nested models."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from synthetic import around, counts, factorial, measured

import lgm
from lgm.results.interpret.hypothesis import _density


@pytest.fixture(scope="module")
def proper() -> lgm.Fit:
    """Proper priors of the fixed effects, and theta that varies."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x": rng.normal(size=40), "z": rng.normal(size=40)})
    data["y"] = 1.0 + 0.25 * data.x + rng.normal(size=40)
    return around(lgm.model("y ~ x + z", data), {"sigma": 1.0}, spread=0.1, draws=100)


def test_a_normal_posterior_is_exact() -> None:
    fit = measured()
    table = fit.fixef()
    found = fit.hypothesis(["x > 0.5", "2*x - 1 < 0", "Intercept|g[3] > 0", "sigma > 0.5"])
    above = scipy.stats.norm(table.loc["x", "mean"], table.loc["x", "sd"]).sf(0.5)
    np.testing.assert_allclose(found["probability"].iloc[:2], [above, 1 - above], rtol=1e-9)
    np.testing.assert_allclose(found["evidence_ratio"].iloc[:2], [above / (1 - above), (1 - above) / above], rtol=1e-9)
    np.testing.assert_allclose(found["mean"].iloc[:2], [table["mean"]["x"] - 0.5, 2 * table["mean"]["x"] - 1])
    np.testing.assert_allclose(found["sd"].iloc[1], 2 * table["sd"]["x"], rtol=1e-9)
    effect = fit.ranef().loc[("Intercept|g", 3)]
    np.testing.assert_allclose(found.iloc[2][["mean", "sd", "2.5%", "97.5%"]].astype(float), effect, rtol=1e-9)
    assert found.loc["sigma > 0.5", "probability"] == 1.0
    assert found.loc["sigma > 0.5", "note"] == "all that it is about is held"


def test_draws_of_anything_else() -> None:
    fit = counts()
    posterior = fit.posterior
    ratio = (posterior["x"] / posterior["sd(Intercept|g)"]).to_numpy().ravel()
    found = fit.hypothesis("x / sd(Intercept | g) > 0.6")
    row = found.iloc[0]
    assert row["probability"] == np.mean(ratio > 0.6)
    assert row["evidence_ratio"] == pytest.approx(np.mean(ratio > 0.6) / np.mean(ratio < 0.6))
    assert row["mean"] == pytest.approx(ratio.mean() - 0.6) and row["sd"] == pytest.approx(ratio.std(ddof=1))
    np.testing.assert_allclose(row[["2.5%", "97.5%"]].astype(float), np.quantile(ratio - 0.6, [0.025, 0.975]))
    line = fit.hypothesis("x - Intercept|g[a] > 0").iloc[0]
    exact = fit.fixef()["mean"]["x"] - fit.ranef()["mean"]["Intercept|g", "a"]
    assert line["mean"] == pytest.approx(exact, rel=1e-10)


def test_a_point_has_the_bayes_factor_of_the_smaller_model(proper: lgm.Fit) -> None:
    """With sigma held: the ratio of ``p(y)`` without and with the coefficient, its priors the same."""
    data = pd.DataFrame(proper.design.scope.frame)
    priors = {"Intercept": lgm.priors.normal(0, 3), "fixed": lgm.priors.normal(0.2, 1)}
    held = {**priors, "sigma": lgm.priors.constant(1.0)}
    models = [lgm.model(formula, data, priors=held) for formula in ("y ~ x + z", "y ~ z")]
    fit = around(models[0], {"sigma": 1.0}, spread=0.0, draws=20)
    large, small = (model.log_likelihood({"sigma": 1.0}) for model in models)
    found = fit.hypothesis("x = 0").iloc[0]
    assert found["evidence_ratio"] == pytest.approx(np.exp(small - large), rel=1e-7)
    assert found["probability"] == pytest.approx(1 / (1 + np.exp(large - small)), rel=1e-7)


def test_a_point_as_a_mixture_over_theta(proper: lgm.Fit) -> None:
    """Default priors are those of coefficients of centred columns, so that of a slope is as printed."""
    found = proper.hypothesis("x = 0.1").iloc[0]
    d, prior = proper.design, proper.chosen_priors.fixed
    x = d.predictor.X.toarray()
    x[:, 1:] -= x[:, 1:].mean(axis=0)
    densities = []
    for sigma in proper.draws.theta.ravel():
        precision = x.T @ x / sigma**2 + np.diag([1 / each.sd**2 for each in prior])
        means = np.array([each.mean / each.sd**2 for each in prior])
        covariance = np.linalg.inv(precision)
        mean = covariance @ (x.T @ d.y / sigma**2 + means)
        densities.append(scipy.stats.norm(mean[1], np.sqrt(covariance[1, 1])).pdf(0.1))
    expected = np.mean(densities) / scipy.stats.norm(prior[1].mean, prior[1].sd).pdf(0.1)
    assert found["evidence_ratio"] == pytest.approx(expected, rel=1e-8)
    assert found["note"] == ""


def test_the_prior_of_a_difference_and_of_the_intercept(proper: lgm.Fit) -> None:
    """The printed intercept is the centred one less the slopes times the means of their columns."""
    prior, mean = proper.chosen_priors.fixed, proper.design.scope.frame[["x", "z"]].mean()
    draws = np.random.default_rng(0).normal([p.mean for p in prior], [p.sd for p in prior], (200_000, 3))
    draws[:, 0] -= draws[:, 1] * mean["x"] + draws[:, 2] * mean["z"]
    drawn = draws[:, 0] - draws[:, 2]
    density = scipy.stats.norm(drawn.mean(), drawn.std()).pdf(1.0)
    found = proper.hypothesis("Intercept - z = 1").iloc[0]
    exact = proper.hypothesis("Intercept - z > 1").iloc[0]
    assert found["evidence_ratio"] * density == pytest.approx(
        scipy.stats.norm(exact["mean"], exact["sd"]).pdf(0.0), rel=0.03
    )


def test_a_hyperparameter_at_a_point(proper: lgm.Fit) -> None:
    found = proper.hypothesis("sigma = 1").iloc[0]
    prior = next(p for p in proper.chosen_priors.theta)
    posterior = scipy.stats.norm(1.0, 0.1).pdf(1.0)
    density = float(np.exp(prior.distribution.log_prob(1.0)))
    assert found["evidence_ratio"] == pytest.approx(posterior / density, rel=0.25)


def test_points_without_a_proper_prior() -> None:
    flat = measured().hypothesis(["x = 0", "Intercept|g[3] = 0", "sigma = 0.7"])
    assert flat["evidence_ratio"].isna().all() and flat["probability"].isna().all()
    assert flat["note"].tolist() == [
        "the prior of x is flat; a point needs a proper one",
        "Intercept|g[3] has a prior given its hyperparameters only",
        "all that it is about is held",
    ]
    assert flat["mean"].notna().all()


def test_a_kernel_is_reflected_at_an_end() -> None:
    draws = np.abs(scipy.stats.norm.ppf((np.arange(4000) + 0.5) / 4000))
    assert _density(draws, 0.0) == pytest.approx(2 / np.sqrt(2 * np.pi), rel=0.03)
    assert _density(draws, 0.5, 1.0) == 0.0


def test_several_in_a_table() -> None:
    fit = measured()
    found = fit.hypothesis(["x > 0", "trt[T.b] = trt[T.c]"], interval=0.5)
    assert list(found.columns) == ["mean", "sd", "25%", "75%", "probability", "evidence_ratio", "note"]
    assert found.index.name == "hypothesis"
    wider = fit.hypothesis("x > 0")
    assert wider.loc["x > 0", "97.5%"] > found.loc["x > 0", "75%"]
    pairs = fit.marginal_means("trt", contrasts={"d": [0, 1, -1]}, conditions={"x": 0.0, "sex": "f"})
    assert found["mean"].iloc[1] == pytest.approx(pairs["mean"][0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("xx > 0", "There is no parameter `xx`"),
        ("trt[T.d] > 0", r"no parameter `trt\[T.d\]`. Did you mean `trt\[T"),
        ("log(x - 100) > 0", "is not finite for 200 of 200 draws"),
        ([], "accepted: text such as"),
        (3, "accepted: text such as"),
    ],
)
def test_what_is_no_hypothesis(text: str, message: str) -> None:
    with pytest.raises(lgm.LgmError, match=message):
        measured().hypothesis(text)


def test_a_column_of_any_name() -> None:
    data = factorial().rename(columns={"x": "body mass > 2"})
    model = lgm.model("y ~ `body mass > 2`", data)
    fit = around(model, {"sigma": 1.0}, spread=0.0, draws=20)
    found = fit.hypothesis("`body mass > 2` > 0.4")
    assert found["mean"].iloc[0] == pytest.approx(fit.fixef()["mean"]["body mass > 2"] - 0.4)
