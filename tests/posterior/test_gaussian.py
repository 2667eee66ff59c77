"""Sufficient statistics of a Gaussian response: what parts of the rows say adds up."""

from __future__ import annotations

import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dense_model import EPS

import lgm
from lgm.design.fixed_effects import standardise
from lgm.model import Model
from lgm.posterior import density
from lgm.posterior.gaussian import GaussianData

FORMULA = "y ~ x + (x|g) + rw1(t)"
THETA = [0.6, 0.4, -0.3, 0.7, 0.9]
FIELDS = ("gram", "projection", "square", "n", "sum_log_w")


@cache
def _model() -> Model:
    rng = np.random.default_rng(8)
    n = 30
    frame = pd.DataFrame(
        {"y": rng.normal(size=n), "x": rng.normal(size=n), "w": rng.uniform(0.5, 2.0, n), "t": rng.integers(0, 6, n)}
    )
    return lgm.model(FORMULA, frame.assign(g=rng.integers(0, 5, n)), weights="w")


def _statistics(rows: np.ndarray) -> GaussianData:
    """Of some rows, with the columns and the reference of the whole."""
    model = _model()
    predictor, post = model.design.predictor, model.analysed.posterior
    assert isinstance(post.data, GaussianData)
    a = sp.csc_array(sp.hstack([standardise(predictor.X, predictor.intercept)[0], predictor.Z], format="csr")[rows])
    r = (model.design.y - predictor.offset - predictor.X @ model.analysed.reference)[rows]
    return GaussianData.of(a, model.design.weights[rows], r, post.analysis.pattern, post.data.places)


PARTS = [np.array_split(np.arange(30), k) for k in (1, 2, 5)] + [[np.arange(0, 30, 2), np.arange(1, 30, 2)]]


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: f"{len(parts)} of {len(parts[0])}")
def test_statistics_of_parts_add_up(parts: list[np.ndarray]) -> None:
    with jax.enable_x64(True):
        first, *others = [_statistics(rows) for rows in parts]
        merged = sum(others, start=first)
    whole = _model().analysed.posterior.data
    assert isinstance(whole, GaussianData)
    assert merged.places == whole.places
    for name in FIELDS:
        found, wanted = np.asarray(getattr(merged, name)), np.asarray(getattr(whole, name))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=30 * EPS * 30 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("parts", PARTS[1:], ids=lambda parts: f"{len(parts)} of {len(parts[0])}")
def test_the_likelihood_of_merged_statistics_is_that_of_the_whole(parts: list[np.ndarray]) -> None:
    whole = _model().analysed.posterior
    with jax.enable_x64(True):
        first, *others = [_statistics(rows) for rows in parts]
        merged = dataclasses.replace(whole, data=sum(others, start=first))
        values = [float(density.log_likelihood(post, jnp.array(THETA))) for post in (whole, merged)]
        z = jnp.zeros((whole.n_normals, 1))
        means = [np.asarray(density.effects(post, jnp.array(THETA), z).mean) for post in (whole, merged)]
    assert values[1] == pytest.approx(values[0], abs=1e-11)
    np.testing.assert_allclose(means[1], means[0], rtol=0, atol=1e-11)


def test_rows_that_say_nothing_leave_the_prior() -> None:
    """Weights that tend to zero, less what the density of such rows is by itself."""
    whole = _model().analysed.posterior
    with jax.enable_x64(True):
        nothing = jax.tree.map(jnp.zeros_like, whole.data)
        value = float(density.log_likelihood(dataclasses.replace(whole, data=nothing), jnp.array(THETA)))
        z = jnp.zeros((whole.n_normals, 1))
        mean = density.effects(dataclasses.replace(whole, data=nothing), jnp.array(THETA), z).mean
    assert value == pytest.approx(0.0, abs=1e-11)  # a proper prior integrates to one
    np.testing.assert_allclose(mean[2:], 0.0, atol=1e-12)
