"""``rw1(t)`` and ``rw2(t)``: their columns, and how they go on at new values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense_model import rounding, rw_structure

import lgm
from lgm.design.design import Design, encode

N = 30
RNG = np.random.default_rng(2)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.uniform(size=N),
        "t": RNG.integers(0, 10, N) * 2,
        "w": RNG.choice([0.5, 1.25, 4.0, 9.0], N),
        "region": RNG.choice(["n", "e", "s"], N),
        "g": RNG.choice(["a", "b", "c"], N),
    }
)


def _design(right: str, data: pd.DataFrame = DATA) -> Design:
    return lgm.model(f"y ~ {right}", data).design


@pytest.mark.parametrize(("right", "variable"), [("rw1(t)", "t"), ("rw2(w)", "w"), ("rw1(log(w))", "w")])
def test_walks_have_a_column_per_distinct_value(right: str, variable: str) -> None:
    design = _design(right)
    values = np.log(DATA["w"]) if "log" in right else DATA[variable]
    times = np.unique(values)
    np.testing.assert_array_equal(design.predictor.Z.toarray(), np.equal.outer(values.to_numpy(), times).astype(float))
    (variable_of,) = design.terms[0].variables
    np.testing.assert_array_equal(variable_of.labels, times)
    assert variable_of.name == right


@pytest.mark.parametrize("right", ["rw1(t)", "rw2(t)"])
def test_walks_continue_at_new_values(right: str) -> None:
    design = _design(right)
    new = pd.DataFrame({"t": [2, 3, 40, 3, 4]})
    (encoded,) = encode(design, new).encoded
    times = design.terms[0].variables[0].labels.tolist()
    known = np.zeros((5, len(times)))
    known[0, times.index(2)] = known[4, times.index(4)] = 1.0
    np.testing.assert_array_equal(encoded.z.toarray(), known)
    assert encoded.novel is not None and not encoded.novel.population
    assert encoded.novel.what == "2 values of t that the data do not have"
    assert encoded.novel.z.toarray().tolist() == [[0, 0], [1, 0], [0, 1], [1, 0], [0, 0]]


@pytest.mark.parametrize("right", ["rw1(t)", "rw2(t)"])
def test_new_values_follow_the_conditional_gaussian(right: str) -> None:
    """Mean and sd of a draw at values between, before and after, from the dense structure over all of them."""
    design, order = _design(right), int(right[2])
    (term,), new = design.terms, np.array([-3.0, 1.0, 2.5, 7.0, 30.0])
    times = term.variables[0].labels
    whole = np.sort(np.concatenate([times, new]))
    R = rw_structure(order, whole)
    at, old = np.searchsorted(whole, new), np.searchsorted(whole, times)
    b = np.random.default_rng(3).normal(size=(1, times.size))
    (encoded,) = encode(design, pd.DataFrame({"t": new})).encoded
    assert encoded.novel is not None
    zero, unit = (
        encoded.novel.draw({"sd": np.full((len(n), 1), 1.7)}, np.repeat(b, len(n), axis=0), n)
        for n in (np.zeros((1, 5)), np.eye(5))
    )
    inner = R[np.ix_(at, at)]
    np.testing.assert_allclose(zero[0], -np.linalg.solve(inner, R[np.ix_(at, old)] @ b[0]), rtol=1e-9)
    root = unit - zero
    assert term.block.factors is not None
    wanted = 1.7**2 / term.block.factors[0] * np.linalg.inv(inner)
    np.testing.assert_allclose(root.T @ root, wanted, rtol=0, atol=rounding(5, inner) * wanted.max())


def test_the_line_of_a_second_order_walk() -> None:
    assert _design("rw1(t)").fixed_names == ("Intercept",)
    design = _design("rw2(t)")
    assert design.fixed_names == ("Intercept", "rw2(t)[linear]")
    rows = encode(design, pd.DataFrame({"t": [3.0, 100.0]}))
    assert rows.X.toarray().tolist() == [[1.0, 3.0], [1.0, 100.0]]


@pytest.mark.parametrize(("right", "fewest"), [("rw1(t)", 2), ("rw2(t)", 3)])
def test_too_few_values(right: str, fewest: int) -> None:
    few = DATA.assign(t=np.arange(N) % (fewest - 1))
    with pytest.raises(lgm.DataError, match=rf"needs at least {fewest} distinct values, `t` has {fewest - 1}"):
        _design(right, few)
    assert _design(right, DATA.assign(t=np.arange(N) % fewest)).terms[0].block.n == fewest
