"""Compound symmetry against matrices written down entry by entry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import rounding

from lgm.precision.correlated import Correlated
from lgm.precision.exchangeable import Exchangeable


def dense(q, r):
    C = np.full((q, q), r)
    np.fill_diagonal(C, 1.0)
    return C


@pytest.mark.parametrize(("q", "r"), [(2, 0.6), (2, -0.9), (3, -0.45), (5, 0.0), (7, 0.95), (12, -0.08)])
def test_inverse_and_determinant(q, r):
    C = dense(q, r)
    with jax.enable_x64(True):
        inverse, logdet = Exchangeable().inverse({"rho": jnp.array([r])}, q)
        slope = jax.grad(lambda rho: Exchangeable().inverse({"rho": rho}, q)[1])(jnp.array([r]))
    tolerance = rounding(q, C) * np.linalg.norm(np.linalg.inv(C), 2)
    np.testing.assert_allclose(inverse, np.linalg.inv(C), rtol=0, atol=tolerance)
    np.testing.assert_allclose(logdet, np.linalg.slogdet(C)[1], rtol=0, atol=q * tolerance)
    ones = np.ones((q, q)) - np.eye(q)
    np.testing.assert_allclose(slope, np.sum(np.linalg.inv(C) * ones), rtol=0, atol=q * q * tolerance)


@pytest.mark.parametrize(("q", "r"), [(3, -0.5), (3, -0.6), (4, 1.0), (4, 1.2)])
def test_no_correlation_matrix_is_nan(q, r):
    with jax.enable_x64(True):
        inverse, logdet = Exchangeable().inverse({"rho": jnp.array([r])}, q)
    assert np.isnan(logdet) and np.all(np.isnan(inverse))


def test_matrices_of_many_draws():
    found = Exchangeable().matrix({"rho": np.array([[0.3], [-0.2]])}, 4)
    np.testing.assert_array_equal(found, [dense(4, 0.3), dense(4, -0.2)])


def test_one_sd_for_all_effects():
    template = Correlated(2, 3, Exchangeable())
    with jax.enable_x64(True):
        found = template.whiten({"sd": jnp.array([2.0]), "rho": jnp.array([0.5])})
    assert np.asarray(found.scale).tolist() == [2.0] * 6
    np.testing.assert_allclose(
        template.pattern.matrix(found.values).toarray(), np.kron(np.eye(2), np.linalg.inv(dense(3, 0.5))), atol=1e-14
    )
    np.testing.assert_allclose(found.logdet, -2.0 * np.linalg.slogdet(dense(3, 0.5))[1], atol=1e-14)
