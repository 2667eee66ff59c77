"""``ar1(t)``: its columns, and how it goes on at new times."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

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


@pytest.mark.parametrize(
    ("rho", "new"), [(0.7, [-3.0, 1.0, 5.0, 30.0]), (-0.4, [-4.0, 20.0, 30.0]), (0.0, [-3.0, 1.0, 20.0])]
)
def test_new_times_follow_the_conditional_gaussian(rho: float, new: list[float]) -> None:
    """Of the stationary process, from its dense correlations over steps of 2; the mean depends on rho."""
    design = _design("ar1(t)")
    (term,) = design.terms
    times = term.variables[0].labels
    everything = np.concatenate([times, new])
    C = np.power(rho, np.abs(np.subtract.outer(everything, everything)) / 2)
    n, m = times.size, len(new)
    b = np.random.default_rng(3).normal(size=(1, n))
    (encoded,) = encode(design, pd.DataFrame({"t": new})).encoded
    assert encoded.novel is not None and encoded.novel.mean_needs_theta
    zero, unit = (
        encoded.novel.draw(
            {"sd": np.full((len(z), 1), 1.7), "rho": np.full((len(z), 1), rho)}, np.repeat(b, len(z), axis=0), z
        )
        for z in (np.zeros((1, m)), np.eye(m))
    )
    pull = np.linalg.solve(C[:n, :n], C[:n, n:]).T
    np.testing.assert_allclose(zero[0], pull @ b[0], rtol=1e-9, atol=1e-13)
    root = unit - zero
    np.testing.assert_allclose(root.T @ root, 1.7**2 * (C[n:, n:] - pull @ C[:n, n:]), rtol=1e-9, atol=1e-13)


def test_the_unit_of_the_times_does_not_matter() -> None:
    """Hours, minutes and seconds of one series, with gaps: the same likelihood, and the step in the printed model."""
    models = [lgm.model("y ~ ar1(t)", DATA.assign(t=(DATA["t"] // 2 + 5) * unit)) for unit in (1, 24, 3600)]
    for rho in (0.7, -0.4):
        values = [model.log_likelihood({"sd(ar1(t))": 1.2, "rho(ar1(t))": rho, "sigma": 0.5}) for model in models]
        assert values[0] == values[1] == values[2]
    assert "in steps of" not in repr(models[0])
    assert "10 times in steps of 24; rho is that of one step" in repr(models[1])
    spaced = _design("ar1(t)", DATA.assign(t=np.where(DATA["t"] == 4, 49, 12 * DATA["t"])))
    assert spaced.terms[0].size == "10 times"  # one odd time makes the step one again


def test_the_curve_goes_through_steps_that_have_no_data() -> None:
    design = _design("ar1(t)", DATA.assign(t=3600 * np.r_[0:15, 20:35]))
    np.testing.assert_array_equal(design.terms[0].view.points, 3600.0 * np.arange(35))


def test_times_that_are_not_whole() -> None:
    with pytest.raises(lgm.DataError, match=r"ar1\(w\) needs whole times .*or use ou\(w\)"):
        _design("ar1(w)")
    with pytest.raises(lgm.DataError, match=r"ar1\(t\) needs whole times .* up to 9e\+15, `t` has 1e\+30 in row 3"):
        _design("ar1(t)", DATA.assign(t=np.where(np.arange(N) == 3, 1e30, 1.0)))
    with pytest.raises(lgm.DataError, match=r"needs at least 2 distinct times, `t` has 1"):
        _design("ar1(t)", DATA.assign(t=3))


def test_its_hyperparameters() -> None:
    sd, rho = _design("ar1(t)").terms[0].block.parameters
    assert (sd.names, rho.names) == (("sd(ar1(t))",), ("rho(ar1(t))",))
    assert repr(rho.default) == "lkj(1.5)" and not rho.domain.holds(-1.0) and not rho.domain.holds(1.0)
    assert _design("ar1(t)").terms[0].block.constraint is None


def test_the_mode_of_one_series_for_all_times_is_inside():
    """Years that are alike, or a series that hardly moves: rho is large, and known, but not one."""
    rng = np.random.default_rng(5)
    t, year = np.tile(np.arange(10), 5), np.repeat(np.arange(5), 10)
    data = {"t": t, "year": year, "y": np.sin(0.5 * t) + rng.normal(0, 0.3, t.size)}
    found = lgm.fit("y ~ ar1(t, group=ar1(year))", data, method="mode", progress=False).summary()
    assert 0.9 < found.loc["rho(ar1(t, group=ar1(year))[year])", "mean"] < 0.9999
    assert np.all(np.isfinite(found[["mean", "sd"]].to_numpy(float)))
