"""Dense algebra against NumPy: values, derivatives, batches, and NaN where a matrix is not positive definite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from dense_model import rounding

from lgm import linalg
from lgm.pattern import Pattern

SIZES = [1, 2, 9]


def case(n, seed=1):
    """A random sparse positive definite matrix: its analysis, values in pattern order, and the matrix."""
    rng = np.random.default_rng(seed)
    half = sp.random_array((n, n), density=0.4, rng=rng)
    matrix = sp.csc_array(half @ half.T + sp.eye_array(n))
    sym = linalg.analyse_dense(matrix)
    return sym, sym.values(matrix), matrix.toarray()


def other(n, shape, seed=2):
    return np.random.default_rng(seed).standard_normal((n, *shape))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("shape", [(), (1,), (3,)], ids=str)
def test_solve_and_logdet(n, shape):
    sym, values, Q = case(n)
    b = other(n, shape)
    tolerance = rounding(n, Q) * np.abs(b).max()
    x, log_det = np.linalg.solve(Q, b), np.linalg.slogdet(Q)[1]
    with jax.enable_x64(True):
        np.testing.assert_allclose(linalg.solve(sym, values, b), x, rtol=0, atol=tolerance)
        np.testing.assert_allclose(linalg.logdet(sym, values), log_det, rtol=0, atol=rounding(n, Q) * n)
        found = linalg.logdet_quad(sym, values, b)
    for ours, wanted in zip(found, (log_det, b.T @ x, x), strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=n * (1.0 + np.abs(b).max()) * tolerance)


@pytest.mark.parametrize("n", SIZES)
def test_inverse(n):
    sym, values, Q = case(n)
    inverse = np.linalg.inv(Q)
    with jax.enable_x64(True):
        chosen = linalg.selected_inverse(sym, values)
        variances = linalg.marginal_variances(sym, values)
    np.testing.assert_allclose(chosen, inverse[sym.pattern.rows, sym.pattern.cols], rtol=0, atol=rounding(n, Q))
    np.testing.assert_allclose(variances, np.diag(inverse), rtol=0, atol=rounding(n, Q))


def test_sampling_is_a_square_root_of_the_inverse():
    """With the identity for the standard normals, ``w w' = Q^-1``."""
    sym, values, Q = case(9)
    b = other(9, (2,))
    with jax.enable_x64(True):
        log_det, x, drawn = linalg.solve_and_sample(sym, values, b, jnp.eye(9))
    w = np.asarray(drawn)
    np.testing.assert_allclose(w @ w.T, np.linalg.inv(Q), rtol=0, atol=rounding(9, Q))
    np.testing.assert_allclose(x, np.linalg.solve(Q, b), rtol=0, atol=rounding(9, Q) * np.abs(b).max())
    np.testing.assert_allclose(log_det, np.linalg.slogdet(Q)[1], rtol=0, atol=9 * rounding(9, Q))


def test_sample_has_shape_mean_and_covariance():
    """``(x - mean)'Q(x - mean)`` summed over the draws is chi-square with ``draws n`` degrees of freedom."""
    sym, values, Q = case(4)
    mean = np.array([5.0, -1.0, 0.0, 2.0])
    with jax.enable_x64(True):
        draws = np.asarray(linalg.sample(sym, values, jax.random.key(3), mean, (50, 40)))
        one = linalg.sample(sym, values, jax.random.key(3))
    assert draws.shape == (50, 40, 4)
    assert one.shape == (4,)
    centred = draws.reshape(-1, 4) - mean
    scatter = np.linalg.cholesky(Q).T @ (centred.T @ centred / 2000) @ np.linalg.cholesky(Q)
    np.testing.assert_array_less(np.abs(centred.mean(axis=0)), 4 * np.sqrt(np.diag(np.linalg.inv(Q)) / 2000))
    np.testing.assert_array_less(np.abs(scatter - np.eye(4)), 4 * np.sqrt((1 + np.eye(4)) / 2000))


def test_derivative_of_logdet_is_the_selected_inverse():
    """``d log|Q| / dQ_ij``: an off-diagonal value stands for two entries."""
    sym, values, Q = case(9)
    with jax.enable_x64(True):
        gradient = jax.grad(lambda v: linalg.logdet(sym, v))(jnp.asarray(values))
        twice = jnp.where(sym.pattern.rows == sym.pattern.cols, 1.0, 2.0)
        wanted = twice * linalg.selected_inverse(sym, values)
    np.testing.assert_allclose(gradient, wanted, rtol=0, atol=2 * rounding(9, Q))


def test_derivative_of_a_quadratic_form():
    """``d b'Q^-1 b = -x' dQ x + 2 x'db`` with ``x = Q^-1 b``."""
    sym, values, Q = case(9)
    b = other(9, ())
    with jax.enable_x64(True):
        quad = jax.grad(lambda v, b: linalg.logdet_quad(sym, v, b)[1], argnums=(0, 1))
        by_values, by_b = quad(jnp.asarray(values), jnp.asarray(b))
    x = np.linalg.solve(Q, b)
    rows, cols = sym.pattern.rows, sym.pattern.cols
    tolerance = rounding(9, Q) * b @ b
    np.testing.assert_allclose(by_values, -np.where(rows == cols, 1, 2) * x[rows] * x[cols], rtol=0, atol=tolerance)
    np.testing.assert_allclose(by_b, 2 * x, rtol=0, atol=tolerance)


def test_batches_equal_loops():
    sym, values, Q = case(9)
    batch, b = np.stack([values, 2 * values, 3 * values]), other(9, (2,))
    with jax.enable_x64(True):
        together = jax.jit(jax.vmap(lambda v: linalg.logdet_quad(sym, v, b)))(batch)
        apart = [linalg.logdet_quad(sym, v, b) for v in batch]
    for k, ours in enumerate(together):
        wanted = np.stack([part[k] for part in apart])
        np.testing.assert_allclose(ours, wanted, rtol=rounding(9, Q), atol=rounding(9, Q))


@pytest.mark.parametrize("values", [[1.0, 2.0, 1.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 1.0], [np.nan, 0.0, 1.0]], ids=str)
def test_not_positive_definite_is_nan(values):
    sym = linalg.analyse_dense(Pattern.from_entries(2, [1], [0]))
    with jax.enable_x64(True):
        found = linalg.logdet_quad(sym, jnp.asarray(values), jnp.ones(2))
        assert np.isnan(found[0])
        assert np.all(np.isnan(linalg.marginal_variances(sym, jnp.asarray(values))))


def test_analysis_looks_at_places_only():
    sym, values, Q = case(9)
    zeros = sp.csc_array(Q)
    zeros.data[:] = 0.0
    assert linalg.analyse_dense(zeros) == sym
    assert hash(linalg.analyse_dense(sym.pattern)) == hash(sym)
    np.testing.assert_array_equal(sym.values(sp.csc_array(Q)), values)
    assert sym.n == 9


def test_a_huge_factor_is_refused_before_its_memory_is_asked_for():
    diagonal = Pattern.diagonal(2_000_000)
    with pytest.raises(MemoryError, match=r"dense factor of this 2000000 x 2000000 matrix takes 2.98e\+04 GiB"):
        linalg.analyse_dense(diagonal)
    with pytest.raises(MemoryError, match="allowed"):
        linalg.analyse_dense(Pattern.diagonal(20), memory_limit=3199)
    assert linalg.analyse_dense(Pattern.diagonal(20), memory_limit=3200).n == 20
