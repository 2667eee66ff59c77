"""What fixed columns are as a whole, against the same from dense columns."""

import numpy as np
import pytest
import scipy.sparse as sp

from lgm.design.columns import Columns

RNG = np.random.default_rng(0)


def test_numbers_of_columns():
    x = RNG.normal(5.0, 2.0, size=(40, 3))
    x[:, 0] = 1.0
    x[::3, 2] = 0.0
    found = Columns.of(sp.csc_array(x))
    np.testing.assert_array_equal(found.stored, [40, 40, np.count_nonzero(x[:, 2])])
    np.testing.assert_allclose(found.mean, x.mean(axis=0))
    np.testing.assert_allclose(found.sd, [1.0, *x[:, 1:].std(axis=0)])
    np.testing.assert_allclose(found.length, np.linalg.norm(x, axis=0))
    inside = x[x[:, 2] != 0.0, 2]
    np.testing.assert_allclose([found.level[2], found.scatter[2]], [inside.mean(), inside.std()])
    np.testing.assert_array_equal(found.size, np.abs(x).max(axis=0))
    assert (found.low[2], found.high[2]) == (inside.min(), inside.max())


def test_columns_that_do_not_vary_and_columns_without_rows():
    found = Columns.of(sp.csc_array(np.full((3, 1), 0.1)))
    assert (found.mean[0], found.level[0], found.scatter[0]) == (pytest.approx(0.1), 0.1, 0.0)
    assert found.sd[0] == pytest.approx(0.1, rel=1e-15)
    none = Columns.of(sp.csc_array((0, 2)))
    assert (none.n, none.p) == (0, 2) and not np.any([none.stored, none.mean, none.sd, none.length, none.size])


def test_an_indicator_and_its_product_are_a_pair():
    f = (np.arange(40) % 4 == 0).astype(float)
    x = RNG.normal(size=40)
    pairs = Columns.of(sp.csc_array(np.column_stack([np.ones(40), f, f * x]))).pairs
    assert (pairs.indicator.tolist(), pairs.product.tolist()) == ([1], [2])
    np.testing.assert_allclose(pairs.mean, x[f == 1.0].mean())
