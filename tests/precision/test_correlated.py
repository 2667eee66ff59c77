"""Correlated effects against Kronecker products."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import correlation, rounding

from lgm.precision.correlated import LEAST_VARIANCE, Correlated, correlation_matrix

CASES = [(1, 2, [0.6]), (4, 2, [-0.3]), (3, 3, [0.5, -0.2, 0.4]), (2, 4, [0.1, 0.2, 0.3, -0.1, 0.0, 0.5])]


def whitened(template, corr):
    return template.whiten({"sd": jnp.ones(template.q), "corr": corr})


def test_correlations_are_ordered_row_by_row():
    with jax.enable_x64(True):
        found = correlation_matrix(jnp.array([0.1, 0.2, 0.3]), 3)
    assert np.asarray(found).tolist() == [[1.0, 0.1, 0.2], [0.1, 1.0, 0.3], [0.2, 0.3, 1.0]]


@pytest.mark.parametrize(("levels", "q", "corr"), CASES)
def test_kronecker_product(levels, q, corr):
    template = Correlated(levels, q)
    assert template.n == levels * q
    C = correlation(corr, q)
    with jax.enable_x64(True):
        _, values, log_det = whitened(template, jnp.array(corr))
    whole = np.kron(np.eye(levels), C)
    tolerance = rounding(q, C) * np.linalg.norm(np.linalg.inv(C), 2)
    np.testing.assert_allclose(template.pattern.matrix(values).toarray(), np.linalg.inv(whole), rtol=0, atol=tolerance)
    np.testing.assert_allclose(log_det, -np.linalg.slogdet(whole)[1], rtol=0, atol=levels * tolerance)


def test_no_correlation_matrix_is_nan():
    with jax.enable_x64(True):
        assert np.isnan(whitened(Correlated(2, 3), jnp.array([0.9, 0.9, -0.9])).logdet)


@pytest.mark.parametrize(("ahead", "fine"), [(1.1, True), (0.9, False)])
@pytest.mark.parametrize("q", [2, 3])
def test_a_nearly_singular_matrix_is_nan(q, ahead, fine):
    """``1 - r^2`` is the variance of the first effect given the second."""
    r = np.sqrt(1.0 - ahead * LEAST_VARIANCE)
    template = Correlated(2, q)
    with jax.enable_x64(True):
        corr = jnp.array([r, 0.0, 0.0][: q * (q - 1) // 2])
        _, values, log_det = jax.jit(lambda corr: whitened(template, corr))(corr)
        slope = jax.grad(lambda corr: whitened(template, corr).logdet)(corr)
    assert np.all(np.isfinite(values)) == np.isfinite(log_det) == np.all(np.isfinite(slope)) == fine
