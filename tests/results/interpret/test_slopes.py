"""Slopes against coefficients, derivatives by hand, and R's emtrends."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import counts, factorial, fit_of, measured

import lgm
from lgm.results.interpret.slopes import _moved


@pytest.fixture(scope="module")
def curved() -> lgm.Fit:
    """A cubic and a smooth, with all hyperparameters held."""
    x = np.linspace(1.0, 5.0, 41)
    data = pd.DataFrame({"x": x, "z": np.cos(np.arange(41.0))})
    data["y"] = np.log(x) + data.z**2 + 0.01 * np.sin(np.arange(41) ** 2)
    model = lgm.model("y ~ x + I(x**2) + I(x**3) + s(z, k=5)", data)
    return fit_of(model, np.tile([1.0, 0.1], (1, 60, 1)))


def test_trends_of_emmeans() -> None:
    """``emtrends(lmer(y ~ trt*x + trt*sex + (1|g)), "trt", var = "x")``, emmeans 1.8.4 with asymptotic df."""
    found = measured().slopes("x", "grid", by="trt")
    np.testing.assert_allclose(found["mean"], [0.681836717806, 0.455869792132, 0.846066492109], rtol=1e-9)
    np.testing.assert_allclose(found["sd"], [0.0810772169141, 0.0885443468585, 0.0830835765059], rtol=1e-9)
    assert found["term"].tolist() == ["x"] * 3


def test_averages_over_the_data() -> None:
    beta, share = measured().fixef()["mean"], factorial()["trt"].value_counts(normalize=True)
    expected = beta["x"] + share["b"] * beta["trt[T.b]:x"] + share["c"] * beta["trt[T.c]:x"]
    assert measured().slopes("x")["mean"].tolist() == pytest.approx([expected], rel=1e-9)


def test_a_cubic(curved: lgm.Fit) -> None:
    """At the ends of the data too, where points lie on one side."""
    x = curved.design.seen.frame["x"].to_numpy()
    beta = curved.fixef()["mean"]
    exact = beta["x"] + 2 * beta["I(x ** 2)"] * x + 3 * beta["I(x ** 3)"] * x**2
    found = curved.slopes("x", by=False)
    np.testing.assert_allclose(found["mean"], exact, atol=1e-6 * np.abs(exact).max())
    np.testing.assert_allclose(found["mean"][1:-1], exact[1:-1], atol=2e-7 * np.abs(exact).max())


def test_a_smooth_against_wider_differences(curved: lgm.Fit) -> None:
    z = np.array([-0.5, 0.0, 0.7])
    rows = pd.DataFrame({"x": 2.0, "z": z})
    wide = [curved.predict(rows.assign(z=z + step))["mean"].to_numpy() for step in (-0.02, -0.01, 0.01, 0.02)]
    richardson = (8 * (wide[2] - wide[1]) - (wide[3] - wide[0])) / 0.12
    np.testing.assert_allclose(curved.slopes("z", rows, by=False)["mean"], richardson, atol=1e-5)


def test_a_link_bends_slopes() -> None:
    """Of a log link the slope is the coefficient times the mean, in each draw."""
    fit = counts()
    seen = np.flatnonzero(fit.design.rows.observed)
    mean = np.asarray(fit.predict(kind="draws").isel(row=seen).mean("row")).ravel()
    drawn = fit.effects.fixed[:, fit.design.fixed_names.index("x")] * mean
    found = fit.slopes("x")
    assert found["sd"][0] == pytest.approx(drawn.std(ddof=1), rel=1e-6)
    assert found["97.5%"][0] == pytest.approx(np.quantile(drawn, 0.975), rel=1e-6)
    log = fit.slopes("x", slope="eydx")
    assert log["mean"][0] == pytest.approx(fit.fixef()["mean"]["x"], rel=1e-6)
    elastic = fit.slopes("x", slope="eyex")
    average = fit.design.seen.frame["x"].mean()
    assert elastic["mean"][0] == pytest.approx(average * fit.fixef()["mean"]["x"], rel=1e-6)
    assert elastic["slope"].tolist() == ["eyex"]


def test_by_the_logarithm() -> None:
    found = measured().slopes("x", slope="dyex", by=False)
    plain = measured().slopes("x", by=False)
    np.testing.assert_allclose(found["mean"], plain["mean"] * factorial()["x"], rtol=1e-9)


def test_points_stay_within_the_data() -> None:
    data = pd.Series([0.0, 1.0, 5.0, 10.0])
    frames, counted = _moved(pd.DataFrame({"x": data}), "x", 0.0, 10.0)
    at = np.column_stack([frame["x"] for frame in frames])
    assert at.min() == 0.0 and at.max() == 10.0
    np.testing.assert_allclose(counted.sum(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.sum(counted.T * at, axis=1), 1.0, rtol=1e-9)


@pytest.mark.parametrize(
    ("asked", "options", "message"),
    [
        ("trt", {}, r"`trt` is a factor, without a slope; comparisons\('trt'\)"),
        ("g", {}, "`g` is a factor"),
        ("w", {}, "variables= has 'w', which is no variable"),
        ("x", {"slope": "dxdy"}, "slope='dxdy'.*Accepted: 'dydx'"),
        ([], {}, "accepted: names of numbers"),
    ],
)
def test_what_has_no_slope(asked: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(lgm.LgmError, match=message):
        measured().slopes(asked, **options)


def test_a_walk_has_no_slope() -> None:
    with pytest.raises(lgm.LgmError, match=r"rw1\(t\) has effects at the values of `t` only.*comparisons\('t'\)"):
        counts().slopes("t")


@pytest.mark.parametrize("kind", ["linear", "mean"])
def test_what_cancels_is_zero(kind: Any) -> None:
    """Where an interaction alone has the slope, the other level has none, not its rounding."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"x": rng.normal(50.0, 3.0, 60), "z": rng.normal(size=60), "late": np.arange(60) % 2})
    data["y"] = rng.poisson(3.0, 60)
    fit = fit_of(lgm.model("y ~ z + x:late + (1|late)", data, "poisson"), np.tile([0.3], (1, 60, 1)))
    found = fit.slopes("x", by="late", kind=kind)
    assert np.all(found.loc[found["late"] == 0, ["mean", "sd", "2.5%", "97.5%"]] == 0.0)
    assert np.all(found.loc[found["late"] == 1, "sd"] > 0.0)
