"""What draws at one theta share: found once, and the draws and moments are those that are found without it."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

import lgm
from lgm.inference.compile import jit
from lgm.posterior import density
from lgm.results import at_theta, drawing
from lgm.xla import own_settings

SD, GROUPS, ROWS, DRAWS = 1.5, 6, 3, 3000
APPROXIMATIONS = ["weighted", "quadrature", "transport", "second-order"]


@cache
def _model() -> lgm.Model:
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(GROUPS), ROWS)
    y = rng.binomial(1, 1.0 / (1.0 + np.exp(0.5 - SD * rng.standard_normal(GROUPS)[g])))
    priors = {"sd": lgm.priors.constant(SD), "Intercept": lgm.priors.normal(0.0, 2.0)}
    return lgm.model("y ~ 1 + (1|g)", pd.DataFrame({"y": y, "g": g}), family="bernoulli", priors=priors)


def _fit(approximation: str, draws: int = DRAWS) -> lgm.Fit:
    return _model().fit(method="mode", approximation=approximation, draws=draws, seed=2, progress=False)


@cache
def _groups() -> tuple[np.ndarray, np.ndarray]:
    """Means and sds of the groups' effects by quadrature in two dimensions."""
    frame = _model().design.scope.frame
    beta, b = np.linspace(-10.0, 10.0, 1501), np.linspace(-9.0 * SD, 9.0 * SD, 901)
    counts = np.bincount(frame["g"], _model().design.y)
    eta = beta[:, None] + b
    heights = [y * eta - ROWS * np.logaddexp(0.0, eta) - 0.5 * (b / SD) ** 2 for y in range(ROWS + 1)]
    inside = [logsumexp(height, axis=1) for height in heights]
    total = -0.5 * (beta / 2.0) ** 2 + sum(inside[int(y)] for y in counts)
    weights = np.exp(total - logsumexp(total))
    means, sds = [], []
    for y in counts.astype(int):
        own = np.exp(heights[y] - inside[y][:, None])
        mean = weights @ (own @ b)
        means.append(mean)
        sds.append(np.sqrt(weights @ (own @ b**2) - mean**2))
    return np.array(means), np.array(sds)


@pytest.mark.parametrize("approximation", APPROXIMATIONS[:3])
def test_groups_have_the_moments_of_quadrature(approximation: str) -> None:
    """Means as near as a quarter of the draws would be where points are costly; sds as near as all draws would be."""
    found, (mean, sd) = _fit(approximation).ranef(), _groups()
    error = sd / np.sqrt(DRAWS if approximation == "weighted" else DRAWS / 4.0)
    assert np.all(np.abs(found["mean"] - mean) < 4.0 * error)
    assert np.all(np.abs(found["sd"] / sd - 1.0) < 4.0 / np.sqrt(2.0 * DRAWS))


@pytest.mark.parametrize("approximation", APPROXIMATIONS[:2])
def test_few_draws_are_among_the_points_of_many(approximation: str) -> None:
    """Four draws leave the tables of 64, or of a third as many pairs where these are costly."""
    found, (mean, sd) = _fit(approximation, 4).ranef(), _groups()
    error = 1.0 / np.sqrt(drawing.MOST / 3.0)
    assert np.all(np.abs(found["mean"] - mean) < 4.0 * error * sd)
    assert np.all(np.abs(found["sd"] / sd - 1.0) < 4.0 * error / np.sqrt(2.0))


@jit
def _effects(post: Any, theta: Any, z: Any) -> Any:
    return density.effects(post, theta, z, drawing.MOST)


@pytest.mark.parametrize("approximation", APPROXIMATIONS)
def test_draws_are_those_without_what_is_shared(approximation: str) -> None:
    made = _fit(approximation).effects.drawing
    post, how = made.analysed.marginal, (1, drawing.MOST)
    z = np.random.default_rng(1).standard_normal(drawing.normals_shape(post, how)[1:])
    with own_settings():
        wanted = _effects(post, made.thetas[0], z.T)
        found, _ = at_theta.draw((how[1], len(z)), post, made.thetas[0], made.at_theta.found, z)
    for name in ("mean", "draws", "gain"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-9, atol=1e-9)


def test_a_search_serves_all_that_is_asked_at_one_theta(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[None] = []
    plain = at_theta.find

    def counted(how: None, *args: Any) -> Any:
        searches.append(how)
        return plain(how, *args)

    fit = _fit("quadrature")
    monkeypatch.setattr(at_theta, "find", counted)
    fit.summary(), fit.ranef(), fit.summary(interval=0.5), fit.effects.draws  # noqa: B018
    assert len(searches) == 1
