"""What must not change the answer: the order of rows and levels, names, units, origins.

Given theta, effects and density are closed-form, so they must agree to rounding. Theta itself is sampled: trajectories
amplify rounding, so with theta free the means are compared within Monte Carlo error.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

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
