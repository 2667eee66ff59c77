"""Points that follow long tails: the map against its Jacobian, directions by differences, densities against grids."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.special import log_expit, logsumexp

import lgm
from lgm.errors import IdentifiabilityWarning
from lgm.inference.compile import jit
from lgm.inference.ladder import settle
from lgm.posterior import points, stretch
from lgm.posterior.approximation import moments
from lgm.posterior.density import log_likelihood_and_effects
from lgm.posterior.priors import starts

INTERCEPT_SD, ARM_SD = 3.0, 10.0
PAIRS, BATCHES = 16, 64


@cache
def arms(grouped=False):
    """Outcomes of two arms, in one of which there was no success; where grouped, in groups that have both."""
    arm = np.tile([0, 0, 1, 1], 8)
    y = np.where(arm == 1, 0, np.array([0, 0, 1, 1] * 2 + [0, 1, 0, 0] * 2)[np.cumsum(arm == 0) % 16])
    data = pd.DataFrame({"y": y, "arm": arm.astype(float), "g": np.repeat(np.arange(8), 4)})
    given = {"Intercept": lgm.priors.normal(0, INTERCEPT_SD), "arm": lgm.priors.normal(0, ARM_SD)}
    with pytest.warns(IdentifiabilityWarning, match="separation"):
        return lgm.model("y ~ arm + (1|g)" if grouped else "y ~ arm", data, "bernoulli", priors=given)


@cache
def settled(grouped=False, approximation="auto"):
    model = arms(grouped)
    start = starts(model.design, model.chosen_priors.theta)
    return settle(model.analysed.marginal, start, model.analysed.basis, approximation, 1)


@cache
def by_grid(grouped, sd):
    """``log p(y | sd)`` and the moments of intercept and arm, by sums over a grid of both, and one of each group."""
    frame = arms(grouped).design.scope.frame
    b, c = np.linspace(-20.0, 14.0, 171), np.linspace(-62.0, 16.0, 196)
    t = np.linspace(-8.0, 8.0, 81) if grouped else np.zeros(1)
    prior = -0.5 * t**2 - 0.5 * np.log(2 * np.pi) + np.log(t[1] - t[0]) if grouped else np.zeros(1)
    level = b[:, None] + sd * t  # (b, t)
    nothing = log_expit(-c[:, None] - level.ravel()).reshape(c.size, b.size, t.size)
    total = (
        -0.5 * (c[:, None] / ARM_SD) ** 2 - 0.5 * (b / INTERCEPT_SD) ** 2 - np.log(2 * np.pi * ARM_SD * INTERCEPT_SD)
    )
    control = frame[frame["arm"] == 0].groupby("g" if grouped else "arm")["y"]
    for (ones, rows), times in pd.Series(zip(control.sum(), control.size(), strict=True)).value_counts().items():
        height = ones * log_expit(level) + (rows - ones) * log_expit(-level) + prior
        total = total + times * logsumexp(height + rows * nothing, axis=2)  # as many rows in the other arm
    p = np.exp(total - logsumexp(total))
    value = logsumexp(total) + np.log((b[1] - b[0]) * (c[1] - c[0]))
    moments = [(q @ x, np.sqrt(q @ x**2 - (q @ x) ** 2)) for q, x in ((p.sum(axis=0), b), (p.sum(axis=1), c))]
    return value, *moments


def _batches(post, theta, z):
    return jax.vmap(log_likelihood_and_effects, (None, None, 0))(post, theta, z)


def away(post, grouped, sd):
    """Density, means and sds by many batches of few pairs, from those of the grid, in their own Monte Carlo errors."""
    value, *stored = by_grid(grouped, sd)
    theta = np.array([sd] if grouped else [])
    with jax.enable_x64(True):
        z = jax.random.normal(jax.random.key(2), (BATCHES, post.n_normals, PAIRS))
        found, effects = jax.tree.map(np.asarray, jit(_batches)(post, jnp.asarray(theta), z))
    weights = np.exp(found - value)
    drawn = np.stack([arms(grouped).analysed.natural(one.T)[:, :2] for one in effects.draws])
    ratios = [weights - 1.0]
    for j, (mean, spread) in enumerate(stored):
        standard = (drawn[:, :, j] - mean) / spread
        ratios += [weights * standard.mean(axis=1), weights * (np.square(standard) - 1.0).mean(axis=1)]
    return [each.mean() / (each.std(ddof=1) / np.sqrt(BATCHES)) for each in ratios], weights.std()


@pytest.mark.parametrize(("grouped", "approximation"), [(False, "weighted"), (True, "quadrature")])
def test_density_and_effects_are_those_of_a_grid(grouped, approximation):
    """Weighted by what each batch finds, draws have the expectations of the grid: within four Monte Carlo errors."""
    post, _, rung = settled(grouped, approximation)
    assert rung.facts["long_tails"] == 1
    found, spread = away(post, grouped, 2.0)
    assert np.all(np.abs(found) < 4.0), np.round(found, 2)
    without, wide = away(replace(post, data=replace(post.data, tails=None)), grouped, 2.0)
    assert wide > 1.5 * spread
    if approximation == "quadrature":  # few of its points get into the tail at all, and their weights do not tell
        assert np.max(np.abs(without)) > 4.0


@jit
def _inside(post, theta, z):
    """The normal approximation, what it says of the arms, and points before and after they follow its tail."""
    inner, start = post.data.at(post.prior, post.analysis, theta)
    found = moments(inner, start)
    _, own = points.stretched(inner, found, post.data.tails)
    lean = stretch.leaning(inner, found, jnp.eye(post.dim), np.zeros(0, dtype=int))
    ahead = [jnp.stack([found.v + x * axis for axis in own.axes.T], axis=1) for x in (-2e-3, -1e-3, 1e-3, 2e-3)]
    third = (np.array([-0.5, 1.0, -1.0, 0.5]) @ jnp.stack([inner.joint(v) for v in ahead])) / 1e-9
    narrow = jnp.sum(own.axes * (inner.times(own.axes)), axis=0)
    jacobian = jax.vmap(jax.jacfwd(lambda x: own.moved(x[:, None])[0][:, 0]), 1)(z)
    return own, lean, third, narrow, own.moved(z), jnp.linalg.slogdet(jacobian)[1]


def test_the_map_the_direction_and_its_widths():
    """Against the determinant of its Jacobian, the arm's linear predictor, and third differences of the density."""
    post = settled()[0]
    with jax.enable_x64(True):
        z = jax.random.normal(jax.random.key(1), (post.dim, 64))
        found = jax.tree.map(np.asarray, _inside(post, jnp.zeros(0), z))
    own, lean, third, narrow, (moved, gained), logdet = found
    np.testing.assert_allclose(gained, logdet, atol=1e-9)
    assert np.ptp(gained) > 0.3  # it differs between the sides
    change = moved - np.asarray(z)
    np.testing.assert_allclose(change - own.axes @ (np.linalg.pinv(own.axes) @ change), 0.0, atol=1e-12)
    np.testing.assert_allclose(lean.functionals / lean.functionals[0], 1.0, rtol=1e-3)  # intercept and arm
    np.testing.assert_allclose(np.abs(lean.third), np.abs(third[0]), rtol=1e-3)
    assert np.abs(third[0]) > 2.0
    assert own.widths.min() == stretch.NARROWEST and 1.5 < own.widths.max() < narrow[0] ** -0.5
