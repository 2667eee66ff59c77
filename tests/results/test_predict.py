"""Predictions against closed forms; the draws of theta are chosen, so that nothing is left to a sampler."""

import datetime as dt
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.special
from synthetic import around, counts, fit_of, successes

import lgm
from lgm.families.binomial import Bernoulli

DRAWS = 1000  # per chain
FEW = 25
# Monte Carlo error of a variance from S independent normal draws, relative; five of them are allowed.
VARIANCE = 5 * np.sqrt(2 / (4 * DRAWS))


@pytest.fixture(scope="module")
def groups() -> lgm.Fit:
    rng = np.random.default_rng(3)
    g = np.repeat(["a", "b", "c", "d", "e", "f"], 8)
    data = pd.DataFrame({"g": g, "x": rng.normal(size=48), "f": np.tile(["u", "v"], 24), "w": rng.uniform(1, 3, 48)})
    data["e"] = rng.normal(size=48)
    data["y"] = 1 + data.x + data.e + rng.normal(size=48) + (data.f == "v")
    data.loc[[5, 11], "y"] = np.nan
    data.index = [f"row {i}" for i in range(48)]
    model = lgm.model("y ~ x + f + offset(e) + (x|g)", data, weights="w")
    rho = {"corr(Intercept,x|g)": 0.5}
    return around(model, {"sd(Intercept|g)": 1.0, "sd(x|g)": 0.7, **rho, "sigma": 1.0}, draws=DRAWS)


@pytest.fixture(scope="module")
def new(groups: lgm.Fit) -> pd.DataFrame:
    return pd.DataFrame(
        {"x": [0.0, 1.0, -2.0], "f": ["u", "v", "u"], "e": [0.0, 0.5, 2.0], "g": ["a", "c", "f"]},
        index=pd.Index([30, 10, 20], name="who"),
    )


def test_the_mean_is_the_design_times_the_exact_means(groups: lgm.Fit) -> None:
    d = groups.design
    found = groups.predict()
    expected = d.predictor.A @ groups.effects.mean + d.predictor.offset
    np.testing.assert_allclose(found["mean"][d.rows.observed], expected, rtol=1e-12, atol=1e-12)


def test_rows_without_a_response_are_predicted_and_the_index_is_kept(groups: lgm.Fit) -> None:
    found = groups.predict()
    assert list(found.index) == [f"row {i}" for i in range(48)]
    assert np.isfinite(found.to_numpy()).all()
    assert list(found.columns) == ["mean", "sd", "2.5%", "97.5%"]


def test_new_rows_by_hand(groups: lgm.Fit, new: pd.DataFrame) -> None:
    beta, b = groups.fixef()["mean"], groups.ranef()["mean"]
    expected = [
        beta["Intercept"]
        + beta["x"] * row.x
        + beta["f[T.v]"] * (row.f == "v")
        + row.e
        + b["Intercept|g", row.g]
        + b["x|g", row.g] * row.x
        for row in new.itertuples()
    ]
    found = groups.predict(new)
    np.testing.assert_allclose(found["mean"], expected, rtol=1e-12)
    assert found.index.equals(new.index)


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas, dict])
def test_tables_of_other_libraries(groups: lgm.Fit, new: pd.DataFrame, convert: Any) -> None:
    plain = new.reset_index(drop=True)
    other = plain.to_dict("list") if convert is dict else convert(plain)
    found = groups.predict(other)
    found = found if isinstance(found, pd.DataFrame) else found.to_pandas()
    pd.testing.assert_frame_equal(found, groups.predict(plain))


def test_a_multiindex_is_kept(groups: lgm.Fit, new: pd.DataFrame) -> None:
    index = pd.MultiIndex.from_tuples([("p", 1), ("p", 2), ("q", 1)])
    assert groups.predict(new.set_axis(index)).index.equals(index)


