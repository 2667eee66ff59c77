"""The curve of a term: its straight line included, zero on average over the data, residuals around it."""

import numpy as np
import pandas as pd
import pytest
from synthetic import around, counts

import lgm
from lgm.results import contributions

N = 40
RNG = np.random.default_rng(5)
DATA = pd.DataFrame({"y": RNG.normal(size=N), "x": RNG.uniform(1, 4, N), "t": RNG.integers(0, 9, N)})


@pytest.fixture(scope="module")
def fit():
    theta = {"sd(s(log(x)))": 0.8, "sd(rw2(t))": 0.5, "sigma": 0.7}
    return around(lgm.model("y ~ s(log(x), k=6) + rw2(t)", DATA), theta, draws=20)


@pytest.mark.parametrize("j", [0, 1])
def test_it_is_what_predict_adds(fit, j):
    term = fit.design.terms[j]
    curve = contributions.of(fit, term, term.view)
    x = np.exp(curve.x) if j == 0 else curve.x
    new = pd.DataFrame({"x": x, "t": 0.0}) if j == 0 else pd.DataFrame({"x": 2.0, "t": x})
    added = fit.predict(new, "draws", terms=[term.label]).to_numpy().reshape(-1, x.size)
    level = fit.predict(DATA, "draws", terms=[term.label]).to_numpy().reshape(-1, N).mean(axis=1)
    np.testing.assert_allclose(curve.draws, added - level[:, None], rtol=0, atol=1e-10)
    assert curve.without == ""


def test_partial_residuals_leave_out_all_other_terms(fit):
    term = fit.design.terms[1]
    curve = contributions.of(fit, term, term.view)
    others = fit.predict(DATA, exclude=[term.label])["mean"].to_numpy()
    own = fit.predict(DATA, terms=[term.label])["mean"].to_numpy()
    np.testing.assert_allclose(curve.residual, DATA["y"] - others - own.mean(), rtol=0, atol=1e-10)
    np.testing.assert_array_equal(curve.at, DATA["t"])


def test_on_the_scale_of_the_response_the_rest_is_on_average(fit):
    term = fit.design.terms[1]
    linear, mean = (contributions.of(fit, term, term.view, kind) for kind in ("linear", "mean"))
    level = fit.predict()["mean"].mean()
    np.testing.assert_allclose(mean.mean, linear.mean + level, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mean.residual, linear.residual + level, rtol=1e-9, atol=1e-9)
    assert (linear.average, linear.unit, mean.unit) == (0.0, "effect on y", "expected y")
    assert mean.average == pytest.approx(level)


def _walk():
    fit = counts()
    return fit, fit.design.terms[1], fit.design.rows.observed


def test_the_expected_response_along_a_term():
    fit, term, observed = _walk()
    linear, mean = (contributions.of(fit, term, term.view, kind) for kind in ("linear", "mean"))
    eta = fit.predict(kind="draws", of="linear").to_numpy().reshape(-1, 32)[:, observed].mean(axis=1)
    np.testing.assert_allclose(mean.draws, np.exp(linear.draws + eta[:, None]), rtol=1e-9)
    error = mean.draws.std(axis=0) / np.sqrt(len(eta))
    assert np.all(np.abs(mean.mean - mean.draws.mean(axis=0)) < 5 * error)
    assert mean.average == pytest.approx(np.exp(eta).mean(), rel=0.01)
    assert linear.residual is None and mean.residual is None
    assert (linear.unit, mean.unit) == ("effect on y (log scale)", "expected y")


def test_working_residuals_of_counts():
    fit, term, observed = _walk()
    curve = contributions.of(fit, term, term.view, residuals=True)
    eta = fit.predict(kind="linear")["mean"].to_numpy()[observed]
    own = fit.predict(kind="linear", terms=[term.label])["mean"].to_numpy()[observed]
    np.testing.assert_allclose(curve.weights, np.exp(eta), rtol=1e-9)
    expected = fit.design.y / np.exp(eta) - 1 + own - own.mean()
    np.testing.assert_allclose(curve.residual, expected, rtol=1e-9, atol=1e-9)


