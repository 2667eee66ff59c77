"""The reference of sums against dense algebra: a change of basis, in which columns are of one size."""

import numpy as np
import pytest
import scipy.sparse as sp

from lgm.data.model_matrix import full_column
from lgm.design.reference import Reference

RNG = np.random.default_rng(3)
N = 50
YEAR = RNG.normal(2000.0, 5.0, N)
FLAG = np.arange(N) % 3 == 0
X = sp.csc_array(
    sp.hstack(
        [
            full_column(np.ones(N)),
            full_column(YEAR),
            sp.csc_array(1.0 * FLAG[:, None]),
            sp.csc_array((YEAR * FLAG)[:, None]),
        ]
    )
)
Y, W = 1.0 + 0.2 * YEAR + RNG.normal(size=N), RNG.uniform(0.5, 2.0, N)


@pytest.mark.parametrize("intercept", [0, None])
def test_columns_are_a_change_of_basis(intercept: int | None) -> None:
    x = X if intercept == 0 else sp.csc_array(X[:, 1:])
    reference = Reference.of(x, Y, W, intercept, x.shape[1])
    moved = reference.columns(x)
    dense = x.toarray() @ reference.basis
    np.testing.assert_allclose(moved.toarray(), dense, rtol=0, atol=1e-12 * 2000.0)
    r = Y - dense @ reference.beta
    np.testing.assert_allclose(dense.T @ (W * r), 0.0, atol=1e-8)  # least squares: residuals are orthogonal


def test_columns_are_of_one_size() -> None:
    """Numbers about their mean, those of a factor's level about their mean there, in units of their spread."""
    moved = Reference.of(X, Y, W, 0, 4).columns(X).toarray()
    np.testing.assert_allclose(moved[:, 1], (YEAR - YEAR.mean()) / YEAR.std(), rtol=0, atol=1e-12)
    about = np.where(FLAG, YEAR - YEAR[FLAG].mean(), 0.0)
    np.testing.assert_allclose(moved[:, 3], about / np.sqrt(np.mean(about**2)), rtol=0, atol=1e-10)


def test_some_columns_keep_their_basis() -> None:
    whole = Reference.of(X, Y, W, 0, 2)
    some = whole.at(np.array([0, 1, 2]))
    np.testing.assert_array_equal(some.columns(sp.csc_array(X[:, :3])).toarray(), whole.columns(X).toarray()[:, :3])
    np.testing.assert_array_equal(some.beta, whole.beta[:3])
    assert np.all(whole.beta[2:] == 0.0)
