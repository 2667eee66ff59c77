"""Rows at which a fit is asked: what is typical of each kind of variable, and what counts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import counts, factorial, measured

import lgm
from lgm.results.interpret import grid
from lgm.results.interpret.grid import Variables


def design_of(formula: str, data: pd.DataFrame, **keywords: Any) -> Variables:
    design = lgm.model(formula, data, **keywords).design
    return Variables(design, design.seen.frame)


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 120
    found = pd.DataFrame({"x": rng.normal(3, 1, n), "n": rng.integers(1, 9, n), "period": rng.integers(2, 5, n)})
    found["f"] = pd.Categorical(rng.choice(["lo", "hi"], n), categories=["lo", "none", "hi"])
    found["flag"], found["t"] = rng.random(n) > 0.5, rng.choice([1, 2, 3, 7, 9, 12], n)
    found["day"] = pd.Timestamp("2024-03-01") + pd.to_timedelta(found["t"], "D")
    found["month"] = pd.PeriodIndex(found["day"] + pd.to_timedelta(30 * found["t"], "D"), freq="M")
    found["lon"], found["lat"] = rng.uniform(0, 1, n), rng.uniform(0, 1, n)
    found["region"] = rng.choice(["n", "e", "s", "w"], n)
    found["y"] = rng.normal(size=n)
    found.loc[0, "y"] = np.nan
    return found


def test_numbers_have_their_mean_and_factors_their_first_level(data: pd.DataFrame) -> None:
    formula = "y ~ poly(x, 2) + log(n) + C(period) + f*flag + offset(lon) + s(lat, k=4)"
    variables = design_of(formula, data)
    seen = data.drop(index=0)
    expected = {"x": seen.x.mean(), "n": seen.n.mean(), "period": 2, "f": "lo", "flag": False}
    found = variables.typical(variables.known)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert found["lon"] == pytest.approx(seen.lon.mean()) and found["lat"] == pytest.approx(seen.lat.mean())
    assert [name for name in variables.known if variables.is_factor(name)] == ["period", "f", "flag"]
    assert variables.spread("f") == ["lo", "hi"]
    assert variables.spread("n") == list(range(1, 9))
    assert len(variables.spread("x", 30)) == 30
    np.testing.assert_allclose(variables.few("x"), seen.x.mean() + np.array([-1, 0, 1]) * seen.x.std())


@pytest.mark.parametrize("term", ["rw1(t)", "rw2(day)", "rw1(month)", "ar1(t)"])
def test_times_of_a_walk_are_times_of_the_data(data: pd.DataFrame, term: str) -> None:
    variables = design_of(f"y ~ {term}", data)
    (name,) = variables.known
    times = sorted(data[name].iloc[1:].unique())
    assert variables.spread(name) == times
    at = data["t"].iloc[1:]
    nearest = data[name][(at - at.mean()).abs().idxmin()]
    assert name == "month" or variables.typical([name])[name] == nearest
    assert variables.typical([name])[name] in times
    assert set(variables.few(name)) <= set(times)


def test_a_number_that_is_also_a_group_stays_a_number(data: pd.DataFrame) -> None:
    variables = design_of("y ~ t + (1|t)", data)
    assert not variables.is_factor("t")
    assert design_of("y ~ x + (1|t)", data).is_factor("t")


def test_steps_count_and_have_a_value_of_the_data(data: pd.DataFrame) -> None:
    variables = design_of("y ~ x + mo(n)", data)
    nearest = data["n"].iloc[1:][(data["n"].iloc[1:] - data["n"].iloc[1:].mean()).abs().idxmin()]
    assert variables.typical(["n"]) == {"n": nearest}
    assert not list(variables.deviations())


def test_a_factor_that_is_also_part_of_a_group_has_its_first_level(data: pd.DataFrame) -> None:
    variables = design_of("y ~ f + (1|f:region)", data.assign(f=np.where(data.n < 7, "z", "a")))
    assert variables.typical(["f"]) == {"f": "a"}


def test_groups_regions_and_places_count_where_they_are_given(data: pd.DataFrame) -> None:
    graph = lgm.graph([("n", "e"), ("e", "s"), ("s", "w")])
    design = lgm.model("y ~ x + icar(region, g) + matern(lon, lat) + (x|t)", data, env={"g": graph}).design

    class Asked:
        pass

    fit: Any = Asked()
    fit.design = design
    terms = lambda **values: grid.of_grid(fit, {k: [v] for k, v in values.items()}, None).parts.terms  # noqa: E731
    assert terms(x=1.0) == (False, False, False)
    assert terms(region="n") == (True, False, False)
    assert terms(lon=0.5) == (False, True, False)
    assert terms(t=3) == (False, False, True)
    rows = grid.of_grid(fit, {"lon": [0.1, 0.2]}, None)
    assert list(rows.frame.columns) == ["lon", "x", "lat"]
    assert set(rows.held) == {"x", "lat"}
    with pytest.raises(lgm.LgmError, match=r"effects of \(x \| t\) count, so the grid needs levels of t"):
        grid.of_grid(fit, {}, True)
    assert not any(grid.of_grid(fit, {"t": [3]}, False).parts.terms)


def test_a_grid_is_crossed_and_says_what_is_held() -> None:
    fit = measured()
    rows = grid.of_grid(fit, {"x": [0.0, 1.0], "trt": ["a", "c"]}, None)
    assert rows.frame[["x", "trt"]].to_numpy().tolist() == [[0.0, "a"], [0.0, "c"], [1.0, "a"], [1.0, "c"]]
    assert rows.held == {"sex": "f"}
    assert rows.frame["sex"].tolist() == ["f"] * 4
    assert grid.of_grid(fit, {}, None, held={"x": 2.0}).frame["x"].tolist() == [2.0]


def test_rows_of_the_data_have_responses_and_are_set_to_conditions() -> None:
    fit = counts()
    rows = grid.of_data(fit, None, None, None, ())
    assert len(rows.frame) == 30 and 5 not in rows.frame.index
    set_ = grid.of_data(fit, None, {"x": [0.0, 1.0], "g": "a"}, None, ())
    assert len(set_.frame) == 60
    assert set_.frame["x"].iloc[:30].eq(0.0).all() and set_.frame["g"].eq("a").all()


def test_which_variables_an_effect_has() -> None:
    variables = Variables.of(counts())
    assert grid.effect_of(variables, "x") == ("x",)
    assert grid.effect_of(variables, "x:g") == ("x", "g")
    assert grid.effect_of(variables, "rw1( t )") == ("t",)
    assert grid.all_effects(variables) == ["x", "t"]
    assert grid.all_effects(Variables.of(measured())) == ["trt", "x", "sex", "trt:x", "trt:sex"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda v: grid.effect_of(v, "tr"), "there is no effect 'tr'. Did you mean `trt`"),
        (lambda v: grid.effect_of(v, "trt:x:sex"), "has the variables trt, x, sex; accepted: one or two"),
        (lambda v: grid.effect_of(v, 3), "effects has 3; accepted: names"),
        (lambda v: grid.conditions_of({"ses": 1}, v), "conditions= has 'ses'.*Did you mean `sex`"),
        (lambda v: grid.conditions_of([1], v), "of the type list; accepted: a dict"),
        (lambda v: grid.conditions_of({"x": "b"}, v), "`x` holds numbers"),
        (lambda v: grid.conditions_of({"x": []}, v), "accepted: a value, or a list"),
    ],
)
def test_what_cannot_be_asked(asked: Callable[[Variables], Any], message: str) -> None:
    with pytest.raises(lgm.LgmError, match=message):
        asked(Variables.of(measured()))


def test_columns_that_are_not_there() -> None:
    fit = measured()
    with pytest.raises(lgm.DataError, match=r"did not keep the column\(s\) age. Accepted: new_data"):
        grid.of_data(fit, None, None, None, ("age",))
    with pytest.raises(lgm.DataError, match=r"new_data lacks the column\(s\) x"):
        grid.of_data(fit, factorial().drop(columns="x"), None, None, ())
    with pytest.raises(lgm.LgmError, match="1,002,001 rows; accepted: up to 1,000,000"):
        grid.of_grid(fit, {"x": list(np.arange(1001.0)), "g": list(range(1001))}, None)
