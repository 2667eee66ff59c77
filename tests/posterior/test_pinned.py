"""The likelihood at known fixed effects is that of a model which has them in its offset, and none of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from dense_model import group, restricted

import lgm
from lgm import priors
from lgm.posterior.pinned import likelihood, pinned

RNG = np.random.default_rng(6)
N = 30
FRAME = pd.DataFrame(
    {"x": RNG.normal(size=N), "g": np.arange(N) % 5, "t": np.arange(N) // 2, "w": 1.0 + np.arange(N) % 3}
)
GIVEN = {"Intercept": priors.normal(0.3, 2.0), "x": priors.normal(0.1, 0.7)}
BETA = np.array([0.4, -0.6])


def at(model: lgm.Model, theta: dict[str, float], blocks: Sequence[slice] = (), effects: Sequence[float] = ()) -> float:
    analysed = model.analysed
    values = np.array([theta[name] for name in model.design.theta_names])
    fixed = np.linalg.solve(analysed.basis, BETA - analysed.reference)
    with jax.enable_x64(True):
        own = analysed.marginal.hyper.from_printed(values)
        return float(likelihood(pinned(analysed.marginal, blocks), own, np.append(fixed, effects)))


def test_gaussian_by_dense_algebra() -> None:
    y = RNG.normal(size=N)
    model = lgm.model("y ~ x + (x|g)", FRAME.assign(y=y), priors=GIVEN, weights="w")
    theta = {"sd(Intercept|g)": 0.8, "sd(x|g)": 0.5, "corr(Intercept,x|g)": 0.3, "sigma": 0.7}
    columns = np.column_stack([np.ones(N), FRAME["x"]])
    cov = group(FRAME["g"], columns, [0.8, 0.5], [0.3]) + 0.49 * np.diag(1.0 / FRAME["w"])
    wanted = restricted(y - columns @ BETA, np.zeros((N, 0)), cov)[0]
    assert at(model, theta) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    ("family", "term", "theta"),
    [
        ("poisson", "(1|g)", {"sd(Intercept|g)": 0.6}),
        ("poisson", "rw1(t)", {"sd(rw1(t))": 0.4}),
        ("negativebinomial", "(1|g)", {"sd(Intercept|g)": 0.6, "shape": 2.0}),
        ("gaussian", "rw1(t)", {"sd(rw1(t))": 0.4, "sigma": 1.1}),
    ],
)
def test_as_of_a_model_with_an_offset(family: str, term: str, theta: dict[str, Any]) -> None:
    data = FRAME.assign(y=RNG.poisson(2.0, N).astype(float), known=BETA[0] + FRAME["x"] * BETA[1])
    model = lgm.model(f"y ~ x + {term}", data, family, priors=GIVEN)
    other = lgm.model(f"y ~ 0 + offset(known) + {term}", data, family)
    assert at(model, theta) == pytest.approx(other.log_likelihood(theta), abs=1e-7)


@pytest.mark.parametrize(("family", "others"), [("poisson", {}), ("gaussian", {"sigma": 1.1})])
def test_effects_of_a_block_may_be_known(family: str, others: dict[str, float]) -> None:
    """Of a term under constraints, whose coefficient decides on all of its effects."""
    k, effects = np.arange(N) % 4, 3.0 * 0.2 * np.cumsum([0.2, 0.3, 0.5])
    fixed = BETA[0] + FRAME["x"] * BETA[1]
    data = FRAME.assign(y=RNG.poisson(2.0, N).astype(float), k=k, known=fixed + np.append(0.0, effects)[k])
    model = lgm.model("y ~ x + (1|g) + mo(k)", data, family, priors=GIVEN)
    [_, block] = model.design.predictor.term_slices()
    shares = {f"simplex(mo(k))[{j + 1}]": share for j, share in enumerate([0.2, 0.3, 0.5])}
    theta = {"sd(Intercept|g)": 0.6, "scale(mo(k))": 0.9, **shares, **others}
    other = lgm.model("y ~ 0 + offset(known) + (1|g)", data, family)
    wanted = other.log_likelihood({"sd(Intercept|g)": 0.6, **others})
    assert at(model, theta, [block], effects) == pytest.approx(wanted, abs=1e-7)


def test_flat_fixed_effects_do_not_matter() -> None:
    data = FRAME.assign(y=RNG.normal(size=N))
    theta = {"sd(Intercept|g)": 0.8, "sigma": 0.7}
    proper, flat = (
        lgm.model("y ~ x + (1|g)", data, priors=given)
        for given in (GIVEN, {"Intercept": priors.flat(), "fixed": priors.flat()})
    )
    assert at(proper, theta) == pytest.approx(at(flat, theta), abs=1e-9)
