"""Sums of parts against dense algebra on all rows, about any reference."""

import numpy as np
import pytest
import scipy.sparse as sp

from lgm.data.model_matrix import full_column
from lgm.design.columns import Columns
from lgm.design.fixed_effects import standardise
from lgm.design.reference import Reference
from lgm.design.sums import Sums, moved

RNG = np.random.default_rng(0)
N = 60
FLAG = (np.arange(N) % 3 == 0).astype(float)
YEAR = RNG.normal(2000.0, 5.0, N)
X = sp.csc_array(
    sp.hstack([full_column(np.ones(N)), full_column(YEAR), sp.csc_array(FLAG[:, None]), (YEAR * FLAG)[:, None]])
)
CODES = RNG.integers(5, size=N)
SLOPE = np.where(np.arange(N) % 2, 1.0, -1.0)
Z = sp.csc_array(
    (np.r_[np.ones(N), SLOPE], (np.r_[np.arange(N), np.arange(N)], np.r_[CODES, 5 + CODES])), shape=(N, 10)
)
Y = 3.0 + 0.1 * YEAR + RNG.normal(size=N)
W = RNG.uniform(0.5, 2.0, N)
OFFSET = RNG.uniform(1.0, 2.0, N)


def _sums(reference: Reference, cuts: list[int], w=W) -> Sums:
    x, z = sp.csr_array(X), sp.csr_array(Z)
    first, *rest = (
        Sums.of(sp.csc_array(x[a:b]), sp.csc_array(z[a:b]), Y[a:b], w[a:b], reference, float(OFFSET[a:b].sum()))
        for a, b in zip([0, *cuts], [*cuts, N], strict=True)
    )
    return sum(rest, first)


@pytest.mark.parametrize("w", [W, np.ones(N)], ids=["weighted", "plain"])
@pytest.mark.parametrize("cuts", [[], [1], [20, 20, 41]], ids=str)
@pytest.mark.parametrize("sample", [slice(None), slice(0, 7)], ids=["of all rows", "of seven"])
def test_the_posterior_gets_what_all_rows_would_give(w, cuts, sample):
    reference = Reference.of(sp.csc_array(sp.csr_array(X)[sample]), Y[sample], w[sample], 0, 4)
    sums = _sums(reference, cuts, w)
    standard, basis = standardise(X, 0)
    np.testing.assert_allclose(sums.standard(reference), basis, rtol=1e-10, atol=1e-14)
    found = moved(sums, reference, basis)
    a = np.hstack([standard.toarray(), Z.toarray()])
    dense = np.tril(a.T @ (w[:, None] * a))
    row, col = sums.places // sums.size, sums.places % sums.size
    got = np.zeros_like(dense)
    got[row, col] = found.products
    np.testing.assert_allclose(got, dense, rtol=0, atol=1e-10 * np.abs(dense).max())
    fit = np.linalg.lstsq(np.sqrt(w)[:, None] * a[:, :4], np.sqrt(w) * Y, rcond=None)[0]
    r = Y - a[:, :4] @ fit
    np.testing.assert_allclose(found.fit, fit, rtol=1e-9)
    np.testing.assert_allclose(found.projection, a.T @ (w * r), rtol=0, atol=1e-10 * float(np.linalg.norm(r)))
    np.testing.assert_allclose(found.square, r @ (w * r), rtol=1e-10)
    np.testing.assert_allclose(sums.log_weights, np.sum(np.log(w)), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(sums.latent, Z.toarray().sum(axis=0), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(sums.offset, np.sum(OFFSET), rtol=1e-14)


def test_entries_whose_sum_is_zero_are_stored():
    reference = Reference.of(X, Y, np.ones(N), 0, 4)
    one = Sums.of(X, Z, Y, np.ones(N), reference)
    ones = sp.csc_array((np.ones(Z.nnz), Z.indices, Z.indptr), shape=Z.shape)
    assert np.array_equal(one.places, Sums.of(X, ones, Y, np.ones(N), reference).places)
    assert np.array_equal(one.places, _sums(reference, [20, 41], np.ones(N)).places)


@pytest.mark.parametrize("cuts", [[], [20, 41]], ids=str)
def test_columns_are_what_they_are_in_one_piece(cuts):
    reference = Reference.of(X, Y, W, 0, 4)
    found, wanted = _sums(reference, cuts).summary(reference), Columns.of(X)
    for name in ("stored", "low", "high", "mean", "sd", "level", "scatter", "length"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-9, atol=1e-9, err_msg=name)
    for name in ("indicator", "product", "mean", "spread"):
        np.testing.assert_allclose(getattr(found.pairs, name), getattr(wanted.pairs, name), rtol=1e-9)


def test_columns_that_are_left_out_leave_the_sums_of_the_others():
    reference = Reference.of(X, Y, W, 0, 3)
    sums = _sums(reference, [30]).without(np.array([3]))
    fewer = reference.at(np.arange(3))
    whole = Sums.of(sp.csc_array(X[:, :3]), Z, Y, W, fewer, float(OFFSET.sum()))
    assert np.array_equal(sums.places, whole.places)
    for name in ("products", "within", "total", "latent", "offset", "projection", "square"):
        np.testing.assert_allclose(getattr(sums, name), getattr(whole, name), rtol=1e-9, atol=1e-9, err_msg=name)
