"""``ar1(t)``: its columns, and how it goes on at new times."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense_model import ar1

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


@pytest.mark.parametrize(("right", "variable"), [("ar1(t)", "t"), ("ar1(4 * w)", "w")])
def test_a_column_per_distinct_value(right: str, variable: str) -> None:
    design = _design(right)
    values = 4 * DATA["w"] if variable == "w" else DATA[variable]
    times = np.unique(values)
    np.testing.assert_array_equal(design.predictor.Z.toarray(), np.equal.outer(values.to_numpy(), times).astype(float))
    (variable_of,) = design.terms[0].variables
    np.testing.assert_array_equal(variable_of.labels, times)
    assert variable_of.name == right


def test_it_continues_at_new_values() -> None:
    design = _design("ar1(t)")
    new = pd.DataFrame({"t": [2, 3, 40, 3, 4]})
    (encoded,) = encode(design, new).encoded
    times = design.terms[0].variables[0].labels.tolist()
    known = np.zeros((5, len(times)))
    known[0, times.index(2)] = known[4, times.index(4)] = 1.0
    np.testing.assert_array_equal(encoded.z.toarray(), known)
    assert encoded.novel is not None and not encoded.novel.population
    assert encoded.novel.what == "2 values of t that the data do not have"
    assert encoded.novel.z.toarray().tolist() == [[0, 0], [1, 0], [0, 1], [1, 0], [0, 0]]


@pytest.mark.parametrize("rho", [0.7, -0.4, 0.0])
def test_new_times_follow_the_conditional_gaussian(rho: float) -> None:
    """Of the stationary process, from its dense correlations; the mean depends on rho."""
    design = _design("ar1(t)")
    (term,), new = design.terms, np.array([-3.0, 1.0, 5.0, 30.0])
    times = term.variables[0].labels
    C = ar1(np.concatenate([times, new]).astype(int), 1.0, rho)
    n = times.size
    b = np.random.default_rng(3).normal(size=(1, n))
    (encoded,) = encode(design, pd.DataFrame({"t": new})).encoded
    assert encoded.novel is not None and encoded.novel.mean_needs_theta
    zero, unit = (
        encoded.novel.draw(
            {"sd": np.full((len(z), 1), 1.7), "rho": np.full((len(z), 1), rho)}, np.repeat(b, len(z), axis=0), z
        )
        for z in (np.zeros((1, 4)), np.eye(4))
    )
    pull = np.linalg.solve(C[:n, :n], C[:n, n:]).T
    np.testing.assert_allclose(zero[0], pull @ b[0], rtol=1e-9, atol=1e-13)
    root = unit - zero
    np.testing.assert_allclose(root.T @ root, 1.7**2 * (C[n:, n:] - pull @ C[:n, n:]), rtol=1e-9, atol=1e-13)


def test_times_that_are_not_whole() -> None:
    with pytest.raises(lgm.DataError, match=r"ar1\(w\) needs whole times .*or use rw1\(w\)"):
        _design("ar1(w)")
    with pytest.raises(lgm.DataError, match=r"needs at least 2 distinct times, `t` has 1"):
        _design("ar1(t)", DATA.assign(t=3))


def test_its_hyperparameters() -> None:
    sd, rho = _design("ar1(t)").terms[0].block.parameters
    assert (sd.names, rho.names) == (("sd(ar1(t))",), ("rho(ar1(t))",))
    assert repr(rho.default) == "pc_corr(0.5, 0.5)" and not rho.domain.holds(-1.0) and not rho.domain.holds(1.0)
    assert _design("ar1(t)").terms[0].block.constraint is None
