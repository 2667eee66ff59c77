"""Tables of all effects from few bent points, against integrals over a grid."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from oracles.small import three

import lgm
from lgm.results import at_theta, bent

SD, DRAWS = 1.5, 4000


@cache
def _fit() -> lgm.Fit:
    priors = {"Intercept": lgm.priors.normal(0.5, 2.0), "sd": lgm.priors.constant(SD)}
    model = lgm.model("y ~ 1 + (1|g)", three()[0].design.scope.frame, "bernoulli", priors=priors)
    return model.fit(method="mode", approximation="transport", draws=DRAWS // 4, seed=3, progress=False)


def test_groups_have_the_moments_and_ends_of_integrals(monkeypatch: pytest.MonkeyPatch) -> None:
    """As near as a quarter of the draws would be, without any draw."""

    def none(*args: Any) -> Any:
        raise AssertionError("draws that no table needs")

    monkeypatch.setattr(at_theta, "draw", none)
    fit, reference = _fit(), three()[1](SD)
    z = np.linspace(-9.0, 9.0, 81)
    u = reference.mode()
    root = np.linalg.inv(np.linalg.cholesky(reference.precision(u))).T
    grid = u[:, None] + root @ np.stack(np.meshgrid(z, z, z, indexing="ij")).reshape(3, -1)
    w = np.exp(reference.joint(grid) - reference.joint(u))
    w /= w.sum()
    found = fit.ranef().to_numpy()
    for row, b in zip(found, grid[1:], strict=True):
        mean = w @ b
        sd = np.sqrt(w @ (b - mean) ** 2)
        error = sd / np.sqrt(DRAWS / 4)
        assert abs(row[0] - mean) < 4.0 * error
        assert abs(row[1] - sd) < 4.0 * error / np.sqrt(2.0)
        below = [w @ (b <= end) for end in row[2:]]
        np.testing.assert_allclose(below, [0.025, 0.975], atol=4.0 * np.sqrt(0.025 * 0.975 / (DRAWS / 4)) + 0.002)


def test_other_tables_are_from_the_same_points() -> None:
    """An interval of another probability is so before draws are made, and after."""
    fit = _fit()
    before = fit.effects.kept_at(0.5)
    assert fit.effects.draws.shape == (DRAWS, 3)
    for name in ("mean", "sd", "ends", "table"):
        np.testing.assert_array_equal(getattr(fit.effects.kept_at(0.5), name), getattr(before, name))


def test_points_that_are_too_many_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then tables are from draws."""
    drawing = _fit().effects.drawing
    assert bent.serves(drawing)
    monkeypatch.setattr(bent, "KEPT_BYTES", 1e3)
    assert not bent.serves(drawing) and bent.table(drawing, 0.95) is None
