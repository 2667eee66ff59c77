"""The spine with its leaves integrated out, against the joint density on a grid by brute force."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.special import log_expit, logsumexp

import lgm
from lgm.inference.compile import jit
from lgm.inference.ladder import with_rung
from lgm.posterior import density, spine
from lgm.posterior.laplace import LaplaceData
from lgm.posterior.leaves import Likelihood, framed
from lgm.posterior.nodes import RULES, Lattice, averaged, draw, nodes

T = np.linspace(-9.0, 9.0, 2001)


@pytest.fixture(scope="module")
def model():
    """Forty groups of three binary outcomes with a large sd: densities of leaves far from normal."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(40), 3)
    y = rng.binomial(1, 1 / (1 + np.exp(2.0 - 3.0 * rng.standard_normal(40)[g])))
    prior = {"Intercept": lgm.priors.normal(0, 5)}
    return lgm.model("y ~ 1 + (1|g)", pd.DataFrame({"y": y, "g": g}), "bernoulli", priors=prior)


def by_grid(model, sd):
    """``log p(y | sd)``, moments of the intercept and of the first group's effect, the mode, on a grid of the two."""
    successes = np.bincount(model.design.scope.frame["g"], model.design.y)
    b = np.linspace(-24.0, 18.0, 1001)
    eta = b[:, None] + sd * T
    prior = -0.5 * T**2 - 0.5 * np.log(2 * np.pi) + np.log(T[1] - T[0])
    heights = [k * log_expit(eta) + (3 - k) * log_expit(-eta) + prior for k in range(4)]
    each = [logsumexp(height, axis=1) for height in heights]
    total = sum(each[int(k)] for k in successes) - 0.5 * (b / 5) ** 2 - 0.5 * np.log(50 * np.pi)
    value = logsumexp(total) + np.log(b[1] - b[0])
    w = np.exp(total - logsumexp(total))
    inside = np.exp(heights[int(successes[0])] - each[int(successes[0])][:, None])
    mean = w @ b
    leaf = w @ (inside @ (sd * T))
    moments = (mean, np.sqrt(w @ (b - mean) ** 2)), (leaf, np.sqrt(w @ (inside @ (sd * T) ** 2) - leaf**2))
    return value, *moments, b[np.argmax(total)]


PAIRS = 256


@jit
def _effects(post, theta, z):
    return density.log_likelihood_and_effects(post, theta, z)


@jit
def _variances(post, theta, z, functionals):
    inner, start = post.data.at(post.prior, post.analysis, theta)
    points = post.data.points(inner, post.data.found(inner, start), z)
    return points.log_weights, density.variances(post, theta, functionals, None, z)


@pytest.mark.parametrize(("sd", "most"), [(0.5, 0.05), (3.0, 0.05), (16.0, 0.1)])
def test_density_and_effects_are_those_of_a_grid(model, sd, most):
    """Tolerances are four Monte Carlo errors, that of the density as the weights' own spread says.

    Where the sd is 16, nodes are further apart than a probability takes from nearly nothing to nearly one: from fixed
    nodes the density would be off by a quarter and more, and the points would lie elsewhere.
    """
    post = with_rung(model.analysed.marginal, "leaves", PAIRS)
    value, fixed, leaf, _ = by_grid(model, sd)
    with jax.enable_x64(True):
        z = jax.random.normal(jax.random.key(3), (post.n_normals, PAIRS))
        found, effects = jax.tree.map(np.asarray, _effects(post, jnp.array([sd]), z))
        log_weights, spread = jax.tree.map(np.asarray, _variances(post, jnp.array([sd]), z, np.eye(post.dim)[:, :1]))
    pairs = np.mean(np.exp(np.split(log_weights, 2)), axis=0)
    error = np.std(pairs) / np.mean(pairs) / np.sqrt(PAIRS)
    assert abs(found - value) < 4 * error < most
    mean, drawn = model.analysed.natural(effects.mean), model.analysed.natural(effects.draws.T)
    assert abs(mean[0] - fixed[0]) < 0.03 * fixed[1] and abs(mean[1] - leaf[0]) < 0.03 * leaf[1]
    of_variance = 4 / np.sqrt(2 * PAIRS)
    assert np.sqrt(spread[1][0]) == pytest.approx(fixed[1], rel=of_variance)
    assert np.sqrt(spread[0][0]) == pytest.approx(leaf[1], rel=of_variance)
    for column, (centre, scale) in enumerate((fixed, leaf)):
        assert abs(drawn[:, column].mean() - centre) < 4 * scale / np.sqrt(PAIRS)
        assert drawn[:, column].std() == pytest.approx(scale, rel=of_variance)


