"""Rows that are made one in partitions, then over all of them, are those that are made one at once."""

import jax
import numpy as np
import pytest
import scipy.sparse as sp

from lgm import families
from lgm.design import collapse, distinct
from lgm.design.collapse import Observations
from lgm.design.distinct import Distinct
from lgm.errors import DataError
from lgm.families.response import Response

N = 80
RNG = np.random.default_rng(4)
CELLS = RNG.integers(0, 4, N)
A = sp.csc_array(np.column_stack([np.ones(N), (CELLS % 2) * 0.7, np.eye(4)[CELLS]]))
OFFSET = np.array([0.0, 0.3, -1.0, 0.3])[CELLS] + 0.5 * RNG.integers(0, 2, N)
WEIGHTS = RNG.integers(1, 3, N).astype(float)
COUNTS = RNG.poisson(2.0, N).astype(float)
TRIALS = RNG.integers(3, 6, N).astype(float)
CASES = {
    "bernoulli": Response((COUNTS > 1.0).astype(float)),
    "binomial": Response(np.minimum(COUNTS, TRIALS), TRIALS),
    "poisson": Response(COUNTS),
    "negativebinomial": Response(COUNTS),
    "beta_binomial": Response(np.minimum(COUNTS, TRIALS), TRIALS),
}


def _sorted(rows: Observations) -> np.ndarray:
    leaves = [rows.y.value, *([] if rows.y.trials is None else [rows.y.trials])]
    table = np.column_stack([rows.a.toarray(), rows.offset, rows.weights, rows.mass, *leaves])
    return table[np.lexsort(table.T)]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("cuts", [(40,), (1, 30, 30, 79)])
def test_partitions_add_up(name, cuts, monkeypatch):
    monkeypatch.setattr(collapse, "WORTH", 1)
    family, y = families.find(name), CASES[name]
    parts = []
    for start, stop in zip([0, *cuts], [*cuts, N], strict=True):
        some = slice(start, stop)
        parts.append(Distinct.of(family, A[some], y.rows(some), OFFSET[some], WEIGHTS[some], ""))
    left, right = sum(parts[1:], parts[0]).rows(family), parts[-1]
    for part in reversed(parts[:-1]):
        right = part + right
    whole = collapse.collapse(family, Observations((A,), y, OFFSET, WEIGHTS, WEIGHTS))
    assert whole.n < N
    for found in (left, right.rows(family)):
        np.testing.assert_allclose(_sorted(found), _sorted(whole), rtol=1e-14)
        np.testing.assert_allclose(found.constant, whole.constant, rtol=1e-12)
        assert np.sum(found.y.times) == N
        jax.tree.map(lambda *_: None, Response(found.y.value, found.y.trials), whole.y)  # raises if one has more


def test_a_zero_has_no_sign():
    a = sp.csc_array(([0.0, -0.0, 1.0], ([0, 1, 2], [0, 0, 0])), shape=(3, 1))
    assert collapse.equal_rows(a, [np.array([-0.0, 0.0, 0.0])]).of.tolist() == [0, 0, 1]


def test_too_many_rows(monkeypatch):
    monkeypatch.setattr(distinct, "MOST", 5)
    with pytest.raises(DataError, match="said so"):
        Distinct.of(families.find("poisson"), A, CASES["poisson"], OFFSET, WEIGHTS, "said so")