def test_a_new_level_varies_as_its_population(groups: lgm.Fit, new: pd.DataFrame) -> None:
    with pytest.warns(lgm.PredictionWarning, match=r"2 new levels of g \(.*\): .*drawn from the population"):
        found = groups.predict(new.assign(g=["z", "y", "z"]))
    population = groups.predict(new, include_group_specific=False)
    np.testing.assert_allclose(found["mean"], population["mean"], rtol=1e-12)
    sd0, sd1, rho, _ = groups.draws.theta.reshape(-1, 4).T
    x = new["x"].to_numpy()[:, None]
    between = np.mean(sd0**2 + 2 * rho * sd0 * sd1 * x + sd1**2 * x**2, axis=1)
    np.testing.assert_allclose(found["sd"] ** 2, population["sd"] ** 2 + between, rtol=2 * VARIANCE)


def test_rows_of_one_new_level_share_its_effects(groups: lgm.Fit, new: pd.DataFrame) -> None:
    twice = new.iloc[[0, 0]].assign(g="z")
    with pytest.warns(lgm.PredictionWarning):
        found = groups.predict(twice)
    np.testing.assert_array_equal(found.iloc[0], found.iloc[1])


def test_what_to_do_about_new_levels(groups: lgm.Fit, new: pd.DataFrame) -> None:
    unknown = new.assign(g="z")
    with pytest.warns(lgm.PredictionWarning, match="set to zero"):
        zero = groups.predict(unknown, new_levels="zero")
    pd.testing.assert_frame_equal(zero, groups.predict(unknown, include_group_specific=False))
    with pytest.raises(lgm.DataError, match=r"1 new level.*accepted: new_levels"):
        groups.predict(unknown, new_levels="error")
    with pytest.raises(lgm.LgmError, match="accepted: .sample., .zero., .error."):
        groups.predict(unknown, new_levels="drop")


def test_the_population_level_needs_no_groups(groups: lgm.Fit, new: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = groups.predict(new.drop(columns="g"), include_group_specific=False)
    pd.testing.assert_frame_equal(found, groups.predict(new, include_group_specific=False))


def test_a_new_observation_has_noise_by_its_weight(groups: lgm.Fit, new: pd.DataFrame) -> None:
    mean = groups.predict(new)
    weights = np.array([1.0, 4.0, 0.25])
    found = groups.predict(new, "response", weights=weights)
    noise = np.mean(groups.draws.theta[..., -1] ** 2) / weights
    np.testing.assert_allclose(found["sd"] ** 2, mean["sd"] ** 2 + noise, rtol=2 * VARIANCE)
    pd.testing.assert_series_equal(found["mean"], mean["mean"])


def test_weights_of_new_rows_come_from_the_column_of_the_fit(groups: lgm.Fit, new: pd.DataFrame) -> None:
    weighted = new.assign(w=[1.0, 4.0, 0.25])
    by_column = groups.predict(weighted, "response")
    pd.testing.assert_frame_equal(by_column, groups.predict(new, "response", weights=[1.0, 4.0, 0.25]))
    with pytest.warns(lgm.PredictionWarning, match="the fit has weights"):
        groups.predict(new, "response")


def test_the_seed_decides_the_noise(groups: lgm.Fit, new: pd.DataFrame) -> None:
    one, two = (groups.predict(new, "response", weights=[1, 1, 1], seed=s) for s in (1, 2))
    assert not np.array_equal(one["sd"], two["sd"])
    pd.testing.assert_frame_equal(one, groups.predict(new, "response", weights=[1, 1, 1], seed=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="x"), "lacks the column"),
        (lambda t: t.assign(f="nothing"), "`f`"),
    ],
)
def test_new_data_that_do_not_fit(groups: lgm.Fit, new: pd.DataFrame, change: Any, message: str) -> None:
    with pytest.raises(lgm.DataError, match=message):
        groups.predict(change(new))


