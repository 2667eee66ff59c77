"""Diagnostics of draws, and what ArviZ makes of a fit; a broken ArviZ or plotting library breaks nothing else."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import run_fresh
from scipy import stats
from synthetic import around

import lgm
from lgm.results.arviz import diagnostics, plain_labels, quiet_arviz

COLUMNS = ["ess_bulk", "ess_tail", "r_hat"]


def _draws(kind: str, chains: int, draws: int) -> np.ndarray:
    rng = np.random.default_rng(chains * draws)
    x = rng.standard_normal((chains, draws))
    match kind:
        case "walks":
            return np.cumsum(x, axis=1)
        case "heavy tails":
            return rng.standard_cauchy((chains, draws))
        case "ties":
            return np.round(x)
        case "constant":
            return np.full((chains, draws), 2.5)
        case "chains apart":
            return x + 3.0 * np.arange(chains)[:, None]
    return x


@pytest.mark.parametrize("shape", [(1, 100), (2, 5), (2, 100), (4, 99), (4, 1000), (8, 50), (4, 3)], ids=str)
def test_numbers_are_those_of_arviz(shape: tuple[int, int]) -> None:
    kinds = ("independent", "walks", "heavy tails", "ties", "constant", "chains apart")
    draws = {kind: _draws(kind, *shape) for kind in kinds}
    found = diagnostics(draws)
    with quiet_arviz() as az, np.errstate(divide="ignore", invalid="ignore"):
        for name, x in draws.items():
            tails = {} if az.__version__.startswith("0.") else {"prob": (0.05, 0.95)}  # 0.23 takes these by default
            expected = [az.ess(x, method="bulk"), az.ess(x, method="tail", **tails), az.rhat(x)]
            np.testing.assert_allclose(found.loc[name], np.array(expected, dtype=float), rtol=1e-12, err_msg=name)


def test_a_table_with_one_row_per_variable() -> None:
    rng = np.random.default_rng(0)
    table = diagnostics({name: rng.standard_normal((4, 500)) for name in ("a", "sd(x|g)")})
    assert list(table.index) == ["a", "sd(x|g)"] and list(table.columns) == COLUMNS
    assert (table.dtypes == np.float64).all()
    empty = diagnostics({})
    assert empty.shape == (0, 3) and list(empty.columns) == COLUMNS


def test_r_hat_is_the_ratio_of_its_definition() -> None:
    """Normal scores of ranks in split chains: sqrt of total over within variance, the worse of plain and folded."""
    x = _draws("chains apart", 3, 40) * np.array([[1.0], [0.2], [3.0]])
    halves = np.concatenate([x[:, :20], x[:, 20:]])

    def ratio(values: np.ndarray) -> float:
        ranks = stats.rankdata(values)
        z = stats.norm.ppf((ranks - 0.375) / (ranks.size + 0.25)).reshape(values.shape)
        n = z.shape[1]
        within, between = z.var(axis=1, ddof=1).mean(), n * z.mean(axis=1).var(ddof=1)
        return float(np.sqrt(((n - 1) / n * within + between / n) / within))

    expected = max(ratio(halves), ratio(np.abs(halves - np.median(halves))))
    assert diagnostics({"x": x}).loc["x", "r_hat"] == pytest.approx(expected, rel=1e-12)


def test_independent_draws_count_in_full_and_correlated_ones_by_their_autocorrelation() -> None:
    n, rho = 20_000, 0.8
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((4, n))
    chain = np.empty_like(noise)
    chain[:, 0] = noise[:, 0]
    for t in range(1, n):
        chain[:, t] = rho * chain[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    found = diagnostics({"independent": noise, "correlated": chain})["ess_bulk"] / (4 * n)
    assert found["independent"] == pytest.approx(1.0, abs=0.1)
    assert found["correlated"] == pytest.approx((1 - rho) / (1 + rho), rel=0.1)


def test_chains_that_do_not_move() -> None:
    stuck = np.repeat([[1.0], [2.0]], 50, axis=1)
    found = diagnostics({"apart": stuck, "together": np.ones((2, 50))})["r_hat"]
    assert found["apart"] == np.inf and np.isnan(found["together"])


def test_one_chain_has_no_r_hat() -> None:
    row = diagnostics({"x": _draws("independent", 1, 200)}).loc["x"]
    assert np.isnan(row["r_hat"]) and row[["ess_bulk", "ess_tail"]].notna().all()


SLEEP = {"sd(Intercept|Subject)": 25.0, "sd(Days|Subject)": 6.0, "corr(Intercept,Days|Subject)": 0.1, "sigma": 26.0}


@pytest.fixture(scope="module")
def fit() -> lgm.Fit:
    return around(lgm.model("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy")), SLEEP)


def test_arviz_reads_the_whole(fit: lgm.Fit) -> None:
    with quiet_arviz() as az:
        table = az.summary(fit.idata, var_names=["Days", "sigma"], round_to="none")
        ess = az.ess(fit.idata)
        old = az.__version__.startswith("0.")
    assert list(table.index) == ["Days", "sigma"]
    # ArviZ averages draws; the summary of lgm averages exact conditional means
    assert table.loc["sigma", "mean"] == pytest.approx(fit.summary().loc["sigma", "mean"], rel=1e-3)
    found = ess["sigma"] if old else ess["posterior"]["sigma"] if "posterior" in ess else ess["sigma"]
    assert float(found) == pytest.approx(fit.summary().loc["sigma", "ess_bulk"], rel=1e-12)
    assert set(fit.idata.observed_data) == {"Reaction"}
    assert fit.idata.sample_stats["diverging"].dims == ("chain", "draw")
    assert fit.idata.posterior["Days|Subject"].shape == (4, 100, 18)


def test_arviz_draws_it(fit: lgm.Fit) -> None:
    with quiet_arviz() as az, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ArviZ and its plotting libraries
        draw = az.plot_trace if az.__version__.startswith("0.") else az.plot_trace_dist
        assert draw(fit.idata, var_names=["Days"]) is not None


def test_everything_is_read_late_and_quietly() -> None:
    code = """
