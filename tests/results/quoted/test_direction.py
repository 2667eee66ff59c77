"""Probability of direction: exact where effects are normal, else a share of the draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

import lgm
from lgm import priors
from lgm.results.quoted import direction


def test_exact_and_of_draws() -> None:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.normal(size=20), "z": rng.normal(size=20)})
    data["y"] = 0.3 * data["x"] - 0.2 * data["z"] + rng.normal(size=20)
    fit = lgm.fit("y ~ x + z", data, priors={"sigma": priors.constant(1.0)}, draws=500, seed=1, progress=False)
    table = fit.fixef()
    np.testing.assert_allclose(fit.p_direction(), norm.cdf(np.abs(table["mean"] / table["sd"])), rtol=1e-9)
    assert list(fit.p_direction().index) == ["Intercept", "x", "z"] and fit.p_direction().name == "pd"
    below = np.mean(fit.effects.fixed < 0.0, axis=0)
    share = np.maximum(below, 1.0 - below)
    np.testing.assert_allclose(direction.of_fixed_effects(fit), share, atol=0.06)
