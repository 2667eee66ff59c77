"""What a fit holds: draws, tables, names, the ArviZ object."""

import copy
import gc
import pickle
import warnings
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr
from synthetic import around, fit_of

import lgm
from lgm.results import effects, linear_predictor
from lgm.results.quantiles import Tails

SLEEP = {"sd(Intercept|Subject)": 25.0, "sd(Days|Subject)": 6.0, "corr(Intercept,Days|Subject)": 0.1, "sigma": 26.0}


@pytest.fixture(scope="module")
def fit() -> lgm.Fit:
    model = lgm.model("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy"))
    return around(model, SLEEP)


@pytest.fixture(scope="module")
def structured() -> lgm.Fit:
    """Terms of every kind, with dimensions that could collide."""
    rng = np.random.default_rng(1)
    n = 60
    data = pd.DataFrame({"t": np.arange(n) % 20, "draw": rng.normal(size=n), "chain": np.arange(n) % 4})
    data["a"], data["b"] = np.arange(n) % 3, np.arange(n) // 3 % 2
    data["y"] = rng.normal(size=n)
    edges = [(i, i + 1) for i in range(3)]
    model = lgm.model(
        "y ~ draw + t + rw1(t) + (1|a/b) + (0 + draw|chain) + icar(chain, edges)", data, env={"edges": edges}
    )
    theta = {name: 0.5 for name in model.design.theta_names}
    return around(model, theta, draws=25)


def test_summary(fit: lgm.Fit) -> None:
    table = fit.summary()
    assert list(table.index) == ["Intercept", "Days", *SLEEP]
    assert list(table.columns) == ["mean", "sd", "2.5%", "97.5%", "ess_bulk", "ess_tail", "r_hat"]
    assert table.index.name == "variable"
    assert table.notna().all(axis=None)
    table.loc["Days", "mean"] = 0.0  # a copy
    assert fit.summary().loc["Days", "mean"] > 5


def test_moments_of_effects_are_exact_mixtures(fit: lgm.Fit) -> None:
    table, draws = fit.summary(), fit.posterior["Days"].to_numpy()
    error = draws.std() / np.sqrt(draws.size)
    assert table.loc["Days", "mean"] == fit.effects.mean[1] != draws.mean()
    assert abs(table.loc["Days", "mean"] - draws.mean()) < 4 * error
    assert table.loc["Days", "sd"] == pytest.approx(draws.std(), rel=4 / np.sqrt(2 * draws.size))


def test_fixef_is_part_of_the_summary(fit: lgm.Fit) -> None:
    pd.testing.assert_frame_equal(fit.fixef(), fit.summary().iloc[:2, :4])


def test_varcorr_by_group(fit: lgm.Fit, structured: lgm.Fit) -> None:
    table = fit.varcorr()
    assert list(table.index) == [
        ("Subject", "sd(Intercept)"),
        ("Subject", "sd(Days)"),
        ("Subject", "corr(Intercept,Days)"),
        ("Residual", "sigma"),
    ]
    assert table.loc[("Subject", "sd(Days)"), "mean"] == fit.summary().loc["sd(Days|Subject)", "mean"]
    assert max(len(line) for line in table.to_string().splitlines()) <= 80
    assert list(structured.varcorr().index) == [
        ("rw1(t)", "sd"),
        ("a", "sd(Intercept)"),
        ("a:b", "sd(Intercept)"),
        ("chain", "sd(draw)"),
        ("icar(chain)", "sd"),
        ("Residual", "sigma"),
    ]


def test_an_autoregression_in_varcorr() -> None:
    data = pd.DataFrame({"t": range(8), "y": np.random.default_rng(0).normal(size=8)})
    fit = around(lgm.model("y ~ 1 + ar1(t)", data), {"sd(ar1(t))": 1.0, "rho(ar1(t))": 0.5, "sigma": 1.0}, draws=10)
    assert list(fit.varcorr().index)[:2] == [("ar1(t)", "sd"), ("ar1(t)", "rho")]


