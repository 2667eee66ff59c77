"""R-squared by its definition, from draws of effects and parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm import priors
from lgm.errors import LgmError
from lgm.results.quoted import r2

RNG = np.random.default_rng(4)
DATA = pd.DataFrame({"g": np.repeat(np.arange(6), 5), "x": RNG.normal(size=30)})
DATA["y"] = 1.0 + RNG.normal(size=6)[DATA["g"]] + 0.8 * DATA["x"] + RNG.normal(size=30)
DATA["w"] = 1.0 + np.arange(30) % 3
QUICK: dict[str, Any] = {"chains": 1, "draws": 60, "seed": 1, "progress": False}


def test_gaussian_by_definition() -> None:
    held = {"sd": priors.constant(0.9), "sigma": priors.constant(0.8)}
    fit = lgm.fit("y ~ x + (1|g)", DATA, priors=held, weights="w", **QUICK)
    draws = fit.posterior.isel(chain=0)
    line = draws["Intercept"].to_numpy()[:, None] + draws["x"].to_numpy()[:, None] * DATA["x"].to_numpy()
    whole = line + draws["Intercept|g"].to_numpy()[:, DATA["g"]]
    explained, errors = whole.var(axis=1, ddof=1), 0.64 * np.mean(1.0 / DATA["w"])
    found = r2.shares(fit)
    np.testing.assert_allclose(found["conditional"], explained / (explained + errors), rtol=1e-10)
    np.testing.assert_allclose(found["marginal"], line.var(axis=1, ddof=1) / (explained + errors), rtol=1e-10)
    table = fit.r2(interval=0.8)
    assert list(table.index) == ["conditional", "marginal"] and list(table.columns) == ["mean", "sd", "10%", "90%"]
    assert table.loc["conditional", "mean"] == pytest.approx(found["conditional"].mean())


def test_what_has_none() -> None:
    data = DATA.assign(y=pd.Categorical.from_codes(np.arange(30) % 3, list("uvw"), ordered=True))
    held = {"sd": priors.constant(0.9), "gap": priors.constant(1.0)}
    fit = lgm.fit("y ~ x + (1|g)", data, "cumulative", priors=held, method="prior", **QUICK)
    with pytest.raises(LgmError, match="R-squared is of responses that are numbers, and `y` is one of categories"):
        fit.r2()
