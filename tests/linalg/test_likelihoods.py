"""The kernel's log-likelihoods by themselves, against JAX and, for leaves, against sums over fine grids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from linalg.test_newton import NAMES, loglik
from scipy.special import logsumexp
from scipy.stats import norm

from lgm.families.response import Response
from lgm.linalg.likelihoods import Likelihood, draws_along
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


def test_integrals_of_leaves(case):
    """The same sums by JAX; heights have a constant in common, of which little is left where they are huge."""
    rng = np.random.default_rng(6)
    member = np.eye(G + 1)[case.leaf][:, :G]
    nodes = 21
    k = np.arange(nodes)[:, None, None]
    with jax.enable_x64(True):
        eta, push = jnp.asarray(0.5 * rng.normal(size=(3, N, M))), jnp.asarray(rng.normal(size=(3, N)))
        r, edge = (jnp.asarray(rng.uniform(0.2, 0.6, (3, G))) for _ in range(2))
        corner = jnp.asarray(-4.0 + rng.normal(size=(3, G, M)))
        own = batch_of(case, rng)
        found = jax.jit(jax.vmap(lambda *args: case.kernel(own[0]).integrals(case.member, *args, nodes=nodes)))(
            eta, push, r, corner, edge
        )
        wanted = jax.jit(jax.vmap(lambda eta: member.T @ case.each(eta, own[0])))
        for b in range(3):
            t = np.asarray(corner[b] + k * edge[b][:, None])
            on_rows = np.where(case.leaf[:, None] >= 0, t[:, case.leaf], 0.0)
            base = wanted(eta[b][None])[0]
            heights = np.asarray(wanted(eta[b] + push[b][:, None] * on_rows) - base - 0.5 * r[b][:, None] * t**2)
            w = np.exp(heights - logsumexp(heights, axis=0))
            mean = np.sum(w * t, axis=0)
            integral = logsumexp(heights, axis=0) + np.log(edge[b])[:, None]
            np.testing.assert_allclose(found.log_integral[b], integral, rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(found.mean[b], mean, rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(found.variance[b], np.sum(w * (t - mean) ** 2, axis=0), rtol=1e-9)
            shift = np.asarray(found.heights[b]) - heights
            constant = np.broadcast_to(np.sum(w * shift, axis=0), shift.shape)
            near = np.abs(heights) < 1e4
            np.testing.assert_allclose(shift[near], constant[near], atol=1e-9)


FINER, NODES = 8, 23


def test_draws_along_lines():
    """From normal densities, of which each draw's column is one: the share below it is the uniform number."""
    rng = np.random.default_rng(8)
    sd, mean = rng.uniform(1.8, 3.0, (3, 4, 2)), rng.uniform(10.0, 12.0, (3, 4, 2))
    places = np.arange(NODES)[:, None, None]
    heights = norm.logpdf(places, mean[:, None], sd[:, None]) + 7.0
    uniform, chosen = rng.uniform(0.001, 0.999, (3, 4, 50)), rng.integers(0, 2, (3, 50))
    with jax.enable_x64(True):
        found = jax.jit(jax.vmap(lambda *args: draws_along(*args, finer=FINER)))(heights, uniform, chosen)
        lost = draws_along(jnp.asarray(heights[0]).at[3, 1, 0].set(jnp.nan), uniform[0], chosen[0], finer=FINER)
    for b in range(3):
        below = norm.cdf(np.asarray(found[b]), mean[b][:, chosen[b]], sd[b][:, chosen[b]])
        np.testing.assert_allclose(below, uniform[b], atol=2e-3)
    np.testing.assert_array_equal(np.isnan(lost[1]), chosen[0] == 0)
    assert np.all(np.isfinite(np.delete(np.asarray(lost), 1, axis=0)))
    with jax.enable_x64(True), pytest.raises(Exception, match="columns that are not there"):
        jax.block_until_ready(draws_along(heights[0], uniform[0], jnp.full(50, 2), finer=FINER))


T = np.linspace(-14.0, 14.0, 20001)


def _with_slopes(function, at):
    """A function of single numbers, its first and its second derivative."""
    ones = jnp.ones_like(at)
    (value, first), (_, second) = jax.jvp(lambda e: jax.jvp(function, (e,), (ones,)), (at,), (ones,))
    return value, first, second


@pytest.mark.parametrize("alike", [False, True], ids=["pushes differ", "pushes alike"])
def test_centres_of_leaves(case, alike):
    """Tops, curvatures there, ends and means, on a grid; starts are far off, and a leaf without rows is its prior."""
    rng = np.random.default_rng(4)
    r, fall = rng.uniform(0.6, 1.5, G), 16.0
    push, eta = rng.uniform(0.5, 2.0, N) * (case.leaf >= 0), case.offset
    if alike:
        push = np.where(case.leaf % 2, 1.3, -0.9) * (case.leaf >= 0)
    with jax.enable_x64(True):
        own, start = jnp.asarray(case.own), jnp.asarray(rng.normal(size=G))
        likelihood = case.kernel(own)
        found = jax.jit(lambda *args: likelihood.centres(case.member, *args, fall=fall, nodes=41))(eta, push, r, start)
        line = eta[:, None] + push[:, None] * T
        rows, first, second = jax.jit(lambda line: _with_slopes(lambda e: case.each(e, own), line))(line)
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


@pytest.mark.parametrize("far", [0.0, 350.0])
def test_a_leaf_of_many_single_trials(far):
    """So many that their product has to be taken in parts; with one so far out that odds are of no use."""
    rng = np.random.default_rng(9)
    n = 400
    eta, value = rng.normal(size=n) + 6.0, rng.integers(0, 2, n).astype(float)
    eta[0] += far
    member = Rows.of(sp.csr_array(np.ones((n, 1))), Pattern.diagonal(1))
    with jax.enable_x64(True):
        kernel = Likelihood(value, np.zeros(0), np.ones(n), jnp.zeros(0), "binomial_logit")
        args = (jnp.asarray(eta), jnp.full(n, 3.0), jnp.array([0.8]), jnp.array([1.0]))
        found = jax.jit(lambda *args: kernel.centres(member, *args, fall=16.0, nodes=41))(*args)
    line = eta[:, None] + 3.0 * T
    height = np.sum(value[:, None] * line - np.logaddexp(0.0, line), axis=0) - 0.4 * T**2
    share = 1 / (1 + np.exp(-line))
    w = np.exp(height - height.max())
    w /= w.sum()
    step = T[1] - T[0]
    assert abs(found.top[0] - T[np.argmax(height)]) <= step
    for end, wanted in (
        (found.low[0], T[height > height.max() - 16.0][0]),
        (found.high[0], T[height > height.max() - 16.0][-1]),
    ):
        assert abs(found.top[0] + end * found.axis[0] - wanted) <= 2 * step
    np.testing.assert_allclose(found.slope, value - share @ w, atol=1e-5)
    np.testing.assert_allclose(found.curvature, (share * (1 - share)) @ w, atol=1e-5)


def test_an_unknown_likelihood_is_refused():
    case = Case("poisson_log")
    likelihood = Likelihood(case.y.value, np.zeros(0), np.ones(N), jnp.zeros(0), "nothing")
    with jax.enable_x64(True), pytest.raises(Exception, match="no likelihood nothing"):
        jax.block_until_ready(likelihood.sums(case.rows, case.offset, jnp.zeros((D, 1))))