@pytest.mark.parametrize("kind", ["mean", "response", "draws"])
def test_rows_that_miss_a_predictor_are_missing_too(groups: lgm.Fit, new: pd.DataFrame, kind: str) -> None:
    gaps = pd.concat([new, new, new]).assign(w=2.0)
    gaps.iloc[[1, 3], 0], gaps.iloc[3, 3], gaps.iloc[8, 2] = np.nan, None, np.nan
    text = r"new_data has missing values in x \(2\), e \(1\), g \(1\): the predictions of 3 rows are missing too"
    with pytest.warns(lgm.PredictionWarning, match=text):
        found = groups.predict(gaps, kind, weights=np.where(gaps["x"].isna(), np.nan, 2.0))
    fine = [0, 2, 4, 5, 6, 7]
    whole = groups.predict(gaps.iloc[fine], kind)
    if kind == "draws":
        assert found.coords["row"].values.tolist() == gaps.index.tolist()
        np.testing.assert_array_equal(found.values[..., fine], whole.values)
        assert np.isnan(found.values[..., [1, 3, 8]]).all()
    else:
        assert found.index.equals(gaps.index)
        pd.testing.assert_frame_equal(found.iloc[fine], whole)
        assert found.iloc[[1, 3, 8]].isna().all(axis=None)


def test_missing_groups_do_not_matter_at_the_population_level(groups: lgm.Fit, new: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = groups.predict(new.assign(g=[None, "a", np.nan]), include_group_specific=False)
    pd.testing.assert_frame_equal(found, groups.predict(new, include_group_specific=False))


def test_no_row_can_be_predicted(groups: lgm.Fit, new: pd.DataFrame) -> None:
    with pytest.warns(lgm.PredictionWarning, match="the predictions of 3 rows are missing too"):
        found = groups.predict(new.assign(x=np.nan))
    assert found.index.equals(new.index) and found.isna().all(axis=None)
    with pytest.warns(lgm.PredictionWarning, match="x \\(3\\)"):
        assert np.isnan(groups.predict(new.assign(x=np.nan), "draws").values).all()


def test_a_table_gives_a_table_of_its_kind(groups: lgm.Fit, new: pd.DataFrame) -> None:
    expected = groups.predict(new).reset_index(drop=True)
    of_polars, of_arrow = groups.predict(pl.from_pandas(new)), groups.predict(pa.Table.from_pandas(new))
    assert isinstance(of_polars, pl.DataFrame) and isinstance(of_arrow, pa.Table)
    pd.testing.assert_frame_equal(of_polars.to_pandas(), expected)
    pd.testing.assert_frame_equal(of_arrow.to_pandas(), expected)
    gaps = pl.from_pandas(new).with_columns(x=pl.Series([None, 1.0, -2.0]))
    with pytest.warns(lgm.PredictionWarning, match=r"x \(1\)"):
        found = groups.predict(gaps)
    assert np.isnan(found["mean"][0]) and found["sd"].to_list()[1:] == expected["sd"].tolist()[1:]


@pytest.mark.parametrize("kind", ["mean", "response", "draws"])
def test_the_rows_of_the_fit_are_all_rows_of_its_data(kind: Any) -> None:
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x": rng.normal(size=9), "y": rng.normal(size=9)}, [f"row {i}" for i in range(9)])
    data.loc[["row 2", "row 7"], "x"] = np.nan
    data.loc["row 3", "y"] = np.nan
    with pytest.warns(lgm.DataWarning, match="2 of 9 rows are dropped"):
        fit = around(lgm.model("y ~ x", data), {"sigma": 1.0}, draws=50)
    with pytest.warns(lgm.PredictionWarning, match=r"^the data have missing values in x \(2\): .* of 2 rows"):
        own = fit.predict(kind=kind)
    with pytest.warns(lgm.PredictionWarning, match="^new_data has"):
        given = fit.predict(data, kind)
    if kind == "draws":
        np.testing.assert_array_equal(own.values, given.values)
        assert own["row"].values.tolist() == data.index.tolist()
    else:
        pd.testing.assert_frame_equal(own, given, check_exact=True)
    if kind == "response":
        with pytest.warns(lgm.PredictionWarning):
            pd.testing.assert_frame_equal(fit.predict(None, kind, weights=np.ones(9)), own, check_exact=True)


def test_the_rows_of_the_fit_come_as_a_table_of_its_datas_kind() -> None:
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x": [0.5, np.nan, 2.0, 1.0, -1.0], "y": rng.normal(size=5)})
    for table, kind in ((pl.from_pandas(data), pl.DataFrame), (pa.Table.from_pandas(data), pa.Table)):
        with pytest.warns(lgm.DataWarning):
            fit = around(lgm.model("y ~ x", table), {"sigma": 1.0}, draws=50)
        with pytest.warns(lgm.PredictionWarning):
            found = fit.predict()
        assert isinstance(found, kind) and len(found) == 5
        assert np.isnan(found["mean"].to_numpy()).tolist() == [False, True, False, False, False]


def test_weights_of_the_rows_of_the_fit(groups: lgm.Fit) -> None:
    own = groups.predict(None, "response")
    pd.testing.assert_frame_equal(groups.predict(None, "response", weights="w"), own)
    pd.testing.assert_frame_equal(groups.predict(None, "response", weights=groups.design.all_weights), own)
    with pytest.raises(lgm.DataError, match="the fit did not keep the column 'v'.*48 rows"):
        groups.predict(None, "response", weights="v")


def test_columns_that_the_formula_does_not_name_are_not_read(groups: lgm.Fit, new: pd.DataFrame) -> None:
    zones = [
        dt.datetime(2020, month, 1, tzinfo=dt.timezone(dt.timedelta(hours=h))) for month, h in ((1, 0), (7, 1), (8, 1))
    ]
    odd = pd.concat([new.assign(zone=zones), new[["x"]].set_axis(["note"], axis=1)], axis=1)
    odd = pd.concat([odd, odd[["note"]]], axis=1)
    pd.testing.assert_frame_equal(groups.predict(odd), groups.predict(new))
    wide = pl.from_pandas(new).with_columns(z=pl.lit(1).cast(pl.Int128))
    assert groups.predict(wide)["mean"].to_list() == groups.predict(new)["mean"].tolist()


def test_an_unknown_kind(groups: lgm.Fit) -> None:
    with pytest.raises(lgm.LgmError, match="accepted: .linear., .mean., .response., .draws."):
        groups.predict(kind="median")


def _series(term: str, theta: dict[str, float], times: np.ndarray) -> lgm.Fit:
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"t": times, "y": 3 + np.cumsum(rng.normal(size=times.size))})
    return around(lgm.model(f"y ~ 1 + {term}", data), theta, spread=0.0, draws=DRAWS)