def test_the_unit_of_ordered_categories():
    y = pd.Categorical.from_codes(np.arange(9) % 3, ["low", "mid", "high"], ordered=True)
    design = lgm.model("y ~ 1", pd.DataFrame({"y": y}), "cumulative").design
    assert contributions.unit(design, "mean") == "expected y, from 1 (low) to 3 (high)"
    assert contributions.unit(design, "linear") == "effect on y (logit scale)"


LEVELS = pd.DataFrame(
    {"x": np.random.default_rng(3).uniform(0.0, 4.0, 40), "f": list("ab") * 20, "w": np.arange(40) / 20}
)
LEVELS["y"] = np.sin(LEVELS.x) * LEVELS.w + (LEVELS.f == "a")


@pytest.fixture(scope="module")
def copies():
    model = lgm.model("y ~ f + s(x, by=f, k=6) + s(x, by=w, k=5)", LEVELS)
    return around(model, {name: 0.5 for name in model.design.theta_names}, draws=10)


def test_a_curve_for_each_level(copies):
    """As they stand in the model, over the rows of the level and with their residuals."""
    term = copies.design.terms[0]
    shown = contributions.curves(copies, term, term.view)
    assert [curve.label for curve in shown] == ["s(x, by=f)[a]", "s(x, by=f)[b]"]
    others = copies.predict(LEVELS, exclude=[term.label])["mean"].to_numpy()
    for curve, level in zip(shown, "ab", strict=True):
        rows = (LEVELS.f == level).to_numpy()
        np.testing.assert_array_equal(curve.at, LEVELS.x[rows])
        new = pd.DataFrame({"x": curve.x, "f": level, "w": 0.0})
        added = copies.predict(new, "draws", terms=[term.label]).to_numpy().reshape(-1, curve.x.size)
        np.testing.assert_allclose(curve.draws, added, rtol=0, atol=1e-10)
        np.testing.assert_allclose(curve.residual, (LEVELS.y - others)[rows], rtol=0, atol=1e-10)


def test_a_curve_that_numbers_multiply_is_that_of_the_number_one(copies):
    term = copies.design.terms[1]
    [curve] = contributions.curves(copies, term, term.view)
    new = pd.DataFrame({"x": curve.x, "f": "a", "w": 1.0})
    added = copies.predict(new, "draws", terms=[term.label]).to_numpy().reshape(-1, curve.x.size)
    np.testing.assert_allclose(curve.draws, added, rtol=0, atol=1e-10)
    assert (curve.unit, curve.residual, curve.average) == ("coefficient of w", None, 0.0)


@pytest.fixture(scope="module")
def fits():
    """Of the same rows in memory and in partitions."""
    data = pd.DataFrame({"t": RNG.integers(12, size=80), "x": RNG.integers(10, size=80), "o": RNG.normal(size=80)})
    data["g"] = np.arange(80) ** 2 % 7
    data["y"] = RNG.normal(size=80) + data["g"]
    formula = "y ~ s(t, k=5) + s(x, t, k=8) + rw1(x) + (1|g) + offset(o)"
    models = [lgm.model(formula, each) for each in (data, [data[:9], data[9:]])]
    theta = dict.fromkeys(models[0].design.theta_names, 0.6)
    return [around(model, theta, draws=20) for model in models]


@pytest.mark.parametrize("kind", ["linear", "mean"])
def test_of_data_in_partitions_the_curves_and_surfaces_are_the_same(fits, kind):
    for j, read in ((0, contributions.curves), (1, contributions.surfaces), (2, contributions.curves)):
        ([wanted], [found]) = (read(fit, fit.design.terms[j], fit.design.terms[j].view, kind) for fit in fits)
        for name in ("x", "mean", "average", *(("draws",) if j != 1 else ("sd", "y"))):
            one, other = getattr(wanted, name), getattr(found, name)
            np.testing.assert_allclose(other, one, rtol=1e-8, atol=1e-8, err_msg=name)
        np.testing.assert_array_equal(found.at, np.unique(wanted.at, axis=0))


def test_partial_residuals_need_rows(fits):
    term = fits[1].design.terms[0]
    assert contributions.of(fits[1], term, term.view).residual is None
    with pytest.raises(lgm.LgmError, match=r"partial residuals are of rows.*fit\.residuals\(data="):
        contributions.of(fits[1], term, term.view, residuals=True)
