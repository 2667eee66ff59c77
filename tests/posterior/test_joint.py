"""Theta and effects together: the density against dense algebra, its gradient, its coordinates at the mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from dense_model import constraints
from oracles.small import walk
from scipy import stats
from scipy.linalg import null_space

import lgm
from lgm import priors
from lgm.inference.compile import jit
from lgm.inference.coordinates import value_and_grad
from lgm.inference.joint import joint

X, ROOT = np.array([-0.4]), np.array([[0.6]])  # about the mode of a log sd, and its scale

_value_and_grad = jit(value_and_grad)
_drawn = jit(lambda target, z: target.drawn(z))
_parts = jit(
    lambda post, theta, v: (
        post.data.given(post.analysis, theta, post.prior.whiten(theta).scale * v),
        post.prior.log_density(post.prior.whiten(theta), post.analysis, v),
    )
)


@pytest.fixture(scope="module")
def walked():
    """A Poisson walk, which has a constraint, and its density in coordinates about a theta near the mode."""
    model, dense = walk()
    return model, dense, joint(model.analysed.marginal, np.array([-0.4]), np.array([[0.6]]))


@pytest.fixture(scope="module")
def gaussian():
    """Two groups of one factor, an autoregression and sigma."""
    t = np.array([0.0, 1, 2, 3, 4, 5])
    data = pd.DataFrame({"y": [0.3, -1.0, 0.4, 0.9, -0.2, 1.4], "t": t, "g": list("aababb")})
    held = {"Intercept": priors.normal(0.2, 2.0), "rho": priors.uniform(-0.9, 0.95)}
    model = lgm.model("y ~ 1 + (1|g) + ar1(t)", data, priors=held)
    return model, t, data, joint(model.analysed.marginal, np.array([-0.2, -0.5, 0.3, 0.1]), 0.5 * np.eye(4))


def within(post):
    """An orthonormal basis of the whitened effects that constraints allow."""
    return null_space(constraints(post).T)


def test_it_is_the_dense_density(walked):
    """Of ``y`` and effects at a theta, all constants included."""
    model, dense, _ = walked
    post, sd = model.analysed.marginal, 0.7
    v = within(post) @ np.random.default_rng(1).normal(size=post.dim - 1)
    with jax.enable_x64(True):
        likelihood, prior = map(float, _parts(post, np.array([sd]), v))
        scale = np.asarray(post.prior.whiten(jnp.array([sd])).scale)
    at, u = dense(sd), model.analysed.natural(scale * v)
    free = np.concatenate([u[:2], at.A[:, 2:].T @ u[2:]])
    assert likelihood == pytest.approx(float(np.sum(at.logp(at.A @ free))), abs=1e-10)
    reference = stats.multivariate_normal(at.mean, at.cov).logpdf(free)
    # v has the scale of the basis for fixed effects and 1 / sd for others
    moved = np.linalg.slogdet(model.analysed.basis)[1] + (free.size - 2) * np.log(sd)
    assert prior == pytest.approx(reference + moved, abs=1e-10)


def test_it_is_the_dense_density_of_a_gaussian_response(gaussian):
    model, t, data, _ = gaussian
    post = model.analysed.marginal
    assert model.design.theta_names == ("sd(Intercept|g)", "sd(ar1(t))", "rho(ar1(t))", "sigma")
    theta = np.array([0.8, 0.5, 0.3, 1.2])
    v = np.random.default_rng(2).normal(size=post.dim)
    with jax.enable_x64(True):
        likelihood, prior = map(float, _parts(post, theta, v))
        scale = np.asarray(post.prior.whiten(jnp.asarray(theta)).scale)
    u = model.analysed.natural(scale * v)
    eta = u[0] + u[1:3][np.array([0, 0, 1, 0, 1, 1])] + u[3:]
    assert likelihood == pytest.approx(float(np.sum(stats.norm.logpdf(data["y"], eta, 1.2))), abs=1e-10)
    series = 0.25 * 0.3 ** np.abs(np.subtract.outer(t, t))
    reference = stats.norm.logpdf(u[0], 0.2, 2.0) + np.sum(stats.norm.logpdf(u[1:3], 0.0, 0.8))
    reference += stats.multivariate_normal(np.zeros(6), series).logpdf(u[3:])
    moved = np.linalg.slogdet(model.analysed.basis)[1] + 2 * np.log(0.8) + 6 * np.log(0.5)
    assert prior == pytest.approx(float(reference) + moved, abs=1e-10)


def test_coordinates_leave_the_density_what_it_is(walked):
    """Beside that of theta and effects: a volume element, and the normal density of what the constraint takes.

    Up to a constant, which is the same everywhere.
    """
    model, _, target = walked
    post, basis = model.analysed.marginal, within(model.analysed.marginal)
    values, rng = [], np.random.default_rng(3)
    for _ in range(3):
        z = 1.5 * rng.standard_normal(target.size)
        with jax.enable_x64(True):
            theta, u = map(np.asarray, _drawn(target, z))
            scale = np.asarray(post.prior.whiten(jnp.asarray(theta)).scale)
            by_z = np.array([np.asarray(_drawn(target, z + e)[1]) - u for e in np.eye(target.size)[1:]])  # linear
            parts = [float(part) for part in _parts(post, theta, u / scale)]
            hyper = float(post.hyper.log_prior_working(jnp.log(jnp.asarray(theta))))
            volume = (by_z / scale) @ basis  # of the free effects
            along = np.concatenate([[0.0], null_space(volume.T)[:, 0]])  # in which effects stay
            low, value, high = (float(_value_and_grad(target, z + side * along)[0]) for side in (-1.0, 0.0, 1.0))
        precision, slope = 2.0 * value - low - high, 0.5 * (high - low)
        normal = 0.5 * np.log(precision) - 0.5 * slope**2 / precision
        values.append(value - sum(parts) - hyper - np.sum(np.log(np.linalg.svd(volume)[1])) - normal)
    np.testing.assert_allclose(values, values[0], rtol=0, atol=1e-9)


def test_its_gradient_is_that_of_differences(walked, gaussian):
    step = 1e-5
    for target in (walked[-1], gaussian[-1]):
        z = np.random.default_rng(4).standard_normal(target.size)
        with jax.enable_x64(True):
            grad = np.asarray(_value_and_grad(target, z)[1])
            ends = np.array(
                [[float(_value_and_grad(target, z + side * step * e)[0]) for side in (1, -1)] for e in np.eye(z.size)]
            )
        np.testing.assert_allclose(grad, (ends[:, 0] - ends[:, 1]) / (2.0 * step), rtol=1e-6, atol=1e-7)


def test_coordinates_are_white_at_the_centre(gaussian):
    """Where the response is Gaussian, effects given theta there are standard normal in them."""
    target = gaussian[-1]
    units = np.vstack([np.zeros(target.size), np.eye(target.size)[4:]])
    with jax.enable_x64(True):
        grads = [np.asarray(_value_and_grad(target, z)[1])[4:] for z in units]
    np.testing.assert_allclose(grads[0], 0.0, atol=1e-8)
    np.testing.assert_allclose(grads[1:], -np.eye(target.size - 4), atol=1e-8)


def test_effects_stay_within_the_constraints(walked):
    target = walked[-1]
    with jax.enable_x64(True):
        _, u = _drawn(target, 2.0 * np.random.default_rng(5).standard_normal(target.size))
    assert abs(np.sum(np.asarray(u)[2:])) < 1e-10


def test_scales_follow_standard_deviations_to_both_ends():
    """Of effects that no other touches they are those of their precision, from the prior's to the data's."""
    data = pd.DataFrame({"y": np.arange(12) % 3, "g": np.repeat(np.arange(6), 2)})
    held = {"sigma": priors.constant(1.0), "sd": priors.exponential(1.0)}
    model = lgm.model("y ~ 0 + (1|g)", data, priors=held)
    target = joint(model.analysed.marginal, np.array([0.0]), np.eye(1))
    with jax.enable_x64(True):
        for sd in (1e-3, 0.5, 20.0):
            theta = jnp.array([sd, 1.0])
            found = target._root(theta, target.post.prior.whiten(theta))
            np.testing.assert_allclose(found, np.sqrt((1.0 + 2.0 * sd**2) / 3.0), rtol=1e-10)
