"""Columns side by side, and some of them, against dense ones; and what is shared instead of copied."""

import numpy as np
import pytest
import scipy.sparse as sp

from lgm.sparse import between, chosen, side_by_side

A = sp.csc_array(sp.random_array((7, 5), density=0.4, rng=np.random.default_rng(1), format="csc"))


@pytest.mark.parametrize(("start", "stop"), [(0, 5), (1, 4), (2, 2), (4, 5)])
def test_columns_between_are_those_in_memory(start: int, stop: int) -> None:
    part = between(A, start, stop)
    np.testing.assert_array_equal(part.toarray(), A.toarray()[:, start:stop])
    assert not part.nnz or (np.shares_memory(part.data, A.data) and np.shares_memory(part.indices, A.indices))


@pytest.mark.parametrize("which", [[], [2], [1, 2, 3], [0, 3], [0, 1, 2, 3, 4]], ids=str)
def test_chosen_columns(which: list[int]) -> None:
    found = chosen(A, np.isin(np.arange(5), which))
    np.testing.assert_array_equal(found.toarray(), A.toarray()[:, which])
    assert np.shares_memory(found.data, A.data) == (which not in ([], [0, 3]))


def test_blocks_side_by_side() -> None:
    none = sp.csc_array((7, 0))
    assert side_by_side([none, A], 7) is A
    np.testing.assert_array_equal(side_by_side([A, none, A[:, [0]]], 7).toarray(), A.toarray()[:, [0, 1, 2, 3, 4, 0]])
    assert side_by_side([], 7).shape == side_by_side([none], 7).shape == (7, 0)
