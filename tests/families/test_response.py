"""The response of rows."""

import jax
import numpy as np

from lgm.families.response import Response


def test_rows_of_all_that_is_there():
    y = Response(np.arange(4.0), trials=np.full(4, 5.0))
    some = y.rows(np.array([True, False, True, False]))
    np.testing.assert_array_equal(some.value, [0.0, 2.0])
    np.testing.assert_array_equal(some.trials, [5.0, 5.0])
    assert (some.size, y.size) == (2, 4) and some.upper is None and some.censored is None
    np.testing.assert_array_equal(y.rows(np.array([3, 3])).value, [3.0, 3.0])


def test_spread():
    y, offset = Response(np.array([3.0, 5.0, 4.0])), np.array([1.0, 1.0, 3.0])
    assert y.spread(offset, about_zero=False) == np.std([2.0, 4.0, 1.0])
    assert y.spread(offset, about_zero=True) == np.sqrt(7.0)


def test_less_an_offset():
    y = Response(np.arange(3.0), censored=np.array([0, 1, 0]))
    less = y.less(np.array([1.0, 1.0, 0.5]))
    np.testing.assert_array_equal(less.value, [-1.0, 0.0, 1.5])
    assert less.censored is y.censored


def test_it_goes_through_compiled_code():
    y = Response(np.arange(3.0), trials=np.full(3, 2.0))
    assert len(jax.tree.leaves(y)) == 2
    assert float(jax.jit(lambda r: (r.value / r.trials).sum())(y)) == 1.5
