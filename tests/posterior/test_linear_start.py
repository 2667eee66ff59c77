"""The line of starting points."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lgm.parameter import AUTOCORRELATION, one, standard_deviation
from lgm.posterior.linear_start import FURTHEST, Start
from lgm.priors import uniform

PARAMETERS = (standard_deviation("g", 1.0), one("rho", "t", AUTOCORRELATION, uniform(-1.0, 1.0), 0.0))


@pytest.fixture(autouse=True)
def _x64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def test_until_a_mode_is_known_it_is_zero() -> None:
    start = Start.nowhere(3, PARAMETERS)
    assert start.positive.tolist() == [True, False]
    assert not np.any(start.at(jnp.array([0.0, 0.5])))


def test_it_goes_through_the_mode_with_its_slopes() -> None:
    """By the log of an sd and by an autocorrelation itself."""
    theta, v = jnp.array([2.0, 0.3]), jnp.array([1.0, -1.0, 0.5])
    slopes = jnp.arange(6.0).reshape(3, 2)
    line = Start.through(Start.nowhere(3, PARAMETERS), theta, v, slopes)
    np.testing.assert_array_equal(line.at(theta), v)
    moved = line.at(jnp.array([2.0 * np.exp(0.1), 0.35]))
    np.testing.assert_allclose(moved, v + 0.1 * 2.0 * slopes[:, 0] + 0.05 * slopes[:, 1])


def test_it_ends() -> None:
    line = Start.through(Start.nowhere(1, PARAMETERS), jnp.array([1.0, 0.0]), jnp.zeros(1), jnp.ones((1, 2)))
    assert line.at(jnp.array([1e9, 0.0]))[0] == FURTHEST and line.at(jnp.zeros(2))[0] == -FURTHEST


def test_without_a_mode_it_stays_at_zero() -> None:
    line = Start.through(Start.nowhere(1, PARAMETERS), jnp.ones(2), jnp.full(1, jnp.nan), jnp.ones((1, 2)))
    assert not np.any(line.at(jnp.array([3.0, 0.2])))
