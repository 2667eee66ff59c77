"""NUTS on theta and effects: against quadrature and the exact engines, kept whole, and where it is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from oracles.small import three
from statistical import monte_carlo
from statistical.monte_carlo import Estimate

import lgm
from lgm import priors
from lgm.errors import LgmError
from lgm.inference.sampled import Sampled
from lgm.results import effects


def quick(formula: str = "Yield ~ 1 + (1|Batch)", **options: object) -> lgm.Fit:
    return lgm.fit(formula, lgm.load_dataset("Dyestuff"), method="joint", seed=1, progress=False, **options)


def test_an_approximation_beside_it_is_refused() -> None:
    with pytest.raises(LgmError, match=r'approximation="weighted"|approximation=\'weighted\': method="joint"'):
        quick(approximation="weighted")


def test_more_draws_than_are_kept_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """They cannot be made again."""
    monkeypatch.setattr(effects, "KEPT_BYTES", 1e4)
    with pytest.raises(LgmError, match=r'400 draws of 7 effects take .* method="joint" keeps all'):
        quick(draws=100)


@pytest.mark.slow
def test_all_that_a_fit_can_do(tmp_path: Path) -> None:
    """Of a response of three values, whose effects are few: tables, draws, predictions and files from its draws."""
    model, _ = three()
    fit = model.fit(method="joint", draws=1000, seed=2, progress=False)
    draws = fit.draws
    assert isinstance(draws, Sampled) and draws.effects.shape == (4, 1000, 3)
    text = str(fit)
    assert "exact up to Monte Carlo error: effects sampled with the hyperparameters" in text
    assert "effects among them (joint, seed 2)" in text
    drawn = model.analysed.natural(draws.effects.reshape(-1, 3))
    np.testing.assert_array_equal(fit.effects.draws, drawn)
    table = fit.ranef()
    np.testing.assert_allclose(table["mean"], drawn[:, 1:].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(table["sd"], drawn[:, 1:].std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(table["2.5%"], np.quantile(drawn[:, 1:], 0.025, axis=0), rtol=1e-12)
    found = fit.predict(kind="linear")
    np.testing.assert_allclose(found["mean"][:2], (drawn[:, 0] + drawn[:, 1]).mean(), rtol=1e-9)
    fit.save(tmp_path / "fit.lgm")
    again = lgm.load(tmp_path / "fit.lgm")
    assert again.summary().equals(fit.summary()) and again.verdict == fit.verdict
    np.testing.assert_array_equal(again.effects.draws, fit.effects.draws)
    assert again.ranef(interval=0.5).equals(fit.ranef(interval=0.5))
    other = model.fit(method="joint", draws=1000, seed=2, progress=False)
    np.testing.assert_array_equal(other.effects.draws, fit.effects.draws)


@pytest.mark.slow
def test_theta_that_is_fixed_leaves_effects_to_sample() -> None:
    """Three effects at one theta: their moments by the dense integral."""
    _, dense = three()
    y, g = np.array([1.0, 1, 0, 0, 0]), np.array([0, 0, 0, 1, 1])
    known = {"Intercept": priors.normal(0.5, 2.0), "sd": priors.constant(1.5)}
    data = pd.DataFrame({"y": y, "g": g})
    fit = lgm.fit("y ~ 1 + (1|g)", data, "bernoulli", priors=known, method="joint", draws=4000, seed=3, progress=False)
    at, axis = dense(1.5), np.linspace(-11.0, 11.0, 121)
    grid = np.stack(np.meshgrid(0.5 + axis, axis, axis, indexing="ij")).reshape(3, -1)
    weights = np.exp(at.joint(grid) - at.joint(grid).max())
    weights /= weights.sum()
    mean = grid @ weights
    sd = np.sqrt(np.square(grid - mean[:, None]) @ weights)
    drawn = np.moveaxis(fit.effects.draws.reshape(4, 4000, 3), -1, 0)
    for ours, m, s in zip(map(monte_carlo.of_draws, drawn), mean, sd, strict=True):
        assert abs(monte_carlo.deviation(ours["mean"], Estimate(m, 0.0))) < monte_carlo.LIMIT
        assert abs(monte_carlo.deviation(ours["sd"], Estimate(s, 0.0))) < monte_carlo.LIMIT


@pytest.mark.slow
def test_a_gaussian_response_equals_the_exact_engine() -> None:
    data = lgm.load_dataset("sleepstudy")
    built = lgm.model("Reaction ~ Days + (Days|Subject)", data)
    exact = built.fit(method="nuts", draws=2000, seed=5, progress=False)
    joint = built.fit(method="joint", draws=2000, seed=6, progress=False)
    assert joint.verdict.startswith("Converged")
    for name in exact.summary().index:
        one, other = (monte_carlo.of_draws(fit.posterior[name].to_numpy()) for fit in (exact, joint))
        for stat in one:
            assert abs(monte_carlo.deviation(one[stat], other[stat])) < monte_carlo.LIMIT, (name, stat)
    np.testing.assert_allclose(joint.ranef()["mean"], exact.ranef()["mean"], atol=0.06 * exact.ranef()["sd"].max())
    np.testing.assert_allclose(joint.ranef()["sd"], exact.ranef()["sd"], rtol=0.06)