@pytest.mark.parametrize(
    ("name", "effects", "rows"),
    [
        (None, ["Intercept|Subject", "Days|Subject"], 36),
        ("(Days|Subject)", ["Intercept|Subject", "Days|Subject"], 36),
        ("( Days | Subject )", ["Intercept|Subject", "Days|Subject"], 36),
        ("Subject", ["Intercept|Subject", "Days|Subject"], 36),
        ("Days|Subject", ["Days|Subject"], 18),
    ],
)
def test_ranef_by_term_effect_or_group(fit: lgm.Fit, name: str | None, effects: list[str], rows: int) -> None:
    table = fit.ranef(name)
    assert list(table.index.unique("effect")) == effects
    assert len(table) == rows
    assert table.index.unique("level").tolist() == sorted(lgm.load_dataset("sleepstudy")["Subject"].unique())


def test_ranef_of_an_unknown_term(fit: lgm.Fit) -> None:
    with pytest.raises(lgm.LgmError, match=r"no term 'Day\|Subject'. Did you mean `?'?Days\|Subject"):
        fit.ranef("Day|Subject")


def test_a_fit_without_latent_terms() -> None:
    data = pd.DataFrame({"x": [1.0, 2, 3, 4, 5], "y": [1.0, 3, 2, 5, 4]})
    fit = around(lgm.model("y ~ x", data), {"sigma": 1.0}, draws=10)
    with pytest.raises(lgm.LgmError, match="no latent terms"):
        fit.ranef()
    assert fit.ngrps() == {}
    assert list(fit.varcorr().index) == [("Residual", "sigma")]


def test_counts(fit: lgm.Fit, structured: lgm.Fit) -> None:
    assert (fit.nobs, fit.ngrps()) == (180, {"Subject": 18})
    assert structured.ngrps() == {"a": 3, "a:b": 6, "chain": 4}


def test_dims_and_coords(fit: lgm.Fit) -> None:
    draws = fit.posterior
    assert draws["Days|Subject"].dims == ("chain", "draw", "Subject")
    assert draws.sizes == {"chain": 4, "draw": 100, "Subject": 18}
    assert draws["Days|Subject"].sel(Subject=308).shape == (4, 100)
    assert draws.attrs["formula"] == "Reaction ~ Days + (Days|Subject)"


def test_names_that_collide_get_an_underscore(structured: lgm.Fit) -> None:
    draws = structured.posterior
    assert draws["draw_"].dims == ("chain", "draw")
    assert draws["draw|chain"].dims == ("chain", "draw", "chain_")
    assert draws["icar(chain)"].dims == ("chain", "draw", "chain_")
    assert draws["rw1(t)"].dims == ("chain", "draw", "t_")
    assert "draw_" in structured.summary().index
    assert structured.idata.posterior["icar(chain)"].shape == (4, 25, 4)


def test_effects_of_walks_and_areas_obey_their_constraints(structured: lgm.Fit) -> None:
    draws = structured.posterior
    for name, dim in (("rw1(t)", "t_"), ("icar(chain)", "chain_")):
        assert abs(draws[name].sum(dim)).max() < 1e-8


def test_interval_names() -> None:
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0]})
    fit = fit_of(lgm.model("y ~ 1", data), np.ones((2, 10, 1)), interval=0.89)
    assert fit.interval_names == ("5.5%", "94.5%")
    assert list(fit.fixef().columns) == ["mean", "sd", "5.5%", "94.5%"]


def test_held_parameters_have_no_diagnostics_and_no_warnings() -> None:
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "g": list("aabb")})
    theta = np.stack([np.full((4, 25), 2.0), np.random.default_rng(0).gamma(2, size=(4, 25))], axis=-1)
    fit = fit_of(lgm.model("y ~ 1 + (1|g)", data), theta)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row = fit.summary().loc["sd(Intercept|g)"]
    assert (row["mean"], row["sd"], row["2.5%"]) == (2.0, 0.0, 2.0)
    assert row[["ess_bulk", "ess_tail", "r_hat"]].isna().all()


@pytest.mark.parametrize(
    ("method", "verdict", "drawn"),
    [("importance", "Reliable: Pareto k", "weighted points"), ("mode", "Conditional: ", "held at their mode")],
)
def test_other_engines(method: str, verdict: str, drawn: str, tmp_path: Path) -> None:
    data = lgm.load_dataset("Dyestuff")
    fit = lgm.fit("Yield ~ 1 + (1|Batch)", data, method=method, draws=100, seed=2, progress=False)
    table = fit.summary()
    assert fit.verdict.startswith(verdict)
    assert drawn in repr(fit)
    assert table["r_hat"].isna().all()
    assert table.loc["Intercept", "mean"] == pytest.approx(1527.5, abs=2)
    assert table.columns.name == table.attrs["method"] == method
    assert ("log p(y)" in repr(fit)) == ("log_evidence" in table.attrs) == (method == "importance")
    fit.save(tmp_path / "fit")
    again = lgm.load(tmp_path / "fit")
    pd.testing.assert_frame_equal(again.summary(), table, check_exact=True)
    assert repr(again) == repr(fit)


