"""Small dense matrices: inverse, determinant and root against NumPy, and the rule for their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import rounding

from lgm.linalg.small import factor, roots


def matrix(n, seed=0):
    half = np.random.default_rng(seed).standard_normal((n, n))
    return half @ half.T + np.eye(n)


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_inverse_determinant_and_root(n):
    C = matrix(n)
    with jax.enable_x64(True):
        found = factor(jnp.asarray(C))
    tolerance = rounding(max(n, 1), C)
    np.testing.assert_allclose(found.inverse @ C, np.eye(n), rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.logdet, np.linalg.slogdet(C)[1], rtol=0, atol=n * tolerance)
    np.testing.assert_allclose(found.root @ C @ found.root.T, np.eye(n), rtol=0, atol=tolerance)
    np.testing.assert_array_equal(np.triu(found.root, 1), 0.0)


def test_only_the_lower_triangle_is_read():
    C = matrix(4)
    with jax.enable_x64(True):
        whole, lower = factor(jnp.asarray(C)), factor(jnp.asarray(np.tril(C)))
    for one, other in zip(whole, lower, strict=True):
        np.testing.assert_array_equal(one, other)


def test_derivatives_along_a_symmetric_direction():
    """Central differences: their error is of the order of step^2, and rounding over step."""
    C, direction = matrix(4), matrix(4, seed=1)
    step = np.finfo(float).eps ** (1 / 3)
    with jax.enable_x64(True):
        slope = jax.jvp(factor, (jnp.asarray(C),), (jnp.asarray(direction),))[1]
        up, down = (factor(jnp.asarray(C + sign * step * direction)) for sign in (1, -1))
    for ours, above, below in zip(slope, up, down, strict=True):
        np.testing.assert_allclose(ours, (above - below) / (2 * step), rtol=0, atol=1e3 * step**2)


def test_the_gradient_of_the_log_determinant_is_the_inverse():
    C = matrix(5)
    with jax.enable_x64(True):
        gradient = jax.grad(lambda c: factor(c).logdet)(jnp.asarray(C))
    np.testing.assert_allclose(gradient, np.linalg.inv(C), rtol=0, atol=rounding(5, C))


def test_not_positive_definite_is_nan():
    with jax.enable_x64(True):
        found = factor(jnp.asarray([[1.0, 2.0], [2.0, 1.0]]))
    assert np.isnan(found.logdet) and np.all(np.isnan(found.inverse))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_roots_of_many(n):
    own = np.random.default_rng(n).normal(size=(5, n, n + 2))
    c = own @ own.swapaxes(1, 2)
    with jax.enable_x64(True):
        found = np.asarray(roots(jnp.asarray(c)))
        spoiled = np.asarray(roots(jnp.asarray(-c[:1])))
    np.testing.assert_allclose(found, np.linalg.inv(np.linalg.cholesky(c)), rtol=1e-11, atol=1e-13)
    assert np.all(np.triu(found, 1) == 0.0) and np.isnan(spoiled[0, -1, -1])
