"""Saving and loading: the same bits, what can be kept, and what is refused without leaving a file."""

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from synthetic import around

import lgm
from lgm.storage.archive import read, write
from lgm.storage.record import FORMAT

LINE = [(i, i + 1) for i in range(9)]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    n = 60
    out = pd.DataFrame({"g": pd.Categorical(np.arange(n) % 5), "r": np.arange(n) % 10, "w": rng.uniform(1, 2, n)})
    out["x"], out["unused"] = rng.uniform(0.1, 3, n), "nothing"
    out["y"] = rng.normal(size=n) + 10
    out.loc[[4, 9], "y"], out.loc[13, "x"] = np.nan, np.nan
    return out.set_index(pd.Index([f"row {i}" for i in range(n)], name="row"))


@pytest.fixture(scope="module")
def fit(data: pd.DataFrame) -> lgm.Fit:
    graph, shift = lgm.graph(LINE), 0.5  # noqa: F841 - the formula finds them here
    priors = {"sigma": dist.LogNormal(0.0, 1.0), "sd": lgm.priors.half_student_t(3, 1.5), "x": lgm.priors.normal(0, 3)}
    with pytest.warns(lgm.DataWarning, match="1 of 60 rows are dropped"):
        model = lgm.model("np.log(y) ~ x + (1|g) + s(x + shift) + icar(r, graph)", data, weights="w", priors=priors)
    return around(model, {name: 0.3 for name in model.design.theta_names})


@pytest.fixture(scope="module")
def path(fit: lgm.Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("fits") / "whole.lgm"
    fit.save(target)
    return target


@pytest.fixture(scope="module")
def again(path: Path) -> lgm.Fit:
    return lgm.load(path)


def test_tables_are_the_same_to_the_bit(fit: lgm.Fit, again: lgm.Fit) -> None:
    pd.testing.assert_frame_equal(again.summary(), fit.summary(), check_exact=True)
    pd.testing.assert_frame_equal(again.ranef(), fit.ranef(), check_exact=True)
    pd.testing.assert_frame_equal(again.priors, fit.priors)
    assert again.posterior.identical(fit.posterior)


def test_it_prints_the_same(fit: lgm.Fit, again: lgm.Fit) -> None:
    assert repr(again) == repr(fit)
    assert again._repr_html_() == fit._repr_html_()


def test_predictions_are_the_same_to_the_bit(fit: lgm.Fit, again: lgm.Fit) -> None:
    for kind in ("mean", "response"):
        pd.testing.assert_frame_equal(again.predict(kind=kind), fit.predict(kind=kind), check_exact=True)
    new = pd.DataFrame({"x": [0.5, 2.0], "g": [1, 99], "r": [0, 9], "w": [1.0, 2.0]})
    found = []
    for each in (again, fit):
        with pytest.warns(lgm.PredictionWarning, match="1 new level"):
            found.append(each.predict(new, "response"))
    pd.testing.assert_frame_equal(*found, check_exact=True)


def test_only_what_the_formula_uses_is_kept(path: Path) -> None:
    header, _ = read(path)
    assert sorted(header["inputs"]["env"]) == ["graph", "np", "shift"]
    assert header["inputs"]["env"]["np"] == {"kind": "module", "is": "numpy"}
    columns = [name for name, _ in header["inputs"]["data"]["is"]["columns"]]
    assert sorted(columns) == ["g", "r", "x", "y"]


def test_the_file_is_a_zip_without_pickle(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
    assert names[0] == "values.json"
    assert all(name.endswith(".npy") for name in names[1:])


def test_a_saved_copy_of_a_copy(again: lgm.Fit, fit: lgm.Fit, tmp_path: Path) -> None:
    again.save(tmp_path / "second")
    third = lgm.load(tmp_path / "second")
    pd.testing.assert_frame_equal(third.summary(), fit.summary(), check_exact=True)
    assert third.design.rows.dropped == 1
    assert third.inputs.weights == "w"


def test_changes_of_the_users_data_do_not_reach_the_file(tmp_path: Path) -> None:
    table = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "g": list("aabb")})
    fit = around(lgm.model("y ~ 1 + (1|g)", table), {"sd(Intercept|g)": 1.0, "sigma": 1.0}, draws=10)
    before = fit.predict()
    table["y"] = 0.0
    fit.save(tmp_path / "f")
    pd.testing.assert_frame_equal(lgm.load(tmp_path / "f").predict(), before, check_exact=True)


