"""Averages of conditional variances over thetas: by few of them as by all."""

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

import lgm
from lgm.results import variances
from lgm.results.drawing import Drawing

THETA = np.array([0.6, 0.4, -0.3, 0.5, 0.9])


def test_average_variance_stops_early_and_keeps_its_promise(monkeypatch):
    """A few of many thetas give the average over all of them, within its error, and closer than their plain mean."""
    rng = np.random.default_rng(5)
    thetas = THETA * np.exp(0.2 * rng.standard_normal((2000, 5)))
    data = {"y": rng.normal(size=30), "x": rng.normal(size=30), "g": np.arange(30) % 5, "t": np.arange(30) % 6}
    model = lgm.model("y ~ x + (x|g) + rw2(t)", data)
    drawing = Drawing(model.analysed, thetas, seed=1, progress=False)
    spread = np.zeros(drawing.dim)
    found = variances.averaged(drawing, spread)
    monkeypatch.setattr(variances, "MOST", len(thetas))
    monkeypatch.setattr(variances, "SD_ERROR", 0.0)
    everything = variances.averaged(drawing, spread)
    monkeypatch.setattr(variances, "_controls", lambda thetas: thetas[:, :0])
    np.testing.assert_allclose(variances.averaged(drawing, spread), everything, rtol=1e-10)
    off = np.abs(found / everything - 1.0)
    assert 0.0 < off.max() < 4 * 2 * 0.005  # the promise is one standard error of an sd, of which a variance has twice
    monkeypatch.setattr(variances, "MOST", 50)
    plain = variances.averaged(drawing, spread)
    assert np.median(off) < 0.5 * np.median(np.abs(plain / everything - 1.0))


def test_what_is_held_controls_nothing():
    thetas = np.column_stack([np.full(300, 0.3), np.random.default_rng(2).standard_normal(300)])
    controls = variances._controls(thetas)
    assert np.all(controls[:, [0, 2]] == 0.0)
    np.testing.assert_allclose(controls.mean(axis=0), 0.0, atol=1e-14)
    scores = ndtri((rankdata(thetas[:, 1:], axis=0) - 0.5) / 300)
    average, error = variances.controlled_mean(2.0 + 3.0 * scores[:50] ** 2, controls[:50])
    np.testing.assert_allclose(average, 2.0 + 3.0 * np.mean(scores**2), rtol=1e-12)  # exact for a quadratic of these
    assert error[0] < 1e-12


def test_thetas_without_moments_mislead_no_average():
    """Bounded functions of many half-Cauchy thetas, of which some are far out, as of the scales of a horseshoe."""
    thetas = np.abs(np.random.default_rng(4).standard_cauchy((2000, 40)))
    values = thetas[:, :5] ** 2 / (1.0 + thetas[:, :5] ** 2)
    average, error = variances.controlled_mean(values[:200], variances._controls(thetas)[:200])
    assert np.all(np.abs(average - values.mean(axis=0)) < 5.0 * error)
    assert np.all(error < np.std(values[:200], axis=0) / np.sqrt(200))