def test_standard_errors_at_the_mode() -> None:
    """Dyestuff is balanced, so REML has closed forms, of the estimates and of their information at an inner maximum.

    With a batches of m rows, ``m s^2 + sigma^2`` and ``sigma^2`` are the mean squares, independent and scaled
    chi-squares of a - 1 and a (m - 1) degrees of freedom; their curvature-based variances are 2 mean^2 / df.
    """
    data = lgm.load_dataset("Dyestuff")
    flat = {name: lgm.priors.flat() for name in ("Intercept", "sd", "sigma")}
    fit = lgm.fit("Yield ~ 1 + (1|Batch)", data, method="mode", priors=flat, draws=100, seed=1, progress=False)
    a, m = 6, 5
    means = data.groupby("Batch", observed=True)["Yield"].mean()
    between = m * means.var(ddof=1)
    within = data["Yield"].sub(data["Batch"].map(means).astype(float)).pow(2).sum() / (a * (m - 1))
    of_between, of_within = 2 * between**2 / (a - 1), 2 * within**2 / (a * (m - 1))
    sd, sigma = np.sqrt((between - within) / m), np.sqrt(within)
    table = fit.varcorr()
    np.testing.assert_allclose(table["mean"], [sd, sigma], rtol=1e-6)
    exact = [np.sqrt(of_between + of_within) / m / (2 * sd), np.sqrt(of_within) / (2 * sigma)]
    np.testing.assert_allclose(table["sd"], exact, rtol=1e-5)  # central differences of gradients
    assert table[["2.5%", "97.5%"]].isna().all(axis=None)
    none = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff2"), method="mode", priors=flat, progress=False)
    assert "The mode of sd(Intercept|Batch) is at the end of the range." in none.verdict


def test_a_fit_from_end_to_end() -> None:
    data = lgm.load_dataset("sleepstudy")
    one, two = (
        lgm.fit("Reaction ~ Days + (Days|Subject)", data, chains=2, draws=100, seed=4, progress=False) for _ in range(2)
    )
    pd.testing.assert_frame_equal(one.summary(), two.summary())
    assert one.summary().loc["Days", "mean"] == pytest.approx(10.47, abs=0.5)
    assert "(Days | Subject)" in repr(one)


def test_fits_are_copied_and_pickled() -> None:
    """The effects travel, what follows from them does not; each equals itself only."""
    data = pd.DataFrame({"y": np.random.default_rng(5).normal(size=12), "g": list("abcd") * 3})
    fit = around(lgm.model("y ~ (1|g)", data), {"sd(Intercept|g)": 0.6, "sigma": 1.0}, draws=10)
    table, _ = fit.summary(), fit.posterior
    for again in (pickle.loads(pickle.dumps(fit)), copy.deepcopy(fit), copy.copy(fit)):
        assert "posterior" not in vars(again) and again.effects.draws.shape == fit.effects.draws.shape
        pd.testing.assert_frame_equal(again.summary(), table, check_exact=True)
        pd.testing.assert_frame_equal(again.predict(), fit.predict(), check_exact=True)
        assert again != fit and again == again and len({again, fit}) == 2
    assert copy.deepcopy(fit).model is fit.model


def _fitted_in_turn() -> tuple[lgm.Fit, list[weakref.ref[lgm.Fit]]]:
    """Each model is built while the fit before it is in scope."""
    watched, data = [], lgm.load_dataset("Dyestuff")
    for _ in range(3):
        model = lgm.model("Yield ~ 1 + (1|Batch)", data)
        fit = around(model, {"sd(Intercept|Batch)": 40.0, "sigma": 50.0}, draws=4)
        watched.append(weakref.ref(fit))
    return fit, watched


def test_fits_are_let_go() -> None:
    fit, watched = _fitted_in_turn()
    gc.collect()
    assert [each() is fit for each in watched] == [False, False, True]
    assert watched[0]() is watched[1]() is None


