"""Fits of a model that is changed, or of another response, compile nothing and are those of a new model."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from compilations import compilations

import lgm
from lgm import priors
from lgm.errors import DataError, FormulaError, LgmError

SLEEP = lgm.load_dataset("sleepstudy")
GIVEN = {"sigma": priors.exponential(0.05), "sd": priors.exponential(0.05), "Days": priors.normal(0, 20)}


@pytest.fixture(scope="module")
def fit() -> lgm.Fit:
    data = SLEEP.assign(z=np.sin(np.arange(180.0)), w=1.0 + np.arange(180) % 3)
    return lgm.fit(
        "Reaction ~ Days + z + (1|Subject)",
        data,
        priors=GIVEN,
        weights="w",
        method="mode",
        draws=50,
        chains=2,
        seed=3,
        progress=False,
    )


def test_update_is_a_new_fit_of_the_changed_model(fit: lgm.Fit) -> None:
    found = fit.update(". ~ . - z - Days", priors={"sd": priors.exponential(0.1)})
    assert found.inputs.formula == "Reaction ~ (1|Subject)"
    assert found.method == "mode" and found.seed == 3 and found.draws.theta.shape == (1, 100, 2)
    left = {"sigma": GIVEN["sigma"], "sd": priors.exponential(0.1)}
    weights = 1.0 + np.arange(180) % 3
    new = lgm.fit(
        "Reaction ~ (1|Subject)", SLEEP, priors=left, weights=weights, method="mode", seed=3, draws=50, chains=2
    )
    pd.testing.assert_frame_equal(found.priors, new.priors)
    pd.testing.assert_frame_equal(found.summary(), new.summary())


def test_update_of_the_family_has_its_usual_link(fit: lgm.Fit) -> None:
    model = fit.model.update("round(.) ~ .", family="poisson")
    assert (model.inputs.family.name, model.inputs.family.link) == ("poisson", "log")
    assert set(model.inputs.priors) == {"sd", "Days"}
    again = fit.model.update(link="log")
    assert (again.inputs.family.name, again.inputs.family.link) == ("gaussian", "log")


@pytest.mark.filterwarnings("ignore:.*rows are dropped:lgm.DataWarning")
def test_update_keeps_how_rows_stand_in_the_data() -> None:
    data = SLEEP.assign(z=np.where(np.arange(180) % 9 == 0, np.nan, 1.0 + np.arange(180)))
    data.loc[5, "Reaction"] = np.nan
    model = lgm.model("Reaction ~ Days + z + (1|Subject)", data)
    again = model.update(". ~ . - z")
    assert again.design.n == model.design.n == 159
    assert len(again.design.rows.index) == 180 and again.design.rows.dropped == 20
    assert again.design.rows.missing_in == {"z": 20}
    assert model.update(". ~ . - z", data=data).design.n == 179


def test_update_takes_the_column_of_weights_from_other_data(fit: lgm.Fit) -> None:
    data = SLEEP.assign(z=0.5 * np.cos(np.arange(180.0)), w=2.0).head(100)
    assert np.all(fit.model.update(data=data).design.weights == 2.0)
    by_value = lgm.model("Reaction ~ Days", SLEEP, weights=np.linspace(1, 2, 180))
    assert by_value.update(". ~ 1").design.weights[-1] == 2.0
    with pytest.raises(DataError, match="weights were given as an array"):
        by_value.update(data=data)


def test_update_says_what_is_not_there(fit: lgm.Fit) -> None:
    with pytest.raises(FormulaError, match="`q` is not in the formula"):
        fit.update(". ~ . - q")
    with pytest.raises(FormulaError, match="`newcomer` is not a column of the data"):
        fit.update(". ~ . + newcomer")
    with pytest.raises(LgmError, match="is for strangers|not on the list|accepted|Accepted"):
        lgm.model("Reaction ~ Days", SLEEP, python=False).update(". ~ . + __import__('os').getpid()")


def test_update_finds_names_of_its_caller(fit: lgm.Fit) -> None:
    knot = 5.0
    found = fit.update(". ~ Days + {np.maximum(Days - knot, 0)}", draws=4)
    assert found.design.fixed_names[-1] == "np.maximum(Days - knot, 0)"
    assert knot == 5.0


def test_refits_compile_nothing_and_keep_the_priors(fit: lgm.Fit) -> None:
    fit.summary()
    y = 2.0 * SLEEP["Reaction"].to_numpy() + np.cos(np.arange(180.0))
    with compilations() as compiled:
        found = fit.refit(y)
        found.summary()
        more = fit.update(priors={"sigma": priors.exponential(0.2)})
        more.summary()
    assert compiled == []
    pd.testing.assert_frame_equal(found.priors, fit.priors)
    np.testing.assert_array_equal(found.design.y, y)
    np.testing.assert_array_equal(found.design.y, pickle.loads(pickle.dumps(found)).design.y)


def test_a_refit_is_not_written_or_updated(fit: lgm.Fit, tmp_path) -> None:
    found = fit.refit(SLEEP["Reaction"] + 1.0)
    with pytest.raises(LgmError, match="pickle the fit"):
        found.save(tmp_path / "a.lgm")
    with pytest.raises(LgmError, match="another response"):
        found.update(". ~ . - z")


def test_a_loaded_fit_is_drawn_as_it_was(fit: lgm.Fit, tmp_path) -> None:
    fit.save(tmp_path / "a.lgm")
    assert lgm.load(tmp_path / "a.lgm").asked == fit.asked
