"""The kernel's log-likelihoods by themselves, against JAX and, for leaves, against sums over fine grids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from linalg.test_newton import NAMES, loglik

from lgm.families.response import Response
from lgm.linalg.likelihoods import Likelihood
from lgm.linalg.rows import Rows
from lgm.pattern import Pattern

N, D, M, G, COUNT = 150, 5, 40, 7, 4  # more rows and columns than the kernel takes at once


class Case:
    """Rows with many columns of effects, of which the last ones have no leaf."""

    def __init__(self, name):
        rng = np.random.default_rng(1)
        self.name, self.own = name, NAMES[name]
        self.a = rng.normal(size=(N, D)) * (rng.random((N, D)) < 0.6)
        self.rows = Rows.of(sp.csr_array(self.a), Pattern.of(sp.csc_array(np.ones((D, D)))))
        self.leaf = np.append(rng.integers(0, G - 1, N - 3), [-1] * 3)  # the last leaf has no row
        inside = self.leaf >= 0
        member = sp.csr_array((np.ones(N - 3), (np.flatnonzero(inside), self.leaf[inside])), shape=(N, G))
        self.member = Rows.of(member, Pattern.diagonal(G))
        self.offset = 0.3 * rng.normal(size=N)
        trials = np.resize([1.0, 1.0, 6.0], N) if name.startswith("binomial") else np.zeros(0)
        value = rng.binomial(trials.astype(int), 0.4) if trials.size else rng.poisson(2.0, N)
        weights = np.resize([1.0, 2.0, 0.0], N) if name != "gaussian_identity" else np.resize([1.0, 2.0], N)
        self.y = Response(value.astype(float), trials if trials.size else None)
        self.kernel = lambda own: Likelihood(self.y.value, trials, weights, own, name)
        self.each = lambda eta, own: jax.vmap(lambda e: loglik(name, self.y, e, own, weights), 1, 1)(eta)


@pytest.fixture(params=NAMES)
def case(request):
    return Case(request.param)


def batch_of(case, rng):
    """Three sets of the likelihood's parameters."""
    return jnp.asarray(case.own * rng.uniform(0.7, 1.3, (3, case.own.size)))


def test_sums_at_columns_of_effects(case):
    rng = np.random.default_rng(2)
    with jax.enable_x64(True):
        x, own = jnp.asarray(0.5 * rng.normal(size=(3, D, M))), batch_of(case, rng)

        @jax.jit
        @jax.vmap
        def both(x, own):
            wanted = jnp.sum(case.each(case.offset[:, None] + case.a @ x, own), axis=0)
            return case.kernel(own).sums(case.rows, case.offset, x), wanted

        found, wanted = both(x, own)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_heights_of_leaves(case):
    """Constants apart, which all nodes have in common."""
    rng = np.random.default_rng(3)
    member = np.eye(G + 1)[case.leaf][:, :G]
    with jax.enable_x64(True):
        eta, edge = (jnp.asarray(0.5 * rng.normal(size=(3, *shape))) for shape in ((N, M), (N,)))
        own = batch_of(case, rng)

        @jax.jit
        @jax.vmap
        def both(eta, edge, own):
            wanted = [member.T @ case.each(eta + k * edge[:, None], own) for k in range(COUNT)]
            return case.kernel(own).heights(case.member, G, eta, edge, COUNT), jnp.stack(wanted)

        found, wanted = (np.asarray(each) - np.asarray(each)[:, :1, :, :1] for each in both(eta, edge, own))
        assert found.shape == (3, COUNT, G, M)
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-11)


T = np.linspace(-14.0, 14.0, 20001)


def test_centres_of_leaves(case):
    """Tops, curvatures there, ends and means, on a grid; starts are far off, and a leaf without rows is its prior."""
    rng = np.random.default_rng(4)
    r, fall = rng.uniform(0.6, 1.5, G), 16.0
    push, eta = rng.uniform(0.5, 2.0, N) * (case.leaf >= 0), case.offset
    with jax.enable_x64(True):
        own, start = jnp.asarray(case.own), jnp.asarray(rng.normal(size=G))
        likelihood = case.kernel(own)
        found = jax.jit(lambda *args: likelihood.centres(case.member, *args, fall=fall, nodes=41))(eta, push, r, start)
        line = eta[:, None] + push[:, None] * T
        rows, first = jax.jvp(lambda e: case.each(e, own), (line,), (jnp.ones_like(line),))
        second = jax.jvp(
            lambda e: jax.jvp(lambda e: case.each(e, own), (e,), (jnp.ones_like(e),))[1],
            (line,),
            (jnp.ones_like(line),),
        )[1]
    rows, first, second = (np.asarray(each) for each in (rows, first, second))
    step = T[1] - T[0]
    for g in range(G):
        own_rows = case.leaf == g
        height = rows[own_rows].sum(axis=0) - 0.5 * r[g] * T**2
        top = np.argmax(height)
        assert abs(found.top[g] - T[top]) <= step
        curvature = r[g] - push[own_rows] ** 2 @ second[own_rows, top]
        np.testing.assert_allclose(found.axis[g], 1 / np.sqrt(curvature), rtol=2e-2)
        inside = T[height > height[top] - fall]
        widest = np.sqrt(2.0 * fall / r[g])
        for end, wanted, sign in ((found.low[g], inside[0], -1.0), (found.high[g], inside[-1], 1.0)):
            out = sign * (float(found.top[g] + end * found.axis[g]) - wanted)
            assert -2 * step <= out <= widest / 2**10 + 2 * step  # outside, by a bisection's last interval at most
        w = np.exp(height - height[top])
        np.testing.assert_allclose(found.mean[g], w @ T / w.sum(), atol=1e-5)
        np.testing.assert_allclose(np.asarray(found.slope)[own_rows], first[own_rows] @ w / w.sum(), atol=1e-5)
        np.testing.assert_allclose(np.asarray(found.curvature)[own_rows], -second[own_rows] @ w / w.sum(), atol=1e-5)
    alone = case.leaf < 0
    np.testing.assert_allclose(np.asarray(found.slope)[alone], first[alone, 0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(np.asarray(found.curvature)[alone], -second[alone, 0], rtol=1e-12, atol=1e-14)


def test_an_unknown_likelihood_is_refused():
    case = Case("poisson_log")
    likelihood = Likelihood(case.y.value, np.zeros(0), np.ones(N), jnp.zeros(0), "nothing")
    with jax.enable_x64(True), pytest.raises(Exception, match="no likelihood nothing"):
        jax.block_until_ready(likelihood.sums(case.rows, case.offset, jnp.zeros((D, 1))))
