"""Multi-membership groups against dense covariances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dense_model import restricted, rounding

import lgm
from lgm.design.design import encode
from lgm.errors import DataError, FormulaError
from lgm.priors import flat
from lgm.terms.members import _spread

N = 24
RNG = np.random.default_rng(3)
DATA = pd.DataFrame(
    {
        "a": RNG.choice(list("pqrs"), N),
        "b": RNG.choice(list("qrst"), N),
        "w1": RNG.uniform(0.1, 1.0, N),
        "w2": RNG.uniform(0.1, 2.0, N),
        "x": RNG.standard_normal(N),
        "y": RNG.standard_normal(N),
    }
)
LEVELS = np.array(list("pqrst"))


def membership(w1: Any, w2: Any) -> np.ndarray:
    first, second = (np.equal.outer(DATA[c].to_numpy(), LEVELS).astype(float) for c in "ab")
    return np.asarray(w1)[:, None] * first + np.asarray(w2)[:, None] * second


TOTAL = DATA["w1"] + DATA["w2"]
CASES = {
    "mm(a, b)": membership(np.full(N, 0.5), np.full(N, 0.5)),
    "mm(a, b, weights=cbind(w1, w2))": membership(DATA["w1"] / TOTAL, DATA["w2"] / TOTAL),
    "mm(a, b, weights=[w1, 2 * w2], scale=False)": membership(DATA["w1"], 2 * DATA["w2"]),
}


@pytest.mark.parametrize("call", CASES)
def test_likelihood(call: str) -> None:
    M, x = CASES[call], DATA["x"].to_numpy()
    model = lgm.model(f"y ~ 1 + (0 + x + 1 || {call})", DATA, priors={"Intercept": flat()})
    V = 0.8**2 * M @ M.T + 0.5**2 * (x[:, None] * M) @ (x[:, None] * M).T + 0.36 * np.eye(N)
    theta = {"sd(Intercept|mm(a, b))": 0.8, "sd(x|mm(a, b))": 0.5, "sigma": 0.6}
    wanted = restricted(DATA["y"].to_numpy(), np.ones((N, 1)), V)[0]
    assert model.log_likelihood(theta) == pytest.approx(wanted, abs=100 * rounding(N, V))


def test_levels_are_those_of_all_columns() -> None:
    term = lgm.model("y ~ (1 | mm(a, b))", DATA).design.terms[0]
    assert term.variables[0].labels.tolist() == list("pqrst")
    assert term.variables[0].name == "Intercept|mm(a, b)"
    assert term.size == "5 levels; 2 members in each row"
    scaled = lgm.model("y ~ (1 | mm(a, b, weights=cbind(w1, w2)))", DATA).design.terms[0]
    assert scaled.size == "5 levels; 2 members in each row, with weights that sum to one"


def test_categories_are_pooled_too() -> None:
    data = DATA.assign(a=DATA["a"].astype("category"), b=DATA["b"].astype("category"))
    assert lgm.model("y ~ (1 | mm(a, b))", data).design.terms[0].variables[0].labels.tolist() == list("pqrst")


def test_new_levels() -> None:
    design = lgm.model("y ~ (1 | mm(a, b))", DATA).design
    (encoded,) = encode(design, pd.DataFrame({"a": ["p", "new"], "b": ["new", "q"]})).encoded
    assert encoded.z.toarray().tolist() == [[0.5, 0, 0, 0, 0], [0, 0.5, 0, 0, 0]]
    assert encoded.novel is not None and encoded.novel.what == "1 new level of mm(a, b) (new)"
    assert encoded.novel.z.toarray().tolist() == [[0.5], [0.5]]


def test_a_row_with_one_level_twice_has_it_whole() -> None:
    same = DATA.assign(b=DATA["a"])
    z = lgm.model("y ~ (1 | mm(a, b))", same).design.terms[0].z.toarray()
    np.testing.assert_array_equal(z.sum(axis=1), np.ones(N))
    assert set(z.ravel()) == {0.0, 1.0}


def test_bad_weights() -> None:
    zero = DATA.assign(w1=0.0, w2=0.0)
    with pytest.raises(DataError, match=r"`w1`, `w2` of `mm\(\)` are negative or all zero in 24 rows"):
        lgm.model("y ~ (1 | mm(a, b, weights=cbind(w1, w2)))", zero)
    with pytest.raises(FormulaError, match="has 1 weights for 2 columns"):
        lgm.model("y ~ (1 | mm(a, b, weights=cbind(w1)))", DATA)


def test_places_of_entries_by_row():
    """Two effects, one of which some rows do not store, in three levels, of which some rows have none."""
    effects = sp.csc_array(np.column_stack([np.arange(1.0, 7.0), [0.0, 2.0, 0.0, 4.0, 5.0, 0.0]]))
    codes = np.array([2, 0, -1, 1, -1, 0])
    expected = np.zeros((6, 3, 2))
    for i in np.flatnonzero(codes >= 0):
        expected[i, codes[i]] = effects.toarray()[i]
    found = _spread(effects, codes, 3)
    np.testing.assert_array_equal(found.toarray(), expected.reshape(6, 6))
    assert found.has_canonical_format and found.nnz == 6
