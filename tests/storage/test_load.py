"""Saving and loading: the same bits, what can be kept, and what is refused without leaving a file."""

import copy
import json
import math
import os
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from synthetic import around, counts

import lgm
from lgm.storage import archive, record
from lgm.storage.container import opened, write
from lgm.storage.record import FORMAT


def read(path: Path) -> tuple[Any, dict[str, np.ndarray[Any, Any]]]:
    with opened(path) as (header, arrays):
        return header, dict(arrays)


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


def test_draws_that_are_not_in_the_file_are_made_again(
    fit: lgm.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit.save(tmp_path / "whole")
    monkeypatch.setattr(record, "DRAWS_BYTES", 0.0)
    fit.save(tmp_path / "few")
    assert (tmp_path / "few").stat().st_size < 0.6 * (tmp_path / "whole").stat().st_size
    again = lgm.load(tmp_path / "few")
    pd.testing.assert_frame_equal(again.summary(), fit.summary(), check_exact=True)
    pd.testing.assert_frame_equal(again.ranef(), fit.ranef(), check_exact=True)
    assert again.posterior.identical(fit.posterior)


def test_it_prints_the_same(fit: lgm.Fit, again: lgm.Fit) -> None:
    assert repr(again) == repr(fit)
    assert again._repr_html_() == fit._repr_html_()


def test_predictions_are_the_same_to_the_bit(fit: lgm.Fit, again: lgm.Fit) -> None:
    for kind in ("mean", "response"):
        with pytest.warns(lgm.PredictionWarning, match=r"the data have missing values in x \(1\)"):
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


@pytest.mark.parametrize("index", [pd.RangeIndex(6), pd.Index(list("uvwxyz"), name="row")], ids=["range", "labels"])
def test_all_rows_of_the_data_are_known_after_loading(index: pd.Index, tmp_path: Path) -> None:
    table = pd.DataFrame({"y": [1.0, 2.0, 4.0, np.nan, 3.0, 2.0], "x": [0.0, 1.0, np.nan, 1.0, np.nan, 2.0]}, index)
    with pytest.warns(lgm.DataWarning, match="2 of 6 rows are dropped"):
        fit = around(lgm.model("y ~ x", table), {"sigma": 1.0}, draws=10)
    fit.save(tmp_path / "f")
    with pytest.warns(lgm.PredictionWarning, match=r"the data have missing values in x \(2\).*of 2 rows"):
        found = lgm.load(tmp_path / "f").predict()
    with pytest.warns(lgm.PredictionWarning):
        pd.testing.assert_frame_equal(found, fit.predict(), check_exact=True)
    assert found.index.equals(index) and np.flatnonzero(found["mean"].isna()).tolist() == [2, 4]


def _small(formula: str, **kwargs: Any) -> lgm.Fit:
    table = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, 5.0, 7.0], "x": [1.0, 2, 3, 4, 5, 7]})
    return around(lgm.model(formula, table, **kwargs), {"sigma": 1.0}, spread=0.0, draws=4)


def test_an_importable_function_is_kept_by_name(tmp_path: Path) -> None:
    fit = _small("y ~ f(x)", env={"f": np.sqrt, "unused": lambda x: x})
    fit.save(tmp_path / "f")
    assert read(tmp_path / "f")[0]["inputs"]["env"] == {"f": {"kind": "import", "is": "numpy:sqrt"}}
    pd.testing.assert_frame_equal(lgm.load(tmp_path / "f", trusted=True).predict(), fit.predict())
    with pytest.raises(
        lgm.LgmError, match=r"(?s)the formula of the file may do more.*trusted=True.*`f\(x\)` is Python"
    ):
        lgm.load(tmp_path / "f")


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
        lgm.load(tmp_path / "odd", trusted=True)