def _last(fit: lgm.Fit, name: str) -> np.ndarray:
    """Draws of intercept and last effect."""
    draws = fit.posterior
    return np.column_stack([draws["Intercept"].to_numpy().ravel(), draws[name].to_numpy()[..., -1].ravel()])


def test_a_random_walk_goes_on_with_variance_linear_in_time() -> None:
    fit = _series("rw1(t)", {"sd(rw1(t))": 2.0, "sigma": 0.5}, np.arange(1.0, 21.0))
    ahead = np.array([1.0, 2.0, 5.0, 12.5])
    found = fit.predict(pd.DataFrame({"t": 20 + ahead}))
    last = fit.predict(pd.DataFrame({"t": [20.0]}))
    np.testing.assert_allclose(found["mean"], last["mean"].iloc[0], rtol=1e-10)
    step = 2.0**2 / fit.scales["rw1(t)"][0]
    level = _last(fit, "rw1(t)").sum(axis=1).var()
    np.testing.assert_allclose(found["sd"] ** 2, level + step * ahead, rtol=2 * VARIANCE)


def test_a_random_walk_bridges_a_gap() -> None:
    times = np.concatenate([np.arange(1.0, 8.0), np.arange(11.0, 18.0)])
    fit = _series("rw1(t)", {"sd(rw1(t))": 2.0, "sigma": 0.5}, times)
    at = fit.ranef()["mean"].xs("rw1(t)")
    found = fit.predict(pd.DataFrame({"t": [8.0, 9.0, 10.0]}))["mean"] - fit.fixef().loc["Intercept", "mean"]
    np.testing.assert_allclose(found, at[7.0] + (at[11.0] - at[7.0]) * np.array([0.25, 0.5, 0.75]), rtol=1e-9)


