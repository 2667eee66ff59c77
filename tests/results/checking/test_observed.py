"""Rows with a response: redrawn groups, columns that users name, numbers among all rows."""

import numpy as np
import pandas as pd
import planted
import polars as pl
import pytest
from synthetic import around

import lgm
from lgm.errors import DataError, DataWarning, LgmError
from lgm.results.checking.observed import Observed


def test_the_linear_predictor_is_that_of_predictions() -> None:
    rows = Observed(planted.few())
    found = planted.few().predict(kind="draws", of="linear").to_numpy().reshape(-1, 32)
    seen = np.delete(np.arange(32), [5, 11])
    np.testing.assert_allclose(rows.eta.draws().T, found[:, seen], rtol=1e-12)


def test_groups_redrawn_are_of_the_population() -> None:
    """Given theta, new effects are independent of the data: their variance is the prior's, in each group one effect."""
    data, _ = planted.response("gaussian", 1)
    model = lgm.model("y ~ x + (1|g)", data)
    theta = {"sd(Intercept|g)": planted.SD, "sigma": planted.SIGMA}
    rows = Observed(around(model, theta, spread=0.0, chains=2, draws=500))
    away = rows.redrawn(True).draws() - rows.eta.rows.X @ rows.fit.effects.fixed.T
    np.testing.assert_allclose(away[:8], np.broadcast_to(away[:1], (8, 1000)), atol=1e-12)
    each = away[::8]
    assert np.var(each) == pytest.approx(planted.SD**2, rel=4.0 * np.sqrt(2.0 / each.size))
    assert np.abs(np.corrcoef(each)[np.triu_indices(30, 1)]).max() < 5.0 / np.sqrt(1000)
    assert rows.redrawn(False) is rows.eta
    np.testing.assert_array_equal(rows.redrawn("g").draws(), rows.redrawn(["g"]).draws())


def test_only_the_groups_that_are_named_are_redrawn() -> None:
    rng, data, eta = planted.table(2, groups=6)
    data["a"], data["b"] = data.g % 2, data.g % 3
    data["y"] = eta + rng.normal(size=eta.size)
    fit = around(
        lgm.model("y ~ x + (1|a) + (1|a:b)", data),
        {"sd(Intercept|a)": 1.0, "sd(Intercept|a:b)": 1.0, "sigma": 1.0},
        spread=0.0,
        draws=25,
    )
    rows = Observed(fit)
    known, redrawn = rows.eta.draws(), rows.redrawn("a:b").draws()
    moved = (redrawn - known).reshape(6, 8, -1)
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :1], moved.shape), atol=1e-10)
    left = redrawn - rows.eta.rows.X @ fit.effects.fixed.T - fit.effects.draws[:, 2 + data.a].T
    assert np.abs(left - moved.reshape(48, -1)).max() > 0.1  # a:b is another one, a is as it was
    assert np.std(left.reshape(6, 8, -1)[:, 0]) == pytest.approx(1.0, rel=0.2)


def test_groups_that_are_not_there_are_refused() -> None:
    with pytest.raises(LgmError, match="redraw= has 'h'.*groups \\('g'\\)"):
        Observed(planted.of("gaussian")).redrawn("h")
    data = pd.DataFrame({"x": np.arange(9.0), "y": np.sin(np.arange(9.0))})
    fit = around(lgm.model("y ~ x", data), {"sigma": 1.0}, draws=5)
    with pytest.raises(LgmError, match="has none"):
        Observed(fit).redrawn(True)


def test_columns_are_found_by_name_or_are_arrays_for_all_rows_of_the_data() -> None:
    rows = Observed(planted.few())
    seen = np.delete(np.arange(32), [5, 11])
    np.testing.assert_array_equal(rows.column("t", "by"), seen % 8)
    np.testing.assert_array_equal(rows.column(np.arange(32), "by"), seen)
    named = rows.column(pd.Series(np.arange(32), name="place"), "by")
    assert named.name == "place"
    with pytest.raises(DataError, match=r"by='z' is not among the columns that the fit kept.*32 rows"):
        rows.column("z", "by")
    with pytest.raises(DataError, match="neither the name of a column nor an array.*32 rows"):
        rows.column(np.arange(30), "by")


def test_numbers_are_put_where_their_rows_are() -> None:
    rows = Observed(planted.few())
    found = rows.among_all(np.arange(30.0), "what")
    assert found.name == "what" and list(np.flatnonzero(found.isna())) == [5, 11]
    np.testing.assert_array_equal(found.dropna(), np.arange(30.0))
    data = pl.DataFrame({"x": [1.0, None, 2.0, 3.0], "y": [0.5, 0.2, None, 1.5]})
    with pytest.warns(DataWarning, match="dropped"):
        model = lgm.model("y ~ 1 + offset(x)", data)
    fit = around(model, {"sigma": 1.0}, draws=5)
    found = Observed(fit).among_all(np.array([7.0, 8.0]), "what")
    assert isinstance(found, pl.Series) and found.name == "what"
    np.testing.assert_array_equal(found.to_numpy(), [7.0, np.nan, np.nan, 8.0])


def test_draws_are_spread_over_all() -> None:
    rows = Observed(planted.of("gaussian"))
    np.testing.assert_array_equal(rows.some(3), [0, 50, 99])
    np.testing.assert_array_equal(rows.some(1000), np.arange(100))