def test_a_folder_that_does_not_exist_is_named(fit: lgm.Fit, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"there is no such folder: '{tmp_path / 'nowhere'}'"):
        fit.save(tmp_path / "nowhere" / "fit.lgm")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"no zip")
    with pytest.raises(lgm.LgmError, match="is not a file that fit.save"):
        lgm.load(tmp_path / "other")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Header and arrays of a small fit, whose formula calls functions and has names around it."""
    table = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, 5.0, 7.0], "x": [1.0, 2, 3, 4, 5, 7], "g": list("aabbcc")})
    env = {"np": np, "log": np.log, "k": 2}
    priors = {"sd": lgm.priors.half_normal(2), "x": lgm.priors.normal(0, 3)}
    built = lgm.model("y ~ x + {log(x) / k} + C(np.sqrt(x) > 2) + (1|g)", table, env=env, priors=priors)
    path = tmp_path_factory.mktemp("small") / "f"
    around(built, {"sd(Intercept|g)": 1.0, "sigma": 1.0}, draws=4, chains=2).save(path)
    return read(path)


def _changed(small: Any, where: tuple[Any, ...], value: Any, path: Path) -> Path:
    """A file that is whole but for one thing."""
    header, arrays = copy.deepcopy(small)
    inside = header
    for key in where[:-1]:
        inside = inside[key]
    inside[where[-1]] = value
    write(path, header, arrays)
    return path


def test_listed_functions_under_any_name_need_no_trust(small: Any, tmp_path: Path) -> None:
    write(tmp_path / "f", *small)
    found = lgm.load(tmp_path / "f")
    assert len(found.predict({"x": [1.5], "g": ["a"]})) == 1
    assert found.inputs.env == {"np": np, "log": np.log, "k": 2}


FORMULA, ENV = ("inputs", "formula"), ("inputs", "env")
SD = ("inputs", "priors", "sd", "is", "content", "distribution", "is")
DOORS: list[tuple[tuple[Any, ...], Any]] = [
    *(
        (FORMULA, formula)
        for formula in (
            "y ~ x + {__import__('os').system('touch MARK') * x} + (1|g)",
            "y ~ x + {open('MARK', 'w').write('x') * x} + (1|g)",
            "y ~ x + {exec('MARK') or x}",
            "y ~ {x.to_csv('MARK')}",
            "y ~ x.map(print)",
            "y ~ np.save('MARK', x)",
            "y ~ np.fromfunction(exit, x)",
            "y ~ np.log.__class__(x)",
            "y ~ {[c for c in ().__class__.__base__.__subclasses__()]}",
            "y ~ {(lambda: x)()}",
            "y ~ {f'{exit()}'}",
            "y ~ hashed(x, levels=2, hash_function=exit)",
            "y ~ C(x, contrasts=exit())",
            "y ~ s(x, k=exit())",
            "y ~ x + offset(exit())",
            "y ~ x + (1|eval('g'))",
            "y ~ x + (exit()|g)",
            "exit() ~ x",
            "y ~ getattr(x, 'to_csv')('MARK')",
            "y ~ `x`.to_csv('MARK')",
            "y ~ contr.__class__",
        )
    ),
    *(((*ENV, "np"), {"kind": "module", "is": name}) for name in ("os", "numpy.lib", "lgm", "no_such_module")),
    ((*ENV, "np"), {"kind": "series", "is": {"values": {"values": "a0"}, "index": None, "name": None}}),
    ((*ENV, "np"), 3),
    ((*ENV, "contr"), 3),
    *(((*ENV, "log"), {"kind": "import", "is": name}) for name in ("os:system", "builtins:exec", "numpy:save", "x")),
    ((*ENV, "C"), {"kind": "distribution", "is": {"class": "os:system", "arguments": {"command": "touch MARK"}}}),
    ((*SD, "class"), "os:system"),
    (SD, {"class": "os:system", "arguments": {"command": "touch MARK"}}),
    (SD, {"class": "subprocess:run", "arguments": {"args": ["touch", "MARK"]}}),
    (SD, {"class": "builtins:exec", "arguments": {"source": "exit()"}}),
    (("inputs", "priors", "sd"), {"kind": "import", "is": "os:system"}),
    (("inputs", "priors", "sd", "is", "class"), "os"),
    (("inputs", "priors", "x", "is", "class"), "__builtins__"),
    (("inputs", "family"), "os"),
    (("inputs", "weights"), {"kind": "import", "is": "os:system"}),
    (("inputs", "data"), {"kind": "module", "is": "os"}),
    (("inputs", "data", "is", "columns", 0, 1), {"values": "a0", "dtype": "datetime64[ns, dateutil//etc/passwd]"}),
    (("inputs", "data", "is", "columns", 0, 1), {"values": "a0", "dtype": "string[pyarrow]"}),
    (("draws", "is", 0, 1), "os:system"),
    (("mode", "is", 0, 1), "__class__"),
    (("settings", "is", 2, 1), "os"),
]


@pytest.mark.parametrize(("where", "value"), DOORS, ids=lambda each: str(each)[:70])
def test_no_door_leads_to_what_is_not_listed(
    where: tuple[Any, ...], value: Any, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files whose digest is right, and whose writer wants more than a fit."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(archive, "_imported", lambda home: pytest.fail(f"imports {home}"))
    monkeypatch.setattr(os, "system", lambda command: pytest.fail(f"runs {command}"))
    with pytest.raises(lgm.LgmError):
        lgm.load(_changed(small, where, value, tmp_path / "f"))
    assert [each.name for each in tmp_path.iterdir()] == ["f"]


def test_names_are_those_of_the_file(small: Any, tmp_path: Path) -> None:
    """Neither those of whoever loads it, nor those of the function that does."""
    k = path = 2.0  # noqa: F841 - the formula could find them here
    for name in ("path", "kept", "FUNCTIONS", "os"):
        with pytest.raises(lgm.LgmError, match=f"`{name}` is not a column"):
            lgm.load(_changed(small, FORMULA, f"y ~ x + offset({name} * x)", tmp_path / "f"))
    header, arrays = copy.deepcopy(small)
    del header["inputs"]["env"]["k"]
    write(tmp_path / "f", header, arrays)
    with pytest.raises(lgm.LgmError, match="`k` is not a column"):
        lgm.load(tmp_path / "f")


def test_python_is_loaded_from_trusted_files(tmp_path: Path) -> None:
    fit = _small("y ~ {x - x.mean()} + {math.pi * x**2}", env={"math": math})
    fit.save(tmp_path / "f")
    with pytest.raises(lgm.LgmError, match=r"the file asks for `math`, .*lgm.load\(path, trusted=True\)"):
        lgm.load(tmp_path / "f")
    pd.testing.assert_frame_equal(lgm.load(tmp_path / "f", trusted=True).summary(), fit.summary())


def test_an_error_while_the_model_is_built_is_ours(small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*args: Any) -> Any:
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr("lgm.storage.load.build", failing)
    write(tmp_path / "f", *small)
    with pytest.raises(lgm.LgmError, match="f describes cannot be built: ZeroDivisionError: float division by zero"):
        lgm.load(tmp_path / "f")


JUNK: list[Any] = [
    *(None, True, -1, 0, 10**12, 2**70, -1.5, math.nan, math.inf, "", "x", "a0", "a1", "os:system", [], [[]], [1], {}),
    *({"kind": "list", "is": []}, {"kind": "array", "is": "a0"}, {"kind": "import", "is": "os:system"}),
]


def _places(value: Any, *before: Any) -> Iterator[tuple[Any, ...]]:
    """Where all parts of a header are."""
    if before:
        yield before
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _places(each, *before, key)


def _worse(header: Any, arrays: dict[str, Any], places: list[Any], rng: random.Random) -> None:
    """Change something in a file."""
    *where, last = rng.choice(places)
    inside: Any = header
    key, how = rng.choice(list(arrays)), rng.random()
    if how < 0.6:
        for part in where:
            inside = inside[part]
        if rng.random() < 0.8:
            inside[last] = rng.choice(JUNK)
        else:
            del inside[last]
    elif how < 0.7:
        arrays[key] = arrays[key].ravel()[:-1]
    elif how < 0.8:
        arrays[key] = arrays[key].astype(rng.choice(["f4", "i8", "u1", "U3", "?"]))
    elif arrays[key].size:
        values = bytearray(arrays[key].tobytes())
        values[rng.randrange(len(values))] = rng.randrange(256)
        arrays[key] = np.frombuffer(values, arrays[key].dtype).reshape(arrays[key].shape)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("files", [30, pytest.param(1500, marks=pytest.mark.slow)])
def test_files_that_are_wrong_somewhere_are_refused_or_harmless(files: int, small: Any, tmp_path: Path) -> None:
    """The digest is right: these are not damaged but made so. What loads can be used."""
    rng, places, refused = random.Random(files), list(_places(small[0])), 0
    for _ in range(files):
        header, arrays = copy.deepcopy(small)
        _worse(header, arrays, places, rng)
        write(tmp_path / "f", header, arrays)
        try:
            found = lgm.load(tmp_path / "f")
        except lgm.LgmError:
            refused += 1
        else:
            assert repr(found) and len(found.predict())
    assert refused > files / 2


@pytest.mark.parametrize("flips", [100, pytest.param(3000, marks=pytest.mark.slow)])
def test_damaged_files_are_refused(flips: int, small: Any, tmp_path: Path) -> None:
    write(tmp_path / "f", *small)
    whole, rng = (tmp_path / "f").read_bytes(), random.Random(flips)
    for k in range(flips):
        damaged = bytearray(whole)
        for _ in range(1 if k % 2 else 20):  # a bit, or some bytes
            place = rng.randrange(len(damaged))
            damaged[place] ^= 1 << rng.randrange(8) if k % 2 else rng.randrange(1, 256)
        (tmp_path / "f").write_bytes(damaged)
        with pytest.raises(lgm.LgmError, match="or it is damaged"):
            lgm.load(tmp_path / "f")


def test_a_fit_of_counts(tmp_path: Path) -> None:
    fit = counts()
    fit.save(tmp_path / "counts.lgm")
    again = lgm.load(tmp_path / "counts.lgm")
    for table in ("summary", "ranef", "varcorr"):
        pd.testing.assert_frame_equal(getattr(again, table)(), getattr(fit, table)())
    for kind in ("linear", "mean", "response"):
        pd.testing.assert_frame_equal(again.predict(kind=kind), fit.predict(kind=kind))
    assert repr(again) == repr(fit)


def test_long_tails_are_followed_again(tmp_path: Path) -> None:
    """Draws of effects that are not in the file are made as they were."""
    data = pd.DataFrame({"y": np.tile([0, 1, 0, 0], 8), "arm": np.tile([0, 0, 1, 1], 8), "g": np.repeat(range(8), 4)})
    with pytest.warns(lgm.IdentifiabilityWarning, match="separation"):
        given = {"arm": lgm.priors.normal(0, 10)}
        fit = lgm.fit(
            "y ~ arm + (1|g)", data, "bernoulli", priors=given, method="importance", draws=200, progress=False
        )
    assert fit.summary().attrs["long_tails"] == 1
    fit.save(tmp_path / "arm.lgm")
    again = lgm.load(tmp_path / "arm.lgm")
    assert again.summary().attrs == fit.summary().attrs
    pd.testing.assert_frame_equal(again.predict(kind="mean"), fit.predict(kind="mean"))
