"""``rw1(t, cyclic=True)`` and ``rw2(t, cyclic=True)`` against their dense covariance."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dense_model import circular_structure, condition, restricted, rounding, scaled_covariance
from synthetic import around

import lgm
from lgm.design.design import encode
from lgm.priors import flat

N, PERIOD = 40, 12
THETA = {"sd": 0.8, "sigma": 0.5}
FLAT = {"Intercept": flat(), "fixed": flat()}
orders = pytest.mark.parametrize("order", [1, 2])


def _data() -> pd.DataFrame:
    """Months from 2 to 11 only, so that the circle has times without rows at its seam."""
    rng = np.random.default_rng(7)
    t = rng.integers(2, PERIOD, N)
    x = rng.standard_normal(N)
    return pd.DataFrame({"t": t, "x": x, "y": 1.0 + np.sin(t / 2.0) + 0.4 * x + 0.5 * rng.standard_normal(N)})


DATA = _data()
TIMES = np.arange(1, PERIOD + 1)
Z = np.equal.outer(DATA["t"].to_numpy(), TIMES).astype(float)
X = np.column_stack([np.ones(N), DATA["x"]])


@cache
def model(order: int, call: str = "t, cyclic=True, period=12") -> lgm.Model:
    return lgm.model(f"y ~ x + rw{order}({call})", DATA, priors=FLAT)


def theta_of(order: int) -> dict[str, float]:
    return {f"sd(rw{order}(t))": THETA["sd"], "sigma": THETA["sigma"]}


def covariance(order: int, n: int = PERIOD) -> tuple[np.ndarray, np.ndarray]:
    return scaled_covariance(circular_structure(order, n))


@orders
def test_likelihood(order: int) -> None:
    V = THETA["sd"] ** 2 * Z @ covariance(order)[0] @ Z.T + THETA["sigma"] ** 2 * np.eye(N)
    y = DATA["y"].to_numpy()
    found = model(order).log_likelihood(theta_of(order))
    assert found == pytest.approx(restricted(y, X, V)[0], abs=rounding(N, V, X.T @ X) * (N + y @ y))
    assert model(order).design.fixed_names == ("Intercept", "x")  # no straight line closes


@orders
def test_effects_at_all_times_of_the_circle(order: int) -> None:
    G = THETA["sd"] ** 2 * covariance(order)[0]
    V = Z @ G @ Z.T + THETA["sigma"] ** 2 * np.eye(N)
    mean, cov = condition(DATA["y"].to_numpy(), np.hstack([X, Z]), G, V, flat=2)
    fit = around(model(order), theta_of(order), spread=0.0, chains=1, draws=40)
    found = pd.concat([fit.fixef(), fit.ranef()])
    np.testing.assert_allclose(found["mean"], mean, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found["sd"] ** 2, np.diag(cov), rtol=0, atol=1e-10)
    assert fit.ranef().loc[f"rw{order}(t)"].index.tolist() == TIMES.tolist()
    np.testing.assert_allclose(fit.posterior[f"rw{order}(t)"].sum("t"), 0.0, atol=1e-10)
    np.testing.assert_allclose(fit.scales[f"rw{order}(t)"], covariance(order)[1], rtol=1e-10)
    assert "a circle of 12 times" in repr(model(order))
    later, first = (fit.predict(pd.DataFrame({"t": t, "x": 0.0})) for t in ([13, -11, 0, 26], [1, 1, 12, 2]))
    pd.testing.assert_frame_equal(later, first)  # of other turns
    (ax,) = fit.plot_term(f"rw{order}(t)").axes[:1]
    line = next(line for line in ax.lines if len(line.get_xdata()) == PERIOD)
    np.testing.assert_array_equal(line.get_xdata(), TIMES)
    curve = mean[2:]
    np.testing.assert_allclose(line.get_ydata() - line.get_ydata().mean(), curve - curve.mean(), rtol=0, atol=1e-10)


@orders
def test_a_circle_of_the_times_that_the_data_have(order: int) -> None:
    """From the first to the last, those between without rows included; then once more from the start."""
    term = model(order, "t, cyclic=True").design.terms[0]
    np.testing.assert_array_equal(term.variables[0].labels, np.arange(2.0, 12.0))
    rows = encode(model(order, "t, cyclic=True").design, pd.DataFrame({"t": [2, 11, 12, 1, 22], "x": 0.0})).encoded[0]
    assert rows.z.toarray().argmax(axis=1).tolist() == [0, 9, 0, 9, 0] and rows.novel is None


@pytest.mark.parametrize(
    ("times", "period", "labels"),
    [
        ([1, 5, 12], 12, range(1, 13)),
        ([0, 5, 11], 12, range(12)),
        ([0, 6, 12], 12, range(12)),
        ([2001, 2014, 2030], 12, range(12)),
        ([-3, 0, 3], 24, range(24)),
    ],
)
def test_labels_of_one_turn(times: list[int], period: int, labels: range) -> None:
    """1 to the period if all times are there, else what is left after division by the period."""
    data = pd.DataFrame({"t": times * 3, "y": np.arange(9.0)})
    design = lgm.model("y ~ rw2(t, cyclic=True, period=m)", data, env={"m": period}).design
    shown = design.terms[0].variables[0].labels
    assert shown.tolist() == list(labels)
    found = shown[design.predictor.Z.toarray().argmax(axis=1)]
    np.testing.assert_array_equal(found % period, np.array(times * 3) % period)


def test_the_origin_does_not_matter() -> None:
    turned = lgm.model("y ~ x + rw2(t, period=12, cyclic=True)", DATA.assign(t=DATA["t"] + 12005), priors=FLAT)
    wanted = model(2).log_likelihood(theta_of(2))
    assert turned.log_likelihood(theta_of(2)) == pytest.approx(wanted, abs=1e-9)


def test_beside_a_trend() -> None:
    data = DATA.assign(year=np.arange(N) // 2)
    built = lgm.model("y ~ rw2(year) + rw1(t, cyclic=True, period=12)", data)
    assert built.design.theta_names == ("sd(rw2(year))", "sd(rw1(t))", "sigma")
    both = lgm.model("y ~ rw2(t) + rw2(t, cyclic=True, period=12)", data)
    assert len(set(both.design.theta_names)) == 3
    assert lgm.model("y ~ rw2(t, cyclic=False)", data).design.fixed_names == ("Intercept", "rw2(t)[linear]")


def test_saved_and_read(tmp_path: Any) -> None:
    fit = around(model(2), theta_of(2), spread=0.0, chains=1, draws=20)
    fit.save(tmp_path / "fit.lgm")
    again = lgm.load(tmp_path / "fit.lgm")
    pd.testing.assert_frame_equal(again.ranef(), fit.ranef())
    new = pd.DataFrame({"t": [3, 25], "x": 0.0})
    pd.testing.assert_frame_equal(again.predict(new), fit.predict(new))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("t, cyclic=1", r"cyclic=1 is neither True nor False(.|\n)*rw2\(t, cyclic=True\)"),
        ("t, cyclic=t", "cyclic=t is neither True nor False"),
        ("t, period=12", r"period= is for walks on a circle(.|\n)*rw2\(t, cyclic=True, period=12\)"),
        ("t, cyclic=False, period=12", "period= is for walks on a circle"),
        ("t, cyclic=True, period=2", r"period=2 is not a period(.|\n)*a whole number of at least 3"),
        ("t, cyclic=True, period=2.5", "period=2.5 is not a period"),
        ("t, cyclic=True, period=None", "period=None is not a period"),
        ("t, cyclic=True, period=float('nan')", "is not a period"),
        ("t, cyclic=True, period=float('inf')", "is not a period"),
        ("t, cyclical=True", r"has no argument `cyclical`. Did you mean"),
        ("t, True", r"takes 1 argument without a keyword"),
    ],
)
def test_calls_that_are_wrong(call: str, message: str) -> None:
    with pytest.raises(lgm.FormulaError, match=message):
        lgm.model(f"y ~ rw2({call})", DATA)


@pytest.mark.parametrize(
    ("data", "call", "message"),
    [
        (
            DATA.assign(t=DATA["t"] / 2),
            "t, cyclic=True",
            r"rw2\(t\) on a circle needs whole times .*in units of one step",
        ),
        (DATA.assign(t=DATA["t"] % 2), "t, cyclic=True, period=12", "at least 3 distinct values, `t` has 2"),
        (DATA, "t, cyclic=True, period=10**7", "period=10000000; accepted are up to 1000000"),
        (DATA.assign(t=DATA["t"] * 10**7), "t, cyclic=True", "an effect for every whole number from the first"),
    ],
)
def test_data_that_do_not_fit(data: pd.DataFrame, call: str, message: str) -> None:
    with pytest.raises(lgm.DataError, match=message):
        lgm.model(f"y ~ rw2({call})", data)


def test_new_times_must_be_whole() -> None:
    with pytest.raises(lgm.DataError, match="needs whole times"):
        encode(model(2).design, pd.DataFrame({"t": [2.5], "x": 0.0}))