def test_a_second_order_walk_goes_on_along_its_last_line() -> None:
    fit = _series("rw2(t)", {"sd(rw2(t))": 2.0, "sigma": 0.5}, np.arange(1.0, 21.0))
    found = fit.predict(pd.DataFrame({"t": [19.0, 20.0, 21.0, 24.0]}))["mean"].to_numpy()
    slope = found[1] - found[0]
    np.testing.assert_allclose(found[2:], found[1] + slope * np.array([1.0, 4.0]), rtol=1e-8)


def test_an_autoregression_returns_to_its_mean() -> None:
    rho, sd = 0.8, 2.0
    fit = _series("ar1(t)", {"sd(ar1(t))": sd, "rho(ar1(t))": rho, "sigma": 0.5}, np.arange(1.0, 21.0))
    ahead = np.array([1.0, 3.0, 10.0])
    found = fit.predict(pd.DataFrame({"t": 20 + ahead}))
    intercept, last = _last(fit, "ar1(t)").T
    np.testing.assert_allclose(found["mean"], fit.effects.mean[0] + rho**ahead * last.mean(), rtol=1e-9)
    fixed = [np.var(intercept + rho**h * last) for h in ahead]
    np.testing.assert_allclose(found["sd"] ** 2, fixed + sd**2 * (1 - rho ** (2 * ahead)), rtol=2 * VARIANCE)


def test_a_smooth_is_continued_by_a_line_and_says_so() -> None:
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"x": np.linspace(1, 2, 60), "y": rng.normal(size=60)})
    data["y"] += np.sin(6 * data.x)
    fit = around(lgm.model("y ~ s(log(x))", data), {"sd(s(log(x)))": 1.0, "sigma": 1.0}, draws=FEW)
    beyond = np.exp([0.8, 0.9, 1.0])
    with pytest.warns(lgm.PredictionWarning, match=r"3 rows outside the data's range 0 to 0.693147: extrapolated"):
        found = fit.predict(pd.DataFrame({"x": beyond}))["mean"].to_numpy()
    np.testing.assert_allclose(found[2] - found[1], found[1] - found[0], rtol=1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit.predict(data)


def test_many_rows_are_handled_in_pieces(groups: lgm.Fit, new: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = groups.predict(new, "response", weights=[1, 1, 1])
    monkeypatch.setattr("lgm.results.linear_predictor._HELD", 1)
    pd.testing.assert_frame_equal(whole, groups.predict(new, "response", weights=[1, 1, 1]))


def test_one_chain_of_few_draws() -> None:
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "g": list("aabb")})
    fit = fit_of(lgm.model("y ~ 1 + (1|g)", data), np.full((1, 4, 2), 1.0))
    assert fit.predict().shape == (4, 4)


# Responses that are not Gaussian --------------------------------------------------------------------------------------

FRESH = pd.DataFrame({"x": [0.0, 2.0], "e": [1.0, 10.0], "g": ["a", "d"], "t": [3, 5]})


def test_the_linear_predictor_is_on_the_scale_of_the_link() -> None:
    fit = counts()
    found = fit.predict(kind="linear")
    d = fit.design
    expected = d.predictor.A @ fit.effects.mean + d.predictor.offset
    np.testing.assert_allclose(found["mean"][d.rows.observed], expected, rtol=1e-12)
    assert len(found) == 32 and np.isfinite(found.to_numpy()).all()


def test_the_mean_is_that_of_the_response_not_the_inverse_of_a_mean() -> None:
    fit = counts()
    eta = fit.predict(FRESH, "draws", of="linear").to_numpy().reshape(-1, 2)
    found = fit.predict(FRESH)
    error = np.exp(eta).std(axis=0) / np.sqrt(len(eta))
    assert np.all(np.abs(found["mean"] - np.exp(eta).mean(axis=0)) < 5 * error)
    assert np.all(found["mean"] > np.exp(eta.mean(axis=0)) * (1 + 0.3 * eta.var(axis=0)))  # Jensen
    np.testing.assert_allclose(found["sd"], np.exp(eta).std(axis=0, ddof=1), rtol=1e-9)
    np.testing.assert_allclose(found[["2.5%", "97.5%"]], np.exp(fit.predict(FRESH, "linear").iloc[:, 2:]), rtol=1e-3)