import sys, warnings
warnings.simplefilter("error")
import lgm
import numpy as np
from lgm.results.arviz import diagnostics, plain_labels, quiet_arviz
late = {"arviz", "arviz_base", "arviz_stats", "matplotlib"}
print(sorted(late & set(sys.modules)))
diagnostics({"x": np.random.default_rng(0).normal(size=(2, 50))})
print("arviz" in sys.modules)
with quiet_arviz() as az:
    print(az.__name__)
"""
    assert run_fresh(code).split() == ["[]", "False", "arviz"]


WITHOUT = """
import sys
import lgm
data = lgm.load_dataset("Dyestuff")
fit = lgm.fit("Yield ~ 1 + (1|Batch)", data, chains=2, draws=50, seed=1, progress=False)
assert "R-hat" in str(fit) and "<table>" in fit._repr_html_()
assert fit.summary()["r_hat"].notna().all()
assert len(fit.ranef()) == 6 and len(fit.predict()) == 30 and fit.posterior.sizes["draw"] == 50
try:
    fit.idata
except lgm.LgmError as error:
    print(error)
"""
PLOTS = "assert len(fit.plot('sigma').axes) == 2 and fit.plot_term('Batch').axes"


BROKEN = {
    "arviz broken": ("arviz", "raise AttributeError('no\\n cbook')", "AttributeError: no cbook"),
    "arviz missing": ("arviz", "raise ModuleNotFoundError('No module')", "ModuleNotFoundError: No module"),
    "matplotlib broken": ("matplotlib", "raise ImportError('no libfreetype')", "ImportError: no libfreetype"),
}


@pytest.mark.parametrize(
    "case", [name if name == "arviz broken" else pytest.param(name, marks=pytest.mark.slow) for name in BROKEN]
)
def test_tables_need_neither_arviz_nor_matplotlib(case: str, tmp_path: Path) -> None:
    package, code, reason = BROKEN[case]
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(code)
    plots = package != "matplotlib"
    printed = run_fresh(WITHOUT + (PLOTS if plots else ""), tmp_path)
    if package == "arviz" or sys.version_info < (3, 12):  # ArviZ 1 reads matplotlib only to plot
        assert printed == (
            f"fit.idata needs ArviZ (pip install arviz), which cannot be imported here ({reason}); "
            "fit.posterior holds the draws without it."
        )


def test_slashes_and_labels_of_several_kinds_go_into_the_container(tmp_path: Path) -> None:
    sleep = lgm.load_dataset("sleepstudy").set_index(["Subject", "Days"], drop=False)
    model = lgm.model("Reaction ~ {Days / 10} + (1|Subject)", sleep)
    fit = around(model, {"sd(Intercept|Subject)": 30.0, "sigma": 30.0}, draws=10)
    assert "Days / 10" in fit.posterior
    np.testing.assert_array_equal(fit.idata["posterior"]["Days \u2215 10"], fit.posterior["Days / 10"])
    assert fit.idata["observed_data"]["row"].to_numpy()[:2].tolist() == ["308:0", "308:1"]


def test_labels_that_a_file_holds_as_they_are() -> None:
    for index in (pd.Index([1, 2]), pd.Index(["a", "b"]), pd.date_range("2024-01-01", periods=2)):
        np.testing.assert_array_equal(plain_labels(index), index.to_numpy())
    assert plain_labels(pd.interval_range(0, 2)).tolist() == ["(0, 1]", "(1, 2]"]
    assert plain_labels(pd.Index(["a", 1], dtype=object)).tolist() == ["a", "1"]
