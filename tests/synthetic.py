"""Fits from draws that a test chooses: everything after sampling, without sampling."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pandas as pd

import lgm
from lgm.inference.chains import Chains
from lgm.inference.draws import Run
from lgm.inference.mode import Mode
from lgm.model import Model
from lgm.results.fit import Fit


def fit_of(model: Model, theta: np.ndarray, *, interval: float = 0.95, seed: int = 1) -> Fit:
    """A fit with these draws of theta (chains, draws, k), as it is printed."""
    theta = model.analysed.marginal.hyper.from_printed(theta)
    shape, k = theta.shape[:2], theta.shape[2]
    stats = {
        "diverging": np.zeros(shape, dtype=bool),
        "n_steps": np.full(shape, 3),
        "acceptance_rate": np.full(shape, 0.9),
        "energy": np.zeros(shape),
        "lp": np.zeros(shape),
    }
    mode = Mode(np.zeros(k), np.eye(k), 0.0, 0.0)
    return Fit(model, Run(mode, Chains(theta, stats, False, np.ones(shape[0]), 200), "nuts"), interval, seed)


def around(model: Model, centre: Mapping[str, float], *, spread: float = 0.1, chains: int = 4, draws: int = 100) -> Fit:
    """A fit whose theta scatters around a centre; ``spread`` is relative, and zero holds theta there."""
    names = model.design.theta_names
    assert set(names) == set(centre)
    noise = np.random.default_rng(0).standard_normal((chains, draws, len(names)))
    return fit_of(model, np.array([centre[name] for name in names]) * (1.0 + spread * np.clip(noise, -4, 4)))


@cache
def counts() -> Fit:
    """Counts of groups, with an exposure and two rows that lack a response."""
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"g": np.repeat(list("abcd"), 8), "x": rng.normal(size=32), "e": rng.uniform(1, 4, 32)})
    data["y"] = rng.poisson(data.e * np.exp(0.3 + 0.4 * data.x + np.repeat([-0.8, 0.0, 0.2, 0.9], 8))).astype(float)
    data["t"] = np.arange(32) % 8
    data.loc[[5, 11], "y"] = np.nan
    model = lgm.model("y ~ x + offset(np.log(e)) + (1|g) + rw1(t)", data, family="poisson")
    return around(model, {"sd(Intercept|g)": 0.7, "sd(rw1(t))": 0.2}, draws=250)


@cache
def successes() -> Fit:
    """Few of them in two groups, with the sd of the groups held at three."""
    data = pd.DataFrame({"y": np.array([1, 1, 1, 1, 0, 0, 1, 0, 0, 0.0]), "g": list("aaaaabbbbb")})
    model = lgm.model("y ~ 1 + (1|g)", data, family="binomial")
    return around(model, {"sd(Intercept|g)": 3.0}, spread=0.0, draws=1000)


def factorial() -> pd.DataFrame:
    """Unbalanced data of two factors, a number and a group, without chance."""
    i = np.arange(90)
    data = pd.DataFrame({"trt": np.array(list("abc"))[(i * i + i // 7) % 3], "g": i % 9})
    data["sex"] = np.where((i * 3 + i // 5) % 7 < 3, "f", "m")
    data["x"] = np.round(np.sin(1.7 * i) * 2.0 + i / 30.0, 3)
    level = 3.0 + 0.8 * data.x + (data.trt == "b") * (1.0 - 0.5 * data.x) + (data.sex == "m") * 0.7
    data["y"] = np.round(level + np.cos(data.g * 2.1) * 0.9 + np.sin(i * i * 0.37), 3)
    return data


@cache
def measured() -> Fit:
    """A normal response with flat priors of fixed effects and theta where lme4's REML has it: all is exact."""
    flat, held = lgm.priors.flat(), lgm.priors.constant
    sds = {"sd(Intercept|g)": held(0.6665017369271911), "sigma": held(0.6825265225025158)}
    model = lgm.model("y ~ trt*x + trt*sex + (1|g)", factorial(), priors={"Intercept": flat, "fixed": flat, **sds})
    return around(model, {"sd(Intercept|g)": 0.6665017369271911, "sigma": 0.6825265225025158}, spread=0.0, draws=50)


@cache
def ranked() -> Fit:
    """Ordered categories."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"x": rng.normal(size=60), "f": np.tile(["u", "v", "w"], 20)})
    data["y"] = pd.cut(data.x + (data.f == "v") + rng.logistic(size=60), [-99, 0, 1, 99], labels=["low", "mid", "high"])
    model = lgm.model("y ~ x + f", data, family="cumulative")
    return around(model, dict.fromkeys(model.design.theta_names, 1.0), spread=0.0, draws=50)