def test_shares_against_quadrature() -> None:
    fit = successes()
    prior = fit.chosen_priors.fixed[0]
    b0, b = np.linspace(-15, 15, 301)[:, None], np.linspace(-20, 20, 401)
    share = 1 / (1 + np.exp(-(b0 + b)))
    four, one = (share**k * (1 - share) ** (5 - k) * np.exp(-(b**2) / 18) for k in (4, 1))
    weight = np.exp(-(b0**2) / (2 * prior.sd**2)) * one.sum(axis=1, keepdims=True) * four
    expected = np.sum(weight * share) / np.sum(weight)
    sd = np.sqrt(np.sum(weight * share**2) / np.sum(weight) - expected**2)
    found = fit.predict({"g": ["a"]})
    assert abs(found["mean"][0] - expected) < 4 * sd / np.sqrt(4000)
    assert found["sd"][0] == pytest.approx(sd, rel=0.05)


def test_new_counts_have_the_mean_of_the_expected_and_their_own_variation() -> None:
    fit = counts()
    mean, response = fit.predict(FRESH), fit.predict(FRESH, "response")
    np.testing.assert_allclose(response["mean"], mean["mean"], rtol=1e-12)
    np.testing.assert_allclose(response["sd"], np.sqrt(mean["mean"] + mean["sd"] ** 2), rtol=0.12)
    ends = response[["2.5%", "97.5%"]].to_numpy()
    assert np.all(ends >= 0)


def test_new_successes_are_out_of_trials() -> None:
    fit = successes()
    share = fit.predict({"g": ["a", "b"]})["mean"]
    np.testing.assert_allclose(fit.predict({"g": ["a", "b"]}, "response", trials=[10, 2])["mean"], share * [10, 2])
    drawn = fit.predict({"g": ["a", "b"], "n": [10, 2]}, "draws", of="response", trials="n")
    assert drawn.max("row").max() == 10 and set(np.unique(drawn.sel(row=1))) == {0.0, 1.0, 2.0}
    assert fit.predict(kind="draws", of="response").max() == 1


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        ("m", "trials='m' is not a column"),
        ([1.5, 2.0], "trials= has 1.5; accepted: a whole number from 0, or one for each of the 2 rows"),
        ([1, 2, 3], "trials= must be a whole number from 0, or one for each of the 2 rows"),
    ],
)
def test_trials_that_are_none(trials: Any, message: str) -> None:
    with pytest.raises(lgm.DataError, match=message):
        successes().predict({"g": ["a", "b"]}, "response", trials=trials)


def test_trials_of_a_family_without_any() -> None:
    with pytest.raises(lgm.LgmError, match="trials= is for families of successes out of trials; poisson is none"):
        counts().predict(FRESH, "response", trials=3)


@pytest.mark.parametrize("of", ["linear", "mean", "response"])
def test_draws_of_each_kind_are_those_behind_its_table(of: Any) -> None:
    fit = counts()
    drawn = fit.predict(FRESH, "draws", of=of, seed=3).to_numpy().reshape(-1, 2)
    table = fit.predict(FRESH, of, seed=3)
    np.testing.assert_allclose(table["sd"], drawn.std(axis=0, ddof=1), rtol=1e-9)
    np.testing.assert_allclose(table["97.5%"], np.quantile(drawn, 0.975, axis=0), rtol=1e-9)


def test_draws_are_of_the_expected_response_unless_said_otherwise() -> None:
    fit = counts()
    np.testing.assert_array_equal(fit.predict(FRESH, "draws"), fit.predict(FRESH, "draws", of="mean"))
    with pytest.raises(lgm.LgmError, match="of='linear' goes with kind="):
        fit.predict(FRESH, "mean", of="linear")
    with pytest.raises(lgm.LgmError, match="accepted: 'linear', 'mean', 'response'"):
        fit.predict(FRESH, "draws", of="eta")