@pytest.mark.parametrize("sd", [6.0, 8.0, 10.0])
def test_points_lie_where_the_spine_is(model, sd):
    """By few nodes, on which a probability goes from nearly nothing to nearly one between one and the next."""
    post = with_rung(model.analysed.marginal, "leaves", PAIRS)
    with jax.enable_x64(True):
        z = jax.random.normal(jax.random.key(3), (post.n_normals, PAIRS))
        log_weights = np.asarray(_variances(post, jnp.array([sd]), z, np.eye(post.dim)[:, :1])[0])
    assert np.var(np.logaddexp(*np.split(log_weights, 2))) < 0.1


@jit
def _found(post, theta):
    inner, start = post.data.at(post.prior, post.analysis, theta)
    found = post.data.found(inner, start)
    return inner.scale * found.mode, inner.scale * found.v


@pytest.mark.parametrize("sd", [1.5, 3.0])
def test_the_proposal_is_about_the_mode_with_leaves_integrated_out(model, sd):
    """From Laplace's, half an sd away or more, to within a twentieth of one and half the grid's step."""
    post = with_rung(model.analysed.marginal, "leaves", 1)
    _, fixed, _, mode = by_grid(model, sd)
    with jax.enable_x64(True):
        start, found = (model.analysed.natural(np.asarray(v))[0] for v in _found(post, jnp.array([sd])))
    assert abs(start - mode) > 0.5 * fixed[1]
    assert abs(found - mode) < 0.05 * fixed[1] + 0.011


# Leaves of several effects --------------------------------------------------------------------------------------------

THETA = {2: [3.0, 2.0, 0.4], 3: [3.0, 2.0, 1.5, 0.4, -0.2, 0.3]}
FINE = {2: 141, 3: 61}  # nodes along each axis of a leaf
BATCHES = 16


@cache
def slopes(k):
    """A few groups of four binary outcomes, whose intercepts and slopes vary much; covariates have means."""
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(5 - k), 4)
    x, w = 0.6 + rng.normal(size=g.size), rng.normal(size=g.size) - 0.3
    y = rng.binomial(1, 1 / (1 + np.exp(1.0 - 3.0 * rng.standard_normal(g[-1] + 1)[g] - 2.0 * x)))
    formula = {2: "y ~ 1 + (x|g)", 3: "y ~ 1 + (x + w|g)"}[k]
    prior = {"Intercept": lgm.priors.normal(0, 5)}
    return lgm.model(formula, pd.DataFrame({"y": y, "x": x, "w": w, "g": g}), "bernoulli", priors=prior)


@cache
def slopes_by_grid(k):
    """``log p(y | theta)``, moments of the intercept, and mean and covariance of the first group's effects."""
    frame, theta = slopes(k).design.scope.frame, np.array(THETA[k])
    corr = np.eye(k)
    corr[np.tril_indices(k, -1)] = theta[k:]
    corr = corr + np.tril(corr, -1).T
    axis, b = np.linspace(-6.5, 6.5, FINE[k]), np.linspace(-20.0, 16.0, 73)
    z = np.stack(np.meshgrid(*[axis] * k, indexing="ij"), axis=-1).reshape(-1, k)
    prior = -0.5 * np.sum(z**2, axis=1) - 0.5 * k * np.log(2 * np.pi) + k * np.log(axis[1] - axis[0])
    effects = z @ np.linalg.cholesky(corr).T * theta[:k]
    columns = np.column_stack([np.ones(len(frame)), *(frame[c] - frame[c].mean() for c in ("x", "w")[: k - 1])])
    each, moments = [], []
    for g in range(frame["g"].max() + 1):
        rows = np.flatnonzero(frame["g"] == g)
        sign = 2.0 * frame["y"].to_numpy()[rows] - 1.0
        spread = effects @ columns[rows].T
        height = np.stack([log_expit(sign * (level + spread)).sum(axis=1) + prior for level in b])
        each.append(logsumexp(height, axis=1))
        if g == 0:
            inside = np.exp(height - each[0][:, None])
            seconds = np.einsum("bm,ma,mc->bac", inside, effects, effects, optimize=["einsum_path", (1, 2), (0, 1)])
            moments = [inside @ effects, seconds]
    total = np.sum(each, axis=0) - 0.5 * (b / 5) ** 2 - 0.5 * np.log(50 * np.pi)
    value = logsumexp(total) + np.log(b[1] - b[0])
    p = np.exp(total - logsumexp(total))
    mean, leaf = p @ b, p @ moments[0]
    cov = np.tensordot(p, moments[1], axes=1) - np.outer(leaf, leaf)
    return value, (mean, np.sqrt(p @ (b - mean) ** 2)), leaf, cov


