"""What is said of variables by a fit of data in partitions is what the fit of one table says."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.data import values

OPTIONS: dict[str, Any] = {"method": "mode", "draws": 100, "seed": 1, "progress": False}
CUTS = (0, 60, 60, 200)
NUMBERS = ["mean", "sd", "2.5%", "97.5%"]


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 400
    data = pd.DataFrame({"x": np.round(rng.normal(2, 1, n), 1), "z": np.round(rng.normal(size=n), 1)})
    data["f"] = pd.Categorical(rng.choice(list("abc"), n), categories=list("cab"))
    data["g"], data["t"], data["site"] = rng.integers(8, size=n), rng.integers(1, 11, size=n), rng.choice(["u", "v"], n)
    eta = 0.4 * data.x + np.sin(data.z) + (data.f == "a") + 0.7 * rng.normal(size=8)[data.g]
    data["y"], data["b"] = 9.0 + eta + rng.normal(size=n), 1.0 * (rng.uniform(size=n) < 1 / (1 + np.exp(1.5 - eta)))
    data.loc[[3, 250], ["y", "b"]] = np.nan
    data.loc[[7, 330], "x"] = np.nan
    return data


def parts() -> list[pd.DataFrame]:
    return [rows().iloc[a:b] for a, b in zip(CUTS, [*CUTS[1:], 400], strict=True)]


def both(formula: str, family: str) -> tuple[lgm.Fit, lgm.Fit]:
    with pytest.warns(lgm.DataWarning, match="2 of 400 rows are dropped"):
        whole = lgm.fit(formula, rows(), family, **OPTIONS)
    with pytest.warns(lgm.DataWarning, match="rows are left out|rows are dropped"):
        apart = lgm.fit(formula, parts(), family, **OPTIONS)
    return whole, apart


@pytest.fixture(scope="module")
def normal() -> tuple[lgm.Fit, lgm.Fit]:
    return both("y ~ x*f + s(z, k=5) + rw1(t) + (x|g)", "gaussian")


@pytest.fixture(scope="module")
def binary() -> tuple[lgm.Fit, lgm.Fit]:
    return both("b ~ x + f + s(z, k=5) + (1|g)", "bernoulli")


def require_same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for name, table in wanted.items():
            require_same(found[name], table)
        return
    words = [name for name in wanted if name not in NUMBERS]
    pd.testing.assert_frame_equal(found[words], wanted[words], check_dtype=False, rtol=1e-9)
    away = (found[NUMBERS] - wanted[NUMBERS]).abs().div(wanted["sd"], axis=0)
    assert away.to_numpy().max() < 1e-6  # of an sd: what the modes of theta are apart, by rounding


GRIDS = {
    "effects": lambda fit: fit.conditional_effects(resolution=20),
    "an effect in groups": lambda fit: fit.conditional_effects("x", conditions={"g": [1, 2]}),
    "a grid": lambda fit: fit.predictions("grid", by=["x", "f"]),
    "marginal means": lambda fit: fit.marginal_means("f", contrasts="pairwise"),
    "quartiles": lambda fit: fit.comparisons({"x": "iqr", "z": "2sd"}, "grid"),
    "slopes along": lambda fit: fit.slopes("z", "grid", by="z"),
}
AVERAGES = {
    "of all": lambda fit, **data: fit.predictions(by=True, **data),
    "by a factor": lambda fit, **data: fit.predictions(by=["f"], **data),
    "standardised": lambda fit, **data: fit.predictions(by="f", conditions={"f": ["a", "b"]}, **data),
    "differences": lambda fit, **data: fit.comparisons({"x": "sd", "f": "pairwise"}, **data),
    "ratios": lambda fit, **data: fit.comparisons("x", by="f", comparison="ratio", **data),
    "slopes": lambda fit, **data: fit.slopes(["x", "z"], **data),
    "elasticities": lambda fit, **data: fit.slopes("x", by="f", slope="eyex", **data),
    "the population": lambda fit, **data: fit.predictions(by=True, include_group_specific=False, **data),
}


@pytest.mark.parametrize("call", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("which", ["normal", "binary"])
def test_grids(which: str, call: Any, request: pytest.FixtureRequest) -> None:
    whole, apart = request.getfixturevalue(which)
    require_same(call(apart), call(whole))


@pytest.mark.parametrize("call", AVERAGES.values(), ids=AVERAGES)
@pytest.mark.parametrize("which", ["normal", "binary"])
def test_averages(which: str, call: Any, request: pytest.FixtureRequest) -> None:
    whole, apart = request.getfixturevalue(which)
    require_same(call(apart, data=parts()), call(whole))


def test_columns_beside_the_formula_and_partitions_of_dask(normal: tuple[lgm.Fit, lgm.Fit]) -> None:
    dd, dask = pytest.importorskip("dask.dataframe"), pytest.importorskip("dask")
    whole, apart = normal
    found = apart.predictions(by="site", data=parts())
    used = rows().dropna()
    wanted = whole.predictions(used, by="site")
    require_same(found, wanted)
    require_same(apart.predictions(by="site", data=rows()), wanted)  # in one table
    with dask.config.set(scheduler="synchronous"):
        frame = dd.from_map(lambda i: parts()[i], range(4), meta=rows().iloc[:0])
        require_same(apart.predictions(by="site", data=frame), wanted)


def test_new_effects_are_none_or_refused(normal: tuple[lgm.Fit, lgm.Fit]) -> None:
    _, apart = normal
    new = {"by": True, "conditions": {"g": [99]}, "data": parts()}
    with pytest.raises(lgm.LgmError, match=r"partition 0: there is 1 new level of g \(99\).*new_levels='zero'"):
        apart.predictions(**new)
    zero = apart.predictions(**new, new_levels="zero")
    require_same(zero, apart.predictions(by=True, include_group_specific=False, data=parts()))


def test_what_is_refused_says_what_works(normal: tuple[lgm.Fit, lgm.Fit], monkeypatch: pytest.MonkeyPatch) -> None:
    whole, apart = normal
    for call, message in (
        (lambda: apart.comparisons("x"), "Accepted: data=, with the partitions"),
        (
            lambda: apart.predictions(data=parts()),
            r"by=False gives an estimate for each row.*fit.predict\(partitions\)",
        ),
        (lambda: whole.slopes("x", data=parts()), "data= is for fits of data in partitions"),
        (lambda: apart.slopes("x", "grid", data=parts()), "give one of them"),
        (lambda: apart.comparisons("x", by="no", data=parts()), r"partition 0: it lacks the column\(s\) no"),
        (lambda: apart.predictions(by=True, data=rows().iloc[[3, 7]]), "no row of data= has all predictors"),
        (lambda: apart.plot_conditional_effects("x", points=True), "points=True shows the rows of the data"),
    ):
        with pytest.raises(lgm.LgmError, match=message):
            call()
    monkeypatch.setattr(values, "MOST", 20)
    many = lgm.fit("y ~ x + (1|g)", [part.dropna() for part in parts()], **OPTIONS)
    for call, message in (
        (lambda: many.comparisons({"x": "iqr"}, "grid"), "the quartiles of `x` are not known"),
        (lambda: many.marginal_means("x"), "`x` is no factor"),
    ):
        with pytest.raises(lgm.LgmError, match=message):
            call()


def test_draws_that_memory_does_not_hold(binary: tuple[lgm.Fit, lgm.Fit], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lgm.results.interpret.streamed.KEPT_BYTES", 1e3)
    with pytest.raises(lgm.LgmError, match=r'by= gives 3 averages with 400 draws of each.*kind="linear"'):
        binary[1].predictions(by="f", data=parts())
    assert len(binary[1].predictions(by="f", data=parts(), kind="linear")) == 3


def test_the_range_of_a_smooth_is_that_of_all_partitions(normal: tuple[lgm.Fit, lgm.Fit]) -> None:
    with (
        pytest.warns(lgm.PredictionWarning, match="`z` is nearer to the end than the step leave the range"),
        pytest.warns(lgm.PredictionWarning, match=r"s\(z\): \d+ rows? outside the data's range"),
    ):
        normal[1].comparisons({"z": 0.3}, data=parts())
