"""Tables of effects, and the names by which users ask for them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from synthetic import around

import lgm
from lgm.results import tables


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(2)
    data = pd.DataFrame(
        {"y": rng.normal(size=30), "x": rng.normal(size=30), "g": np.arange(30) % 4, "t": np.arange(30) % 6}
    )
    theta = {"sd(Intercept|g)": 0.5, "sd(x|g)": 0.4, "corr(Intercept,x|g)": 0.1, "sd(rw1(t))": 0.3, "sigma": 1.0}
    return around(lgm.model("y ~ x + (x|g) + rw1(t, cyclic=False)", data), theta, draws=25)


@pytest.mark.parametrize(
    ("name", "effects"),
    [
        ("(x|g)", ["Intercept|g", "x|g"]),
        ("(x | g)", ["Intercept|g", "x|g"]),
        ("g", ["Intercept|g", "x|g"]),
        ("x|g", ["x|g"]),
        ("rw1(t)", ["rw1(t)"]),
        ("rw1( t,cyclic = False)", ["rw1(t)"]),
        (None, ["Intercept|g", "x|g", "rw1(t)"]),
    ],
)
def test_names(fit, name, effects):
    assert list(dict.fromkeys(fit.ranef(name).index.get_level_values("effect"))) == effects


def test_numbers_are_those_of_the_draws(fit):
    table, draws = fit.ranef("x|g"), fit.posterior["x|g"].to_numpy().reshape(-1, 4)
    np.testing.assert_allclose(table["2.5%"], np.quantile(draws, 0.025, axis=0), rtol=1e-12)
    assert list(table.index.get_level_values("level")) == [0, 1, 2, 3]
    # four chains of 25: an sd of draws is known to 1 / sqrt(2 * 100)
    np.testing.assert_allclose(draws.std(axis=0), table["sd"], rtol=4 / np.sqrt(200))


def test_a_term_that_is_not_there(fit):
    with pytest.raises(lgm.LgmError, match=r"no term 'h'\..*Terms and effects: \(x \| g\), rw1\(t\), Intercept\|g"):
        fit.ranef("h")


def test_the_variable_of_a_term_leads_to_the_term(fit):
    with pytest.raises(lgm.LgmError, match=r"there is no term 't'\. Did you mean `rw1\(t\)`\?"):
        fit.ranef("t")


def test_parameters_of_a_family_stand_under_its_name(fit):
    """But for the sd of its errors."""
    d = fit.design
    shape = replace(d.family_parameters[0], names=("shape",), kind="shape", places=(("elsewhere", "shape"),))
    found = tables.places_of_theta(replace(d, family_parameters=(*d.family_parameters, shape)))
    assert found[-3:] == [("rw1(t)", "sd"), ("Residual", "sigma"), ("gaussian", "shape")]


def test_thresholds(fit):
    """Minus the intercept, and the gaps after it; theta is held, so that only the intercept varies."""
    data = pd.DataFrame({"y": [1, 2, 3, 4] * 6, "g": np.arange(24) // 4})
    model = lgm.model("y ~ 1 + (1|g)", data, "cumulative")
    ordered = around(model, {"sd(Intercept|g)": 0.5, "gap[2]": 1.0, "gap[3]": 2.0}, spread=0.0, draws=50)
    found = ordered.thresholds(interval=0.5)
    assert found.index.tolist() == ["1|2", "2|3", "3|4"] and found.columns.tolist() == ["mean", "sd", "25%", "75%"]
    np.testing.assert_allclose(found["mean"], -ordered.effects.fixed[:, 0].mean() + np.array([0.0, 1.0, 3.0]))
    np.testing.assert_allclose(found["sd"], ordered.effects.fixed[:, 0].std(ddof=1))
    with pytest.raises(lgm.LgmError, match="gaussian has no thresholds"):
        fit.thresholds()
