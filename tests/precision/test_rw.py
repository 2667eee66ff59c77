"""Random walks: known integer matrices, null spaces and ranks at irregular times, units."""

from fractions import Fraction

import numpy as np
import pytest
from dense_model import rounding, rw_structure

from lgm.precision.rw import rw1, rw2

WALKS = {1: rw1, 2: rw2}
IRREGULAR = np.array([-3.0, -2.5, 0.0, 0.25, 4.0, 11.0, 12.0])


def matrix(structure):
    return structure.pattern.matrix(structure.entries).toarray()


def test_integer_cases():
    assert matrix(rw1(np.arange(4))).tolist() == [[1, -1, 0, 0], [-1, 2, -1, 0], [0, -1, 2, -1], [0, 0, -1, 1]]
    assert matrix(rw2(np.arange(5))).tolist() == [
        [1, -2, 1, 0, 0],
        [-2, 5, -4, 1, 0],
        [1, -4, 6, -4, 1],
        [0, 1, -4, 5, -2],
        [0, 0, 1, -2, 1],
    ]


@pytest.mark.parametrize("order", WALKS)
def test_irregular_times(order):
    structure, R = WALKS[order](IRREGULAR), rw_structure(order, IRREGULAR)
    n = IRREGULAR.size
    null_space, anchors = structure.constraint.null_space.toarray(), structure.constraint.anchors
    tolerance = rounding(n) * np.abs(R).max()
    np.testing.assert_allclose(matrix(structure), R, rtol=0, atol=tolerance)
    np.testing.assert_allclose(R @ null_space, 0.0, atol=tolerance)
    polynomials = np.vander(IRREGULAR, order, increasing=True)
    both = np.hstack([null_space, polynomials])
    assert null_space.shape == (n, order)
    assert np.linalg.matrix_rank(both) == np.linalg.matrix_rank(null_space) == order
    assert np.linalg.matrix_rank(R) == n - order
    R[anchors, anchors] += np.diag(R).mean()
    assert np.linalg.cond(R) < 1e6
    assert np.all(structure.component == 0)


@pytest.mark.parametrize(("order", "power"), [(1, 1), (2, 3)])
def test_units_of_time(order, power):
    """Time in other units multiplies R: scaling removes it."""
    one, other = WALKS[order](IRREGULAR), WALKS[order](8.0 * IRREGULAR + 512.0)
    np.testing.assert_allclose(other.entries * 8.0**power, one.entries, rtol=rounding(1), atol=0)


@pytest.mark.parametrize(("order", "n"), [(1, 2), (2, 3)])
def test_the_shortest_walks(order, n):
    structure = WALKS[order](np.arange(n))
    assert np.linalg.matrix_rank(matrix(structure)) == 1
    assert structure.constraint.null_space.shape == (n, order)


def _exact_variances(times: np.ndarray) -> np.ndarray:
    """``e_i' P M B M' P e_i`` in rational numbers; ``M'x`` is the second sum of x, for x orthogonal to lines."""
    t = [Fraction(float(value)) for value in times]
    n, mean = len(t), sum(t) / len(t)
    square = sum((value - mean) ** 2 for value in t)
    out = []
    for i in range(n):
        x = [(i == j) - Fraction(1, n) - (t[i] - mean) * (t[j] - mean) / square for j in range(n)]
        bends = [sum((x[j] * (t[k] - t[j]) for j in range(k)), Fraction(0)) for k in range(1, n - 1)]
        out.append(float(sum((t[k + 2] - t[k]) / 2 * bend**2 for k, bend in enumerate(bends))))
    return np.array(out)


UNIFORM = np.random.default_rng(3).uniform(size=24)
UNEVEN = {
    "bursts": np.sort(np.concatenate([UNIFORM[:12] * 1e-3, 1000 + UNIFORM[12:] * 1e-3])),
    "three bursts": np.sort(np.repeat([0.0, 0.5, 1.0], 8) + 1e-6 * UNIFORM),
    "far ends": np.r_[-1e8, np.arange(9.0), 1e9],
    "a close pair": np.r_[np.arange(10.0), 9 + 1e-9],
    "powers": 2.0 ** np.arange(-12, 12),
}


@pytest.mark.parametrize("times", UNEVEN.values(), ids=UNEVEN.keys())
def test_variances_of_order_two_keep_their_digits_at_uneven_times(times: np.ndarray) -> None:
    moments = rw2(times).moments
    assert moments is not None
    np.testing.assert_allclose(moments.variances, _exact_variances(times), rtol=1e-11)
