"""What must not change the answer: the order of rows and levels, names, units, origins.

Given theta, effects and density are closed-form, so they must agree to rounding. Theta itself is sampled: trajectories
amplify rounding, so with theta free the means are compared within Monte Carlo error.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from helpers import reference

import lgm

# Fewer than 100 unknowns with condition numbers below 1e4 lose at most six of sixteen digits.
ROUNDING = 1e-9
FORMULA = "Reaction ~ Days + (Days|Subject)"
THETA = {"sd(Intercept|Subject)": 25.0, "sd(Days|Subject)": 6.0, "corr(Intercept,Days|Subject)": 0.1, "sigma": 26.0}


class Change(NamedTuple):
    """Another way to write the data of the sleep study, and what undoes it in a vector of means by variable."""

    data: Callable[[pd.DataFrame], pd.DataFrame]
    factors: Mapping[str, float] = {}
    shift: float = 0.0  # of the intercept, after the factors

    def undone(self, means: pd.Series) -> pd.Series:
        restored = means / pd.Series(self.factors).reindex(means.index).fillna(1.0)
        return restored + self.shift * (means.index == "Intercept")


def reordered_levels(data: pd.DataFrame) -> pd.DataFrame:
    order = np.random.default_rng(1).permutation(data["Subject"].cat.categories)
    return data.assign(Subject=data["Subject"].cat.set_categories(order))


def of_response(factor: float) -> Change:
    scaled = [name for name in ("Intercept", "Days", *THETA) if not name.startswith("corr")]
    return Change(lambda d: d.assign(Reaction=d["Reaction"] * factor), dict.fromkeys(scaled, factor))


CHANGES = {
    "order of rows": Change(lambda d: d.sample(frac=1.0, random_state=1)),
    "order of levels": Change(reordered_levels),
    "large units of the response": of_response(1e6),
    "small units of the response": of_response(1e-6),
    "origin of the response": Change(lambda d: d.assign(Reaction=d["Reaction"] - 1000.0), shift=1000.0),
    "units of a predictor": Change(
        lambda d: d.assign(Days=d["Days"] * 24.0), {"Days": 1 / 24, "sd(Days|Subject)": 1 / 24}
    ),
}


def sleep() -> pd.DataFrame:
    return lgm.load_dataset("sleepstudy")


def held(data: pd.DataFrame, theta: Mapping[str, float], formula: str = FORMULA, **options: object) -> lgm.Fit:
    """Theta known: means and sds of the effects are exact."""
    known = {name: lgm.priors.constant(value) for name, value in theta.items()}
    return lgm.fit(formula, data, priors=known, draws=4, seed=1, progress=False, **options)


def assert_same_given_theta(
    ours: pd.DataFrame, theirs: pd.DataFrame, undone: Callable[[pd.Series], pd.Series] = lambda means: means
) -> None:
    """Rows are matched by label."""
    assert set(ours.index) == set(theirs.index)
    ours = ours.reindex(theirs.index)
    assert ((undone(ours["mean"]) - theirs["mean"]) / theirs["sd"]).abs().max() < ROUNDING


@pytest.fixture(scope="module")
def sampled() -> lgm.Fit:
    return lgm.fit(FORMULA, sleep(), draws=500, seed=1, progress=False)


@pytest.fixture(scope="module")
def weighted() -> lgm.Fit:
    return lgm.fit(FORMULA, sleep(), method="importance", draws=500, seed=1, progress=False)


@pytest.mark.parametrize("name", CHANGES)
def test_fixed_effects_given_theta(name: str) -> None:
    change = CHANGES[name]
    theta = {k: v * change.factors.get(k, 1.0) for k, v in THETA.items()}
    ours, theirs = held(change.data(sleep()), theta), held(sleep(), THETA)
    assert_same_given_theta(ours.fixef(), theirs.fixef(), change.undone)


@pytest.mark.parametrize("name", ["order of rows", "order of levels", "origin of the response"])
def test_group_effects_given_theta(name: str) -> None:
    ours, theirs = held(CHANGES[name].data(sleep()), THETA), held(sleep(), THETA)
    assert_same_given_theta(ours.ranef(), theirs.ranef())


@pytest.mark.parametrize("name", CHANGES)
def test_posterior_means(name: str, sampled: lgm.Fit) -> None:
    """Default priors scale with the data, so they follow every change."""
    change = CHANGES[name]
    ours = lgm.fit(FORMULA, change.data(sleep()), draws=500, seed=2, progress=False).summary()
    theirs = sampled.summary()
    assert list(ours.index) == list(theirs.index)
    error = theirs["sd"] * np.sqrt(1 / ours["ess_bulk"] + 1 / theirs["ess_bulk"])
    assert ((change.undone(ours["mean"]) - theirs["mean"]).abs() < 4 * error).all()


@pytest.mark.parametrize("name", CHANGES)
def test_mode(name: str, sampled: lgm.Fit) -> None:
    """To the tolerance of the search: a gradient of 1e-6 per working unit, so 1e-5 sds."""
    change = CHANGES[name]
    ours = lgm.model(FORMULA, change.data(sleep())).fit(draws=4, warmup=1, chains=1, seed=1, progress=False).mode
    factors = [change.factors.get(k, 1.0) for k in THETA]  # working coordinates are logs, but for the correlation
    moved = ours.x - np.log(factors) - sampled.mode.x
    assert np.abs(np.linalg.solve(sampled.mode.root, moved)).max() < 1e-5


def test_names_of_levels() -> None:
    data = sleep()
    renamed = {level: f"s{i:02d}" for i, level in enumerate(data["Subject"].cat.categories)}
    ours = held(data.assign(Subject=data["Subject"].cat.rename_categories(renamed)), THETA)
    np.testing.assert_array_equal(ours.ranef().to_numpy(), held(data, THETA).ranef().to_numpy())


def test_origin_of_a_predictor() -> None:
    """The default prior of the intercept is that of the level at the mean of the predictors, wherever zero is."""
    data, formula, theta = sleep(), "Reaction ~ Days + (1|Subject)", {"sd": 35.0, "sigma": 30.0}
    theirs, ours = held(data, theta, formula), held(data.assign(Days=data["Days"] - 5.0), theta, formula)
    slope = theirs.fixef().loc["Days", "mean"]
    assert_same_given_theta(ours.fixef(), theirs.fixef(), lambda m: m - 5.0 * slope * (m.index == "Intercept"))
    assert_same_given_theta(ours.ranef(), theirs.ranef())


ORIGINS = {"half the range": -9.0, "year": 2000.0, "Julian day": 2_450_000.0}


def about(origin: float, seconds: bool = False) -> pd.DataFrame:
    days = sleep()["Days"] + origin
    return sleep().assign(Days=86_400.0 * days if seconds else days)


@pytest.mark.parametrize("origin", ORIGINS.values(), ids=ORIGINS)
def test_origin_of_a_correlated_slope(origin: float, weighted: lgm.Fit) -> None:
    """Default priors are about the mean: slopes, sigma and fitted values stay; intercepts move along the lines."""
    ours = lgm.fit(FORMULA, about(origin), method="importance", draws=500, seed=1, progress=False)
    stay = ["sd(Days|Subject)", "sigma"]
    lost = 1e-9 * (1.0 + abs(origin))  # of the digits of Days, and to the tolerance of the mode
    theirs, found = weighted.summary(), ours.summary()
    for column in ("mean", "sd"):
        np.testing.assert_allclose(found.loc[stay, column], theirs.loc[stay, column], rtol=1e-6 + lost)
    assert found.loc["Days", "mean"] == pytest.approx(theirs.loc["Days", "mean"], rel=1e-6 + lost)
    assert found.loc["Days", "sd"] == pytest.approx(theirs.loc["Days", "sd"], rel=0.005)  # averaged over some draws
    assert found.attrs["log_evidence"] == pytest.approx(theirs.attrs["log_evidence"], abs=1e-6 + lost)
    np.testing.assert_allclose(ours.predict()["mean"], weighted.predict()["mean"], rtol=1e-7 + lost)
    new = {"Days": [origin, origin + 20.0], "Subject": [-1, -1]}
    with pytest.warns(lgm.PredictionWarning, match="new level"):
        sampled = ours.predict(new)
    with pytest.warns(lgm.PredictionWarning, match="new level"):
        expected = weighted.predict({"Days": [0.0, 20.0], "Subject": [-1, -1]})
    np.testing.assert_allclose(sampled, expected, rtol=1e-4 + lost)
    a, b, r = (weighted.posterior[name].to_numpy() for name in list(THETA)[:3])
    level = np.sqrt(a**2 - 2 * origin * r * a * b + (origin * b) ** 2)
    assert ours.posterior["sd(Intercept|Subject)"].mean() == pytest.approx(level.mean(), rel=1e-6)
    turned = (r * a - origin * b) / level
    assert ours.posterior["corr(Intercept,Days|Subject)"].mean() == pytest.approx(turned.mean(), abs=1e-6)


@pytest.mark.parametrize("seconds", [False, True], ids=["Julian days", "seconds since 1970"])
def test_reml_far_from_zero(seconds: bool) -> None:
    """Flat priors, where the correlation about zero is -1 to all digits: the REML fit of the centred model."""
    given = dict.fromkeys(["sd", "corr", "sigma", "fixed", "Intercept"], lgm.priors.flat())

    def reml(data: pd.DataFrame) -> lgm.Fit:
        return lgm.fit(FORMULA, data, priors=given, method="mode", draws=4, seed=1, progress=False)

    unit = 86_400.0 if seconds else 1.0
    far, near = reml(about(20_000.0 if seconds else 2_450_000.0, seconds)), reml(about(-4.5))
    found, theirs = far.summary(), near.summary()
    rtol = 1e-7  # a day is 1e-9 or more of both origins
    for name in ("Days", "sd(Days|Subject)"):
        np.testing.assert_allclose(found.loc[name, ["mean", "sd"]] * unit, theirs.loc[name, ["mean", "sd"]], rtol=rtol)
    assert found.loc["sigma", "mean"] == pytest.approx(theirs.loc["sigma", "mean"], rel=rtol)
    np.testing.assert_allclose(far.predict()["mean"], near.predict()["mean"], rtol=rtol)
    lme4 = reference("sleepstudy.lmer_reml")
    assert found.loc["sigma", "mean"] == pytest.approx(lme4["residual_sd"], rel=1e-5)


def test_order_of_terms() -> None:
    data, theta = (
        lgm.load_dataset("Penicillin"),
        {"sd(Intercept|plate)": 0.8, "sd(Intercept|sample)": 1.9, "sigma": 0.5},
    )
    formulas = "diameter ~ 1 + (1|plate) + (1|sample)", "diameter ~ (1|sample) + (1|plate)"
    theirs, ours = (held(data, theta, f) for f in formulas)
    assert_same_given_theta(ours.fixef(), theirs.fixef())
    assert_same_given_theta(ours.ranef(), theirs.ranef())
    values = [lgm.model(f, data).log_density(theta) for f in formulas]
    assert values[0] == pytest.approx(values[1], rel=ROUNDING)


def test_order_of_regions_and_direction_of_edges() -> None:
    data, edges = lgm.load_dataset("columbus"), lgm.load_dataset("columbus_adj")[["from", "to"]]
    formula, theta = "CRIME ~ INC + icar(id, graph)", {"sd": 9.0, "sigma": 7.0}
    turned = edges.sample(frac=1.0, random_state=1).rename(columns={"from": "to", "to": "from"})
    theirs = held(data, theta, formula, env={"graph": edges})
    ours = held(data.sample(frac=1.0, random_state=2), theta, formula, env={"graph": turned})
    assert_same_given_theta(ours.fixef(), theirs.fixef())
    assert_same_given_theta(ours.ranef(), theirs.ranef())
