"""Predictions at rows and on grids, and averages: population, group-specific and of new groups."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from synthetic import counts, factorial, measured

import lgm


@pytest.mark.parametrize("kind", ["mean", "linear"])
def test_each_row_is_predicted_as_by_predict(kind: str) -> None:
    fit = counts()
    found, seen = fit.predictions(kind=kind), fit.design.rows.observed
    pd.testing.assert_frame_equal(found[["mean", "sd", "2.5%", "97.5%"]], fit.predict(kind=kind)[seen], rtol=1e-9)
    assert set(found.columns[:4]) == {"x", "g", "t", "e"}


def test_rows_of_a_table() -> None:
    fit, rows = measured(), factorial().iloc[[3, 8, 40]].assign(other=1)
    found = fit.predictions(rows, interval=0.5)
    pd.testing.assert_frame_equal(found[found.columns[-4:]], fit.predict(rows, interval=0.5))
    assert found.index.equals(rows.index)
    table = fit.predictions(pl.from_pandas(rows))
    assert isinstance(table, pl.DataFrame)
    np.testing.assert_allclose(table["mean"], fit.predictions(rows)["mean"])
    by_other = fit.predictions(rows, by="other")
    np.testing.assert_allclose(by_other["mean"], fit.predict(rows)["mean"].mean())


def test_averages_by_a_factor() -> None:
    fit = measured()
    expected = fit.predict()["mean"].groupby(factorial()["sex"]).mean()
    found = fit.predictions(by="sex").set_index("sex")["mean"]
    pd.testing.assert_series_equal(found, expected, check_names=False, check_index_type=False)
    assert fit.predictions(by=True)["mean"].tolist() == pytest.approx([fit.predict()["mean"].mean()])


def test_standardised_means() -> None:
    """All rows are set to each value in turn."""
    fit, data = measured(), factorial()
    found = fit.predictions(by="trt", conditions={"trt": ["a", "c"]})
    expected = [fit.predict(data.assign(trt=level))["mean"].mean() for level in "ac"]
    np.testing.assert_allclose(found["mean"], expected)


def test_three_versions_of_groups() -> None:
    fit = measured()
    at = {"x": 1.0, "trt": "b", "sex": "m"}
    population = fit.predictions("grid", conditions=at)
    own = fit.predictions("grid", conditions={**at, "g": [2, 5]})
    with pytest.warns(lgm.PredictionWarning, match="drawn from the population"):
        new = fit.predictions("grid", conditions={**at, "g": 77})
    with pytest.warns(lgm.PredictionWarning, match="set to zero"):
        zero = fit.predictions("grid", conditions={**at, "g": 77}, new_levels="zero")
    beta, b = fit.fixef()["mean"], fit.ranef()["mean"]
    names = ["Intercept", "trt[T.b]", "x", "sex[T.m]", "trt[T.b]:x", "trt[T.b]:sex[T.m]"]
    level = sum(beta[name] for name in names)
    assert population["mean"].tolist() == pytest.approx([level])
    assert own["mean"].tolist() == pytest.approx([level + b["Intercept|g", g] for g in (2, 5)])
    assert new["mean"].tolist() == pytest.approx([level]) and zero["mean"].tolist() == pytest.approx([level])
    assert zero["sd"].tolist() == pytest.approx(population["sd"].tolist())
    wide = np.sqrt(population["sd"][0] ** 2 + 0.6665017369271911**2)
    assert new["sd"][0] == pytest.approx(wide, rel=5 / np.sqrt(2 * fit.effects.size))
    assert population.attrs["held"] == {} and fit.predictions("grid").attrs["held"]["trt"] == "a"


def test_groups_are_left_out_of_rows_on_request() -> None:
    fit, data = measured(), factorial()
    expected = fit.predict(data, include_group_specific=False)["mean"].mean()
    found = fit.predictions(by=True, include_group_specific=False)
    assert found["mean"].tolist() == pytest.approx([expected])


def test_a_model_without_variables() -> None:
    data = lgm.load_dataset("Dyestuff")
    held = {"sd(Intercept|Batch)": lgm.priors.constant(40.0), "sigma": lgm.priors.constant(50.0)}
    fit = lgm.fit("Yield ~ 1 + (1|Batch)", data, priors=held, method="mode", draws=100, seed=1, progress=False)
    assert fit.predictions("grid")["mean"].tolist() == pytest.approx([fit.fixef()["mean"]["Intercept"]])
    assert len(fit.conditional_effects("Batch")) == 6
    assert fit.conditional_effects("Batch")["mean"].tolist() == pytest.approx(
        (fit.fixef()["mean"]["Intercept"] + fit.ranef()["mean"]).tolist()
    )
    with pytest.raises(lgm.LgmError, match="no variables, so there are no effects"):
        fit.conditional_effects()


def test_what_is_no_grid() -> None:
    with pytest.raises(lgm.LgmError, match="new_data='means'; accepted: 'grid'"):
        measured().predictions("means")
    with pytest.raises(lgm.DataError, match="did not keep"):
        measured().predictions(by="age")
    with pytest.raises(lgm.LgmError, match="by= has 'age', which is no variable"):
        measured().predictions("grid", by="age")
