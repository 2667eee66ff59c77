"""The one direction of monotonic effects, by its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lgm.precision.monotonic import Monotonic


@pytest.mark.parametrize("steps", [2, 3, 7])
def test_covariance_rank_and_determinant(steps):
    """On the set where all v are equal, R is ``c^2`` for ``v = c``; along the unit vector ``c = 1 / sqrt(D)``."""
    shares = np.random.default_rng(steps).dirichlet(np.ones(steps))
    found = Monotonic(steps)
    with jax.enable_x64(True):
        at = found.whiten({"scale": jnp.array([1.3]), "simplex": jnp.asarray(shares)})
    R, constraint = np.diag(np.asarray(at.values)), found.constraint
    C = constraint.null_space.toarray()
    unit = np.ones(steps) / np.sqrt(steps)
    assert C.shape == (steps, steps - 1) and np.linalg.matrix_rank(C) == steps - 1
    np.testing.assert_array_equal(unit @ C, 0.0)
    assert float(at.logdet) == pytest.approx(np.log(unit @ R @ unit))
    up = steps * np.cumsum(shares)
    direction = np.asarray(at.scale) * unit
    np.testing.assert_allclose(np.outer(direction, direction) / (unit @ R @ unit), 1.69 * np.outer(up, up), rtol=1e-12)
    R[constraint.anchors, constraint.anchors] += 1.0
    assert np.linalg.eigvalsh(R).min() > 0


def test_one_step_has_no_shares():
    with jax.enable_x64(True):
        at = Monotonic(1).whiten({"scale": jnp.array([1.3])})
    assert (np.asarray(at.scale).tolist(), float(at.logdet)) == ([1.3], 0.0)
    assert Monotonic(1).constraint is None


def test_shares_of_zero_have_a_gradient():
    def last(shares):
        return Monotonic(3).whiten({"scale": jnp.array([2.0]), "simplex": shares}).scale @ jnp.array([1.0, 2.0, 3.0])

    with jax.enable_x64(True):
        slope = jax.grad(last)(jnp.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(slope, [36.0, 30.0, 18.0])