def test_a_new_level_of_counts() -> None:
    fit = counts()
    with pytest.warns(lgm.errors.PredictionWarning, match="drawn from the population"):
        found = fit.predict({"x": [0.0], "e": [1.0], "g": ["new"]}, exclude=["rw1(t)"])
    eta = fit.fixef()["mean"]["Intercept"]
    tau = fit.posterior["sd(Intercept|g)"].to_numpy()
    usual = np.exp(eta + fit.fixef()["sd"]["Intercept"] ** 2 / 2) * np.exp(tau**2 / 2).mean()
    assert found["mean"][0] == pytest.approx(usual, rel=0.1)


def test_counts_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = counts()
    whole = [fit.predict(FRESH, kind) for kind in ("mean", "response")]
    monkeypatch.setattr("lgm.results.linear_predictor._HELD", 1000)
    for found, kind in zip(whole, ("mean", "response"), strict=True):
        pd.testing.assert_frame_equal(fit.predict(FRESH, kind), found, rtol=1e-12)


def of_sizes(formula: str, data: pd.DataFrame, weights: str | None = None) -> lgm.Fit:
    model = lgm.model(formula, data, "binomial", weights=weights)
    return around(model, {"sd(Intercept|g)": 0.5}, spread=0.0, draws=250)


def test_trials_come_from_the_formula() -> None:
    """Of the rows of the fit, without a response too, and of new ones; a share of successes stays one."""
    data = pd.DataFrame(
        {"y": [1.0, 3, 2, 5, 4, 9, np.nan, np.nan], "n": [4.0, 6, 3, 9, 8, 12, 50, np.nan], "g": [*"aabbccab"]}
    )
    fit = of_sizes("cbind(y, n - y) ~ 1 + (1|g)", data)
    share = fit.predict(kind="mean")["mean"]
    with pytest.warns(lgm.PredictionWarning, match="the number of trials of 1 row is missing"):
        drawn = fit.predict(kind="response")
    np.testing.assert_allclose(drawn["mean"].iloc[:7], (share * data.n).iloc[:7], rtol=1e-12)
    assert drawn.iloc[7].isna().all() and drawn["sd"].iloc[6] > drawn["sd"].iloc[0]
    new = pd.DataFrame({"g": ["a", "b"], "n": [100, 10]})
    expected = share.iloc[[0, 2]].to_numpy() * new.n
    np.testing.assert_allclose(fit.predict(new, "response")["mean"], expected, rtol=1e-12)
    with pytest.warns(lgm.PredictionWarning, match=r"missing values in n \(1\)"):
        assert fit.predict(new.assign(n=[np.nan, 10]), "response")["mean"].isna().tolist() == [True, False]
    with pytest.raises(
        lgm.DataError, match=r"new_data lacks the column\(s\) n, of which the number of trials is computed"
    ):
        fit.predict(new[["g"]], "response")
    np.testing.assert_allclose(fit.predict(new[["g"]])["mean"], share.iloc[[0, 2]])
    with pytest.raises(lgm.DataError, match=r"the number of trials has 2.5, but trials are counted"):
        fit.predict(new.assign(n=2.5), "response")

    shares = of_sizes("{y / n} ~ 1 + (1|g)", data.iloc[:7], "n")
    np.testing.assert_allclose(shares.predict(kind="mean")["mean"], share.iloc[:7], rtol=1e-10)
    drawn = shares.predict(new, "draws", of="response")
    assert 0.0 <= float(drawn.min()) and float(drawn.max()) <= 1.0
    np.testing.assert_allclose(drawn.values * [100, 10], np.round(drawn.values * [100, 10]), atol=1e-9)
    np.testing.assert_allclose(shares.design.as_given, (data.y / data.n).iloc[:6])


class Categories(Bernoulli):
    """The same responses, of which the mean is a probability for each of two categories."""

    outcomes = ("no", "yes")

    def probabilities(self, eta: Any, theta: Any) -> Any:
        return np.stack([1.0 - self.mean(eta, theta), self.mean(eta, theta)])


