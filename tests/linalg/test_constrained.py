"""A bordered precision against the same Gaussian written in a basis of the null space of its constraints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from dense_model import rounding
from scipy.linalg import null_space

from lgm import linalg
from lgm.linalg.constrained import Border, bordered, extended, normals
from lgm.pattern import Pattern

N = 8
CONSTRAINTS = {
    "none": np.zeros((0, N)),
    "sum": np.ones((1, N)),
    "two components": np.repeat(np.eye(2), [3, 5], axis=1),
    "constant and line": np.vstack([np.ones(N), np.arange(N) - 3.0]),
}
cases = pytest.mark.parametrize("seed", [1, 2])
kinds = pytest.mark.parametrize("kind", CONSTRAINTS)
kappas = pytest.mark.parametrize("kappa", [0.03, 1.0, 40.0])
backends = pytest.mark.parametrize("backend", ["sparse", "dense"])


class Case:
    """``H``, by default singular along the rows of C: the anchors alone make it positive definite."""

    def __init__(self, kind, seed, kappa, *, proper=False):
        rng = np.random.default_rng(seed)
        self.C = CONSTRAINTS[kind]
        k = len(self.C)
        self.basis = null_space(self.C) if k else np.eye(N)
        half = rng.standard_normal((N - k, N - k))
        self.H = self.basis @ (half @ half.T + np.eye(N - k)) @ self.basis.T + proper * np.eye(N)
        self.anchors = np.array([0, N - 1])[:k]
        kappas = kappa * np.arange(1.0, k + 1.0)
        pattern = Pattern.of(sp.csc_array(np.ones((N, N))))
        self.border = Border.of(pattern, sp.csc_array(self.C.T), self.anchors, kappas)
        self.values = self.border.around(pattern.values(sp.csc_array(self.H)))
        self.inner = self.basis.T @ self.H @ self.basis
        self.covariance = self.basis @ np.linalg.inv(self.inner) @ self.basis.T
        self.tolerance = N * rounding(N, self.H + np.diag(np.bincount(self.anchors, kappas, N)))

    def analysis(self, backend):
        border = self.border
        if backend == "sparse":
            return border.analyse()
        return linalg.analyse_dense(border.pattern, constraints=border.constraints)


@cases
@kinds
@kappas
@backends
def test_moments(kind, seed, kappa, backend):
    """Determinant, solutions and the inverse do not depend on the anchors."""
    case = Case(kind, seed, kappa)
    sym, k = case.analysis(backend), len(case.C)
    b = np.random.default_rng(seed).standard_normal((N, 2))
    with jax.enable_x64(True):
        logdet, x, inverse = linalg.solve_and_invert(sym, case.values, bordered(jnp.asarray(b), k))
        again, quad, _ = linalg.logdet_quad(sym, case.values, bordered(jnp.asarray(b), k))
    tolerance = case.tolerance * max(1.0, np.sum(b**2))
    rows, cols = np.tril_indices(N)
    places = case.border.inner[Pattern.of(sp.csc_array(np.ones((N, N)))).positions(rows, cols)]
    expected = np.linalg.slogdet(case.inner)[1]
    np.testing.assert_allclose(
        [logdet - case.border.log_scale, again - case.border.log_scale], expected, atol=tolerance
    )
    np.testing.assert_allclose(quad, b.T @ case.covariance @ b, rtol=0, atol=tolerance)
    np.testing.assert_allclose(x[:N], case.covariance @ b, rtol=0, atol=tolerance)
    np.testing.assert_allclose(np.asarray(inverse)[places], case.covariance[rows, cols], rtol=0, atol=tolerance)


@cases
@kinds
@kappas
@backends
def test_draws_are_a_square_root_of_the_covariance(kind, seed, kappa, backend):
    """Draws are linear in the standard normals: unit vectors for these give the whole covariance, exactly."""
    case = Case(kind, seed, kappa)
    sym, k = case.analysis(backend), len(case.C)
    with jax.enable_x64(True):
        z = normals(jnp.eye(N + k), N, k)
        root = np.asarray(linalg.solve_and_sample(sym, case.values, jnp.zeros((sym.n, 0)), z)[2])[:N]
    np.testing.assert_allclose(root @ root.T, case.covariance, rtol=0, atol=case.tolerance)
    np.testing.assert_allclose(case.C @ root, 0.0, atol=case.tolerance)


@backends
def test_a_proper_precision_may_be_constrained_too(backend):
    """H may be informative along C; conditioning is not dropping."""
    case = Case("sum", 5, 0.7, proper=True)
    with jax.enable_x64(True):
        logdet, _, x = linalg.logdet_quad(case.analysis(backend), case.values, bordered(jnp.eye(N), 1))
    np.testing.assert_allclose(logdet - case.border.log_scale, np.linalg.slogdet(case.inner)[1], atol=case.tolerance)
    np.testing.assert_allclose(x[:N], case.covariance, rtol=0, atol=case.tolerance)


@kinds
def test_the_quadratic_form_within_the_constraints_is_that_of_the_precision(kind):
    case = Case(kind, 3, 2.0)
    x = case.basis @ np.random.default_rng(4).standard_normal((case.basis.shape[1], 3))
    with jax.enable_x64(True):
        whole = np.asarray(extended(jnp.asarray(x), case.anchors))
    product = case.border.pattern.matrix(case.values) @ whole
    np.testing.assert_allclose(product[:N], case.H @ x, atol=case.tolerance)
    np.testing.assert_allclose(product[N:], 0.0, atol=case.tolerance)


def copies(count, n):
    """Walks of order one, each with a sum of zero, beside one effect that is in all rows."""
    steps = sp.diags_array([2.0 * np.ones(n), -np.ones(n - 1), -np.ones(n - 1)], offsets=[0, 1, -1])
    walk = sp.lil_array(steps)
    walk[0, 0] = walk[n - 1, n - 1] = 1.0
    whole = sp.lil_array(sp.block_diag([*[walk + 0.1 * sp.eye_array(n)] * count, [[count * n + 1.0]]]))
    whole[-1, :-1] = whole[:-1, -1] = 0.1
    null_space = sp.vstack([sp.kron(sp.eye_array(count), np.ones((n, 1))), sp.csc_array((1, count))])
    return sp.csc_array(whole), sp.csc_array(null_space), np.arange(count) * n + n // 2


def test_many_constraints_stay_sparse():
    """The factor grows with the number of copies, and each constraint is a row of about the length of its copy."""
    found = []
    for count in (20, 80):
        matrix, null_space, anchors = copies(count, 30)
        border = Border.of(Pattern.of(matrix), null_space, anchors, np.ones(count))
        found.append(border.analyse().nnz_factor)
    assert found[1] < 4.1 * found[0]
    assert found[1] < 80 * 30 * 5


def test_many_constraints_at_once():
    matrix, null_space, anchors = copies(6, 7)
    border = Border.of(Pattern.of(matrix), null_space, anchors, np.full(6, 0.8))
    values = border.around(Pattern.of(matrix).values(matrix))
    n = matrix.shape[0]
    whole = np.zeros((n + 6, n + 6))
    whole[:n, :n], whole[n:, :n], whole[:n, n:] = matrix.toarray(), null_space.T.toarray(), null_space.toarray()
    with jax.enable_x64(True):
        x = linalg.solve(border.analyse(), values, bordered(jnp.eye(n), 6))[:n]
        z = normals(jnp.eye(n + 6), n, 6)
        root = linalg.solve_and_sample(border.analyse(), values, jnp.zeros((n + 12, 0)), z)[2][:n]
    covariance = np.linalg.inv(whole)[:n, :n]
    np.testing.assert_allclose(x, covariance, atol=1e-13)
    np.testing.assert_allclose(root @ root.T, covariance, atol=1e-13)


def test_where_the_precision_is_none_all_is_nan():
    """And the row is that of an effect, or of a multiplier whose constraint says nothing."""
    case = Case("sum", 1, 1.0)
    broken = case.values.copy()
    broken[case.border.inner[0]] = -5.0
    silent = np.where(case.border.pattern.rows == N, 0.0, case.values)
    with jax.enable_x64(True):
        for sym in (case.analysis("sparse"), case.analysis("dense")):
            assert np.isnan(linalg.logdet(sym, broken)) and linalg.factor_info(sym, broken) > 0
            assert linalg.factor_info(sym, silent) == N + 1
            assert linalg.factor_info(sym, case.values) == 0
