"""``rw1(t)`` and ``rw2(t)``: their columns, and how they go on at new values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense_model import rounding, rw_structure
from synthetic import around

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
    z = encoded.novel.z.toarray()
    assert z.sum(axis=1).tolist() == [0, 1, 1, 1, 0] and z.max() == 1
    assert z[1].argmax() == z[3].argmax() < z[2].argmax()


@pytest.mark.parametrize("right", ["rw1(t)", "rw2(t)"])
def test_new_values_follow_the_conditional_gaussian(right: str) -> None:
    """Mean and covariance at values between, before and after, from the dense structure over all of them.

    That of order two takes its usual steps of 2 on the way: to -3 over -2, and to 30 over 20, 22, ...
    """
    design, order = _design(right), int(right[2])
    (term,), new = design.terms, np.array([-3.0, 1.0, 2.5, 7.0, 30.0])
    times = term.variables[0].labels
    whole = np.unique(np.concatenate([times, new, [-2.0, *np.arange(20.0, 30.0, 2.0)] if order == 2 else []]))
    R = rw_structure(order, whole)
    old = np.searchsorted(whole, times)
    other = np.setdiff1d(np.arange(whole.size), old)
    inner = R[np.ix_(other, other)]
    chosen = np.searchsorted(whole[other], new)
    (encoded,) = encode(design, pd.DataFrame({"t": new})).encoded
    assert encoded.novel is not None
    z, m = encoded.novel.z.toarray(), encoded.novel.z.shape[1]
    b = np.random.default_rng(3).normal(size=(1, times.size))
    zero, unit = (
        encoded.novel.draw({"sd": np.full((len(n), 1), 1.7)}, np.repeat(b, len(n), axis=0), n) @ z.T
        for n in (np.zeros((1, m)), np.eye(m))
    )
    error = rounding(m, inner)
    wanted = -np.linalg.solve(inner, R[np.ix_(other, old)] @ b[0])[chosen]
    np.testing.assert_allclose(zero[0], wanted, rtol=0, atol=error * np.abs(wanted).max())
    root = unit - zero
    assert term.block.factors is not None
    wanted = 1.7**2 / term.block.factors[0] * np.linalg.inv(inner)[np.ix_(chosen, chosen)]
    np.testing.assert_allclose(root.T @ root, wanted, rtol=0, atol=error * wanted.max())


@pytest.mark.parametrize("right", ["rw1(t)", "rw2(t)"])
def test_a_prediction_does_not_depend_on_what_else_is_asked(right: str) -> None:
    """In the middle of a gap and far beyond the data."""
    t = np.r_[1:16, 40:56]
    fit = around(
        lgm.model(f"y ~ {right}", pd.DataFrame({"t": t, "y": np.sin(t / 9.0)})),
        {f"sd({right})": 1.0, "sigma": 0.1},
        spread=0.0,
        chains=1,
        draws=4000,
    )
    alone = pd.concat([fit.predict({"t": [at]}, seed=1) for at in (27.0, 70.0)])
    together = fit.predict({"t": [27.0, *np.arange(17.5, 39.0), *np.arange(60.5, 71), 70.0]}, seed=2).iloc[[0, -1]]
    np.testing.assert_allclose(alone["mean"], together["mean"], rtol=0, atol=0.02 * alone["sd"].max())
    np.testing.assert_allclose(alone["sd"], together["sd"], rtol=0.06)


def test_values_that_differ_by_rounding_are_one() -> None:
    t = np.round(np.arange(0, 3, 0.1), 10)
    design = _design("rw2(t)", pd.DataFrame({"t": t, "y": np.sin(t)}))
    (encoded,) = encode(design, pd.DataFrame({"t": [0.1 * 3, 0.1 + 0.2, 0.1 * 7]})).encoded
    assert encoded.novel is None and encoded.z.toarray().argmax(axis=1).tolist() == [3, 3, 7]


@pytest.mark.parametrize("right", ["rw1(t)", "rw2(t)"])
@pytest.mark.parametrize("scale", [1e80, 1e-80])
def test_values_beyond_double_precision(right: str, scale: float) -> None:
    with pytest.raises(lgm.DataError, match=r"rw.\(t\): `t` runs from .* range too (large|small)"):
        _design(right, DATA.assign(t=DATA["t"] * scale))
    with pytest.raises(lgm.DataError, match=r"rw.\(t\): some of its values are so close to each other"):
        _design(right, DATA.assign(t=np.r_[0.0, 1e-17, 1 : N - 1]))
    with pytest.raises(lgm.DataError, match=r"`t` runs from 0 to 1e\+90"):
        encode(_design(right), pd.DataFrame({"t": [1e90]}))


def test_a_line_that_is_lost_beside_its_size() -> None:
    far = DATA.assign(t=1e17 + 16.0 * np.arange(N))
    with pytest.raises(
        lgm.IdentifiabilityError, match=r"`rw2\(t\)\[linear\]` is 1e\+17 in every row, like the intercept, but for"
    ):
        _design("rw2(t)", far)
    near = DATA.assign(t=16.0 * np.arange(N))
    theta = {"sd(rw1(t))": 1.0, "sigma": 0.5}
    found = [lgm.model("y ~ rw1(t)", data).log_likelihood(theta) for data in (far, near)]
    assert found[0] == pytest.approx(found[1], rel=1e-12)


@pytest.mark.parametrize("right", ["rw1(t)", "rw2(t)"])
def test_the_curve_has_points_where_values_are_missing(right: str) -> None:
    gap = _design(right, DATA.assign(t=np.r_[0:15, 20:35]))
    np.testing.assert_allclose(gap.terms[0].view.points, np.arange(35.0))
    np.testing.assert_array_equal(_design(right).terms[0].view.points, np.unique(DATA["t"]))


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
