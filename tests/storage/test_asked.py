"""What was asked of a fit comes back from a file without being computed again."""

from __future__ import annotations

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import lgm
from lgm.storage import asked
from lgm.storage.container import Damaged

pytestmark = pytest.mark.filterwarnings("ignore:p_waic is above")  # one effect for five rows


@pytest.fixture(scope="module")
def fit() -> lgm.Fit:
    data = lgm.load_dataset("Dyestuff")
    return lgm.fit("Yield ~ 1 + (1|Batch)", data, method="importance", draws=50, seed=1, progress=False)


def test_it_comes_back(fit: lgm.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loo, by_batch, waic = fit.loo(), fit.loo("Batch"), fit.waic()
    pit = loo.pit
    fit.add_groups("posterior_predictive")
    fit.save(tmp_path / "f")
    again = lgm.load(tmp_path / "f")
    monkeypatch.setattr("lgm.results.comparing.loo.loo", None)
    monkeypatch.setattr("lgm.results.comparing.methods.leave_group_out", None)
    monkeypatch.setattr("lgm.results.comparing.pit.leave_one_out", None)
    for one, other in ((loo, again.loo()), (by_batch, again.loo("Batch")), (waic, again.waic())):
        pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)
        assert (repr(one), type(one)) == (repr(other), type(other)) and other.fit is again
    pd.testing.assert_frame_equal(again.loo().pit, pit, check_exact=True)
    np.testing.assert_array_equal(again.loo().weights.log, loo.weights.log)
    for copy in (pickle.loads(pickle.dumps(fit)), deepcopy(fit)):
        assert copy.loo().fit is copy
    xr.testing.assert_identical(again._added["posterior_predictive"], fit._added["posterior_predictive"])


def test_what_is_large_is_left_out(fit: lgm.Fit) -> None:
    fit.loo(), fit.waic()
    assert [each["key"] for each in asked.of(fit, 100.0)["criteria"]] == [("waic",)]


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("table", 3, "a criterion has no table"),
        ("key", ["loo"], "a criterion is wrong"),
        ("log_density", np.ones((2, 3)), "disagree with its densities"),
        ("thetas", {}, "thetas of a criterion are wrong"),
    ],
)
def test_damage_is_found(fit: lgm.Fit, part: str, value: Any, message: str) -> None:
    fit.loo()
    given = asked.of(fit, 1e9)
    [loo] = [each for each in given["criteria"] if each["key"] == ("loo",)]
    with pytest.raises(Damaged, match=message):
        asked.require_sound({**given, "criteria": [{**loo, part: value}]})
    with pytest.raises(Damaged, match="a group is none that there is"):
        asked.require_sound({"criteria": [], "groups": {"mine": {}}})
