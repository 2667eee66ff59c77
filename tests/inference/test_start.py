"""Starts of NUTS: spread like the posterior, with its covariance as the metric, or with the mode's where in doubt."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import lgm
from lgm.inference import coordinates, mode, start
from lgm.inference.coordinates import Whitened
from lgm.inference.scales import folded_scale
from lgm.posterior.priors import starts

FORMULA = "diameter ~ 1 + (1|plate) + (1|sample)"


@pytest.fixture(scope="module")
def target() -> Whitened:
    model = lgm.model(FORMULA, lgm.load_dataset("Penicillin"))
    post = model.analysed.marginal
    found = mode.find_mode(post, starts(model.design, model.chosen_priors.theta))
    with jax.enable_x64(True):
        return coordinates.whitened(post, found, np.asarray(folded_scale(post.hyper, jnp.asarray(found.x))))


@pytest.fixture(scope="module")
def draws(target: Whitened) -> np.ndarray:
    """Draws of NUTS, in the coordinates in which it moves."""
    fit = lgm.fit(FORMULA, lgm.load_dataset("Penicillin"), seed=1, progress=False)
    theta = fit.draws.theta.reshape(-1, 3)  # three sds: the stretched scale is arcsinh(sd / scale)
    x = np.arcsinh(theta / target.bend.scale)
    return np.linalg.solve(target.root, (x - target.centre).T).T


@pytest.mark.slow
def test_metric_is_the_covariance(target: Whitened, draws: np.ndarray) -> None:
    """About 90 effective points know a variance to sqrt(2 / 90) = 15 %; the NUTS draws know it far better."""
    with jax.enable_x64(True):
        metric = start.from_points(target, 4, 1).metric
    root = np.linalg.cholesky(np.cov(draws.T))
    relative = np.linalg.solve(root, np.linalg.solve(root, metric).T)
    assert np.abs(np.linalg.eigvalsh(relative) - 1.0).max() < 4 * 0.15


@pytest.mark.slow
def test_starts_are_spread_like_the_posterior(target: Whitened, draws: np.ndarray) -> None:
    with jax.enable_x64(True):
        found = start.from_points(target, 100, 1)
        value, grad = coordinates.value_and_grad(target, jnp.asarray(found.z[0]))
    for j in range(3):  # one in 128 points is the finest that the starts can tell
        assert stats.ks_2samp(found.z[:, j], draws[:, j]).pvalue > 1e-3
    assert found.value[0] == pytest.approx(float(value), abs=1e-9)
    np.testing.assert_allclose(found.grad[0], grad, rtol=1e-9, atol=1e-9)


def test_few_effective_points_leave_the_metric_of_the_mode(target: Whitened, monkeypatch: pytest.MonkeyPatch) -> None:
    """One point with all the weight has no covariance to tell of."""
    evaluated = start._at_working

    def one_sided(*args: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        z, values, grads = evaluated(*args)
        return z, np.where(np.arange(values.size) == 7, values, -np.inf), grads

    monkeypatch.setattr(start, "_at_working", one_sided)
    with jax.enable_x64(True):
        metric = start.from_points(target, 4, 1).metric
    np.testing.assert_allclose(metric, np.eye(3) * start.PRIOR_POINTS / (start.PRIOR_POINTS + 1), atol=1e-12)
