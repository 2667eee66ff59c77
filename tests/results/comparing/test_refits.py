"""Fits without some rows, against quadrature."""

import numpy as np
import pytest
from dense_clicks import log_likelihood

import lgm
from lgm.results.comparing.passes import rows_of
from lgm.results.comparing.refits import rows_added, units_left_out


def _exact(fit: lgm.Fit, kept: np.ndarray) -> float:
    return log_likelihood(fit.design.y[kept], fit.design.rows.frame["g"].to_numpy()[kept], 1.5, 1.5)


def test_single_rows(clicks: lgm.Fit) -> None:
    """Errors of Laplace's approximation nearly cancel."""
    rows, everything = np.arange(24), np.ones(24, dtype=bool)
    found = units_left_out(clicks, rows_of(clicks), rows, rows, clicks.draws.theta[0, :1])[0]
    expected = [_exact(clicks, everything) - _exact(clicks, rows != i) for i in rows]
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_whole_groups(clicks: lgm.Fit) -> None:
    """With what the approximation leaves out put back."""
    g, rows = clicks.design.rows.frame["g"].to_numpy(), rows_of(clicks)
    theta, units = clicks.draws.theta[0, :1], np.arange(8)
    expected = [_exact(clicks, g >= 0) - _exact(clicks, g != unit) for unit in units]
    np.testing.assert_allclose(units_left_out(clicks, rows, g, units, theta, corrected=True)[0], expected, atol=0.05)


def test_rows_that_come_back(clicks: lgm.Fit) -> None:
    kept = np.arange(24) % 3 > 0
    out = np.flatnonzero(~kept)
    found = rows_added(clicks, rows_of(clicks), kept.astype(float), out, clicks.draws.theta[0, :1])[0]
    expected = [_exact(clicks, kept | (np.arange(24) == i)) - _exact(clicks, kept) for i in out]
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("joint", [True, False])
def test_groups_of_a_fit(clicks: lgm.Fit, joint: bool) -> None:
    found = clicks.loo(groups="g", joint=joint)
    assert len(found.table) == (8 if joint else 24)
    g = clicks.design.rows.frame["g"].to_numpy()
    first = _exact(clicks, (g > 0) | (joint | (np.arange(24) == 0)) & (g == 0)) - _exact(clicks, g > 0)
    assert found.table["elpd"].iloc[0] == pytest.approx(first, abs=0.05)
