"""Variances without draws against dense algebra: rows of a fit, rows that combine anew, and too many of these."""

from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lgm
from lgm.posterior import density
from lgm.results import exact, normal
from lgm.results.drawing import Drawing
from lgm.results.exact import row_variances

RNG = np.random.default_rng(7)
DATA = pd.DataFrame(
    {
        "y": RNG.standard_normal(40),
        "x": 3.0 + RNG.standard_normal(40),
        "g": np.repeat(np.arange(8), 5),
        "h": np.repeat(np.arange(4), 10),
        "t": np.tile(np.arange(10.0), 4),
    }
)
THETA = np.array([0.6, 0.4, -0.3, 0.7, 0.5, 0.9])


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    model = lgm.model("y ~ x + (x|g) + (1|h) + rw1(t)", DATA)
    return Drawing(model.analysed, np.tile(THETA, (5, 1)), 1, progress=False)


@pytest.fixture(scope="module")
def covariance(drawing: Drawing) -> np.ndarray:
    """Of u, natural coordinates, by unit normals."""
    post = drawing.analysed.marginal
    with jax.enable_x64(True):
        found = jax.jit(density.effects)(post, THETA, np.eye(post.n_normals))
    root = drawing.analysed.natural(np.asarray(found.draws).T) - drawing.analysed.natural(np.asarray(found.mean))
    return root.T @ root


def test_rows_of_the_fit(drawing: Drawing, covariance: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    a = sp.csr_array(lgm.model("y ~ x + (x|g) + (1|h) + rw1(t)", DATA).design.predictor.A)
    expected = np.einsum("ij,jk,ik->i", a.toarray(), covariance, a.toarray())
    np.testing.assert_allclose(row_variances(drawing, a, solves=0), expected, rtol=1e-11)
    monkeypatch.setattr(exact, "CHUNK_BYTES", 16.0 * 36 * 7)
    np.testing.assert_allclose(row_variances(drawing, a, solves=0), expected, rtol=1e-11)


def test_rows_that_combine_anew(drawing: Drawing, covariance: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Group 0 never met the last level of h; the last rows have one effect or none."""
    rows = np.zeros((4, drawing.dim))
    rows[0, [0, 2, 17 + 4]] = 1.0, 1.0, -2.0
    rows[1, 2:18] = np.arange(16)
    rows[2, 5] = 3.0
    expected = np.einsum("ij,jk,ik->i", rows, covariance, rows)
    np.testing.assert_allclose(row_variances(drawing, sp.csr_array(rows), solves=2), expected, rtol=1e-11)
    assert row_variances(drawing, sp.csr_array(rows), solves=1) is None
    monkeypatch.setattr(exact, "CHUNK_BYTES", 8.0 * drawing.dim)
    np.testing.assert_allclose(row_variances(drawing, sp.csr_array(rows), solves=2), expected, rtol=1e-11)
    assert expected[3] == 0.0


def test_moments_given_each_theta(drawing: Drawing, covariance: np.ndarray) -> None:
    row = np.random.default_rng(3).normal(size=drawing.dim)
    other = THETA.copy()
    other[-1] *= 2.0
    thetas = np.stack([THETA, other] * 20)
    mean, variance = exact.moments_given_theta(replace(drawing, thetas=thetas), row, most=40)
    np.testing.assert_allclose(variance[::2], row @ covariance @ row, rtol=1e-9)
    np.testing.assert_allclose(mean[::2], row @ normal.moments(drawing)[0], rtol=1e-9)
    assert np.ptp(variance[1::2]) == 0.0 and variance[1] > variance[0]
    assert exact.moments_given_theta(replace(drawing, thetas=thetas), row, most=7)[0].shape == (7,)
