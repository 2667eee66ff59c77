"""The record of a fit: what it takes from the fit, and that a file gives back the same."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import around

import lgm
from lgm.inference.held import Exact
from lgm.storage import container, record

HIDDEN = 0.5  # the formula finds it here


@pytest.fixture(scope="module")
def fit() -> lgm.Fit:
    rng = np.random.default_rng(3)
    n = 24
    data = pd.DataFrame({"g": np.arange(n) % 4, "x": rng.uniform(1, 2, n), "w": rng.uniform(1, 2, n), "unused": "u"})
    data["y"] = rng.normal(size=n)
    data.loc[2, "y"], data.loc[5, "x"] = np.nan, np.nan
    priors = {"sd": lgm.priors.half_normal(2)}
    with pytest.warns(lgm.DataWarning, match="1 of 24 rows are dropped"):
        model = lgm.model("y ~ log(x) + {x * HIDDEN} + (1|g)", data, weights="w", priors=priors)
    return around(model, {"sd(Intercept|g)": 1.0, "sigma": 1.0}, draws=20)


def _equal(one: Any, two: Any) -> None:
    """Dataclasses of arrays, to the bit."""
    assert type(one) is type(two)
    for f in fields(one):
        left, right = getattr(one, f.name), getattr(two, f.name)
        if isinstance(left, dict):
            assert list(left) == list(right)
            for name in left:
                np.testing.assert_array_equal(left[name], right[name], err_msg=name)
        else:
            np.testing.assert_array_equal(left, right, err_msg=f.name)


def test_what_is_kept(fit: lgm.Fit) -> None:
    kept = record.of(fit)
    assert kept.inputs["formula"] == "y ~ log(x) + {x * HIDDEN} + (1|g)"
    assert set(kept.inputs["data"].columns) == {"y", "x", "g"}
    assert len(kept.inputs["data"]) == 23  # a row without a predictor is gone, one without a response is not
    assert kept.inputs["env"] == {"HIDDEN": 0.5}
    assert list(kept.inputs["priors"]) == ["sd"]
    assert (kept.rows["index"].tolist(), kept.rows["missing_in"]) == (fit.design.rows.index.tolist(), {"x": 1})
    assert kept.rows["kept"].tolist() == [i for i in range(24) if i != 5]
    assert kept.rows["columns"] == ["g", "x", "w", "unused", "y"]
    assert kept.settings == {"interval": 0.95, "seed": 1, "method": "nuts", "weights": "w", "asked": None}
    assert kept.names == ["Intercept", "log(x)", "x * HIDDEN", "sd(Intercept|g)", "sigma"]


def test_a_file_gives_back_the_same(fit: lgm.Fit, tmp_path: Path) -> None:
    kept = record.of(fit)
    kept.write(tmp_path / "f")
    again = record.read(tmp_path / "f")
    for name in ("mode", "draws", "effects"):
        _equal(getattr(again, name), getattr(kept, name))
    assert again.settings == kept.settings and again.names == kept.names
    assert again.rows["index"].equals(kept.rows["index"])
    arrays = {"kept": None, "index": None}
    assert {**again.rows, **arrays} == {**kept.rows, **arrays}
    np.testing.assert_array_equal(again.rows["kept"], kept.rows["kept"])
    pd.testing.assert_frame_equal(again.inputs["data"], kept.inputs["data"], check_exact=True)
    assert repr(again.inputs["priors"]) == repr(kept.inputs["priors"])


def test_a_fit_at_its_mode_has_no_other_mode_to_keep(tmp_path: Path) -> None:
    """It is looked for where it is wanted, and every other fit has one."""
    fit = lgm.fit("Yield ~ 1", lgm.load_dataset("Dyestuff"), method="mode", draws=4, seed=1, progress=False)
    kept = record.of(fit)
    kept.write(tmp_path / "f")
    assert record.read(tmp_path / "f").mode is None
    replace(kept, draws=Exact(kept.draws.theta, kept.draws.stats, False)).write(tmp_path / "g")
    with pytest.raises(lgm.LgmError, match="a result has no class"):
        record.read(tmp_path / "g")
    _equal(lgm.load(tmp_path / "f").mode, fit.mode)


def test_weights_by_value_are_kept_for_the_rows_in_use(tmp_path: Path) -> None:
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "x": [1.0, np.nan, 3.0, 5.0]})
    with pytest.warns(lgm.DataWarning):
        model = lgm.model("y ~ x", data, weights=[1.0, 2.0, 3.0, 4.0])
    kept = record.of(around(model, {"sigma": 1.0}, draws=5))
    assert kept.settings["weights"] is None
    np.testing.assert_array_equal(kept.inputs["weights"], [1.0, 3.0, 4.0])
    kept.write(tmp_path / "f")
    np.testing.assert_array_equal(record.read(tmp_path / "f").inputs["weights"], [1.0, 3.0, 4.0])


def test_of_weighted_points_all_but_their_effects_is_kept(tmp_path: Path) -> None:
    """Effects were drawn from them already; at the points themselves they would be most of the file."""
    data = lgm.load_dataset("Dyestuff")
    fit = lgm.fit("Yield ~ 1 + (1|Batch)", data, method="importance", draws=50, seed=1, progress=False)
    record.of(fit).write(tmp_path / "f")
    again = record.read(tmp_path / "f").draws.points
    points = fit.draws.points
    assert points is not None and again is not None
    for name in ("theta", "log_weights", "k", "ess", "log_evidence", "log_evidence_se"):
        np.testing.assert_array_equal(getattr(again, name), getattr(points, name), err_msg=name)
    assert again.mean.size == again.draws.size == 0 < points.mean.size


def test_the_file_says_who_wrote_it(fit: lgm.Fit, tmp_path: Path) -> None:
    record.of(fit).write(tmp_path / "f")
    with container.opened(tmp_path / "f") as (header, given):
        arrays = dict(given)
    assert (header["format"], header["lgm"]) == (record.FORMAT, lgm.__version__)
    container.write(tmp_path / "later", {**header, "format": record.FORMAT + 1, "lgm": "9.0"}, arrays)
    with pytest.raises(lgm.LgmError, match=f"written by lgm 9.0 in format {record.FORMAT + 1}; .*reads format"):
        record.read(tmp_path / "later")
    container.write(tmp_path / "no lgm", {"a": 1}, {})
    with pytest.raises(lgm.LgmError, match=r"no lgm was written by lgm \? in format \?"):
        record.read(tmp_path / "no lgm")


def test_what_cannot_be_kept_is_named(fit: lgm.Fit, tmp_path: Path) -> None:
    kept = record.of(fit)
    odd = replace(kept, inputs={**kept.inputs, "env": {"HIDDEN": lambda: 0.5}})
    with pytest.raises(lgm.LgmError, match=r"^`HIDDEN` of the formula is "):
        odd.write(tmp_path / "f")
    odd = replace(kept, inputs={**kept.inputs, "priors": {"sd": object()}})
    with pytest.raises(lgm.LgmError, match=r"^the prior of `sd` is a object"):
        odd.write(tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def test_families_are_kept_by_name_and_link(tmp_path: Path) -> None:
    """With what the categories of the response stand for; a family of one's own is refused."""
    data = pd.DataFrame({"y": ["sick", "well", "sick", "sick", "well", "well"], "g": list("uuvvww")})
    model = lgm.model("y ~ 1 + (1|g)", data, "bernoulli", link="probit")
    fit = around(model, {"sd(Intercept|g)": 1.0}, draws=10)
    kept = record.of(fit)
    assert (kept.inputs["family"], kept.inputs["link"]) == ("bernoulli", "probit")
    kept.write(tmp_path / "fit.lgm")
    again = lgm.load(tmp_path / "fit.lgm")
    assert again.design.family == model.design.family and again.design.answer.categories == ("sick", "well")
    own = lgm.families.custom("laplacian", lambda y, eta, theta: -0.5 * (y - eta) ** 2)
    other = replace(model, inputs=replace(model.inputs, family=own))
    with pytest.raises(
        lgm.LgmError, match="the family 'laplacian' is one of your own, and a file holds families by name"
    ):
        record.of(replace(fit, model=other))


@pytest.mark.slow
def test_categories_that_no_row_has_are_kept(tmp_path: Path) -> None:
    data = pd.DataFrame(
        {"y": pd.Categorical(list("bcbcbc"), categories=list("abc"), ordered=True), "g": list("uuvvww")}
    )
    with pytest.warns(lgm.IdentifiabilityWarning, match="no row has the response a"):
        model = lgm.model("y ~ 1 + (1|g)", data, "cumulative", link="probit")
    record.of(around(model, {"sd(Intercept|g)": 1.0, "gap[b]": 1.0}, draws=10)).write(tmp_path / "fit.lgm")
    again = lgm.load(tmp_path / "fit.lgm")
    assert again.design.family == model.design.family and again.design.answer.categories == ("a", "b", "c")