def _small(formula: str, **kwargs: Any) -> lgm.Fit:
    table = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, 5.0, 7.0], "x": [1.0, 2, 3, 4, 5, 7]})
    return around(lgm.model(formula, table, **kwargs), {"sigma": 1.0}, spread=0.0, draws=4)


def test_an_importable_function_is_kept_by_name(tmp_path: Path) -> None:
    fit = _small("y ~ f(x)", env={"f": math.prod, "unused": lambda x: x} | {"f": np.sqrt})
    fit.save(tmp_path / "f")
    assert read(tmp_path / "f")[0]["inputs"]["env"]["f"] == {"kind": "import", "is": "numpy:sqrt"}
    pd.testing.assert_frame_equal(lgm.load(tmp_path / "f").predict(), fit.predict())


def test_a_lambda_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    fit = _small("y ~ half(x)", env={"half": lambda x: x / 2})
    target = tmp_path / "f"
    target.write_text("what was there")
    with pytest.raises(lgm.LgmError, match=r"(?s)`half` of the formula.*lambda.*Nothing was written. Put the function"):
        fit.save(target)
    assert target.read_text() == "what was there"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_prior_that_cannot_be_made_again_is_refused(tmp_path: Path) -> None:
    shifted = dist.TransformedDistribution(dist.Normal(0.0, 1.0), dist.transforms.ExpTransform())
    fit = _small("y ~ x", priors={"sigma": shifted})
    with pytest.raises(lgm.LgmError, match="prior of `sigma`.*cannot be made again"):
        fit.save(tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "prior",
    [
        lgm.priors.pc_sd(1.234567891, 0.01),
        lgm.priors.gamma(2, 0.1),
        lgm.priors.constant(1.0 / 3.0),
        lgm.priors.uniform(0.0, 9.0),
        dist.HalfCauchy(2.0),
        dist.TruncatedNormal(1.0, 2.0, low=0.0),
        dist.FoldedDistribution(dist.StudentT(4.0, 0.0, 1.0)),
    ],
    ids=["pc_sd", "gamma", "fixed", "uniform", "HalfCauchy", "truncated", "folded"],
)
def test_priors_come_back(prior: Any, tmp_path: Path) -> None:
    fit = _small("y ~ x", priors={"sigma": prior})
    fit.save(tmp_path / "f")
    again = lgm.load(tmp_path / "f")
    pd.testing.assert_frame_equal(again.priors, fit.priors)
    with jax.enable_x64(True):
        one, two = (float(f.analysed.marginal.hyper.log_prior(jnp.array([1.0 / 3.0]))) for f in (fit, again))
    assert one == two


def test_another_format_is_refused(path: Path, tmp_path: Path) -> None:
    header, arrays = read(path)
    write(tmp_path / "new", {**header, "format": FORMAT + 1, "lgm": "9.0"}, arrays)
    with pytest.raises(
        lgm.LgmError, match=rf"written by lgm 9.0 in format {FORMAT + 1}.*reads format {FORMAT}.*lgm-bayes==9.0"
    ):
        lgm.load(tmp_path / "new")


def test_another_model_is_refused(path: Path, tmp_path: Path) -> None:
    header, arrays = read(path)
    write(tmp_path / "odd", {**header, "names": ["Intercept"]}, arrays)
    with pytest.raises(lgm.LgmError, match=r"other parameters.*There: Intercept. Here: Intercept, x"):
        lgm.load(tmp_path / "odd")


def test_a_missing_module_is_named(path: Path, tmp_path: Path) -> None:
    header, arrays = read(path)
    text = json.dumps(header).replace('"numpy"', '"no_such_module"')
    write(tmp_path / "odd", json.loads(text), arrays)
    with pytest.raises(lgm.LgmError, match="cannot be imported here: .*no_such_module"):
        lgm.load(tmp_path / "odd")


def test_a_folder_that_does_not_exist_is_named(fit: lgm.Fit, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"there is no such folder: '{tmp_path / 'nowhere'}'"):
        fit.save(tmp_path / "nowhere" / "fit.lgm")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"no zip")
    with pytest.raises(lgm.LgmError, match="is not a file that fit.save"):
        lgm.load(tmp_path / "other")
