"""Anchored kriging against the same Gaussian written in a basis of the null space of its constraints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import rounding
from scipy.linalg import null_space

from lgm.linalg import constrained

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


def case(kind, seed, kappa):
    """``H`` is singular along the rows of C: the anchor alone makes it positive definite."""
    rng = np.random.default_rng(seed)
    C = CONSTRAINTS[kind]
    k = len(C)
    basis = null_space(C) if k else np.eye(N)
    half = rng.standard_normal((N - k, N - k))
    H = basis @ (half @ half.T + np.eye(N - k)) @ basis.T
    E = np.eye(N)[:, [0, N - 1][:k]]
    anchors = kappa * np.arange(1.0, k + 1.0)
    return H, H + (E * anchors) @ E.T, C, np.hstack([E, C.T]), anchors, basis, rng.standard_normal(N)


def condition(Ht, C, K, anchors, b):
    rhs = np.column_stack([b, K])
    solved = np.linalg.solve(Ht, rhs)
    log_cct = np.linalg.slogdet(C @ C.T)[1] if len(C) else 0.0
    with jax.enable_x64(True):
        log_det = np.linalg.slogdet(Ht)[1]
        found = constrained.condition(jnp.asarray(log_det), jnp.asarray(rhs.T @ solved), jnp.asarray(anchors), log_cct)
        return jax.tree.map(np.asarray, found), solved


@cases
@kinds
@kappas
def test_moments(kind, seed, kappa):
    """Determinant, mean and variances do not depend on the anchor."""
    H, Ht, C, K, anchors, basis, b = case(kind, seed, kappa)
    found, solved = condition(Ht, C, K, anchors, b)
    inner = basis.T @ H @ basis
    covariance = basis @ np.linalg.inv(inner) @ basis.T
    gram = K.T @ solved[:, 1:]
    tolerance = rounding(N, Ht) * N * max(1.0, b @ b)
    with jax.enable_x64(True):
        correction = constrained.variance_correction(
            jnp.asarray(solved[:, 1:]), constrained.kriging(*map(jnp.asarray, (gram, anchors)))
        )
    np.testing.assert_allclose(found.logdet, np.linalg.slogdet(inner)[1], rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.quad, b @ covariance @ b, rtol=0, atol=tolerance)
    np.testing.assert_allclose(solved[:, 0] - solved[:, 1:] @ found.weights, covariance @ b, rtol=0, atol=tolerance)
    np.testing.assert_allclose(
        np.diag(np.linalg.inv(Ht)) - np.asarray(correction), np.diag(covariance), rtol=0, atol=tolerance
    )


@cases
@kinds
@kappas
def test_draws_are_a_square_root_of_the_covariance(kind, seed, kappa):
    """Draws are linear in the standard normals: unit vectors for these give the whole covariance, exactly."""
    H, Ht, C, K, anchors, basis, _ = case(kind, seed, kappa)
    k = len(C)
    w = np.linalg.inv(np.linalg.cholesky(Ht)).T
    with jax.enable_x64(True):
        found = constrained.draw(
            jnp.asarray(np.hstack([w, np.zeros((N, k))])),
            jnp.asarray(np.linalg.solve(Ht, K)),
            jnp.asarray(K),
            constrained.kriging(jnp.asarray(K.T @ np.linalg.solve(Ht, K)), jnp.asarray(anchors)),
            jnp.hstack([jnp.zeros((k, N)), jnp.eye(k)]),
        )
    root = np.asarray(found)
    covariance = basis @ np.linalg.inv(basis.T @ H @ basis) @ basis.T
    tolerance = N * rounding(N, Ht)
    np.testing.assert_allclose(root @ root.T, covariance, rtol=0, atol=tolerance)
    np.testing.assert_allclose(C @ root, 0.0, atol=tolerance)


def test_a_proper_precision_may_be_constrained_too():
    """H may be informative along C; conditioning is not dropping."""
    rng = np.random.default_rng(5)
    half = rng.standard_normal((N, N))
    H, C = half @ half.T + np.eye(N), CONSTRAINTS["sum"]
    E, anchors, b = np.eye(N)[:, [3]], np.array([0.7]), rng.standard_normal(N)
    Ht, K, basis = H + 0.7 * E @ E.T, np.hstack([E, C.T]), null_space(C)
    found, solved = condition(Ht, C, K, anchors, b)
    covariance = basis @ np.linalg.inv(basis.T @ H @ basis) @ basis.T
    tolerance = rounding(N, Ht) * N * (b @ b)
    np.testing.assert_allclose(found.logdet, np.linalg.slogdet(basis.T @ H @ basis)[1], rtol=0, atol=tolerance)
    np.testing.assert_allclose(solved[:, 0] - solved[:, 1:] @ found.weights, covariance @ b, rtol=0, atol=tolerance)
