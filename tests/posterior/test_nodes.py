"""Integrals, moments and draws of leaves on lattices, against fine grids."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.leaves import LOGLIK, hard

from lgm.posterior import nodes as lattices
from lgm.posterior.leaves import Likelihood, framed
from lgm.posterior.nodes import RULES, Lattice, averaged, draw, nodes

DRAWS = 4000
# What the lattices leave: in the logs of integrals, in moments and averages.
ERRORS = {1: (5e-6, 5e-5), 2: (2e-5, 2e-4), 3: (4e-4, 3e-3)}
ORDERS = [1, 2, pytest.param(3, marks=pytest.mark.slow)]


@cache
def on_lattices(k):
    case = hard(k)
    rule = RULES[k]
    numbers = np.random.default_rng(5)
    n = len(case.y)
    strata = np.stack([numbers.permutation(DRAWS) for _ in range(n * k)]).reshape(n, k, DRAWS)

    @jax.jit
    def run(y, given, uniform):
        loglik = LOGLIK(y)
        frame = framed(case.leaves, loglik, given, jnp.zeros((n, k)), rule.fall)
        likelihood = Likelihood(loglik)
        found = nodes(case.leaves, likelihood, given, Lattice.over(frame, rule.nodes), rule.nodes)
        drawn = draw(case.leaves, likelihood, found, uniform, jnp.zeros(uniform.shape[-1], int))
        return found, averaged(case.leaves, likelihood, found), drawn

    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, run(case.rows, case.given(), (strata + 0.5) / DRAWS))


@pytest.mark.parametrize("k", ORDERS)
def test_integrals_moments_and_averages(k):
    case, (found, (slope, curvature), _) = hard(k), on_lattices(k)
    of_integrals, of_moments = ERRORS[k]
    for g in range(len(case.y)):
        integral, mean, cov, slopes, curvatures, _, _ = case.on_a_grid(g)
        assert abs(found.log_integral[g, 0] - integral) < of_integrals
        np.testing.assert_allclose(found.mean[g, :, 0], mean, atol=of_moments)
        np.testing.assert_allclose(found.cov[g, :, :, 0], cov, atol=of_moments)
        rows = slice(4 * g, 4 * g + 4)
        np.testing.assert_allclose(slope[rows], slopes, atol=of_moments)
        np.testing.assert_allclose(curvature[rows], curvatures, atol=of_moments)
    mu = 1 / (1 + np.exp(-0.7))
    np.testing.assert_allclose([slope[-1], curvature[-1]], [1 - mu, mu * (1 - mu)], rtol=1e-12)


def test_a_few_leaves_at_a_time_are_as_all_at_once(monkeypatch):
    """Two effects each, so that sums are over both axes; some are left over at the end."""
    whole, size = on_lattices(2), len(hard(2).y)
    monkeypatch.setattr(lattices, "TOGETHER", size - 1)
    parts = on_lattices.__wrapped__(2)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10), parts, whole)


@pytest.mark.parametrize("k", ORDERS)
def test_draws_have_the_distribution_of_the_leaf(k):
    """Of each effect and of a sum, by Kolmogorov's distance.

    Along the first axis that of n stratified draws is 1/n; of others it has the quantiles of a sample of n.
    """
    case, drawn = hard(k), on_lattices(k)[2]
    for g in range(len(case.y)):
        _, _, _, _, _, places, w = case.on_a_grid(g)
        for direction in [*np.eye(k), np.ones(k)]:
            along = places @ direction
            order = np.argsort(along)
            cdf = np.interp(np.sort(direction @ drawn[g]), along[order], np.cumsum(w[order]) - 0.5 * w[order])
            distance = np.max(np.abs(cdf - (np.arange(DRAWS) + 0.5) / DRAWS))
            assert distance < (2e-3 if k == 1 else 2.0 / np.sqrt(DRAWS))  # exceeded once in 1,500
