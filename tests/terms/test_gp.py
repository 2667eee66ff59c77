"""``gp(x)`` against the exact covariance of a Matern process, and against dense algebra on its knots."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from dense_model import condition, field_precision, restricted
from synthetic import around

import lgm
from lgm.priors import flat

RNG = np.random.default_rng(3)
DATA = pd.DataFrame({"x": np.sort(RNG.uniform(0.0, 10.0, 50)), "w": RNG.normal(size=50)})
DATA["y"] = 1.0 + np.sin(DATA["x"]) + 0.2 * RNG.normal(size=50)
NAMES = ["sd(gp(x))", "range(gp(x))", "sigma"]
X = np.column_stack([np.ones(50), DATA["w"]])
FLAT = {"Intercept": flat(), "fixed": flat()}


@cache
def model(options=""):
    return lgm.model(f"y ~ w + gp(x{options})", DATA, priors=FLAT)


def exact(x, sd, length, alpha):
    """``exp(-kappa h)``, times ``1 + kappa h`` for smoothness 3/2."""
    kappa = np.sqrt(8.0 * (alpha - 0.5)) / length
    h = kappa * np.abs(np.subtract.outer(x, x))
    return sd**2 * np.exp(-h) * (1.0 if alpha == 1 else 1.0 + h)


def log_likelihood(theta, options=""):
    return model(options).log_likelihood(dict(zip(NAMES, theta, strict=True)))


THETAS = pytest.mark.parametrize("theta", [(0.8, 4.0, 0.3), (0.5, 1.5, 0.4), (1.5, 12.0, 0.25)], ids=str)


def error(theta, options=""):
    """Of the log likelihood, beside the process itself."""
    V = exact(DATA["x"].to_numpy(), theta[0], theta[1], 1 if "alpha=1" in options else 2) + theta[2] ** 2 * np.eye(50)
    return log_likelihood(theta, options) - restricted(DATA["y"].to_numpy(), X, V)[0]


@THETAS
def test_likelihood_of_a_smooth_process_itself(theta):
    """With the default knots: a density that is off by one percent is as good as exact."""
    assert abs(error(theta)) < 0.01


@THETAS
def test_likelihood_of_a_rough_process_in_the_limit(theta):
    """Linear pieces between knots are of first order: half the spacing halves the error, extrapolated it is gone."""
    coarse, fine = error(theta, ", alpha=1, k=201"), error(theta, ", alpha=1, k=401")
    assert 0.0 < fine < 0.6 * coarse
    assert abs(2.0 * fine - coarse) < 0.5 * fine


def knots_of(k=21, reach=5.0):
    [term] = model(f", k={k}").design.terms
    inside = term.variables[0].labels
    np.testing.assert_allclose(inside, np.linspace(DATA["x"].min(), DATA["x"].max(), k))
    return term, inside


def test_effects_and_predictions_by_the_definition_on_knots():
    term, inside = knots_of()
    knots = term.knots
    gaps = np.diff(knots)
    slopes = (np.eye(knots.size)[1:] - np.eye(knots.size)[:-1]) / gaps[:, None]
    mass = np.array([np.trapezoid(row, knots) for row in np.eye(knots.size)])
    Q = field_precision(mass, slopes.T @ np.diag(gaps) @ slopes, 1, 2, 4.0)
    Z = np.array([[np.interp(x, knots, row) for row in np.eye(knots.size)] for x in DATA["x"]])
    theta, prior = (0.8, 4.0, 0.3), 0.8**2 * np.linalg.inv(Q)
    V = Z @ prior @ Z.T + 0.3**2 * np.eye(50)
    assert log_likelihood(theta, ", k=21") == pytest.approx(restricted(DATA["y"].to_numpy(), X, V)[0], abs=1e-7)
    fit = around(model(", k=21"), dict(zip(NAMES, theta, strict=True)), spread=0.0, chains=1, draws=4)
    mean, cov = condition(DATA["y"], np.hstack([X, Z]), prior, V, flat=2)
    shown = 2 + np.flatnonzero(np.isin(knots, inside))
    np.testing.assert_allclose(fit.ranef()["mean"], mean[shown], atol=1e-8)
    np.testing.assert_allclose(fit.ranef()["sd"] ** 2, np.diag(cov)[shown], atol=1e-8)
    new = np.array([-20.0, 0.77, 9.3, 40.0])
    found = fit.predict(pd.DataFrame({"x": new, "w": 0.0}))
    np.testing.assert_allclose(found["mean"], mean[0] + np.interp(new, knots, mean[2:]), atol=1e-8)
    with pytest.raises(lgm.DataError, match=r"gp\(x\) reaches from .* and `x` has 99 in row 0: .* more than 5 times"):
        fit.predict(pd.DataFrame({"x": [99.0], "w": 0.0}))
    assert fit.plot_term("gp(x)").axes[0].get_xlabel() == "x"


def test_it_reaches_five_ranges_beyond_the_data():
    term, inside = knots_of()
    low, high = inside[[0, -1]]
    assert term.knots[0] <= low - 5 * (high - low) and term.knots[-1] >= high + 5 * (high - low)
    assert term.knots.size < 21 + 50 and np.all(np.diff(term.knots) > 0)
    assert "21 knots over the data" in repr(model(", k=21"))


def test_priors():
    span = DATA["x"].max() - DATA["x"].min()
    assert model().priors.loc[NAMES[1], "prior"] == f"pc_range({0.05 * span:.3g}, 0.05, dimension=1)"
    with pytest.raises(lgm.PriorError, match="beyond the domain: the mesh has a diameter of"):
        lgm.model("y ~ gp(x)", DATA, priors={"range": lgm.priors.pc_range(1e4)})
    with pytest.raises(lgm.PriorError, match=r"a finer mesh, such as gp\(x, k=402\)"):
        lgm.model("y ~ gp(x)", DATA, priors={"range": lgm.priors.half_normal(0.01)})


def test_bad_arguments():
    with pytest.raises(lgm.DataError, match=r"gp\(w\) needs at least 2 distinct values"):
        lgm.model("y ~ gp(w)", DATA.assign(w=1.0))
    for k in ("2", "2.5", "True", "'many'"):
        with pytest.raises(lgm.FormulaError, match=r"is not a number of knots.*\n.*\n.*\n.*from 5 to 100000"):
            lgm.model(f"y ~ gp(x, k={k})", DATA)
    with pytest.raises(lgm.FormulaError, match="alpha=3 is not known"):
        lgm.model("y ~ gp(x, alpha=3)", DATA)
    with pytest.raises(lgm.FormulaError, match=r"gp\(\) takes 1 argument"):
        lgm.model("y ~ gp(x, w)", DATA)


def test_dates_are_days(tmp_path):
    days = np.array([0, 1, 3, 4, 8, 9, 15, 16])
    data = pd.DataFrame({"d": pd.Timestamp("2020-02-27") + pd.to_timedelta(days, "D"), "x": days.astype(float)})
    data["y"] = np.sin(days / 4.0)
    dates, numbers = (lgm.model(f"y ~ gp({name}, k=31)", data) for name in "dx")
    assert "in days" in repr(dates)
    theta = [0.7, 6.0, 0.3]
    values = [each.log_likelihood(dict(zip(each.design.theta_names, theta, strict=True))) for each in (dates, numbers)]
    assert values[0] == pytest.approx(values[1], rel=1e-10)
    fit = around(dates, dict(zip(dates.design.theta_names, theta, strict=True)), spread=0.0, chains=1, draws=4)
    assert fit.ranef().index.get_level_values("level")[0] == pd.Timestamp("2020-02-27")
    same = around(numbers, dict(zip(numbers.design.theta_names, theta, strict=True)), spread=0.0, chains=1, draws=4)
    fit.save(tmp_path / "a.lgm")
    new = {"d": pd.to_datetime(["2020-03-01", "2020-04-01"]), "x": [3.0, 34.0]}
    asked = [each.predict(new, kind="linear")["mean"] for each in (fit, lgm.load(tmp_path / "a.lgm"), same)]
    np.testing.assert_array_equal(asked[0], asked[1])
    np.testing.assert_allclose(asked[0], asked[2], rtol=1e-8)
    with pytest.raises(lgm.DataError, match=r"from 2019-12-07.* to .*, and `d` has 2030-01-01 in row"):
        fit.predict({"d": [pd.Timestamp("2030-01-01")]})
    with pytest.raises(lgm.DataError, match="holds numbers, and dates in the data of the fit"):
        fit.predict({"d": [3.0]})
