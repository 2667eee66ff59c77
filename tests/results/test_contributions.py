"""The curve of a term: its straight line included, zero on average over the data, residuals around it."""

import numpy as np
import pandas as pd
import pytest
from synthetic import around

import lgm
from lgm.results import contributions

N = 40
RNG = np.random.default_rng(5)
DATA = pd.DataFrame({"y": RNG.normal(size=N), "x": RNG.uniform(1, 4, N), "t": RNG.integers(0, 9, N)})


@pytest.fixture(scope="module")
def fit():
    theta = {"sd(s(log(x)))": 0.8, "sd(rw2(t))": 0.5, "sigma": 0.7}
    return around(lgm.model("y ~ s(log(x), k=6) + rw2(t)", DATA), theta, draws=20)


@pytest.mark.parametrize("j", [0, 1])
def test_it_is_what_predict_adds(fit, j):
    term = fit.design.terms[j]
    curve = contributions.of(fit, term, term.view)
    x = np.exp(curve.x) if j == 0 else curve.x
    new = pd.DataFrame({"x": x, "t": 0.0}) if j == 0 else pd.DataFrame({"x": 2.0, "t": x})
    added = fit.predict(new, "draws", terms=[term.label]).to_numpy().reshape(-1, x.size)
    level = fit.predict(DATA, "draws", terms=[term.label]).to_numpy().reshape(-1, N).mean(axis=1)
    np.testing.assert_allclose(curve.draws, added - level[:, None], rtol=0, atol=1e-10)
    assert curve.without == ""


def test_partial_residuals_leave_out_all_other_terms(fit):
    term = fit.design.terms[1]
    curve = contributions.of(fit, term, term.view)
    others = fit.predict(DATA, exclude=[term.label])["mean"].to_numpy()
    own = fit.predict(DATA, terms=[term.label])["mean"].to_numpy()
    np.testing.assert_allclose(curve.residual, DATA["y"] - others - own.mean(), rtol=0, atol=1e-10)
    np.testing.assert_array_equal(curve.at, DATA["t"])
