"""Theta at its mode."""

import numpy as np
import pytest

import lgm
from lgm.inference.at_mode import AllFixed, AtMode
from lgm.inference.natural import find_natural_mode
from lgm.posterior.priors import starts


@pytest.fixture(scope="module")
def model() -> lgm.Model:
    return lgm.model("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy"))


def test_theta_does_not_move(model: lgm.Model) -> None:
    post, start = model.analysed.marginal, starts(model.design, model.chosen_priors.theta)
    run = AtMode(draws=40).run(post, start)
    at = find_natural_mode(post, start)
    assert run.draws.theta.shape == (1, 40, at.theta.size)
    assert np.all(run.draws.theta == at.theta)
    np.testing.assert_array_equal(run.draws.standard_errors, at.standard_errors)
    np.testing.assert_array_equal(run.draws.stats["lp"], np.full((1, 40), at.value))
    assert run.draws.settled and not run.draws.at_end.any()


def test_what_is_fixed_stays_there() -> None:
    held = {"sd": lgm.priors.constant(25.0), "sigma": lgm.priors.constant(26.0)}
    model = lgm.model("Reaction ~ Days + (1|Subject)", lgm.load_dataset("sleepstudy"), priors=held)
    run = AllFixed(draws=5, method="nuts").run(model.analysed.marginal, np.array([25.0, 26.0]))
    assert run.draws.theta.tolist() == [[[25.0, 26.0]] * 5]
