"""Standard deviations given all else: those of lme4 at its estimates, and the curvature at the mode of each group."""

from __future__ import annotations

import numpy as np
from helpers import reference
from scipy.special import expit
from synthetic import around

import lgm


def test_as_lme4() -> None:
    stored = reference("Dyestuff.lmer_ml")
    model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"))
    theta = {"sd(Intercept|Batch)": stored["varcomp"][0]["sd"], "sigma": stored["residual_sd"]}
    table = around(model, theta, spread=0.0, draws=2).ranef(condsd=True)
    assert list(table.columns)[:3] == ["mean", "sd", "condsd"]
    np.testing.assert_allclose(table["condsd"], stored["ranef"]["Batch"]["cond_sd:(Intercept)"], rtol=1e-7)
    assert np.all(table["condsd"] < table["sd"])


def test_successes_by_the_curvature_of_each_group() -> None:
    """And within half a percent of lme4, whose fixed effects are at the mode, not at their posterior means."""
    stored = reference("cbpp.glmer_laplace")
    model = lgm.model(stored["formula"], lgm.load_dataset("cbpp"), "binomial")
    sd = stored["varcomp"][0]["sd"]
    fit = around(model, {"sd(Intercept|herd)": sd}, spread=0.0, draws=100)
    d = model.design
    line = d.predictor.X @ fit.effects.mean[: d.p]
    y, trials, z, b = d.y, np.asarray(d.response.trials), d.terms[0].z.toarray(), np.zeros(15)
    for _ in range(50):
        p = expit(line + z @ b)
        curvature = z.T @ (trials * p * (1.0 - p)) + sd**-2
        b += (z.T @ (y - trials * p) - b / sd**2) / curvature
    found = fit.ranef(condsd=True)["condsd"]
    np.testing.assert_allclose(found, curvature**-0.5, rtol=1e-8)
    np.testing.assert_allclose(found, stored["ranef"]["herd"]["cond_sd:(Intercept)"], rtol=5e-3)
