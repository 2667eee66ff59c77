"""Theta at its mode, and standard errors there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lgm
from lgm.inference.at_mode import AtMode, standard_errors
from lgm.inference.mode import find_folded_mode, find_mode
from lgm.posterior.priors import starts


@pytest.fixture(scope="module")
def model() -> lgm.Model:
    return lgm.model("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy"))


def test_standard_errors_by_the_delta_method(model: lgm.Model) -> None:
    """Of what is printed, by central differences: folded coordinates are those of the block, about the mean of Days."""
    post = model.analysed.marginal
    at = find_folded_mode(post, find_mode(post, starts(model.design, model.chosen_priors.theta)), jacobian=False)
    covariance = at.root @ at.root.T
    with jax.enable_x64(True):
        natural = jax.jit(lambda x: post.hyper.printed(post.hyper.from_folded(x)))
        h = np.cbrt(np.finfo(float).eps)
        steps = h * np.eye(at.x.size)
        columns = [(natural(jnp.asarray(at.x + e)) - natural(jnp.asarray(at.x - e))) / (2 * h) for e in steps]
    slopes = np.array(columns).T
    expected = np.sqrt(np.diag(slopes @ covariance @ slopes.T))
    np.testing.assert_allclose(standard_errors(post, at), expected, rtol=1e-7)


def test_theta_does_not_move(model: lgm.Model) -> None:
    post = model.analysed.marginal
    run = AtMode(draws=40).run(post, starts(model.design, model.chosen_priors.theta))
    at = find_folded_mode(post, run.mode, jacobian=False)
    assert run.draws.theta.shape == (1, 40, at.theta.size)
    assert np.all(run.draws.theta == at.theta)
    np.testing.assert_array_equal(run.draws.standard_errors, standard_errors(post, at))
    np.testing.assert_array_equal(run.draws.stats["lp"], np.full((1, 40), at.value))
