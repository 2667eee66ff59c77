"""Theta from scale to scale: closed forms, there and back, and that models of all sizes share the programs."""

from collections.abc import Callable

import jax
import numpy as np
import pytest
from compilations import compilations
from scipy import stats

import lgm
from lgm import priors
from lgm.inference.scales import (
    folded_scale,
    folded_to_natural,
    natural_scale,
    natural_to_folded,
    prior_draw,
    working_scale,
)
from lgm.posterior.hyperparameters import Hyperparameters
from lgm.xla import own_settings

# A standard deviation lives on a half line, and is itself when folded; so is the residual's. A correlation is not.
THETA = np.array([2.0, 0.5, 0.3, 1.5])


def hyperparameters(n: int, formula: str = "y ~ 1 + (x|g)") -> Hyperparameters:
    data = {"y": np.arange(n) % 5 + 0.5, "x": np.arange(n) % 3 - 1.0, "g": np.arange(n) % 4}
    chosen = {"sd": priors.exponential(1.0), "sigma": priors.half_normal(2.0)}
    return lgm.model(formula, data, priors=chosen).analysed.marginal.hyper


def test_working_and_folded_values_have_closed_forms() -> None:
    """Of two standard deviations, a correlation (NumPyro's ``tanh(x / 2)``) and sigma."""
    hyper, sds = hyperparameters(12), np.array([True, True, False, True])
    working = np.where(sds, np.log(THETA), 2.0 * np.arctanh(THETA * ~sds))
    folded = np.where(sds, THETA, working)
    with own_settings():
        for there, back, theta, values in [
            (working_scale, natural_scale, THETA, working),
            (natural_to_folded, folded_to_natural, THETA, folded),
            (folded_scale, folded_to_natural, working, folded),
        ]:
            np.testing.assert_allclose(there(hyper, theta), values, rtol=1e-12)
            np.testing.assert_allclose(back(hyper, values), THETA, rtol=1e-12)
        # the sign of what is folded does not matter
        np.testing.assert_allclose(folded_to_natural(hyper, np.where(sds, -folded, folded)), THETA, rtol=1e-12)


def test_draws_are_from_the_prior() -> None:
    hyper = hyperparameters(12, "y ~ 1 + (1|g)")
    with own_settings():
        draws = np.array([prior_draw(hyper, key) for key in jax.random.split(jax.random.key(1), 400)])
    for values, density in zip(draws.T, [stats.expon(), stats.halfnorm(scale=2.0)], strict=True):
        assert stats.kstest(values, density.cdf).pvalue > 1e-4


@pytest.mark.parametrize("scale", [working_scale, natural_scale, folded_scale, natural_to_folded, folded_to_natural])
def test_models_of_all_sizes_share_a_program(scale: Callable[..., jax.Array]) -> None:
    small, large = hyperparameters(12), hyperparameters(60)
    with own_settings():
        scale(small, THETA)
        with compilations() as names:
            scale(large, THETA)
    assert names == []
