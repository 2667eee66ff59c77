"""Draws in which theta does not move: at its mode or fixed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.inference.held import Conditional, Exact

LEVEL = {"Intercept": lgm.priors.normal(0.0, 2.0)}
THETA = np.array([2.0, 0.0])
REPEATED = np.repeat(THETA[None], 5, axis=0)[None]
EXACT = Exact(REPEATED, {}, False)
CONDITIONAL = Conditional(REPEATED, {}, False, np.array([0.5, np.nan]), np.array([False, True]), True)


def _summary(draws: Exact | Conditional) -> pd.DataFrame:
    columns = ["mean", "sd", "2.5%", "97.5%"]
    table = pd.DataFrame([[1.0, 1.0, -1.0, 3.0], [2.0] * 4, [0.0] * 4], ["Intercept", "sd(g)", "sigma"], columns)
    return draws.summarised(table, dict, pd.DataFrame)


def test_fixed_hyperparameters_are_exact() -> None:
    assert EXACT.verdict(_summary(EXACT)).text.startswith("Exact")
    assert EXACT.described() == "5, hyperparameters held"


def test_the_mode_is_conditional() -> None:
    found, doubted = CONDITIONAL.verdict(_summary(CONDITIONAL))
    assert not doubted
    assert found.startswith("Conditional: hyperparameters are held at their posterior mode")
    assert 'method="nuts"' in found
    assert "The mode of sigma is at the end of the range." in found
    assert CONDITIONAL.described() == "5, hyperparameters held at their mode"


def test_what_the_mode_does_not_tell() -> None:
    unspoken = replace(CONDITIONAL, at_end=np.array([False, False]))
    assert "The data do not speak of sigma." in unspoken.verdict(_summary(unspoken)).text
    lost = replace(CONDITIONAL, settled=False)
    assert lost.verdict(_summary(lost)).text.startswith("Not converged")
    assert lost.verdict(_summary(lost)).doubted


def test_tables() -> None:
    exact, conditional = _summary(EXACT), _summary(CONDITIONAL)
    assert exact["sd"].tolist() == [1.0, 0.0, 0.0]
    assert exact.loc["sd(g)", ["mean", "2.5%", "97.5%"]].tolist() == [2.0] * 3
    np.testing.assert_array_equal(conditional["sd"], [1.0, 0.5, np.nan])
    assert conditional["mean"].tolist() == [1.0, 2.0, 0.0]
    assert conditional.iloc[1:, 2:].isna().all(axis=None)
    assert exact[["ess_bulk", "ess_tail", "r_hat"]].isna().all(axis=None)


def test_effects_are_left_to_others() -> None:
    assert CONDITIONAL.without_effects() is CONDITIONAL


@pytest.mark.parametrize("method", ["mode", "importance", "nuts"])
def test_a_regression_without_hyperparameters(method: str, tmp_path: Path) -> None:
    """Counts with an intercept: mean and sd by quadrature, and all that a fit can be asked."""
    data = pd.DataFrame({"n": [3.0, 1, 0, 4, 2, np.nan]})
    fit = lgm.fit("n ~ 1", data, family="poisson", priors=LEVEL, method=method, draws=500, seed=1, progress=False)
    x = np.linspace(-2.0, 3.0, 2001)
    w = np.exp(10.0 * x - 5.0 * np.exp(x) - 0.5 * (x / 2.0) ** 2)
    mean = np.average(x, weights=w)
    sd = np.sqrt(np.average((x - mean) ** 2, weights=w))
    assert fit.fixef().loc["Intercept", "mean"] == pytest.approx(mean, abs=5 * sd / np.sqrt(2000))
    assert fit.fixef().loc["Intercept", "sd"] == pytest.approx(sd, rel=5 / np.sqrt(4000))
    assert fit.draws.described() == "2000, independent"
    assert fit.verdict == "Exact: there are no hyperparameters, so the draws are independent."
    assert list(fit.summary().index) == ["Intercept"] and fit.varcorr().empty
    if method == "mode":
        fit.plot()
        fit.save(tmp_path / "fit.lgm")
        again = lgm.load(tmp_path / "fit.lgm")
        pd.testing.assert_frame_equal(again.predict(data), fit.predict(data))
        assert repr(again) == repr(fit)