def test_probabilities_of_categories() -> None:
    """One row for each, of which the second is what is predicted of an event."""
    data = pd.DataFrame(
        {"y": [0.0, 1, 1, 0, 1, 0, 1, 1], "x": [-1.0, 0, 2, 1, np.nan, -2, 1, 0], "g": [0, 1] * 4},
        index=list("abcdefgh"),
    )
    with pytest.warns(lgm.DataWarning, match="1 of 8 rows"):
        model = lgm.model("y ~ x + (1|g)", data, "bernoulli")
    of_two = replace(model, design=replace(model.design, family=Categories()))
    plain, fit = (around(each, {"sd(Intercept|g)": 0.7}, draws=25) for each in (model, of_two))
    with pytest.warns(lgm.PredictionWarning, match="1 row"):
        found, event = fit.predict(), plain.predict()
    assert found.columns.tolist() == ["category", "mean", "sd", "2.5%", "97.5%"]
    assert found.index.tolist() == [label for label in "abcdefgh" for _ in range(2)]
    assert found["category"].tolist() == ["no", "yes"] * 8 and found["category"].cat.ordered
    yes = found[found["category"] == "yes"].drop(columns="category")
    pd.testing.assert_frame_equal(yes, event, rtol=1e-12)
    assert np.isnan(event.loc["e", "mean"]) and event["mean"].notna().sum() == 7
    wide = found.pivot(columns="category", values="mean").dropna()
    np.testing.assert_allclose(wide.sum(axis=1), 1.0, rtol=1e-12)
    new = {"x": [0.3, 1.0], "g": [0, 1]}
    drawn, of_event = (each.predict(new, "draws") for each in (fit, plain))
    assert drawn.dims == ("chain", "draw", "row", "category")
    np.testing.assert_allclose(drawn.sel(category="yes"), of_event, rtol=1e-12)
    assert fit.predict(new, "draws", of="linear").dims == ("chain", "draw", "row")
    polars = fit.predict(pl.DataFrame(new))
    assert polars["category"].to_list() == ["no", "yes"] * 2
    assert polars.columns == found.columns.tolist()


@pytest.mark.slow
def test_probabilities_of_ordered_categories() -> None:
    """By their definition and the draws of all parameters."""
    y = pd.Categorical.from_codes(np.arange(30) % 4, ["low", "mid", "high", "top"], ordered=True)
    data = pd.DataFrame({"y": y, "x": np.tile([-1.0, 0.0, 2.0], 10)})
    fit = around(lgm.model("y ~ x", data, "cumulative"), {"gap[mid]": 1.0, "gap[high]": 0.5}, draws=50)
    flat = fit.posterior.stack(sample=("chain", "draw"))
    eta = flat["Intercept"].to_numpy() + np.multiply.outer([0.3, -5.0], flat["x"].to_numpy())
    cuts = np.cumsum([np.zeros(eta.shape[1]), flat["gap[mid]"], flat["gap[high]"]], axis=0)
    expected = np.diff(scipy.special.expit(cuts[None] - eta[:, None]), axis=1, prepend=0.0, append=1.0)
    found = fit.predict({"x": [0.3, -5.0]})
    assert found["category"].tolist() == ["low", "mid", "high", "top"] * 2
    np.testing.assert_allclose(found["sd"], expected.std(axis=2, ddof=1).ravel(), rtol=1e-9)
    ends = np.quantile(expected, [0.025, 0.975], axis=2).reshape(2, -1)
    np.testing.assert_allclose(found[["2.5%", "97.5%"]].T, ends, rtol=1e-9)
    error = 5 * expected.std(axis=2).ravel() / np.sqrt(expected.shape[2])  # the mean uses more than the draws
    assert np.all(np.abs(found["mean"] - expected.mean(axis=2).ravel()) < error)
    assert 1.0 < fit.predict({"x": [0.3]}, "response")["mean"].iloc[0] < 4.0
