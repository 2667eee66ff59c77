"""Toeplitz correlations by partial autocorrelations, which are computed here by regression on what is between."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import rounding
from scipy.linalg import toeplitz

from lgm.precision.toeplitz import Toeplitz, correlations

CASES = [[0.6], [-0.7, 0.3], [0.5, -0.4, 0.8], [0.9, 0.1, -0.2, 0.05, 0.6]]


def partial(C):
    """Correlation of the first and each later effect once those between are known."""
    found = []
    for k in range(1, len(C)):
        inverse = np.linalg.inv(C[: k + 1, : k + 1])
        found.append(-inverse[0, k] / np.sqrt(inverse[0, 0] * inverse[k, k]))
    return found


@pytest.mark.parametrize("pacf", CASES, ids=len)
def test_inverse_and_determinant(pacf):
    q = len(pacf) + 1
    C = toeplitz([1.0, *correlations(np.array(pacf))])
    np.testing.assert_allclose(partial(C), pacf, rtol=0, atol=rounding(q, C))
    with jax.enable_x64(True):
        inverse, logdet = Toeplitz().inverse({"pacf": jnp.array(pacf)}, q)
        matrix = Toeplitz().matrix({"pacf": jnp.array(pacf)}, q)
    tolerance = rounding(q, C) * np.linalg.norm(np.linalg.inv(C), 2)
    np.testing.assert_allclose(matrix, C, rtol=0, atol=1e-15)
    np.testing.assert_allclose(inverse, np.linalg.inv(C), rtol=0, atol=tolerance)
    np.testing.assert_allclose(logdet, np.linalg.slogdet(C)[1], rtol=0, atol=q * tolerance)


def test_gradient():
    pacf = np.array([0.5, -0.4, 0.2])

    def log_det(p):
        return np.linalg.slogdet(toeplitz([1.0, *correlations(p)]))[1]

    with jax.enable_x64(True):
        slope = jax.grad(lambda p: Toeplitz().inverse({"pacf": p}, 4)[1])(jnp.asarray(pacf))
    wanted = [(log_det(pacf + h) - log_det(pacf - h)) / 2e-6 for h in 1e-6 * np.eye(3)]
    np.testing.assert_allclose(slope, wanted, atol=1e-8)


def test_matrices_of_many_draws():
    found = Toeplitz().matrix({"pacf": np.array([[0.5, 0.0], [0.2, -0.3]])}, 3)
    assert found.shape == (2, 3, 3)
    np.testing.assert_allclose(found[0], toeplitz([1.0, 0.5, 0.25]), rtol=1e-15)


def test_outside_is_nan():
    with jax.enable_x64(True):
        assert np.isnan(Toeplitz().inverse({"pacf": jnp.array([0.2, 1.1])}, 3)[1])
