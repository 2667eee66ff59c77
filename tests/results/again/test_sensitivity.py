"""Power-scaling: weights by definition, distances by integration, and both against fits with scaled priors and data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from compilations import compilations
from scipy.stats import expon, norm

import lgm
from lgm import priors
from lgm.errors import ConvergenceWarning, LgmError, PriorError
from lgm.results.again import sensitivity

RNG = np.random.default_rng(8)
DATA = pd.DataFrame({"g": np.repeat(np.arange(6), 4), "x": RNG.normal(size=24)})
DATA["y"] = 1.0 + RNG.normal(size=6)[DATA["g"]] + 0.8 * DATA["x"] + RNG.normal(size=24)
GIVEN: dict[str, Any] = {
    "Intercept": priors.normal(-2.0, 0.8),
    "x": priors.normal(0.0, 3.0),
    "sd": priors.exponential(1.0),
    "sigma": priors.exponential(2.0),
}


@pytest.fixture(scope="module")
def fit() -> lgm.Fit:
    return lgm.fit("y ~ x + (1|g)", DATA, priors=GIVEN, method="importance", draws=500, seed=2, progress=False)


def test_densities_by_definition(fit: lgm.Fit) -> None:
    found = sensitivity.scalable(fit)
    draws = found.draws
    wanted = {
        "Intercept": norm.logpdf(draws["Intercept"], -2.0, 0.8),
        "x": norm.logpdf(draws["x"], 0.0, 3.0),
        "sd(Intercept|g)": expon.logpdf(draws["sd(Intercept|g)"]),
        "sigma": expon.logpdf(draws["sigma"], scale=0.5),
    }
    assert list(found.log_priors) == list(wanted) and len(draws) == sensitivity.MOST
    for name, values in wanted.items():
        np.testing.assert_allclose(np.diff(found.log_priors[name]), np.diff(values), atol=1e-9)
    same = np.equal.outer(DATA["g"].to_numpy(), DATA["g"].to_numpy())
    for i in (0, 300, 999):
        row = draws.iloc[i]
        cov = row["sd(Intercept|g)"] ** 2 * same + row["sigma"] ** 2 * np.eye(24)
        error = DATA["y"] - row["Intercept"] - row["x"] * DATA["x"]
        dense = -0.5 * (24 * np.log(2 * np.pi) + np.linalg.slogdet(cov)[1] + error @ np.linalg.solve(cov, error))
        assert found.log_likelihood[i] == pytest.approx(dense, abs=1e-8)


def test_distance_by_integration() -> None:
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=30), rng.exponential(size=30)
    w /= w.sum()
    grid = np.linspace(x.min(), x.max(), 200_001)

    def one_way(x: np.ndarray, grid: np.ndarray) -> float:
        p, q = (np.array([np.sum(v[x <= t]) for t in np.sort(x)]) for v in (np.full(30, 1 / 30), w))
        place = np.searchsorted(np.sort(x), grid, side="right") - 1
        p, q, step = p[place], q[place], np.ptp(grid) / 200_000
        middle = 0.5 * (p + q)
        return float(np.sqrt(step * np.sum(p * np.log2(p / middle) + q * np.log2(q / middle)) / (step * np.sum(p + q))))

    wanted = max(one_way(x, grid), one_way(-x, -grid[::-1]))
    assert sensitivity.distance(x, w) == pytest.approx(wanted, rel=1e-3)
    assert sensitivity.distance(x, np.full(30, 1 / 30)) == pytest.approx(0.0, abs=1e-7)
    assert sensitivity.distance(np.ones(30), w) == 0.0
    assert sensitivity.distance(5.0 * x - 2.0, w) == pytest.approx(sensitivity.distance(x, w), rel=1e-9)


def test_a_prior_in_conflict_and_a_weak_one(fit: lgm.Fit) -> None:
    table = fit.prior_sensitivity(each=True)
    assert list(table.columns[:3]) == ["prior", "likelihood", "diagnosis"]
    assert list(table.columns[3:]) == [f"prior of {name}" for name in fit.priors.index]
    assert table.loc["Intercept", "diagnosis"] == sensitivity.CONFLICT
    assert table.loc["x", "diagnosis"] == "-"
    assert table.loc["Intercept"].iloc[3:].astype(float).idxmax() == "prior of Intercept"
    near = fit.prior_sensitivity(alpha=1.02)
    np.testing.assert_allclose(near["prior"].astype(float), table["prior"].astype(float), rtol=0.1)
    with compilations() as compiled:
        fit.refit(DATA["y"] + 0.1 * DATA["x"]).prior_sensitivity()
    assert compiled == []


def test_words() -> None:
    assert sensitivity._diagnosis(0.1, 0.01, 0.05) == sensitivity.STRONG
    assert sensitivity._diagnosis(0.1, 0.1, 0.05) == sensitivity.CONFLICT
    assert sensitivity._diagnosis(0.01, 0.1, 0.05) == "-"


def test_held_parameters_are_left_out() -> None:
    held = {**GIVEN, "sd": priors.constant(1.0), "sigma": priors.constant(1.0), "x": priors.flat()}
    found = lgm.fit("y ~ x + (1|g)", DATA, priors=held, draws=200, seed=2, progress=False).prior_sensitivity(each=True)
    assert list(found.index) == ["Intercept", "x"] and list(found.columns[3:]) == ["prior of Intercept"]


def test_what_is_not_accepted(fit: lgm.Fit) -> None:
    with pytest.raises(LgmError, match="alpha=0.8; accepted: a number above 1"):
        fit.prior_sensitivity(alpha=0.8)
    with pytest.raises(LgmError, match="limit='a'; accepted: a number between 0 and 1"):
        fit.prior_sensitivity(limit="a")  # type: ignore[arg-type]
    by_mode = fit.model.fit(method="mode", draws=20, progress=False)
    with pytest.raises(LgmError, match='method="mode" holds theta at its mode'):
        by_mode.prior_sensitivity()
    with pytest.raises(LgmError, match='method="prior" draws from the prior'):
        fit.model.fit(method="prior", draws=20, progress=False).prior_sensitivity()
    flat = {"Intercept": priors.flat(), "sigma": priors.constant(1.0)}
    with pytest.raises(PriorError, match="every prior is flat or holds a value"):
        lgm.fit("y ~ 1", DATA, priors=flat, draws=20, progress=False).prior_sensitivity()


def test_weights_that_cannot_be_trusted_are_said(fit: lgm.Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensitivity, "threshold", lambda size: -1.0)
    with pytest.warns(ConvergenceWarning, match="another power of the prior are not reliable.*take alpha closer to 1"):
        fit.prior_sensitivity()


def _moments(draws: pd.DataFrame, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = draws.to_numpy()
    mean = weights @ x
    return mean, np.sqrt(weights @ (x - mean) ** 2)


def _copies(n: int) -> pd.DataFrame:
    return pd.concat([DATA.assign(g=DATA["g"] + 6 * i) for i in range(n)], ignore_index=True)


def _fitted(data: pd.DataFrame, given: dict[str, Any], family: str = "gaussian") -> lgm.Fit:
    settings: dict[str, Any] = {"method": "importance", "chains": 1, "draws": 4000, "seed": 3, "progress": False}
    return lgm.fit("y ~ x + (1|g)", data, family, priors=given, **settings)


def _compared(before: lgm.Fit, density: str, alpha: float, after: lgm.Fit) -> None:
    """Moments by weights and of a new fit, within four standard errors; without weights they are twice as far apart."""
    found = sensitivity.scalable(before)
    part = found.log_likelihood if density == "likelihood" else found.log_priors.sum(axis=1).to_numpy()
    weights = np.exp(found.weights(part, alpha).log_weights)
    mean, sd = _moments(found.draws, weights)
    new = sensitivity.scalable(after).draws
    wanted, spread = _moments(new, np.full(len(new), 1.0 / len(new)))
    error = np.sqrt(np.sum(weights**2) + 1.0 / after.draws.points.ess)  # type: ignore[union-attr]
    assert np.all(np.abs(mean - wanted) < 4.0 * spread * error)
    assert np.all(np.abs(np.log(sd / spread)) < 4.0 * error)
    plain, width = _moments(found.draws, np.full(len(weights), 1.0 / len(weights)))
    near = np.maximum(np.abs(mean - wanted) / spread, np.abs(np.log(sd / spread)))
    off = np.maximum(np.abs(plain - wanted) / spread, np.abs(np.log(width / spread)))
    assert near.max() < 0.5 * off.max()


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.8, 1.25])
def test_as_refits_with_scaled_priors(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensitivity, "MOST", 4000)
    scaled = {
        "Intercept": priors.normal(-2.0, 0.8 / np.sqrt(alpha)),
        "x": priors.normal(0.0, 3.0 / np.sqrt(alpha)),
        "sd": priors.exponential(alpha),
        "sigma": priors.exponential(2.0 * alpha),
    }
    _compared(_fitted(DATA, GIVEN), "prior", alpha, _fitted(DATA, scaled))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::lgm.ConvergenceWarning")  # weights that are all but equal have any tail
@pytest.mark.parametrize(("before", "after"), [(4, 5), (5, 4)])
@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_as_refits_of_more_and_fewer_copies(
    family: str, before: int, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power of the likelihood of theta and beta is as many copies of the data, each with groups of its own."""
    monkeypatch.setattr(sensitivity, "MOST", 4000)
    given = {k: v for k, v in GIVEN.items() if k != "sigma" or family == "gaussian"}
    many, few = _copies(before), _copies(after)
    if family == "poisson":
        many, few = (each.assign(y=np.round(np.exp(0.5 * each["y"]))) for each in (many, few))
    _compared(_fitted(many, given, family), "likelihood", after / before, _fitted(few, given, family))
