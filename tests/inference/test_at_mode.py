"""Draws of the effects given the mode of theta."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lgm
from lgm.errors import IdentifiabilityError
from lgm.inference.at_mode import AtMode
from lgm.posterior import density
from lgm.posterior.functionals import Effects
from lgm.posterior.priors import starts


@pytest.fixture(scope="module")
def model() -> lgm.Model:
    return lgm.model("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy"))


def test_draws_are_those_given_the_mode(model: lgm.Model) -> None:
    post = model.analysed.marginal
    run = AtMode(draws=4000, seed=1).run(post, starts(model.design, model.chosen_priors.theta))
    [theta], [mean], [draws] = run.draws.point.theta, run.draws.point.mean, run.draws.point.draws
    assert np.all(run.draws.theta == theta) and run.draws.theta.shape == (1, 4000, theta.size)
    with jax.enable_x64(True):
        given = jax.jit(density.effects)(post, jnp.asarray(theta), jnp.zeros((post.n_normals, 1)))
    np.testing.assert_allclose(mean, given.mean, rtol=1e-10)
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 4.5 * error)


def test_effects_that_are_not_finite_are_an_error(model: lgm.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are never printed, least of all as exact."""
    post = model.analysed.marginal

    def broken(draws: int, post: object, theta: np.ndarray, key: object) -> Effects:
        return Effects(np.full(post.dim, np.nan), np.zeros((post.dim, draws)))

    monkeypatch.setattr("lgm.inference.at_mode._effects", broken)
    with pytest.raises(IdentifiabilityError, match="effects given the hyperparameters are not finite"):
        AtMode(draws=10, seed=1).run(post, starts(model.design, model.chosen_priors.theta))
