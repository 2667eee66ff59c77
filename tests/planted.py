"""Data of known models, right ones and such with a fault, and fits of them with theta where it is in truth."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from synthetic import around, counts

import lgm
from lgm.results.effects import Kept

GROUPS, ROWS = 30, 8
SD, SIGMA = 0.6, 0.7


def table(seed: int, groups: int = GROUPS, rows: int = ROWS) -> tuple[np.random.Generator, pd.DataFrame, np.ndarray]:
    """Columns g, x, t, places, and the linear predictor ``1 + x / 2 + u_g``."""
    rng = np.random.default_rng(seed)
    n = groups * rows
    data = pd.DataFrame({"g": np.repeat(np.arange(groups), rows), "x": rng.uniform(-2.0, 2.0, n)})
    data["t"] = np.tile(np.arange(rows), groups)
    data["lon"], data["lat"] = rng.uniform(size=(2, n))
    return rng, data, (1.0 + 0.5 * data.x + np.repeat(rng.normal(0.0, SD, groups), rows)).to_numpy()


def response(fault: str, seed: int) -> tuple[pd.DataFrame, str]:
    """Data with a response, and its family."""
    rng, data, eta = table(seed)
    n, mu = eta.size, np.exp(eta)
    noise = SIGMA * rng.standard_normal(n)
    counts: dict[str, Any] = {
        "poisson": lambda: rng.poisson(mu),
        "overdispersion": lambda: rng.poisson(mu * rng.gamma(2.0, 0.5, n)),
        "zero inflation": lambda: rng.poisson(mu) * (rng.random(n) > 0.25),
    }
    slopes, along = np.repeat(rng.normal(0.0, 0.5, GROUPS), ROWS), noise.reshape(GROUPS, ROWS).copy()
    for k in range(1, ROWS):
        along[:, k] = 0.6 * along[:, k - 1] + 0.8 * along[:, k]
    measured = {
        "gaussian": noise,
        "slope": noise + slopes * data.x,
        "autocorrelation": along.ravel(),
        "curve": noise + 0.25 * (data.x**2 - 4.0 / 3.0),
        "space": noise + np.sin(5.0 * data.lon) * np.cos(4.0 * data.lat),
        "outliers": np.where(np.arange(n) == 17, 5.5 * SIGMA, noise),
        "spread": noise * np.exp(0.4 * (eta - 1.0)),
    }
    if fault in counts:
        return data.assign(y=counts[fault]().astype(float)), "poisson"
    return data.assign(y=eta + measured[fault]), "gaussian"


def fitted(fault: str, seed: int, formula: str = "y ~ x + (1|g)") -> lgm.Fit:
    """The model that is right but for the fault, theta held at the truth, with 100 draws of effects."""
    data, family = response(fault, seed)
    theta = {"sd(Intercept|g)": SD} | ({"sigma": SIGMA} if family == "gaussian" else {})
    fit = around(lgm.model(formula, data, family=family), theta, spread=0.0, chains=2, draws=50)
    return replace(fit, seed=seed)


@cache
def of(fault: str, seed: int = 1) -> lgm.Fit:
    """The same, made once."""
    return fitted(fault, seed)


def with_effects(fit: lgm.Fit, centre: np.ndarray, spread: float = 0.1) -> lgm.Fit:
    """The same with draws of the effects around a centre (p + q,), which are nobody's posterior but cost nothing."""
    size = int(np.prod(fit.draws.theta.shape[:2]))
    draws = centre + spread * np.random.default_rng(0).standard_normal((size, centre.size))
    ends = np.quantile(draws, [0.025, 0.975], axis=0)
    mean, sd, p = draws.mean(axis=0), draws.std(axis=0), fit.design.p
    kept = Kept(mean, np.vstack([mean, sd, ends])[:, :p], sd, ends, draws[:, :p], draws)
    return replace(fit, stored_effects=kept)


def _around_truth(data: pd.DataFrame, formula: str, family: str, eta: np.ndarray, **theta: float) -> lgm.Fit:
    model = lgm.model(formula, data, family=family)
    fit = around(model, {"sd(Intercept|g)": SD, **theta}, spread=0.0, chains=2, draws=50)
    groups = (eta - 0.5 * data.x).to_numpy().reshape(GROUPS, ROWS)[:, 0]
    return with_effects(fit, np.concatenate([[0.0, 0.5], groups]))


@cache
def few() -> lgm.Fit:
    """Counts of four groups in time, with an exposure and two rows that lack a response."""
    return with_effects(counts(), np.concatenate([[0.3, 0.4, -0.8, 0.0, 0.2, 0.9], np.zeros(counts().design.q - 4)]))


@cache
def several() -> lgm.Fit:
    """Successes of 1 to 9 trials in groups, with a row that lacks a response."""
    rng, data, eta = table(3)
    eta = eta - 1.0
    data["n"] = rng.integers(1, 10, len(data))
    data["y"] = rng.binomial(data.n, 1.0 / (1.0 + np.exp(-eta))).astype(float)
    data.loc[4, "y"] = np.nan
    return _around_truth(data, "y | trials(n) ~ x + (1|g)", "binomial", eta)


@cache
def binary() -> lgm.Fit:
    """Single trials."""
    rng, data, eta = table(4)
    eta = eta - 1.0
    data["y"] = rng.binomial(1, 1.0 / (1.0 + np.exp(-eta)))
    return _around_truth(data, "y ~ x + (1|g)", "bernoulli", eta)


@cache
def ordered() -> lgm.Fit:
    """Four ordered categories."""
    rng, data, eta = table(5)
    latent = eta + rng.logistic(size=eta.size)
    data["y"] = pd.cut(latent, [-np.inf, 0.0, 1.0, 3.0, np.inf], labels=["bad", "poor", "fair", "good"], ordered=True)
    return _around_truth(data, "y ~ x + (1|g)", "cumulative", eta, **{"gap[poor]": 1.0, "gap[fair]": 2.0})


@cache
def times() -> lgm.Fit:
    """Weibull times, some censored on the right."""
    rng, data, eta = table(6)
    eta = eta - 1.0
    time, end = rng.weibull(1.5, eta.size) * np.exp(eta), rng.exponential(2.0, eta.size)
    data["y"], data["c"] = np.minimum(time, end), np.where(time > end, "right", "none")
    return _around_truth(data, "y | cens(c) ~ x + (1|g)", "weibull", eta, shape=1.5)
