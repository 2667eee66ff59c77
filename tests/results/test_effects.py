"""Effects given the data against dense conditioning: means, variances, draws, mixtures over theta."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from dense_model import EPS, condition, correlation, icar_structure, rounding, rw_structure, scaled_covariance
from scipy.stats import norm
from synthetic import successes

import lgm
from lgm.inference.chains import Chains
from lgm.inference.draws import Points
from lgm.inference.weighted import Weighted
from lgm.posterior import density
from lgm.priors import flat, normal
from lgm.results import drawing, effects
from lgm.results.effects import Effects

EDGES = [[0, 3], [3, 1], [4, 5]]  # a path, a pair and the island 2
PATH = "icar(region)[component of 0]"
THETAS = np.array([[0.6, 0.4, -0.3, 0.7, 0.5, 0.9], [0.3, 0.5, 0.4, 0.2, 0.9, 0.7], [0.9, 0.1, 0.0, 0.5, 0.1, 1.2]])
KINDS = {
    "proper": {
        "Intercept": normal(1.0, 2.0),
        "x": normal(0.5, 0.7),
        PATH: normal(0.1, 0.9),
        "rw2(t)[linear]": normal(-0.2, 0.3),
    },
    "flat": {"Intercept": flat(), "fixed": flat()},
}
kinds = pytest.mark.parametrize("kind", KINDS)


@cache
def model(kind, shift=0.0):
    """Thirty rows; region 1 has none."""
    rng = np.random.default_rng(8)
    n = 30
    frame = pd.DataFrame(
        {
            "y": 2.0 + rng.standard_normal(n),
            "x": shift + rng.standard_normal(n),
            "w": rng.uniform(0.5, 2.0, n),
            "g": rng.integers(0, 5, n),
            "region": rng.choice([0, 2, 3, 4, 5], n),
            "t": rng.choice([0.0, 1.0, 1.5, 4.0, 5.0, 7.0], n),
        }
    )
    graph = lgm.graph(EDGES, range(6))
    return lgm.model(
        "y ~ x + (x|g) + icar(region, graph) + rw2(t)", frame, priors=KINDS[kind], weights="w", env={"graph": graph}
    )


def exact(kind, theta):
    """Mean and covariance of u by dense conditioning, and a bound for rounding errors."""
    design = model(kind).design
    a, b, r, c, d, sigma = theta
    C = correlation([r], 2)
    times = np.unique(design.scope.frame["t"])
    blocks = [
        np.kron(np.eye(5), np.diag([a, b]) @ C @ np.diag([a, b])),
        c**2 * scaled_covariance(icar_structure(6, EDGES))[0],
        d**2 * scaled_covariance(rw_structure(2, times), 2)[0],
    ]
    priors = model(kind).chosen_priors.fixed
    proper = kind == "proper"
    if proper:
        blocks = [np.diag([p.sd**2 for p in priors]), *blocks]
    sizes = np.cumsum([0] + [len(block) for block in blocks])
    G = np.zeros((sizes[-1], sizes[-1]))
    for start, stop, block in zip(sizes[:-1], sizes[1:], blocks, strict=True):
        G[start:stop, start:stop] = block
    A = design.predictor.A.toarray()
    start = np.zeros(A.shape[1])
    start[:4] = [p.mean for p in priors] if proper else 0.0
    known = A if proper else A[:, 4:]
    V = known @ G @ known.T + sigma**2 * np.diag(1.0 / design.weights)
    mean, covariance = condition(design.y - A @ start, A, G, V, flat=0 if proper else 4)
    bound = rounding(30, V, A[:, :4].T @ A[:, :4]) * np.linalg.norm(design.y / sigma)
    return start + mean, covariance, bound


def printed_variance(kind, covariance):
    """Of fixed effects and, printed effect by effect, of the terms; intercepts of (x|g) are those at zero."""
    of_each = model(kind).analysed.printed(np.eye(len(covariance)))
    return np.sum(of_each * (covariance @ of_each), axis=0)


def test_intercepts_of_levels_are_printed_at_zero():
    """Level effects at the mean of x, less the mean times the slopes."""
    design = model("proper").design
    b = np.arange(design.p + design.q, dtype=float) ** 2
    at_mean, slopes = b[design.p :][:10].reshape(5, 2).T
    wanted = at_mean - design.scope.frame["x"].mean() * slopes
    first, second = design.predictor.printed()[:2]
    assert [first.variable.name, second.variable.name] == ["Intercept|g", "x|g"]
    for found in (first.of(b), first.variable.of(b[design.p :]), model("proper").analysed.printed(b)[design.p :][:5]):
        np.testing.assert_allclose(found, wanted, rtol=1e-14)
    np.testing.assert_array_equal(second.of(b), slopes)


def drawn(thetas):
    return Chains(thetas[None], {}, False, np.zeros(1), 0)


_effects = jax.jit(density.effects)


def mean_and_root(kind, theta):
    """Printed conditional mean and the linear map from standard normals to draws, by unit normals."""
    analysed = model(kind).analysed
    with jax.enable_x64(True):
        unit = jnp.eye(analysed.marginal.n_normals)
        found = jax.tree.map(np.asarray, _effects(analysed.marginal, jnp.asarray(theta), unit))
    mean = analysed.natural(found.mean)
    return mean, (analysed.natural(found.draws.T) - mean).T


@kinds
@pytest.mark.parametrize("theta", THETAS, ids=str)
def test_conditional_moments(kind, theta):
    mean, covariance, bound = exact(kind, theta)
    ours, root = mean_and_root(kind, theta)
    np.testing.assert_allclose(ours, mean, rtol=0, atol=bound)
    np.testing.assert_allclose(root @ root.T, covariance, rtol=0, atol=bound)


@kinds
def test_an_sd_of_zero_gives_effects_of_zero(kind):
    theta = np.array([0.0, 0.4, 0.3, 0.0, 0.5, 0.9])
    mean, covariance, bound = exact(kind, theta)
    ours, root = mean_and_root(kind, theta)
    np.testing.assert_allclose(ours, mean, rtol=0, atol=bound)
    np.testing.assert_allclose(root @ root.T, covariance, rtol=0, atol=bound)
    assert np.all(ours[[4, 6, 8, 10, 12]] == 0.0)
    assert np.all(root[14:20] == 0.0)


@kinds
def test_mixture_over_theta(kind):
    """The law of total variance, with equal weights."""
    found = Effects(model(kind).analysed, drawn(THETAS), seed=3)
    means, covariances, bounds = zip(*(exact(kind, theta) for theta in THETAS), strict=True)
    variance = np.cov(np.transpose(means), bias=True) + np.mean(covariances, axis=0)
    np.testing.assert_allclose(found.mean, np.mean(means, axis=0), rtol=0, atol=max(bounds))
    np.testing.assert_allclose(found.sd**2, printed_variance(kind, variance), rtol=0, atol=10 * max(bounds))


def test_draws_satisfy_their_constraints():
    found = Effects(model("flat").analysed, drawn(np.repeat(THETAS, 5, axis=0)), seed=3).draws
    icar, rw2 = found[:, 14:20], found[:, 20:26]
    times = np.array([0.0, 1.0, 1.5, 4.0, 5.0, 7.0])
    size = 1e2 * EPS * np.abs(found[:, 4:]).max()
    for constraint in (icar[:, [0, 1, 3]].sum(axis=1), icar[:, [4, 5]].sum(axis=1), rw2.sum(axis=1), rw2 @ times):
        np.testing.assert_allclose(constraint, 0.0, atol=10 * size)
    assert np.abs(icar[:, 2]).min() > size


def test_draws_are_independent_given_theta():
    """Whitened by the exact covariance: means and covariances of standard normals, within five standard errors."""
    n = 4000
    theta = THETAS[0]
    found = Effects(model("proper").analysed, drawn(np.tile(theta, (n, 1))), seed=11)
    mean, covariance, bound = exact("proper", theta)
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-6  # the constraints leave no variance in four directions
    assert np.count_nonzero(~kept) == 4
    white = (found.draws - mean) @ vectors[:, kept] / np.sqrt(values[kept])
    assert np.abs(white.mean(axis=0)).max() < 5 / np.sqrt(n)
    scatter = white.T @ white / n - np.eye(kept.sum())
    assert np.all(np.abs(scatter) < 5 * np.sqrt((1 + np.eye(kept.sum())) / n))
    # successive draws have keys of their own
    assert np.all(np.abs(np.sum(white[1:] * white[:-1], axis=0)) < 5 * np.sqrt(n))
    np.testing.assert_allclose(found.sd**2, printed_variance("proper", covariance), rtol=0, atol=10 * bound)


def test_chunks_do_not_matter(monkeypatch):
    thetas = np.tile(THETAS, (4, 1))[:11]
    whole = Effects(model("flat").analysed, drawn(thetas), seed=5)
    monkeypatch.setattr(drawing, "CHUNK_BYTES", 8 * 4 * 2 * model("flat").analysed.marginal.n_normals)
    parts = Effects(model("flat").analysed, drawn(thetas), seed=5)
    assert drawing.chunk_shape(model("flat").analysed.marginal, 3, 11) == (2, 1)
    other = Effects(model("flat").analysed, drawn(thetas), seed=6)
    bound = exact("flat", THETAS[2])[2]
    np.testing.assert_allclose(parts.draws, whole.draws, rtol=0, atol=bound)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=0, atol=bound)
    assert np.all(np.ptp([other.draws, whole.draws], axis=0)[:, :3] > 1e-6)


@pytest.mark.filterwarnings("ignore:.*is far from zero:lgm.DataWarning")
def test_columns_far_from_zero():
    """``x + 1e4``: the same slopes and effects; the intercept (and those of the groups) move along the line."""
    near, far = model("flat"), model("flat", 1e4)
    theta = np.array([0.6, 0.0, 0.0, 0.7, 0.5, 0.9])  # without random slopes, which are about x = 0
    mean, _ = mean_and_root("flat", theta)
    with jax.enable_x64(True):
        zeros = jnp.zeros((far.analysed.marginal.n_normals, 1))
        moved = np.asarray(_effects(far.analysed.marginal, jnp.asarray(theta), zeros).mean)
    moved = far.analysed.natural(moved)
    lost = 1e4 * exact("flat", theta)[2]  # x has lost 1e4 times more digits than rounding takes
    np.testing.assert_allclose(far.design.predictor.A @ moved, near.design.predictor.A @ mean, rtol=0, atol=lost)
    assert moved[0] + 1e4 * moved[1] == pytest.approx(mean[0], abs=lost)
    np.testing.assert_allclose(moved[1:], mean[1:], rtol=0, atol=lost)


def test_weighted_points():
    """Means use the weights; a point that is drawn more often than it has draws gets new ones."""
    analysed = model("proper").analysed
    weights, index = np.array([0.5, 0.3, 0.2]), np.array([0, 2, 0, 0])
    z = np.random.default_rng(1).standard_normal((3, analysed.marginal.n_normals, 2))
    with jax.enable_x64(True):
        found = [_effects(analysed.marginal, jnp.asarray(t), jnp.asarray(e)) for t, e in zip(THETAS, z, strict=True)]
    kept = np.array([f.mean for f in found]), np.array([f.draws.T for f in found])
    points = Points(THETAS, np.log(weights), *kept, k=0.1, ess=2.0, log_evidence=0.0, log_evidence_se=0.0, failed=0)
    got = Effects(analysed, Weighted(THETAS[index][None], {}, False, points, index), seed=2)
    means, _, bounds = zip(*(exact("proper", theta) for theta in THETAS), strict=True)
    np.testing.assert_allclose(got.mean, weights @ np.array(means), rtol=0, atol=max(bounds))
    for row, (point, column) in enumerate([(0, 0), (2, 0), (0, 1)]):
        # a sum of products of one row and of many may differ in the last bit
        np.testing.assert_allclose(got.draws[row], analysed.natural(points.draws[point, column]), rtol=0, atol=1e-14)
    assert np.all(np.abs(got.draws[3] - got.draws[[0, 2]])[:, :3] > 1e-6)


@kinds
def test_the_table_of_weighted_points_is_a_mixture_of_normals(kind):
    """Where effects are too many to be kept, moments of the fixed ones are there, and nothing is drawn."""
    analysed, weights, p = model(kind).analysed, np.array([0.5, 0.3, 0.2]), 4
    with jax.enable_x64(True):
        found = [jax.jit(density.log_likelihood_and_fixed)(analysed.marginal, jnp.asarray(t)) for t in THETAS]
        values = [jax.jit(density.log_likelihood)(analysed.marginal, jnp.asarray(t)) for t in THETAS]
    np.testing.assert_allclose([value for value, _ in found], values, rtol=1e-13)
    mean, cov = (np.array([getattr(fixed, name) for _, fixed in found]) for name in ("mean", "cov"))
    points = Points(THETAS, np.log(weights), mean, np.zeros((3, 0, p)), 0.1, 2.0, 0.0, 0.0, 0, cov=cov)
    got = Effects(analysed, Weighted(THETAS[[0, 2]][None], {}, False, points, np.array([0, 2])), seed=2)
    centres, covs, bounds = zip(*(exact(kind, theta) for theta in THETAS), strict=True)
    bound = max(bounds)
    means, variances = np.array(centres)[:, :p], np.array([np.diag(cov)[:p] for cov in covs])
    np.testing.assert_allclose(got.table[0], weights @ means, rtol=0, atol=bound)
    sd = np.sqrt(weights @ (variances + (means - weights @ means) ** 2))
    np.testing.assert_allclose(got.table[1], sd, rtol=0, atol=bound)
    for j in range(p):
        below = weights @ norm.cdf(got.table[2:, j], means[:, [j]], np.sqrt(variances[:, [j]]))
        np.testing.assert_allclose(below, [0.025, 0.975], rtol=0, atol=bound / sd[j])
    assert got.made is None


def test_no_fixed_effects():
    frame = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, -1.0], "g": [0, 0, 1, 1, 2]})
    found = Effects(lgm.model("y ~ 0 + (1|g)", frame).analysed, drawn(np.array([[2.0, 1.0]])), seed=1)
    shrink = 4.0 / (4.0 + 1.0 / np.array([2, 2, 1]))
    np.testing.assert_allclose(found.mean, shrink * [1.5, 3.5, -1.0], rtol=1e-14)
    np.testing.assert_allclose(found.sd**2, shrink / np.array([2, 2, 1]), rtol=1e-14)


def test_intervals_are_quantiles_of_all_draws():
    found = Effects(model("flat").analysed, drawn(np.repeat(THETAS, 40, axis=0)), seed=3, interval=0.9)
    printed = model("flat").analysed.printed(found.draws)
    np.testing.assert_allclose(found.ends, np.quantile(printed, [0.05, 0.95], axis=0), rtol=1e-12)


@kinds
def test_given_one_theta_all_is_exact(kind):
    """Mean, sd and interval of a normal; nothing is drawn until draws are asked for."""
    found = Effects(model(kind).analysed, drawn(np.repeat(THETAS[:1], 300, axis=0)), seed=3)
    mean, covariance, bound = exact(kind, THETAS[0])
    printed = model(kind).analysed.printed
    sd = np.sqrt(printed_variance(kind, covariance))
    np.testing.assert_allclose(found.ends, printed(mean) + 1.959963984540054 * np.stack([-sd, sd]), rtol=0, atol=bound)
    assert found.kept.draws.shape == (0, mean.size) and found.kept.fixed.shape == (0, 4)
    np.testing.assert_array_equal(found.fixed, found.draws[:, :4])
    z = (found.draws - mean)[:, :3] / np.sqrt(np.diag(covariance))[:3]
    assert np.all(np.abs(z.mean(axis=0)) < 5 / np.sqrt(300))


@pytest.mark.parametrize("copies", [1, 100], ids=["several thetas", "one theta"])
def test_what_is_too_large_is_made_again(monkeypatch, copies):
    """The same tables and the same draws of some effects as where all draws are kept."""
    thetas = np.repeat(THETAS[:1], 100, axis=0) if copies > 1 else THETAS[0] * np.linspace(0.9, 1.1, 100)[:, None]
    whole = Effects(model("proper").analysed, drawn(thetas), seed=5)
    monkeypatch.setattr(effects, "KEPT_BYTES", 8.0 * 100 * 12)
    parts = Effects(model("proper").analysed, drawn(thetas), seed=5)
    bound = exact("proper", THETAS[0])[2]
    for name in ("mean", "sd", "ends", "fixed"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=0, atol=bound, err_msg=name)
    assert len(parts.kept.draws) == 0
    with pytest.raises(lgm.LgmError, match=r"100 draws of 26 effects take 0.0208 MB; at most 0.0096 MB are kept"):
        _ = parts.draws
    x_of_g, region, t = model("proper").design.predictor.printed()[1:]
    [one, two] = parts.printed([(x_of_g, slice(None)), (t, np.array([5, 0]))])
    monkeypatch.undo()
    [same, as_well] = whole.printed([(x_of_g, slice(None)), (t, np.array([5, 0]))])
    np.testing.assert_allclose(one, same, rtol=0, atol=bound)
    np.testing.assert_allclose(two, as_well, rtol=0, atol=bound)


def test_more_at_once_than_may_be_held(monkeypatch):
    found = Effects(model("proper").analysed, drawn(THETAS), seed=5)
    monkeypatch.setattr(effects, "KEPT_BYTES", 8.0 * 3 * 5)
    region = model("proper").design.predictor.printed()[2]
    with pytest.raises(lgm.LgmError, match="3 draws of 6 effects take .* Accepted: fewer levels"):
        found.printed([(region, slice(None))])
    assert found.printed([(region, np.arange(5))])[0].shape == (3, 5)


def test_what_a_file_keeps():
    kept = Effects(model("proper").analysed, drawn(THETAS), seed=5).kept
    size = kept.draws.nbytes
    assert kept.within(size) is kept
    assert kept.within(size - 1).draws.shape == (0, 26)


def test_few_binary_effects_against_quadrature():
    """Means and sds of effects that are far from normal, given one theta; half a Monte Carlo error of draws is 1%.

    A fixed effect is to have no larger error than 4,000 draws would have, ``1 / sqrt(2 * 4000)`` of its sd: three of
    them.
    """
    fit = successes()
    b0, b, sd = np.linspace(-15, 15, 301)[:, None], np.linspace(-20, 20, 401), fit.chosen_priors.fixed[0].sd
    share = 1 / (1 + np.exp(-(b0 + b)))
    four, one = (share**k * (1 - share) ** (5 - k) * np.exp(-(b**2) / 18) for k in (4, 1))
    beside = np.exp(-(b0**2) / (2 * sd**2)) * one.sum(axis=1, keepdims=True)
    first, second = ((beside * four * value).sum() / (beside * four).sum() for value in (b, b**2))
    spread = np.sqrt(second - first**2)
    found = fit.ranef().loc[("Intercept|g", "a")]
    assert abs(found["mean"] - first) < 0.05 * spread
    assert abs(found["sd"] / spread - 1) < 0.015
    intercept = fit.fixef().loc["Intercept"]
    weight = (beside * four).sum(axis=1) / (beside * four).sum()
    assert abs(intercept["mean"]) < 0.05 * intercept["sd"]
    assert abs(intercept["sd"] / np.sqrt(weight @ b0[:, 0] ** 2) - 1) < 3.0 / np.sqrt(2.0 * 4000.0)


def test_draws_are_made_once_whatever_is_asked_for_first() -> None:
    fit = lgm.fit(
        "Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), method="mode", draws=20, seed=1, progress=False
    )
    fixed = fit.effects.fixed
    assert len(fit.effects.kept.draws) == len(fixed) == 80
    assert fit.effects.draws is fit.effects.draws
