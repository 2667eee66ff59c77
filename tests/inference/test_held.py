"""Draws in which theta does not move: at its mode or fixed."""

from dataclasses import replace

import numpy as np
import pandas as pd

from lgm.inference.held import Conditional, Exact

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