def _batches(post, theta, z):
    return jax.vmap(density.log_likelihood_and_effects, (None, None, 0))(post, theta, z)


@pytest.mark.parametrize("k", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_leaves_of_several_effects(k):
    """The density without bias, means and draws, by independent batches: four of their Monte Carlo errors."""
    model = slopes(k)
    post = with_rung(model.analysed.marginal, "leaves", 64)
    assert isinstance(post.data, LaplaceData) and post.data.leaves is not None and post.data.leaves.order == k
    value, fixed, leaf, cov = slopes_by_grid(k)
    with jax.enable_x64(True):
        z = jax.random.normal(jax.random.key(5), (BATCHES, post.n_normals, 64))
        found, effects = jax.tree.map(np.asarray, jit(_batches)(post, jnp.array(THETA[k]), z))
    ratio = np.exp(found - value)
    assert abs(ratio.mean() - 1.0) < 4 * ratio.std(ddof=1) / np.sqrt(BATCHES) < 0.03
    sd = np.array([fixed[1], *np.sqrt(np.diag(cov))])
    means = model.analysed.natural(effects.mean)[:, : k + 1]
    away = (means - [fixed[0], *leaf]) / sd
    assert np.all(np.abs(away.mean(axis=0)) < 4 * away.std(axis=0, ddof=1) / np.sqrt(BATCHES) + 0.005)
    drawn = np.concatenate([model.analysed.natural(one.T)[:, : k + 1] for one in effects.draws])
    error = 4 / np.sqrt(len(drawn))
    np.testing.assert_allclose((drawn.mean(axis=0) - [fixed[0], *leaf]) / sd, 0.0, atol=error)
    spread = np.cov((drawn[:, 1:] / sd[1:]).T) - cov / np.outer(sd[1:], sd[1:])
    assert np.all(np.abs(spread) < error * np.sqrt(2.0) * 1.5)  # leaves have heavier tails than a normal's, here


@pytest.mark.slow
def test_variances_of_effects_in_one_leaf():
    """The printed intercept of a level is a sum of both of its effects."""
    model = slopes(2)
    post = with_rung(model.analysed.marginal, "leaves", 512)
    _, fixed, _, cov = slopes_by_grid(2)
    with jax.enable_x64(True):
        z = jax.random.normal(jax.random.key(3), (post.n_normals, 512))
        _, spread = jax.tree.map(np.asarray, _variances(post, jnp.array(THETA[2]), z, np.eye(post.dim)[:, :1]))
    centre = model.design.scope.frame["x"].mean()
    printed = np.sqrt([cov[0, 0] - 2.0 * centre * cov[0, 1] + centre**2 * cov[1, 1], cov[1, 1]])
    groups = len(spread[0]) // 2
    np.testing.assert_allclose(np.sqrt(spread[0][[0, groups]]), printed, rtol=4 / np.sqrt(1024))
    assert np.sqrt(spread[1][0]) == pytest.approx(fixed[1], rel=4 / np.sqrt(1024))


@jit
def _of_its_own(post, theta, shift, uniform):
    """Leaves at two places of the spine, each on a lattice of its own: both at once, and one after the other."""
    inner, start = post.data.at(post.prior, post.analysis, theta)
    leaves, likelihood = post.data.leaves, spine._likelihood(inner)
    v = jnp.stack([start, start.at[0].add(shift)], axis=1)
    lattice = spine._around(inner, leaves, v, start[leaves.columns])

    def on(columns):
        given = spine._given(inner, leaves, v[:, columns])
        found = nodes(leaves, likelihood, given, lattice.chosen(columns), RULES[leaves.order].nodes)
        return (*found[2:], draw(leaves, likelihood, found, uniform[..., columns]))

    return lattice.edges, on(np.array([0, 1])), on(np.array([0])), on(np.array([1]))


@pytest.mark.parametrize("k", [1, 2])
def test_columns_with_lattices_of_their_own(model, k):
    """By the kernel for one effect, by JAX for two: as each column alone, to rounding."""
    post = with_rung((model if k == 1 else slopes(2)).analysed.marginal, "leaves", 2)
    assert isinstance(post.data, LaplaceData) and post.data.leaves is not None
    leaves = post.data.leaves
    uniform = np.random.default_rng(3).uniform(size=(*leaves.columns.shape, 2))
    with jax.enable_x64(True):
        found = _of_its_own(post, jnp.array([3.0] if k == 1 else THETA[2]), 2.0, uniform)
        edges, both, *each = jax.tree.map(np.asarray, found)
    first = edges[:, 0, 0]
    assert np.max(np.abs(first[:, 0] / first[:, 1] - 1.0)) > 0.05  # they do differ
    for joint, one, other in zip(both, *each, strict=True):
        apart = np.concatenate([one, other], axis=-1)
        if joint is both[0]:  # heights are up to a constant, which the kernel and JAX do not share
            joint, apart = joint - joint[:1], apart - apart[:1]
        np.testing.assert_allclose(joint, apart, rtol=1e-9, atol=1e-9)


def test_the_plain_approximation_fails_where_leaves_do_not(model):
    value, fixed, *_ = by_grid(model, 3.0)
    post = with_rung(model.analysed.marginal, "laplace", 1)
    with jax.enable_x64(True):
        nothing = jnp.zeros((post.n_normals, 1))
        found, effects = jax.tree.map(np.asarray, _effects(post, jnp.array([3.0]), nothing))
    assert found < value - 1.0
    assert model.analysed.natural(np.asarray(effects.mean))[0] > fixed[0] + 0.8 * fixed[1]


@jit
def _centres(post, theta, v):
    """By the kernel, and by JAX."""
    leaves = post.data.leaves
    inner = post.data.at(post.prior, post.analysis, theta)[0]
    given, rule = spine._given(inner, leaves, v[:, None]), RULES[leaves.order]
    likelihood = Likelihood(inner.observed.loglik(inner.theta))
    frame = framed(leaves, likelihood.loglik, given, v[leaves.columns], rule.fall)
    found = nodes(leaves, likelihood, given, Lattice.over(frame, rule.rough).apart(), rule.rough)
    slow = spine._Centre(Lattice.over(frame, rule.nodes), found.mean[..., 0], *averaged(leaves, likelihood, found))
    return spine._integrated(inner, leaves, v), slow


@pytest.mark.parametrize(
    ("group", "family", "theta"),
    [
        ("(1|g)", "bernoulli", [3.0]),
        ("(1|g)", "negativebinomial", [1.5, 2.0]),
        ("(x|g)", "poisson", [0.6, 0.3, 0.2]),
        ("(x||g)", "negativebinomial", [0.6, 0.3, 2.0]),
    ],
)
def test_the_kernel_finds_the_centre_that_jax_finds(group, family, theta):
    """Climbs end within 1e-9 or so of the top, from which lattices are laid out; averages do not feel that."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": rng.integers(0, 20, 100), "x": rng.normal(size=100), "y": rng.integers(0, 2, 100)})
    if group != "(1|g)":  # counts whose log-likelihoods have constants, which the kernel leaves out
        data["y"] = rng.poisson(2.0, 100)
    post = lgm.model(f"y ~ x + {group}", data, family).analysed.marginal
    with jax.enable_x64(True):
        fast, slow = _centres(post, jnp.array(theta), 0.5 * rng.normal(size=post.dim))
    for one, other in zip(jax.tree.leaves(fast.lattice), jax.tree.leaves(slow.lattice), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-7)
    for one, other in zip(fast[1:], slow[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_weights_of_counts_spread_less_with_both_effects_of_a_level_integrated_out():
    rng = np.random.default_rng(5)
    g, x = np.repeat(np.arange(4), 6), rng.normal(size=24)
    data = pd.DataFrame({"g": g, "x": x, "y": rng.poisson(np.exp(0.5), 24)})
    post = lgm.model("y ~ x + (x|g)", data, "poisson").analysed.marginal
    spread = {}
    with jax.enable_x64(True):
        z = jax.random.normal(jax.random.key(1), (post.n_normals, 64))
        for rung in ("weighted", "leaves"):
            found = _variances(with_rung(post, rung, 64), jnp.array([0.6, 0.6, 0.2]), z, np.eye(post.dim)[:, :1])
            spread[rung] = np.var(np.asarray(found[0]))
    assert spread["leaves"] < 0.5 * spread["weighted"] < 0.5
