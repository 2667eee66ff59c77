"""A posterior from some of the rows is that of a model of these rows."""

import jax
import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.posterior import density
from lgm.posterior.assemble import every_row

RNG = np.random.default_rng(5)
DATA = pd.DataFrame({"x": RNG.normal(size=24), "g": np.repeat(np.arange(6), 4), "w": 1.0 + np.arange(24) % 2})
Y = {
    "gaussian": RNG.normal(size=24),
    "gamma": RNG.gamma(2.0, size=24),
    "poisson": RNG.poisson(2.0, 24),
    "bernoulli": RNG.integers(0, 2, 24),
}


@pytest.mark.parametrize("family", Y)
def test_keeping_rows(family: str) -> None:
    """Of families that take weights in each of their ways; rows that are alike are told apart."""
    data = DATA.assign(y=Y[family], x=DATA["x"].round() if family == "bernoulli" else DATA["x"])
    priors = {"Intercept": lgm.priors.normal(0, 2), "x": lgm.priors.normal(0, 2)}
    kept = np.arange(24) % 5 > 0
    weights = None if family == "bernoulli" else "w"
    whole, part = (lgm.model("y ~ x + (1|g)", d, family, priors=priors, weights=weights) for d in (data, data[kept]))
    theta = np.array([0.7, 1.3, 0.9])[: len(whole.design.theta_names)]
    with jax.enable_x64(True):
        rows = every_row(whole.design, whole.analysed)
        some = density.keeping(whole.analysed.marginal, rows, kept.astype(float))
        found = float(jax.jit(density.log_likelihood)(some, theta))
    expected = part.log_likelihood(dict(zip(part.design.theta_names, theta, strict=True)))
    assert found == pytest.approx(expected, abs=1e-8)
