"""The mode by a determinant that is estimated, beside that of the exact one."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.inference.probed import SMALL


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(7)
    n = 1500
    g, h = rng.integers(200, size=n), rng.integers(80, size=n)
    y = 1.0 + 0.5 * rng.normal(size=200)[g] + 0.4 * rng.normal(size=80)[h] + rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "x": rng.normal(size=n), "g": g, "h": h})
    how = {"method": "mode", "draws": 50, "seed": 1, "progress": False}
    return [lgm.fit("y ~ x + (1|g) + (1|h)", frame, solver=solver, **how) for solver in ("direct", "iterative")]


def test_the_mode_is_within_its_error(fits):
    direct, ours = (fit.draws for fit in fits)
    away = np.abs(ours.theta[0, 0] - direct.theta[0, 0])
    assert np.all(away < 4.0 * ours.shift) and np.any(away > 0.1 * ours.shift)
    assert np.all(ours.shift < SMALL * ours.standard_errors)
    np.testing.assert_allclose(ours.standard_errors, direct.standard_errors, rtol=0.01)


def test_tables_agree(fits):
    direct, ours = fits
    for one, other in ((ours.fixef(), direct.fixef()), (ours.ranef(), direct.ranef())):
        assert np.max(np.abs(one["mean"] - other["mean"]) / other["sd"]) < 0.05
        assert np.max(np.abs(one["sd"] / other["sd"] - 1.0)) < 6.0 * ours.draws.sd_error
    new = {"x": [0.0, 1.0], "g": [3, 4], "h": [5, 6]}
    one, other = (fit.predict(new, seed=2) for fit in fits)
    assert np.max(np.abs(one["mean"] - other["mean"]) / other["sd"]) < 0.2


def test_the_error_is_printed(fits):
    _, ours = fits
    facts, verdict = ours.summary().attrs, ours.verdict
    assert facts["probes"] == 32 and 0.0 < facts["mode_error"] < SMALL
    assert verdict.startswith("Conditional:") and "The determinant was estimated by 32 probes." in verdict
    assert 'solver="direct" with method="nuts"' in verdict and "Use method" not in verdict
    assert ours.doubt is None
    far = replace(ours.draws, shift=0.5 * ours.draws.standard_errors)
    found = far.verdict(ours.summary())
    assert found.doubted and found.text.startswith("Not exact: The determinant was estimated by 32 probes.")
    assert "up to 0.5 standard errors in the mode" in found.text


def test_what_a_fit_like_this_can_do(fits, tmp_path):
    _, ours = fits
    copy = pickle.loads(pickle.dumps(ours))
    assert copy.verdict == ours.verdict
    with pytest.raises(lgm.LgmError, match="solver=\"iterative\"|solver='iterative'"):
        ours.save(tmp_path / "fit.lgm")
    with pytest.raises(lgm.LgmError, match="no criteria that leave rows out"):
        ours.loo()
