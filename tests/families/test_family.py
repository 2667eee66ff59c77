"""What every family promises, of each that there is."""

import jax
import numpy as np
import pytest
from scipy.integrate import simpson

from lgm.families import FAMILIES, Family, find
from lgm.families.response import Response

ETA = np.array([[0.4, -0.7], [-1.2, 0.9]])
WEIGHTS, TRIALS = np.array([1.0, 2.5]), np.array([7.0, 4.0])
THETA = {
    "sigma": np.array([0.7, 1.6]),
    "nu": np.array([3.0, 11.0]),
    "shape": np.array([0.6, 2.3]),
    "kappa": np.array([2.0, 9.0]),
    "zi": np.array([0.2, 0.45]),
    "dispersion": np.array([0.5, 3.0]),
    "gap": np.array([[0.8, 1.1], [0.3, 2.0]]),
}


def _family(name: str, link: str) -> Family:
    return find(name, link).of_categories(("low", "middle", "high", "top"), 1)


def _density(family: Family, y: np.ndarray, row: int, draw: int) -> np.ndarray:
    """Of one row by one draw, at any values; what a weight does to the density itself is in it."""
    theta = {kind: values[draw] for kind, values in THETA.items()}
    weight = 1.0 if family.weights_count else WEIGHTS[row]
    counted = np.full(y.size, TRIALS[row]) if "trials" in family.forms else None
    with jax.enable_x64(True):
        eta = np.full(y.size, ETA[row, draw])
        return np.exp(np.asarray(family.loglik(Response(y, counted), eta, theta, np.full(y.size, weight))))


def _added_up(family: Family, value: float, row: int, draw: int) -> float:
    """The probability of at most a value: a sum over whole numbers, or by Simpson's rule in a logarithm."""
    if family.whole:
        counts = np.arange(1.0, 5.0) if family.name == "cumulative" else np.arange(10.0)
        last = 1.0 if family.name == "bernoulli" else TRIALS[row] if "trials" in family.forms else np.inf
        fine = counts <= min(value, last)
        return float(_density(family, np.where(fine, counts, 1.0), row, draw) @ fine)
    log_step, real = np.linspace(-80.0, 12.0, 12001), family.links[0] == "identity"
    if not real:
        log_step = log_step - log_step[-1] + np.log(value)
    y = value - np.exp(log_step) if real else np.exp(log_step)
    return float(simpson(_density(family, y, row, draw) * np.exp(log_step), x=log_step))


@pytest.mark.parametrize(("name", "link"), [(name, link) for name in FAMILIES for link in FAMILIES[name].links])
def test_distribution_functions_add_up_densities(name: str, link: str) -> None:
    family = _family(name, link)
    for value in (np.array([3.0, 1.0]), np.array([0.35, 0.8])):
        if name == "beta" and value[0] > 1.0:
            continue
        found = family.cdf(value, ETA, THETA, WEIGHTS, np.ones(2) if name == "bernoulli" else TRIALS)
        expected = [[_added_up(family, value[row], row, draw) for draw in range(2)] for row in range(2)]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_value_below_all_others_has_probability_zero_and_one_above_them_one(name: str) -> None:
    family = _family(name, FAMILIES[name].links[0])
    for value, expected in ((-1e20, 0.0), (-1.0, 0.0), (1e20, 1.0)):
        if value == -1.0 and family.links[0] == "identity":
            continue
        with np.errstate(invalid="raise", divide="raise", over="raise"):
            found = family.cdf(np.full(2, value), ETA, THETA, WEIGHTS, TRIALS)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_what_is_drawn_follows_the_distribution_function(name: str) -> None:
    """The place of a draw, with the step at it spread evenly, is uniform: by Kolmogorov and Smirnov, at 1e-5."""
    family, size, rng = _family(name, FAMILIES[name].links[0]), 4000, np.random.default_rng(11)
    theta = {kind: np.repeat(values[1:], size, axis=0) for kind, values in THETA.items()}
    eta, trials = np.full((1, size), 0.6), TRIALS[:1] if name != "bernoulli" else np.ones(1)
    y = family.simulate(rng, eta, theta, WEIGHTS[1:], trials)[0]
    one = {kind: values[1:] for kind, values in THETA.items()}
    at = (np.full((size, 1), 0.6), one, np.full(size, WEIGHTS[1]), np.full(size, trials[0]))
    upper = family.cdf(y, *at)
    lower = family.cdf(y - 1.0, *at) if family.whole else upper
    assert upper is not None and lower is not None
    place = np.sort((lower + rng.random((size, 1)) * (upper - lower))[:, 0])
    steps = np.arange(size + 1) / size
    assert max(np.max(steps[1:] - place), np.max(place - steps[:-1])) < np.sqrt(-0.5 * np.log(0.5e-5) / size)
