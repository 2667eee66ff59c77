"""Variance partition by its definition, from the hyperparameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from dense_model import icar_structure, scaled_covariance

import lgm
from lgm import priors
from lgm.errors import LgmError

RNG = np.random.default_rng(4)
DATA = pd.DataFrame({"g": np.repeat(np.arange(6), 5), "x": RNG.normal(size=30), "r": np.arange(30) % 5})
DATA["y"] = RNG.normal(size=30)
DATA["k"] = RNG.poisson(3.0, 30)
EDGES = [[0, 1], [1, 2], [2, 3], [3, 4]]
QUICK: dict[str, Any] = {"chains": 1, "draws": 20, "seed": 1, "progress": False}


def test_slopes_and_a_map() -> None:
    held = {
        "sd(Intercept|g)": priors.constant(0.9),
        "sd(x|g)": priors.constant(0.5),
        "corr": priors.constant(0.3),
        "sd(icar(r, m))": priors.constant(0.7),
        "sigma": priors.constant(0.8),
    }
    env = {"m": lgm.graph(EDGES)}
    label = lgm.model("y ~ x + (x|g) + icar(r, m)", DATA, env=env).design.terms[1].label
    held[f"sd({label})"] = held.pop("sd(icar(r, m))")
    fit = lgm.fit("y ~ x + (x|g) + icar(r, m)", DATA, priors=held, env=env, **QUICK)
    cov = np.array([[0.81, 0.3 * 0.45], [0.3 * 0.45, 0.25]])
    z = np.column_stack([np.ones(30), DATA["x"]])
    slopes = np.mean(np.sum((z @ cov) * z, axis=1))
    area = 0.49 * np.mean(np.diag(scaled_covariance(icar_structure(5, EDGES))[0])[DATA["r"]])
    whole = slopes + area + 0.64
    wanted = [slopes / whole, area / whole, 0.64 / whole]
    np.testing.assert_allclose(fit.icc()["mean"], wanted, rtol=1e-9)
    found = fit.icc(fixed=True)
    assert list(found.index) == ["fixed effects", "(x | g)", label, "Residual"]
    line = np.outer(fit.posterior["x"].to_numpy().ravel(), DATA["x"]).var(axis=1, ddof=1)
    np.testing.assert_allclose(found.loc["fixed effects", "mean"], np.mean(line / (whole + line)), rtol=1e-9)


@pytest.mark.parametrize(("link", "variance"), [("logit", np.pi**2 / 3), ("probit", 1.0), ("cloglog", np.pi**2 / 6)])
def test_latent_variances_of_links(link: str, variance: float) -> None:
    held = {"sd": priors.constant(0.9)}
    data = DATA.assign(y=np.arange(30) % 2)
    fit = lgm.model("y ~ x + (1|g)", data, "bernoulli", link=link, priors=held).fit(method="prior", **QUICK)
    assert fit.icc().loc["(1 | g)", "mean"] == pytest.approx(0.81 / (0.81 + variance))


def test_counts_at_the_mean_of_the_log() -> None:
    fit = lgm.fit("k ~ x + (1|g)", DATA, "poisson", priors={"sd": priors.constant(0.6)}, method="prior", **QUICK)
    draws = fit.posterior.isel(chain=0)
    line = draws["Intercept"].to_numpy() + draws["x"].to_numpy() * DATA["x"].mean()
    errors = np.log1p(np.exp(-(line + 0.18)))
    assert fit.icc().loc["(1 | g)", "mean"] == pytest.approx(np.mean(0.36 / (0.36 + errors)))


def test_what_has_none() -> None:
    with pytest.raises(LgmError, match="has no groups or other latent terms"):
        lgm.fit("y ~ x", DATA, priors={"sigma": priors.constant(1.0)}, **QUICK).icc()


def test_what_predictors_do_is_no_variance_of_the_population() -> None:
    """A monotonic effect counts as fixed ones do: beside it a group has about the share that it has beside a factor."""
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"m": rng.integers(1, 5, 120), "g": np.repeat(np.arange(12), 10)})
    data["y"] = rng.normal(0, 1, 12)[data["g"]] + rng.normal(0, 1, 120)
    options = {"method": "mode", "draws": 50, "seed": 1, "progress": False}
    ordered, factor = (lgm.fit(f"y ~ {part} + (1|g)", data, **options) for part in ("mo(m)", "C(m)"))
    shares = [fit.icc()["mean"] for fit in (ordered, factor)]
    assert list(shares[0].index) == ["(1 | g)", "Residual"]
    assert shares[0]["(1 | g)"] == pytest.approx(shares[1]["(1 | g)"], abs=0.03)
    with pytest.raises(lgm.LgmError, match="no groups or other latent terms"):
        lgm.fit("y ~ mo(m)", data, **options).icc()
