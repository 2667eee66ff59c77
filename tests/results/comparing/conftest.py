"""Fits that several files of this folder ask."""

import numpy as np
import pandas as pd
import pytest

import lgm


@pytest.fixture(scope="package")
def clicks() -> lgm.Fit:
    """Few binary outcomes in each group, all hyperparameters held."""
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(8), 3)
    p = 1 / (1 + np.exp(-rng.normal(0, 1.5, 8)[g]))
    data = pd.DataFrame({"g": g, "y": (rng.random(24) < p).astype(int)})
    priors = {"Intercept": lgm.priors.normal(0, 1.5), "sd(Intercept|g)": lgm.priors.constant(1.5)}
    return lgm.fit("y ~ 1 + (1|g)", data, "bernoulli", priors=priors, method="mode", seed=1, progress=False)