def held_effects(levels: int = 30) -> lgm.Fit:
    """Two groups of different size, theta the same in all 400 draws."""
    g = np.repeat(np.arange(levels), 3)
    data = pd.DataFrame({"y": np.random.default_rng(3).normal(size=g.size), "g": g, "h": g % 4})
    theta = {"sd(Intercept|g)": 0.7, "sd(Intercept|h)": 0.4, "sigma": 0.9}
    return around(lgm.model("y ~ 1 + (1|g) + (1|h)", data), theta, spread=0.0)


def test_draws_of_some_levels() -> None:
    fit = held_effects()
    found = fit.effect_draws("g", [4, 2])
    expected = fit.posterior["Intercept|g"].sel(g=[4, 2])
    xr.testing.assert_equal(found["Intercept|g"], expected)
    assert fit.effect_draws("(1 | h)").sizes == {"chain": 4, "draw": 100, "h": 4}
    with pytest.raises(lgm.LgmError, match=r"Intercept\|g has no level 30. Accepted: 0, 1, 2, 3, 4 and 25 more"):
        fit.effect_draws("g", [3, 30])
    with pytest.raises(lgm.LgmError, match="there is no term 'k'"):
        fit.effect_draws("k")


def test_effects_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The posterior leaves them out and says so; tables, predictions and draws of some levels are as ever."""
    whole = held_effects()
    some = whole.effect_draws("g", [7])
    response, drawn, everything = whole.predict(kind="response"), whole.predict(kind="draws"), whole.posterior
    monkeypatch.setattr(effects, "KEPT_BYTES", 8.0 * 400 * 20)
    monkeypatch.setattr(linear_predictor, "KEPT_BYTES", 40 * Tails.bytes(400, 0.95))
    fit = held_effects()
    said = r"left out: Intercept\|g \(30 levels, 0.096 MB\). fit.effect_draws\('Intercept\|g', levels="
    with pytest.warns(lgm.LgmWarning, match=said):
        posterior = fit.posterior
    assert set(posterior) == {"Intercept", "sd(Intercept|g)", "sd(Intercept|h)", "sigma", "Intercept|h"}
    xr.testing.assert_allclose(posterior["Intercept|h"], everything["Intercept|h"])
    xr.testing.assert_allclose(fit.effect_draws("g", [7]), some)
    pd.testing.assert_frame_equal(fit.ranef(), whole.ranef())
    pd.testing.assert_frame_equal(fit.summary(), whole.summary())
    pd.testing.assert_frame_equal(fit.predict(), whole.predict())
    xr.testing.assert_allclose(fit.predict(kind="draws"), drawn)
    again = fit.predict(kind="response")  # noise is drawn in another order
    np.testing.assert_allclose(again["mean"], response["mean"])
    np.testing.assert_allclose(again["sd"], response["sd"], rtol=5 * np.sqrt(2 / 400))


def test_intervals_of_another_probability(fit: lgm.Fit) -> None:
    summary, ranef = fit.summary(interval=0.5), fit.ranef(interval=0.5)
    assert list(summary.columns[:4]) == ["mean", "sd", "25%", "75%"]
    for table in (summary, fit.fixef(interval=0.5)):
        for name in table.index:
            expected = np.quantile(fit.posterior[name], [0.25, 0.75])
            np.testing.assert_allclose(table.loc[name, ["25%", "75%"]].astype(float), expected, rtol=1e-12)
    pd.testing.assert_frame_equal(summary[["mean", "sd"]], fit.summary()[["mean", "sd"]])
    pd.testing.assert_frame_equal(ranef[["mean", "sd"]], fit.ranef()[["mean", "sd"]])
    assert np.all(ranef["75%"] - ranef["25%"] < np.diff(fit.ranef()[["2.5%", "97.5%"]], axis=1)[:, 0])
    assert list(fit.varcorr(interval=0.9).columns) == ["mean", "sd", "5%", "95%"]
    assert list(fit.predict(interval=0.9).columns) == ["mean", "sd", "5%", "95%"]
    assert fit.interval == 0.95
    for wrong in (95, 0.0, "0.9"):
        with pytest.raises(lgm.LgmError, match="accepted: a probability between 0 and 1"):
            fit.summary(interval=wrong)


def test_exact_intervals_of_another_probability() -> None:
    fit = held_effects()
    table = fit.ranef(interval=0.5)
    np.testing.assert_allclose(table["75%"], table["mean"] + scipy.stats.norm.ppf(0.75) * table["sd"], rtol=1e-12)
