"""Saving and loading: the same bits, what can be kept, and what is refused without leaving a file."""

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from synthetic import around

import lgm
from lgm.storage.archive import Archive, read, write

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
        lgm.priors.fixed(1.0 / 3.0),
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
        one, two = (float(f.analysed.posterior.hyper.log_prior(jnp.array([1.0 / 3.0]))) for f in (fit, again))
    assert one == two


def test_another_format_is_refused(path: Path, tmp_path: Path) -> None:
    header, arrays = read(path)
    write(tmp_path / "new", {**header, "format": 3, "lgm": "9.0"}, arrays)
    with pytest.raises(
        lgm.LgmError, match=r"written by lgm 9.0 in format 3.*reads format 2.*pip install lgm-bayes==9.0"
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


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_other_files_are_refused(content: bytes | None, tmp_path: Path) -> None:
    target = tmp_path / "other"
    if content is None:
        np.savez(tmp_path / "other.npz", a=np.ones(3))
        (tmp_path / "other.npz").rename(target)
    else:
        target.write_bytes(content)
    with pytest.raises(lgm.LgmError, match="is not a file that fit.save"):
        lgm.load(target)


def _there_and_back(value: Any, folder: Path) -> Any:
    box = Archive()
    packed = box.pack(value, "it")
    write(folder / "v", {"v": packed}, box.arrays)
    header, arrays = read(folder / "v")
    return Archive(arrays).unpack(header["v"])


@pytest.mark.parametrize(
    "value",
    [
        1,
        1.5,
        "text",
        True,
        None,
        math.inf,
        [1, "a"],
        (1, (2.5,)),
        {"a": [1]},
        {1: "b"},
        {1, 2},
        math,
        math.sqrt,
        np.log,
        pd,
    ],
    ids=str,
)
def test_values_come_back(value: Any, tmp_path: Path) -> None:
    found = _there_and_back(value, tmp_path)
    assert type(found) is type(value)
    assert found == value


COLUMNS = {
    "float": [1.5, np.nan, np.inf],
    "int": np.array([1, 2, 3], dtype=np.int8),
    "bool": [True, False, True],
    "text": np.array(["a", None, "c"], dtype=object),
    "mixed": np.array([1, "b", 2.5], dtype=object),
    "category": pd.Categorical(["u", "v", None], categories=["v", "u", "w"], ordered=True),
    "dates": pd.to_datetime(["2020-01-01", None, "2021-06-01"]),
    "zoned": pd.to_datetime(["2020-01-01", "2020-02-01", "2021-06-01"]).tz_localize("Europe/Berlin"),
    "spans": pd.to_timedelta([1, 2, 3], unit="h"),
    "nullable": pd.array([1, None, 3], dtype="Int64"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_come_back(name: str, tmp_path: Path) -> None:
    series = pd.Series(COLUMNS[name], index=["p", "q", "r"], name="s")
    pd.testing.assert_series_equal(_there_and_back(series, tmp_path), series)


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(2, 8, 2, name="i"),
        pd.Index([3, 1, 2]),
        pd.date_range("2020", periods=3, name="day"),
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["k", None]),
    ],
    ids=["range", "numbers", "dates", "two levels"],
)
def test_indices_come_back(index: pd.Index, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0]}, index=index)
    pd.testing.assert_frame_equal(_there_and_back(frame, tmp_path), frame, check_freq=False)


def test_arrays_graphs_and_matrices_come_back(tmp_path: Path) -> None:
    np.testing.assert_array_equal(_there_and_back(np.eye(2, dtype=np.float32), tmp_path), np.eye(2, dtype=np.float32))
    assert _there_and_back(np.float64(0.1), tmp_path) == np.float64(0.1)
    graph = lgm.graph([("a", "b"), ("b", "c")], nodes=["a", "b", "c", "d"])
    assert _there_and_back(graph, tmp_path) == graph
    assert _there_and_back(nx.path_graph(4), tmp_path) == lgm.graph(nx.path_graph(4))
    matrix = sp.random_array((5, 4), density=0.4, rng=np.random.default_rng(1), format="csc")
    assert abs(_there_and_back(matrix, tmp_path) - matrix).max() == 0
    table = pl.DataFrame({"from": ["a"], "to": ["b"]})
    assert _there_and_back(table, tmp_path).to_dict("list") == {"from": ["a"], "to": ["b"]}


def test_an_unknown_object_is_refused() -> None:
    with pytest.raises(lgm.LgmError, match="it is a Generator, which cannot be kept"):
        Archive().pack([np.random.default_rng(0)], "it")
