"""Moments at one theta by one factorisation, against dense algebra and against what averages of many thetas use."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.posterior.no_rows import NoRows
from lgm.priors import flat
from lgm.results import normal, variances
from lgm.results.drawing import Drawing

RNG = np.random.default_rng(3)
DATA = pd.DataFrame({"y": RNG.normal(size=12), "x": 5.0 + RNG.normal(size=12), "g": np.arange(12) % 4})
SD, SIGMA = 0.7, 0.4
THETA = np.array([[SD, SIGMA]])


def test_against_dense_algebra() -> None:
    """With flat priors of the fixed effects: ``H = A'A / sigma^2 + diag(0, 0, 1 / sd^2, ...)``."""
    model = lgm.model("y ~ x + (1|g)", DATA, priors={"Intercept": flat(), "fixed": flat()})
    mean, variance = normal.moments(Drawing(model.analysed, THETA, 1, progress=False))
    a = np.column_stack([np.ones(12), DATA["x"], DATA["g"].to_numpy()[:, None] == np.arange(4)])
    covariance = np.linalg.inv(a.T @ a / SIGMA**2 + np.diag([0.0, 0.0, *[SD**-2] * 4]))
    expected = covariance @ a.T @ DATA["y"].to_numpy() / SIGMA**2
    # the intercept lies five sds of x off the data, so both have a condition of about 1e3
    np.testing.assert_allclose(mean[1:], expected[1:], rtol=1e-11)
    np.testing.assert_allclose(variance, np.diag(covariance), rtol=1e-11)
    printed = model.analysed.printed(mean)
    np.testing.assert_allclose(printed, expected, rtol=1e-11)


@pytest.mark.parametrize("rows", [True, False])
def test_equal_what_many_thetas_are_averaged_of(rows: bool) -> None:
    """Also where no row says anything, and the effects are those of the prior."""
    analysed = lgm.model("y ~ x + (x|g) + rw1(g)", DATA).analysed
    if not rows:
        post = analysed.marginal
        analysed = replace(analysed, marginal=replace(post, data=NoRows(post.data.places)))
    drawing = Drawing(analysed, np.array([[0.6, 0.4, -0.3, 0.5, 0.9]] * 3), 1, progress=False)
    mean, variance = normal.moments(drawing)
    (block,) = drawing.blocks(np.arange(3))
    np.testing.assert_allclose(mean, block.means[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(variance, variances.averaged(drawing, np.zeros(variance.size)), rtol=1e-11)
