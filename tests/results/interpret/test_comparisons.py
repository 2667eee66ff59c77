"""Comparisons against predictions at two sets of rows."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import around, counts, factorial, measured, ranked

import lgm
from lgm.results.interpret.comparisons import changes_of
from lgm.results.interpret.grid import Variables


def averages(fit: lgm.Fit, data: pd.DataFrame, **values: Any) -> np.ndarray:
    """Draws of the average expected response where all rows have some values."""
    drawn = fit.predict(data.assign(**values), "draws")
    return np.asarray(drawn.mean("row")).ravel()


@pytest.fixture(scope="module")
def seen() -> pd.DataFrame:
    return counts().design.seen.frame


@pytest.mark.parametrize(
    ("comparison", "function", "words"),
    [
        ("difference", lambda a, b: a - b, "{} - {}"),
        ("ratio", lambda a, b: a / b, "{} / {}"),
        ("lift", lambda a, b: a / b - 1, "({0} - {1}) / {1}"),
        ("lnratio", lambda a, b: np.log(a) - np.log(b), "ln({} / {})"),
    ],
)
def test_averages_of_each_draw_are_compared(seen: pd.DataFrame, comparison: str, function: Any, words: str) -> None:
    fit = counts()
    found = fit.comparisons("x", comparison=comparison)
    drawn = function(averages(fit, seen, x=seen.x + 1), averages(fit, seen))
    expected = [drawn.std(ddof=1), *np.quantile(drawn, [0.025, 0.975])]
    np.testing.assert_allclose(found[["sd", "2.5%", "97.5%"]].iloc[0].astype(float), expected, rtol=1e-8)
    assert found["mean"][0] == pytest.approx(drawn.mean(), abs=0.1 * drawn.std())
    assert found["contrast"].tolist() == [words.format("(x + 1)", "x")]


def test_levels_against_the_first_are_exact() -> None:
    fit, data = measured(), factorial()
    found = fit.comparisons("trt")
    at = {level: fit.predict(data.assign(trt=level))["mean"].mean() for level in "abc"}
    assert found["contrast"].tolist() == ["b - a", "c - a"]
    np.testing.assert_allclose(found["mean"], [at["b"] - at["a"], at["c"] - at["a"]])
    by = fit.comparisons("trt", by="sex")
    beta = fit.fixef()["mean"]
    x = data.groupby("sex")["x"].mean()
    expected = [
        beta[f"trt[T.{k}]"] + beta[f"trt[T.{k}]:x"] * x[s] + (beta[f"trt[T.{k}]:sex[T.m]"] if s == "m" else 0.0)
        for k in "bc"
        for s in "fm"
    ]
    np.testing.assert_allclose(by["mean"], expected)


def test_each_row_or_a_grid() -> None:
    fit, data = measured(), factorial()
    each = fit.comparisons({"x": 2.0}, by=False)
    difference = fit.predict(data.assign(x=data.x + 2))["mean"] - fit.predict(data)["mean"]
    np.testing.assert_allclose(each["mean"], difference)
    assert each.index.equals(data.index)
    grid = fit.comparisons("sex", "grid", by="trt")
    beta = fit.fixef()["mean"]
    more = [0.0, beta["trt[T.b]:sex[T.m]"], beta["trt[T.c]:sex[T.m]"]]
    np.testing.assert_allclose(grid["mean"], beta["sex[T.m]"] + np.array(more))


def test_groups_are_compared_with_their_effects() -> None:
    fit = measured()
    found = fit.comparisons({"g": (2, 5)}, "grid")
    b = fit.ranef()["mean"]
    np.testing.assert_allclose(found["mean"], b["Intercept|g", 5] - b["Intercept|g", 2])


def test_probabilities_of_categories() -> None:
    fit = ranked()
    found = fit.comparisons("f", comparison="difference")
    assert found["category"].tolist() == ["low", "mid", "high"] * 2
    np.testing.assert_allclose(found["mean"].to_numpy().reshape(2, 3).sum(axis=1), 0.0, atol=1e-10)
    linear = fit.comparisons("f", kind="linear")
    np.testing.assert_allclose(linear["mean"], fit.fixef()["mean"][["f[T.v]", "f[T.w]"]])


@pytest.mark.parametrize(
    ("name", "contrast", "values"),
    [
        ("trt", "pairwise", [("a", "b"), ("a", "c"), ("b", "c")]),
        ("trt", "sequential", [("a", "b"), ("b", "c")]),
        ("trt", ("c", "a"), [("c", "a")]),
        ("x", "minmax", [(factorial().x.min(), factorial().x.max())]),
        ("x", "2sd", [(factorial().x.mean() - factorial().x.std(), factorial().x.mean() + factorial().x.std())]),
        ("x", "iqr", [tuple(factorial().x.quantile([0.25, 0.75]))]),
        ("x", (1, 2.5), [(1, 2.5)]),
        ("x", 0.5, [(0.0, 0.5)]),
    ],
)
def test_which_values_are_compared(name: str, contrast: Any, values: list[tuple[Any, Any]]) -> None:
    found = [(change.low, change.high) for change in changes_of(Variables.of(measured()), name, contrast)]
    assert found == [pytest.approx(pair) for pair in values] if name == "x" else found == values


@pytest.mark.parametrize(
    ("asked", "options", "message"),
    [
        ("tr", {}, "variables= has 'tr', which is no variable.*Did you mean `trt`"),
        ({"trt": "all"}, {}, "`trt` is a factor. Accepted: 'reference', 'pairwise', 'sequential', or two"),
        ({"x": "pairwise"}, {}, "x='pairwise'. Accepted: a step, 'sd'"),
        ({"x": 0}, {}, "x=0. Accepted: a step"),
        ({"trt": ("a", "z")}, {}, "`trt` has level.* z"),
        ("x", {"comparison": "rato"}, "comparison='rato'. Did you mean `ratio`"),
        ([], {}, "accepted: names of variables"),
    ],
)
def test_what_cannot_be_compared(asked: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(lgm.LgmError, match=message):
        measured().comparisons(asked, **options)


def test_a_factor_with_one_level_and_a_time() -> None:
    data = factorial().assign(day=pd.date_range("2024-01-01", periods=90))
    design = lgm.model("y ~ trt + s(day, k=4)", data).design
    variables = Variables(design, design.seen.frame)
    with pytest.raises(lgm.LgmError, match="`trt` has one level, 'a', so there is nothing to compare"):
        list(changes_of(Variables(design, design.seen.frame[data.trt == "a"]), "trt", None))
    with pytest.raises(lgm.LgmError, match=r"day=None. Accepted: two values \(low, high\)"):
        list(changes_of(variables, "day", None))
    [change] = changes_of(variables, "day", (pd.Timestamp("2024-01-02"), pd.Timestamp("2024-02-01")))
    assert change.high == pd.Timestamp("2024-02-01")


def test_where_there_are_effects_at_values_only_the_ends_are_compared() -> None:
    """One step further than the last category is nothing that the fit knows."""
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"m": np.tile([1, 2, 3, 4], 10)})
    data["y"] = data["m"] + rng.normal(0, 0.3, 40)
    fit = lgm.fit("y ~ mo(m)", data, method="mode", draws=50, seed=1, progress=False)
    found = fit.comparisons("m").iloc[0]
    ends = fit.predict({"m": [1, 4]}, "linear")["mean"]
    assert found["contrast"] == "4 - 1"
    assert found["mean"] == pytest.approx(ends[1] - ends[0], rel=1e-9)


def test_at_rows_of_a_table(seen: pd.DataFrame) -> None:
    fit, some = counts(), seen.head(9)
    drawn = averages(fit, some, x=some.x + 1) - averages(fit, some)
    assert fit.comparisons("x", some).iloc[0]["sd"] == pytest.approx(drawn.std(ddof=1), rel=1e-8)


def test_odds_are_of_probabilities() -> None:
    with pytest.raises(lgm.LgmError, match="of odds, but the mean of poisson is no probability"):
        counts().comparisons("x", comparison="lnor")


@pytest.mark.filterwarnings(r"ignore:s\(x\). 10 rows outside")
def test_steps_that_leave_the_range_of_a_smooth_are_said() -> None:
    data = pd.DataFrame({"x": np.linspace(0.0, 4.0, 41), "z": np.cos(np.arange(41.0))})
    data["y"] = np.sin(data["x"])
    model = lgm.model("y ~ s(x, k=5) + z", data)
    fit = around(model, {"sd(s(x))": 1.0, "sigma": 0.1}, spread=0.0, draws=5)
    with pytest.warns(lgm.PredictionWarning, match=r'10 of 41 rows leave the range of `x`.*\{\'x\': "sd"\}'):
        fit.comparisons("x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit.comparisons({"x": "sd"})
        fit.comparisons({"x": (1.0, 2.0)})
        fit.comparisons("z")
