"""Products of columns against dense algebra, and what they store."""

import numpy as np
import pytest
import scipy.sparse as sp

from lgm.gram import by_column, dense_gram, entries, from_columns, gram


def _columns(full: list[int], seed: int = 0) -> sp.csc_array:
    """Six columns of 30 rows, some of them stored in full, with zeros among them; the fourth is empty."""
    rng = np.random.default_rng(seed)
    parts = []
    for j in range(6):
        rows = np.arange(30) if j in full else np.flatnonzero(rng.uniform(size=30) < 0.3)
        rows = rows[:0] if j == 3 and j not in full else rows
        values = np.where(rng.uniform(size=rows.size) < 0.2, 0.0, rng.normal(size=rows.size))
        parts.append(sp.csc_array((values, rows, np.array([0, rows.size])), shape=(30, 1)))
    return sp.csc_array(sp.hstack(parts, format="csc"))


@pytest.mark.parametrize("full", [[], [0], [0, 2, 5], [4], [0, 1, 2, 3, 4, 5]], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_against_dense_algebra(full: list[int], weighted: bool) -> None:
    a = _columns(full)
    w = np.random.default_rng(1).uniform(0.5, 2.0, 30) if weighted else None
    dense = a.toarray()
    expected = dense.T @ (dense if w is None else w[:, None] * dense)
    found = gram(a, w)
    np.testing.assert_allclose(found.toarray(), np.tril(expected), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(dense_gram(a, w), expected, rtol=1e-13, atol=1e-13)
    assert np.all(found.row >= found.col)
    ones = sp.csc_array((np.ones(a.nnz), a.indices, a.indptr), shape=a.shape)
    stored, found = sp.coo_array(sp.tril(ones.T @ ones)), gram(ones)
    assert set(zip(found.row, found.col, strict=True)) == set(zip(stored.row, stored.col, strict=True))
    assert len(found.data) == len(stored.data)
    assert set(zip(*entries(a), strict=True)) == set(zip(stored.row, stored.col, strict=True))
    assert len(entries(a)[0]) == len(stored.data)


@pytest.mark.parametrize("full", [[], [0], [0, 2, 5], [0, 1, 2], [0, 1, 2, 3, 4, 5]], ids=str)
def test_what_is_known_of_the_first_columns_is_not_computed_again(full: list[int]) -> None:
    a = _columns(full)
    expected = gram(a).toarray()
    np.testing.assert_array_equal(gram(a, known=dense_gram(a[:, :3])).toarray(), expected)
    marked = gram(a, known=np.full((6, 6), 7.0)).toarray()
    np.testing.assert_array_equal(marked[np.ix_(full, full)], np.tril(np.full((len(full), len(full)), 7.0)))


@pytest.mark.parametrize("uneven", [False, True])
def test_products_of_groups_by_cells(uneven: bool) -> None:
    """Two entries of three groups in each of 30 rows, with sums of zero; also where some row has another number."""
    rng = np.random.default_rng(2)
    columns = np.sort(np.argsort(rng.uniform(size=(30, 3)), axis=1)[:, :2], axis=1)
    a = sp.csr_array((rng.normal(size=60), columns.ravel(), 2 * np.arange(31)), shape=(30, 3))
    a.data[np.isin(np.repeat(np.arange(30), 2), np.flatnonzero(columns[:, 1] - columns[:, 0] == 2))] = 0.0
    wide = sp.csc_array(sp.vstack([a, sp.csr_array(([1.0], [0], [0, 1]), shape=(1, 3))]) if uneven else a)
    found, stored = gram(wide), entries(wide)
    np.testing.assert_allclose(found.toarray(), np.tril((wide.T @ wide).toarray()), rtol=1e-13)
    assert set(zip(*stored, strict=True)) == {(i, j) for i in range(3) for j in range(i + 1)}
    if not uneven:
        assert set(zip(found.row, found.col, strict=True)) == set(zip(*stored, strict=True))


@pytest.mark.parametrize("least", [1.0, 1e-200, 0.0, -1.0], ids=str)
def test_entries_are_those_of_a_product_only_where_nothing_can_cancel(least: float) -> None:
    """Two columns of indicators share two rows, in which products may be nothing, or cancel."""
    a = sp.csc_array(sp.csr_array((np.ones(5), np.array([0, 1, 0, 1, 1]), np.array([0, 2, 4, 5])), shape=(3, 2)))
    a.data[0] = least
    expected = set(zip(*entries(a), strict=True))
    assert expected == {(0, 0), (1, 0), (1, 1)}
    assert set(zip(*entries(a, gram(a)), strict=True)) == expected
    marked = sp.coo_array((np.ones(1), (np.array([1]), np.array([1]))), shape=(2, 2))
    assert (len(entries(a, marked)[0]) == 1) == (least == 1.0)


def test_triangles() -> None:
    square = np.array([[1.0, 2.0, 4.0], [2.0, 3.0, 5.0], [4.0, 5.0, 6.0]])
    assert by_column(np.tril(square)).tolist() == [1.0, 2.0, 4.0, 3.0, 5.0, 6.0]
    np.testing.assert_array_equal(from_columns(by_column(square), 3), square)


def test_rows_in_any_order() -> None:
    a = _columns([1, 4])
    order = np.concatenate([np.arange(a.indptr[j + 1] - 1, a.indptr[j] - 1, -1) for j in range(6)])
    mixed = sp.csc_array((a.data[order], a.indices[order], a.indptr), shape=a.shape)
    np.testing.assert_allclose(gram(mixed).toarray(), gram(a).toarray(), rtol=1e-13, atol=1e-13)


def test_nothing() -> None:
    assert gram(sp.csc_array((5, 0))).shape == (0, 0)
    assert dense_gram(sp.csc_array((5, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]
