"""Pattern: the lower triangle of a symmetric matrix, column by column."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from lgm.errors import DataError
from lgm.pattern import Pattern

ENTRIES = st.integers(1, 9).flatmap(
    lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))))
)


def split(entries):
    n, pairs = entries
    rows, cols = np.array(pairs, dtype=int).reshape(-1, 2).T
    return n, rows, cols


def ordered(pattern):
    """Every stored (column, row), as the convention orders them."""
    return list(zip(pattern.cols.tolist(), pattern.rows.tolist(), strict=True))


@given(ENTRIES)
def test_entries_of_either_triangle_are_merged_and_ordered(entries):
    n, rows, cols = split(entries)
    wanted = {(min(i, j), max(i, j)) for i, j in zip(rows, cols, strict=True)} | {(k, k) for k in range(n)}
    assert ordered(Pattern.from_entries(n, rows, cols)) == sorted(wanted)


@given(ENTRIES)
def test_values_and_matrix_are_inverse(entries):
    n, rows, cols = split(entries)
    pattern = Pattern.from_entries(n, rows, cols)
    values = 1.0 + np.arange(pattern.nnz)
    dense = np.zeros((n, n))
    dense[pattern.rows, pattern.cols] = dense[pattern.cols, pattern.rows] = values
    full = pattern.matrix(values)
    np.testing.assert_array_equal(full.toarray(), dense)
    np.testing.assert_array_equal(pattern.values(full), values)
    np.testing.assert_array_equal(pattern.values(sp.tril(full)), values)
    assert Pattern.of(full) == pattern


@given(ENTRIES)
def test_positions_find_both_triangles(entries):
    pattern = Pattern.from_entries(*split(entries))
    np.testing.assert_array_equal(pattern.positions(pattern.rows, pattern.cols), np.arange(pattern.nnz))
    np.testing.assert_array_equal(pattern.positions(pattern.cols, pattern.rows), np.arange(pattern.nnz))


def test_places_of_many_variables_by_numbers_of_32_bits():
    """As of indices by scipy; the products of two would not fit."""
    rows, cols = np.array([69_999, 69_998, 60_000]), np.array([69_998, 69_997, 50_000])
    pattern = Pattern.from_entries(70_000, rows, cols)
    found = pattern.find(rows.astype(np.int32), cols.astype(np.int32))
    np.testing.assert_array_equal(found, pattern.positions(rows, cols))
    assert np.all(found >= 0)


def test_entries_without_a_place_beside_columns_with_every_row():
    pattern = Pattern.from_entries(4, [0, 1, 2, 3, 3], [0, 0, 0, 0, 1])
    rows, cols = np.array([[0, 1], [3, 2], [3, 3]]), np.array([[3, 1], [1, 1], [2, 3]])
    assert pattern.find(rows, cols).tolist() == [[3, 4], [5, -1], [-1, 7]]


@given(ENTRIES, st.data())
def test_blocks_follow_the_matrices(entries, data):
    n, rows, cols = split(entries)
    left = Pattern.from_entries(n, rows, cols)
    more = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))))
    right = Pattern.from_entries(*split((n, more)))
    blocks = Pattern.block_diagonal([left, right, left])
    values = [np.arange(1.0, 1.0 + p.nnz) for p in (left, right, left)]
    stacked = sp.block_diag([p.matrix(v) for p, v in zip((left, right, left), values, strict=True)])
    np.testing.assert_array_equal(blocks.matrix(np.concatenate(values)).toarray(), stacked.toarray())


def test_explicit_zeros_keep_their_places():
    stored = sp.csc_array((np.zeros(1), ([2], [0])), shape=(3, 3))
    assert ordered(Pattern.of(stored)) == [(0, 0), (0, 2), (1, 1), (2, 2)]


def test_values_sums_duplicates_and_fills_zeros():
    pattern = Pattern.from_entries(3, [1], [0])
    matrix = sp.coo_array((np.array([1.0, 2.0, 5.0]), ([1, 1, 2], [0, 0, 2])), shape=(3, 3))
    assert pattern.values(matrix).tolist() == [0.0, 3.0, 0.0, 5.0]


def test_patterns_compare_and_hash_by_content():
    one, same = Pattern.from_entries(3, [2], [0]), Pattern.from_entries(3, [0, 2], [2, 0])
    assert one == same
    assert hash(one) == hash(same)
    assert one.key == same.key
    assert one != Pattern.from_entries(3, [2], [1])
    assert one != Pattern.diagonal(3)
    assert one != "a pattern"


def test_empty():
    empty = Pattern.block_diagonal([])
    assert (empty.n, empty.nnz) == (0, 0)
    assert Pattern.diagonal(0) == empty
    assert Pattern.block_diagonal([Pattern.diagonal(2), empty]) == Pattern.diagonal(2)
    assert empty.positions([], []).tolist() == []


def test_a_pattern_does_not_change():
    pattern = Pattern.diagonal(2)
    with pytest.raises(AttributeError, match="does not change"):
        pattern.n = 3
    for array in (pattern.indptr, pattern.indices, pattern.rows, pattern.cols):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("n", "indptr", "indices", "message"),
    [
        (2, [0, 1], [0, 1], "indptr must rise"),
        (2, [0, 1, 1], [0], "at least one"),
        (2, [0, 1, 2], [0, 0], "diagonal first"),
        (2, [0, 2, 3], [0, 2, 1], "lower triangle"),
        (3, [0, 3, 4, 5], [0, 2, 1, 1, 2], "ascend"),
        (3, [0, 3, 4, 5], [0, 1, 1, 1, 2], "without repeats"),
    ],
)
def test_the_constructor_checks_its_arrays(n, indptr, indices, message):
    with pytest.raises(ValueError, match=message):
        Pattern(n, indptr, indices)


def test_errors():
    pattern = Pattern.from_entries(3, [2], [0])
    with pytest.raises(DataError, match=r"entry \(1, 0\) has no place"):
        pattern.positions([0, 1], [2, 0])
    with pytest.raises(DataError, match=r"entry \(2, 1\) has no place"):
        pattern.values(sp.csc_array([[1.0, 0.0, 2.0], [0.0, 1.0, 3.0], [2.0, 3.0, 1.0]]))
    with pytest.raises(ValueError, match="order 3, the matrix is 2 x 2"):
        pattern.values(sp.eye_array(2))
    with pytest.raises(ValueError, match="square, this one is 2 x 3"):
        Pattern.of(sp.csc_array((2, 3)))
