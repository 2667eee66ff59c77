"""The parametric bootstrap: its responses have the moments of the fitted model, its estimates those of theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from compilations import compilations

import lgm
from lgm import priors
from lgm.errors import LgmError
from lgm.results.again import bootstrap

FLAT = {"Intercept": priors.flat(), "sd": priors.flat(), "sigma": priors.flat()}
QUICK: dict[str, Any] = {"method": "mode", "draws": 20, "chains": 1, "seed": 1, "progress": False}


@pytest.fixture(scope="module")
def fit() -> lgm.Fit:
    return lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), priors=FLAT).fit(**QUICK)


def _simulated(fit: lgm.Fit, n: int, **how: Any) -> np.ndarray:
    found = bootstrap._responses(fit, np.random.default_rng(3), 5, **how)
    return np.array([next(found) for _ in range(n)])


def test_responses_have_the_moments_of_the_model(fit: lgm.Fit) -> None:
    """lme4's REML estimates, with flat priors: the sd of batches is 42.0006, of errors 49.5101 (Dyestuff)."""
    y = _simulated(fit, 4000, use_u=False)
    batch = np.repeat(np.arange(6), 5)
    wanted = 42.0006**2 * np.equal.outer(batch, batch) + 49.5101**2 * np.eye(30)
    found = np.cov(y.T)
    error = np.sqrt((wanted**2 + np.multiply.outer(np.diag(wanted), np.diag(wanted))) / 4000)
    assert np.all(np.abs(found - wanted) < 5.0 * error)
    np.testing.assert_allclose(y.mean(axis=0), 1527.5, atol=5.0 * np.sqrt(wanted[0, 0] / 4000))
    held = _simulated(fit, 4000, use_u=True)
    effects = 1527.5 + fit.ranef()["mean"].to_numpy()[batch]
    np.testing.assert_allclose(held.mean(axis=0), effects, atol=5.0 * 49.51 / np.sqrt(4000))
    np.testing.assert_allclose(held.std(axis=0), 49.51, rtol=5.0 / np.sqrt(8000))


def test_effects_keep_their_constraints() -> None:
    data = pd.DataFrame({"t": np.arange(12), "y": np.random.default_rng(2).normal(size=12)})
    given = {"sd": priors.constant(0.8), "sigma": priors.constant(1.0), "Intercept": priors.flat()}
    fit = lgm.model("y ~ rw1(t)", data, priors=given).fit(**QUICK)
    drawn = bootstrap._new_effects(fit, 400, 3)[:, 1:]
    np.testing.assert_allclose(drawn.sum(axis=1), 0.0, atol=1e-8)
    root = np.linalg.pinv(np.diff(np.eye(12), axis=0))
    root /= np.exp(0.5 * np.mean(np.log(np.sum(root**2, axis=1))))
    wanted = 0.8**2 * root @ root.T
    error = np.sqrt((wanted**2 + np.multiply.outer(np.diag(wanted), np.diag(wanted))) / 400)
    assert np.all(np.abs(np.cov(drawn.T) - wanted) < 5.0 * error)


def test_estimates_vary_as_theory_says(fit: lgm.Fit) -> None:
    fit.bootstrap(2, seed=1)
    with compilations() as compiled:
        found = fit.bootstrap(20, seed=2)
    assert compiled == [] and found.failed == 0
    assert list(found.estimates) == ["Intercept", "sd(Intercept|Batch)", "sigma"] and len(found.estimates) == 20
    table = found.summary()
    assert list(table.columns) == ["estimate", "bias", "se", "2.5%", "97.5%"]
    np.testing.assert_allclose(table["estimate"], [1527.5, 42.0006, 49.5101], rtol=1e-4)
    assert table.loc["Intercept", "se"] == pytest.approx(
        19.3834, rel=4.0 / np.sqrt(40)
    )  # sqrt(sd^2 / 6 + sigma^2 / 30)
    assert abs(table.loc["Intercept", "bias"]) < 4.0 * 19.3834 / np.sqrt(20)
    assert "20 responses" in repr(found)
    pd.testing.assert_frame_equal(found.estimates.iloc[:3], fit.bootstrap(3, seed=2).estimates, atol=1e-6)


def test_a_statistic_of_ones_own(fit: lgm.Fit) -> None:
    found = fit.bootstrap(3, lambda each: each.fixef()["mean"])
    assert list(found.estimates) == ["Intercept"]
    assert list(fit.bootstrap(3, lambda each: each.nobs).summary().index) == ["statistic"]
    with pytest.raises(LgmError, match="must give a number"):
        fit.bootstrap(3, lambda each: "text")


def test_successes_of_the_same_trials() -> None:
    cbpp = lgm.load_dataset("cbpp")
    fit = lgm.model("cbind(incidence, size - incidence) ~ period + (1|herd)", cbpp, "binomial").fit(**QUICK)
    assert np.all(_simulated(fit, 50, use_u=False) <= cbpp["size"].to_numpy())
    assert fit.bootstrap(2).estimates.shape == (2, 5)


def test_what_is_not_accepted(fit: lgm.Fit) -> None:
    with pytest.raises(LgmError, match="n=1; accepted"):
        fit.bootstrap(1)
