"""Variance partition of responses, in closed form for log-normal means and by quadrature of another kind for shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

import lgm
from lgm import priors
from lgm.errors import LgmError

RNG = np.random.default_rng(4)
DATA = pd.DataFrame({"g": np.repeat(np.arange(4), 4), "x": RNG.normal(size=16), "r": np.arange(16) % 4})
DATA["k"], DATA["b"] = RNG.poisson(3.0, 16), np.arange(16) % 2
QUICK: dict[str, Any] = {"method": "prior", "chains": 1, "draws": 4, "seed": 1, "progress": False}


def _lines(fit: lgm.Fit) -> np.ndarray:
    draws = fit.posterior.isel(chain=0)
    return np.add.outer(np.zeros(16), draws["Intercept"].to_numpy()) + np.outer(DATA["x"], draws["x"].to_numpy())


def test_counts_in_closed_form() -> None:
    held = {"sd(Intercept|g)": priors.constant(0.6), "sd(Intercept|r)": priors.constant(0.9)}
    fit = lgm.fit("k ~ x + (1|g) + (1|r)", DATA, "poisson", priors=held, **QUICK)
    mean = np.exp(_lines(fit) + 0.5 * (0.36 + 0.81))
    one, other, both = (np.mean(np.expm1(v) * mean**2, axis=0) for v in (0.36, 0.81, 0.36 + 0.81))
    parts = np.array([mean.var(axis=0, ddof=1), one, other, both - one - other, mean.mean(axis=0)])
    found = fit.icc(scale="response", fixed=True)
    assert list(found.index) == ["fixed effects", "(1 | g)", "(1 | r)", "interaction", "Residual"]
    np.testing.assert_allclose(found["mean"], np.mean(parts / parts.sum(axis=0), axis=1), rtol=1e-8)


def test_shares_by_quadrature() -> None:
    fit = lgm.fit("b ~ x + (1|g)", DATA, "bernoulli", priors={"sd": priors.constant(3.0)}, **QUICK)

    def moment(line: float, power: int) -> float:
        value = quad(lambda z: expit(line + 3.0 * z) ** power * norm.pdf(z), -12, 12, points=[-line / 3.0], limit=200)
        return float(value[0])

    first, second = (np.vectorize(moment)(_lines(fit), power) for power in (1, 2))
    between, within = np.mean(second - first**2, axis=0), np.mean(first - second, axis=0)
    found = fit.icc(scale="response")["mean"]
    np.testing.assert_allclose(found["(1 | g)"], np.mean(between / (between + within)), rtol=1e-7)
    with pytest.raises(LgmError, match="scale='link'; accepted: 'latent', 'response'"):
        fit.icc(scale="link")  # type: ignore[arg-type]


def test_categories_have_no_variance() -> None:
    fit = lgm.fit("r ~ x + (1|g)", DATA, "cumulative", **QUICK)
    with pytest.raises(LgmError, match="is one of categories"):
        fit.icc(scale="response")
