"""Gaussian statistics: those of two sets of rows add up to those of all."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lgm
from lgm.design.fixed_effects import standardise
from lgm.gram import gram
from lgm.posterior import density
from lgm.posterior.gaussian import GaussianData


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(4)
    n = 40
    frame = pd.DataFrame(
        {"y": rng.normal(3, 1, n), "x": rng.normal(size=n), "g": rng.integers(0, 5, n), "w": rng.uniform(0.5, 2, n)}
    )
    return lgm.model("y ~ x + (x|g)", frame, weights="w")


def halves(model):
    """Statistics of the first and of the last rows, from the columns of the model."""
    design, marginal = model.design, model.analysed.marginal
    x, _ = standardise(design.predictor.X, design.predictor.intercept)
    a = sp.csr_array(sp.hstack([x, design.predictor.Z]))
    residual = design.y - design.predictor.X @ model.analysed.reference
    places, pattern = marginal.data.places, marginal.analysis.pattern
    with jax.enable_x64(True):
        found = []
        for part in (slice(0, 13), slice(13, None)):
            own, w = sp.csc_array(a[part]), design.weights[part]
            found.append(GaussianData.of((own,), w, residual[part], pattern.values(gram(own, w)), places))
        return found


def test_halves_add_up(model):
    with jax.enable_x64(True):
        first, last = halves(model)
        whole = first + last
    for ours, wanted in zip(jax.tree.leaves(whole), jax.tree.leaves(model.analysed.marginal.data), strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-12, atol=1e-12)


def test_the_likelihood_from_merged_statistics(model):
    theta = jnp.array([0.5, 0.3, -0.2, 0.9])
    marginal = model.analysed.marginal
    with jax.enable_x64(True):
        first, last = halves(model)
        merged = dataclasses.replace(marginal, data=first + last)
        ours, wanted = (
            float(jax.jit(density.log_likelihood)(post, jnp.asarray(theta, dtype=float))) for post in (merged, marginal)
        )
    assert ours == pytest.approx(wanted, abs=1e-10)
