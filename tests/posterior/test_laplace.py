"""Laplace's approximation and its weights against dense algebra, with constraints and without."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from oracles.laplace import Dense
from scipy import stats
from scipy.linalg import block_diag, null_space

import lgm
from lgm.families.poisson import Poisson
from lgm.inference.compile import jit
from lgm.inference.ladder import with_rung
from lgm.posterior import density
from lgm.posterior.approximation import approximate

PRIORS = {"Intercept": lgm.priors.normal(0.5, 2.0), "x": lgm.priors.normal(0.0, 1.0)}

_value_and_grad = jit(density.value_and_grad)
_effects = jit(density.log_likelihood_and_effects)
_second = jit(lambda post, theta, z: post.data.accuracy(post.prior, post.analysis, theta, np.eye(post.dim), z).second)
_gradient = jit(jax.grad(density.log_likelihood, argnums=1))


def walk():
    """Poisson counts along a walk, a constraint and a gap in its times included, and the same model densely."""
    t = np.array([0.0, 1, 2, 3, 5, 6, 7])
    x = np.array([0.3, -1.0, 0.4, 0.9, -0.2, 0.1, -0.8])
    y = np.array([2.0, 0, 3, 1, 4, 6, 2])
    data = pd.DataFrame({"y": y, "x": x, "t": t})
    model = lgm.model("y ~ x + rw1(t)", data, "poisson", priors=PRIORS)
    (factor,) = model.design.scales["rw1(t)"]
    difference = np.diff(np.eye(t.size), axis=0)
    structure = factor * difference.T @ np.diag(1 / np.diff(t)) @ difference
    free = null_space(np.ones((1, t.size)))

    def dense(sd):
        columns = np.column_stack([np.ones(t.size), x, free])
        cov = block_diag(4.0, 1.0, sd**2 * np.linalg.inv(free.T @ structure @ free))
        mean = np.concatenate([[0.5, 0.0], np.zeros(t.size - 1)])

        def logp(eta):
            return stats.poisson.logpmf(y.reshape(-1, *[1] * (eta.ndim - 1)), np.exp(eta))

        return Dense(logp, columns, mean, cov)

    return model, dense


@pytest.fixture(scope="module")
def constrained():
    return walk()


@pytest.mark.parametrize("sd", [0.0, 0.3, 2.0])
def test_value_under_a_constraint(constrained, sd):
    """An sd of zero is an ordinary point, close to a small one."""
    model, dense = constrained
    value = dense(max(sd, 1e-5)).laplace()
    assert model.log_likelihood({"sd(rw1(t))": sd}) == pytest.approx(value, rel=1e-9, abs=1e-8)


def test_gradient_is_that_of_the_value(constrained):
    model, _ = constrained
    post, sd, step = model.analysed.marginal, 0.7, 1e-3
    with jax.enable_x64(True):
        found = float(_gradient(post, jnp.array([sd]))[0])
    near = [model.log_likelihood({"sd(rw1(t))": sd + k * step}) for k in (-2, -1, 1, 2)]
    assert found == pytest.approx(np.dot([1 / 12, -2 / 3, 2 / 3, -1 / 12], near) / step, rel=1e-7)


def test_conditional_mean_and_its_shift(constrained):
    """The mode, and the first-order mean, by dense algebra."""
    model, dense = constrained
    sd = 0.7
    reference = dense(sd)
    u = reference.mode()
    s = np.linalg.inv(reference.precision(u))
    mu = np.exp(reference.A @ u)
    shift = s @ reference.A.T @ (-0.5 * mu * np.einsum("ij,jk,ik->i", reference.A, s, reference.A))
    free = reference.A[:, 2:]
    for rung, wanted in (("laplace", u), ("shifted", u + shift)):
        post = with_rung(model.analysed.marginal, rung, 1)
        with jax.enable_x64(True):
            _, effects = _effects(post, jnp.array([sd]), jnp.zeros((post.n_normals, 1)))
        found = model.analysed.natural(np.asarray(effects.mean))
        np.testing.assert_allclose(found[:2], wanted[:2], atol=1e-7)
        np.testing.assert_allclose(found[2:], free @ wanted[2:], atol=1e-7)


@pytest.fixture(scope="module")
def three():
    """Three effects, so that the integral is known: an intercept and two groups of few binary outcomes."""
    y, g = np.array([1.0, 1, 0, 0, 0]), np.array([0, 0, 0, 1, 1])
    priors = {"Intercept": lgm.priors.normal(0.5, 2.0)}
    model = lgm.model("y ~ 1 + (1|g)", pd.DataFrame({"y": y, "g": g}), "bernoulli", priors=priors)

    def dense(sd):
        columns = np.column_stack([np.ones(5), np.eye(2)[g]])

        def logp(eta):
            sign = (2.0 * y - 1.0).reshape(-1, *[1] * (eta.ndim - 1))
            return -np.logaddexp(0.0, -sign * eta)

        return Dense(logp, columns, np.array([0.5, 0.0, 0.0]), np.diag([4.0, sd**2, sd**2]))

    return model, dense


@pytest.mark.parametrize("sd", [0.5, 1.5])
def test_weights_are_an_unbiased_estimate(three, sd):
    """To four Monte Carlo errors, far less than what they correct."""
    model, dense = three
    post = with_rung(model.analysed.marginal, "weighted", 8)
    reference, plain = dense(sd).integral(reach=13.0, nodes=71), dense(sd).laplace()
    with jax.enable_x64(True):
        gains = []
        for seed in range(20):
            z = jax.random.normal(jax.random.key(seed), (post.n_normals, 256))
            value, effects = _effects(post, jnp.array([sd]), z)
            gains.append(float(value))
    ratio = np.exp(np.array(gains) - reference)
    error = ratio.std(ddof=1) / np.sqrt(ratio.size)
    assert abs(ratio.mean() - 1.0) < 4 * error
    assert error < 0.01 < abs(plain - reference)


def test_effects_are_those_of_the_posterior(three):
    """Means of weighted points, and of draws, against the integral over a grid."""
    model, dense = three
    sd, reference = 1.5, dense(1.5)
    z = np.linspace(-9.0, 9.0, 61)
    u = reference.mode()
    root = np.linalg.inv(np.linalg.cholesky(reference.precision(u))).T
    grid = u[:, None] + root @ np.stack(np.meshgrid(z, z, z, indexing="ij")).reshape(3, -1)
    w = np.exp(reference.joint(grid) - reference.joint(u))
    mean = grid @ w / w.sum()
    spread = np.sqrt((grid - mean[:, None]) ** 2 @ w / w.sum())
    post = with_rung(model.analysed.marginal, "weighted", 8)
    means, draws = [], []
    with jax.enable_x64(True):
        for seed in range(20):
            normals = jax.random.normal(jax.random.key(seed), (post.n_normals, 256))
            _, effects = _effects(post, jnp.array([sd]), normals)
            means.append(model.analysed.natural(np.asarray(effects.mean)))
            draws.append(model.analysed.natural(np.asarray(effects.draws).T))
    error = np.std(means, axis=0, ddof=1) / np.sqrt(20)
    assert np.all(np.abs(np.mean(means, axis=0) - mean) < 4 * error + 1e-3 * spread)
    drawn = np.concatenate(draws)
    assert np.all(np.abs(drawn.mean(axis=0) - mean) < 4 * spread / np.sqrt(len(drawn) / 2))  # weights cost some
    np.testing.assert_allclose(drawn.std(axis=0), spread, rtol=4 / np.sqrt(len(drawn)))
    assert np.any(np.abs(u - mean) > 0.1 * spread)  # which the mode is not


def test_the_second_order_term(constrained):
    """The formula of Shun & McCullagh by dense algebra; its sum over pairs of rows is an average over draws."""
    model, dense = constrained
    sd, m = 0.7, 6000
    reference = dense(sd)
    u, a = reference.mode(), reference.A
    s = a @ np.linalg.inv(reference.precision(u)) @ a.T
    third = -np.exp(a @ u)  # and so is the fourth
    push = 0.5 * a.T @ (third * np.diag(s))
    known = np.sum(third * np.diag(s) ** 2) / 8 + 0.5 * push @ np.linalg.solve(reference.precision(u), push)
    rng = np.random.default_rng(5)
    x, y, z = np.linalg.cholesky(s + 1e-14 * np.eye(7)) @ rng.standard_normal((3, 7, m // 3))
    error = np.std((third @ (x * y * z)) ** 2) / np.sqrt(m // 3) / 12
    post = with_rung(model.analysed.marginal, "weighted", 8)
    with jax.enable_x64(True):
        normals = jax.random.normal(jax.random.key(1), (post.n_normals, m))
        second = float(_second(post, jnp.array([sd]), normals))
    assert abs(second - known - third @ s**3 @ third / 12) < 4 * error < 0.5 * abs(second)


def test_where_nothing_is_defined(constrained):
    model, _ = constrained
    with jax.enable_x64(True):
        value, grad = map(np.asarray, _value_and_grad(model.analysed.marginal, jnp.array([jnp.nan])))
    assert value == -np.inf and np.all(grad == 0.0)


def test_a_batch_is_its_elements(constrained):
    model, _ = constrained
    post, sds = model.analysed.marginal, np.array([[0.2], [0.9], [3.0]])
    with jax.enable_x64(True):
        together = np.asarray(jax.jit(jax.vmap(density.log_likelihood, (None, 0)))(post, sds))
    alone = [model.log_likelihood({"sd(rw1(t))": float(sd[0])}) for sd in sds]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@dataclass(frozen=True)
class Slow(Poisson):
    """The same, unknown to the kernel."""

    kernel = None


@pytest.fixture(scope="module")
def post():
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(6), 5)
    frame = pd.DataFrame({"g": g.astype(str), "y": rng.poisson(np.exp(0.3 + rng.normal(size=6)[g]))})
    return lgm.model("y ~ (1|g)", frame, family="poisson").analysed.marginal


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_the_kernel_finds_what_jax_finds(post):
    thetas = np.array([[0.7], [1.5], [0.0]])
    slow = replace(post, data=replace(post.data, family=Slow()))
    both = jax.jit(jax.vmap(jax.value_and_grad(density.log_likelihood, 1), (None, 0)))
    values, slopes = both(post, thetas)
    wanted, wanted_slopes = both(slow, thetas)
    np.testing.assert_allclose(values, wanted, rtol=1e-12)
    np.testing.assert_allclose(slopes, wanted_slopes, rtol=1e-7, atol=1e-9)


@pytest.mark.usefixtures("x64")
def test_a_start_changes_the_effort_and_not_the_result(post):
    theta = np.array([0.7])
    near = density.started(post, theta)
    value = jax.jit(density.log_likelihood)
    for other in (theta, theta * 1.3, theta * 20.0):
        np.testing.assert_allclose(value(near, other), value(post, other), rtol=1e-12)

    find = jax.jit(lambda post, theta: approximate(*post.data.at(post.prior, post.analysis, theta))[0])

    def mode(at):
        return np.asarray(find(post, theta * np.exp(at)))

    h, start = 1e-4, near.data.start  # type: ignore[attr-defined]
    np.testing.assert_allclose(start.v, mode(0.0), atol=1e-9)
    np.testing.assert_allclose(start.slopes[:, 0], (mode(h) - mode(-h)) / (2.0 * h), atol=1e-6)
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(one)] for one in (near, post)]
    assert shapes[0] == shapes[1]  # so that compiled functions serve both
