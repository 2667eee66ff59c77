"""The structure of a seasonal pattern, row by row from its definition (Rue & Held 2005, sec. 3.4.3)."""

import numpy as np
import pytest
from dense_model import EPS, rounding, scaled_covariance, seasonal_structure
from hypothesis import given, settings
from hypothesis import strategies as st

from lgm.precision.intrinsic import intrinsic_moments
from lgm.precision.seasonal import contrasts, seasonal

CASES = [(2, 2), (3, 2), (9, 2), (4, 3), (5, 4), (13, 4), (16, 7), (24, 12), (25, 12), (60, 12)]
cases = pytest.mark.parametrize(("n", "period"), CASES)


def dense(n, period):
    structure = seasonal(n, period)
    return structure, structure.pattern.matrix(structure.entries).toarray()


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 9), st.integers(0, 20))
def test_the_matrix_is_that_of_its_sums(period, more):
    """Small whole numbers: exact."""
    n = period + more
    structure, R = dense(n, period)
    np.testing.assert_array_equal(R, seasonal_structure(n, period))
    # nothing is stored that the definition does not have: entries within one period of the diagonal
    lag = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    np.testing.assert_array_equal(R != 0, lag < period)
    assert structure.n == n and structure.pattern.nnz == np.count_nonzero(np.tril(R))


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 9), st.integers(0, 20))
def test_null_space_is_that_of_patterns_that_repeat_and_add_up_to_zero(period, more):
    n = period + more
    structure, R = dense(n, period)
    null_space = structure.constraint.null_space.toarray()
    assert null_space.shape == (n, period - 1)
    np.testing.assert_array_equal(R @ null_space, 0.0)
    np.testing.assert_array_equal(null_space[period:], null_space[:-period])
    np.testing.assert_array_equal(null_space[:period].sum(axis=0), 0.0)
    # rank n - m + 1, and the null space is all of it
    assert np.linalg.matrix_rank(R) == n - period + 1
    assert np.linalg.matrix_rank(null_space) == period - 1


@cases
def test_anchors_make_it_positive_definite(n, period):
    structure, R = dense(n, period)
    anchors = structure.constraint.anchors
    assert anchors.size == period - 1 == np.unique(anchors).size
    assert np.linalg.matrix_rank(structure.constraint.null_space.toarray()[anchors]) == period - 1
    R[anchors, anchors] += R.diagonal().mean()
    assert np.linalg.eigvalsh(R).min() > 1e-3 / n**2


@cases
def test_moments(n, period):
    """Variances of the constrained Gaussian and ``log|R|*`` against eigenvalues."""
    structure, R = dense(n, period)
    variances, logdet = intrinsic_moments(structure)
    values, vectors = np.linalg.eigh(R)
    kept = slice(period - 1, None)
    bound = 10 * n * EPS * values[-1] / values[period - 1]
    np.testing.assert_allclose(variances, np.sum(vectors[:, kept] ** 2 / values[kept], axis=1), rtol=10 * bound)
    assert logdet == pytest.approx(np.log(values[kept]).sum(), abs=n * bound)


@cases
def test_scaled_to_a_typical_variance_of_one(n, period):
    structure, R = dense(n, period)
    template, factors = structure.scaled("seasonal")
    covariance, means = scaled_covariance(R, period - 1)
    scaled = template.pattern.matrix(template.entries).toarray()
    values = np.linalg.eigvalsh(scaled)[period - 1 :]
    bound = rounding(n) * values[-1] / values[0]
    np.testing.assert_allclose(factors, means, rtol=bound)
    np.testing.assert_allclose(scaled, factors[0] * R, rtol=rounding(n))
    np.testing.assert_allclose(np.exp(np.mean(np.log(np.diag(covariance)))), 1.0, rtol=bound)
    np.testing.assert_allclose(scaled @ covariance @ scaled, scaled, rtol=0, atol=bound * values[-1])
    assert float(template.log_det) == pytest.approx(np.log(values).sum(), abs=n * bound)


def test_contrasts_at_any_phase():
    """Whole times of any sign; the patterns do not depend on where the data begin."""
    found = contrasts(np.array([-1, 0, 1, 2, 3, 14]), 3)
    assert found.tolist() == [[-1, -1], [1, 0], [0, 1], [-1, -1], [1, 0], [-1, -1]]
    np.testing.assert_array_equal(contrasts(np.arange(-24, 0), 12), contrasts(np.arange(12, 36), 12))
    assert contrasts(np.arange(4), 2).ravel().tolist() == [1, -1, 1, -1]
