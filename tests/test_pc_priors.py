"""The prior of a share by its distance from none: mass, tail, density, draws. pc_corr is in test_priors.py."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import EPS, icar_structure
from scipy.interpolate import PPoly
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, logit

from lgm.errors import PriorError
from lgm.pc_priors import Distance, PcDistance
from lgm.precision import bym2
from lgm.precision.icar import icar
from lgm.priors import pc_phi


def _of_graph(n, edges):
    structure = icar(edges, connected_components(icar_structure(n, edges) != 0)[1])
    return bym2.distance(structure, structure.scaled("bym2")[0])


T = np.linspace(-8.0, 6.0, 57)
DISTANCES = {
    "proportional to the share": Distance(T, 3.0 * expit(T), float(expit(-T[-1]))),
    "a root of the odds": Distance(T, expit(T) ** 0.75 / expit(-T) ** 0.25, float(0.75 - 0.5 * expit(T[-1]))),
    "ring and island": _of_graph(6, [[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]]),
    "path": _of_graph(30, [[i, i + 1] for i in range(29)]),
    "three components": _of_graph(9, [[0, 1], [2, 3], [3, 4], [5, 6], [6, 7], [7, 8], [8, 5]]),
}
distances = pytest.mark.parametrize("name", DISTANCES)
STATEMENTS = [(0.5, 2 / 3), (0.9, 0.95), (1e-3, 0.5), (1e-6, 0.3)]
statements = pytest.mark.parametrize(("U", "alpha"), STATEMENTS)


@cache
def prior(name, U, alpha):
    with jax.enable_x64(True):
        return PcDistance(DISTANCES[name], U, alpha)


_log_prob = jax.jit(lambda distribution, x: distribution.log_prob(x))
_value = jax.jit(jax.vmap(lambda distribution, t: distribution.log_prob(jax.nn.sigmoid(t)), (None, 0)))
_slope = jax.jit(jax.vmap(jax.grad(lambda d, t: d.log_prob(jax.nn.sigmoid(t)), argnums=1), (None, 0)))
_sample = jax.jit(lambda d, key, shape: d.sample(key, shape), static_argnums=2)


def _log_density_of_logit(distribution, t):
    """Of ``t = logit x``: the density of x times ``x (1 - x)``."""
    with jax.enable_x64(True):
        return np.asarray(_value(distribution, jnp.asarray(t))) + np.log(expit(t)) + np.log(expit(-t))


def _distance(distance, t):
    """At t, between the nodes as the spline of scipy has it."""
    inside = np.exp(PPoly(distance.coefficients(), distance.nodes)(np.maximum(t, distance.nodes[0])))
    return inside * np.minimum(expit(t) / expit(distance.nodes[0]), 1.0)


def _mass(distribution, low, high):
    """By Gauss-Legendre between the nodes of the spline, where the density is smooth, and in the lower tail."""
    nodes = distribution.nodes
    x, w = np.polynomial.legendre.leggauss(12)
    ends = np.unique(np.clip(np.concatenate([nodes, [low, high]]), max(low, nodes[0]), high))
    total = 0.0
    if high > nodes[0]:
        a, b = ends[:-1, None], ends[1:, None]
        values = np.exp(_log_density_of_logit(distribution, ((a + b + (b - a) * x) / 2).ravel()))
        total += float(np.sum(values.reshape(-1, x.size) * w * (b - a) / 2))
    if low < nodes[0]:
        ends = np.linspace(low, min(high, nodes[0]), 80)
        a, b = ends[:-1, None], ends[1:, None]
        values = np.exp(_log_density_of_logit(distribution, ((a + b + (b - a) * x) / 2).ravel()))
        total += float(np.sum(values.reshape(-1, x.size) * w * (b - a) / 2))
    return total


@distances
@statements
def test_mass_and_tail(name, U, alpha):
    distribution = prior(name, U, alpha)
    end = DISTANCES[name].nodes[-1]
    assert _mass(distribution, -60.0, end) == pytest.approx(1.0, abs=1e-8)
    assert _mass(distribution, -60.0, float(logit(U))) == pytest.approx(alpha, abs=1e-8)


@distances
@statements
def test_the_density_is_exponential_in_the_distance(name, U, alpha):
    """``P(x < .) = (1 - exp(-rate d)) / (1 - exp(-rate d(end)))`` with the tabulated d, and the same rate."""
    distance, distribution = DISTANCES[name], prior(name, U, alpha)
    rate, end = float(distribution.rate), distance.values[-1]
    assert np.expm1(-rate * distance.at(U)) / np.expm1(-rate * end) == pytest.approx(alpha, rel=1e-9)
    for t in (-15.0, -7.3, -1.2, 0.4, 5.1):
        wanted = np.expm1(-rate * _distance(distance, t)) / np.expm1(-rate * end)
        assert _mass(distribution, -60.0, t) == pytest.approx(wanted, abs=1e-8)


def test_a_distance_whose_density_is_known():
    """``d = 3 x`` is an exponential cut off at the last node; the spline of log d is accurate to ``5/384 h^4``."""
    distribution = prior("proportional to the share", 0.5, 0.8)
    x = np.linspace(0.001, float(expit(T[-1])) - 1e-6, 101)
    rate = float(distribution.rate)
    wanted = np.log(3 * rate) - 3 * rate * x - np.log(-np.expm1(-3 * rate * expit(T[-1])))
    with jax.enable_x64(True):
        np.testing.assert_allclose(_log_prob(distribution, jnp.asarray(x)), wanted, rtol=0, atol=1e-3)
        # below the first node the distance is taken to be proportional, which here it is
        low = jnp.asarray(np.geomspace(1e-12, 3e-4, 20))
        np.testing.assert_allclose(_log_prob(distribution, low), np.full(20, wanted[0]), rtol=0, atol=1e-2)


@distances
def test_distance_at_and_between_nodes(name):
    distance = DISTANCES[name]
    nodes = [0, 1, distance.nodes.size // 2, -2, -1]
    found = [distance.at(float(expit(t))) for t in distance.nodes[nodes]]
    np.testing.assert_allclose(found, distance.values[nodes], rtol=1e-9)  # of t = 12, logit(expit(t)) keeps ten digits
    assert distance.at(0.3) == pytest.approx(_distance(distance, logit(0.3)), rel=1e-12)
    low = float(expit(distance.nodes[0]))
    for share in (low / 2, low / 1e5, 1e-300):
        assert distance.at(share) == pytest.approx(distance.values[0] * share / low, rel=1e-10)


@distances
def test_density_below_the_first_node_is_that_of_a_proportional_distance(name):
    """Constant in the limit, finite and without a step at the node."""
    distribution, node = prior(name, 0.5, 0.8), DISTANCES[name].nodes[0]
    with jax.enable_x64(True):
        tiny = np.asarray(_log_prob(distribution, jnp.array([1e-300, 1e-100, 1e-30, 1e-12])))
        around = np.asarray(_log_prob(distribution, jax.nn.sigmoid(jnp.array([node - 1e-9, node + 1e-9]))))
    slope = float(DISTANCES[name].values[0]) / float(expit(node))
    log_mass = np.log(-np.expm1(-float(distribution.rate) * DISTANCES[name].values[-1]))
    np.testing.assert_allclose(tiny, np.log(distribution.rate * slope) - log_mass, rtol=0, atol=1e-6)
    assert abs(around[1] - around[0]) < 1e-7


@distances
@pytest.mark.parametrize("shift", [0.013, 0.241])
def test_gradient(name, shift):
    """Central differences within the pieces of the spline, below the first node, and their own truncation error."""
    distribution, distance = prior(name, 0.5, 0.8), DISTANCES[name]
    t = np.concatenate([[-30.0, -12.0], distance.nodes[:-1] + shift])
    h = 1e-3

    def at(t):
        return np.asarray(_value(distribution, jnp.asarray(t)))

    with jax.enable_x64(True):
        grad = np.asarray(_slope(distribution, jnp.asarray(t)))
        one, two = ((at(t + k * h) - at(t - k * h)) / (2 * k * h) for k in (1, 2))
        size = np.abs(at(t)).max() + 20.0
    # near one a share has lost the digits of 1 - x
    noise = 10 * EPS * size / h + 4 * EPS * np.exp(np.maximum(t, 0.0)) / h
    np.testing.assert_array_less(np.abs(grad - one), np.abs(two - one) + noise + 1e-9)


@distances
def test_gradient_at_a_node_is_that_of_both_sides(name):
    """The density is the first derivative of a spline of order three: its log has a continuous slope."""
    distribution, nodes = prior(name, 0.5, 0.8), DISTANCES[name].nodes
    with jax.enable_x64(True):
        left, right = (np.asarray(_slope(distribution, jnp.asarray(nodes[1:-1] + e))) for e in (-1e-7, 1e-7))
    np.testing.assert_allclose(left, right, rtol=0, atol=1e-5)


@distances
@pytest.mark.parametrize(("U", "alpha"), [(0.5, 2 / 3), (0.9, 0.95), (1e-3, 0.5)])
def test_draws_follow_the_density(name, U, alpha):
    """Kolmogorov's distance; beyond 2.2 / sqrt(n) has probability 1e-4."""
    n, distance, distribution = 20_000, DISTANCES[name], prior(name, U, alpha)
    with jax.enable_x64(True):
        drawn = np.sort(np.asarray(_sample(distribution, jax.random.key(3), (n,))))
    assert np.all((drawn > 0) & (drawn <= expit(distance.nodes[-1])))
    d = _distance(distance, logit(drawn[:: n // 200]))
    cdf = np.expm1(-float(distribution.rate) * d) / np.expm1(-float(distribution.rate) * distance.values[-1])
    assert np.max(np.abs(cdf - np.arange(0, n, n // 200) / n)) < 2.2 / np.sqrt(n) + 1 / n
    assert abs(np.mean(drawn < U) - alpha) < 4 * np.sqrt(alpha * (1 - alpha) / n)


def test_support_ends_at_the_last_node():
    distribution = prior("path", 0.5, 0.8)
    end = float(expit(DISTANCES["path"].nodes[-1]))
    with jax.enable_x64(True):
        inside = np.asarray(distribution.support(jnp.array([-0.1, 1e-9, 0.5, end - 1e-9, end + 1e-9, 1.0])))
    assert inside.tolist() == [False, True, True, True, False, False]


def test_shapes():
    distribution = prior("path", 0.5, 0.8)
    with jax.enable_x64(True):
        x = jnp.asarray(np.linspace(0.1, 0.9, 6).reshape(2, 3))
        both, one = distribution.log_prob(x), distribution.log_prob(x[1, 2])
        compiled = _log_prob(distribution, x)
    assert both.shape == (2, 3) and one.shape == () == distribution.batch_shape
    np.testing.assert_allclose(both[1, 2], one, rtol=1e-13)
    np.testing.assert_allclose(both, compiled, rtol=1e-12)


@distances
def test_an_alpha_that_no_rate_gives(name):
    """At rate zero the distance is uniform: ``P(x < U) = d(U) / d(end)`` is the least that can be asked for."""
    distance = DISTANCES[name]
    least = distance.at(0.9) / distance.values[-1]
    with pytest.raises(PriorError, match=f"below 0.9, must be more than {least:.3g}"):
        pc_phi(0.9, least * 0.99).on(distance)
    close = float(least + 1e-4 * (1 - least))
    assert distance.rate(0.9, close) * distance.values[-1] < 1e-2
    assert float(pc_phi(0.9, close).on(distance).distribution.rate) > 0.0


def test_a_share_beyond_the_last_node():
    """There is no prior with mass beyond it, so nothing can be said of what lies below."""
    with pytest.raises(PriorError, match="U must be less than 0.999994"):
        pc_phi(1 - 1e-8, 0.5).on(DISTANCES["path"])


def test_a_prior_is_printed_as_it_was_given():
    assert repr(pc_phi(0.3, 0.9).on(DISTANCES["path"])) == "pc_phi(0.3, 0.9)"
    assert repr(pc_phi()) == "pc_phi(0.5, 0.666667)"
