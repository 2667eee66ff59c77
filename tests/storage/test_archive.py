"""The file: values come back, nothing half-written is left, and what cannot come back is refused with its place."""

from __future__ import annotations

import json
import math
import os
import stat
import zipfile
from pathlib import Path
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import lgm
from lgm.storage.archive import Archive, read, write


def there_and_back(value: Any, folder: Path) -> Any:
    box = Archive()
    packed = box.pack(value, "it")
    write(folder / "v", {"v": packed}, box.arrays)
    header, arrays = read(folder / "v")
    return Archive(arrays).unpack(header["v"])


VALUES = [
    1,
    2**70,
    -1.5,
    0.1 + 0.2,
    "text, \u00e4 \u2211 \U0001f600",
    True,
    None,
    math.inf,
    [1, "a"],
    [],
    (1, (2.5,)),
    {"a": [1]},
    {1: "b", (1, 2): None},
    {1, 2},
    math,
    math.sqrt,
    np.log,
    pd,
    pd.DataFrame,
    np.linalg.norm,
]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_values_come_back(value: Any, tmp_path: Path) -> None:
    found = there_and_back(value, tmp_path)
    assert type(found) is type(value)
    assert found == value


def test_values_that_equal_nothing_come_back(tmp_path: Path) -> None:
    assert math.isnan(there_and_back(math.nan, tmp_path))
    assert math.copysign(1.0, there_and_back(-0.0, tmp_path)) == -1.0


def test_numbers_of_numpy_keep_their_type(tmp_path: Path) -> None:
    for value in (np.float64(0.1), np.int8(-3), np.bool_(True), np.float32(0.1), np.datetime64("2020-01-01")):
        found = there_and_back(value, tmp_path)
        assert type(found) is type(value) and found == value


def test_graphs_come_back_as_those_of_lgm(tmp_path: Path) -> None:
    graph = lgm.graph([("a", "b"), ("b", "c")], nodes=["a", "b", "c", "d"])
    assert there_and_back(graph, tmp_path) == graph
    assert there_and_back(nx.path_graph(4), tmp_path) == lgm.graph(nx.path_graph(4))


PRIORS = [
    lgm.priors.pc_sd(1.234567891, 0.01),
    lgm.priors.normal(0.1, 3),
    lgm.priors.flat(),
    lgm.priors.lkj(2),
    lgm.priors.constant(1 / 3),
    lgm.priors.gamma(2, 0.1),
]


@pytest.mark.parametrize("prior", PRIORS, ids=repr)
def test_priors_come_back(prior: Any, tmp_path: Path) -> None:
    found = there_and_back(prior, tmp_path)
    assert type(found) is type(prior) and repr(found) == repr(prior)


def test_distributions_come_back_with_all_that_made_them(tmp_path: Path) -> None:
    x = jnp.array([0.3, 1.7])
    with jax.enable_x64(True):
        for value in (dist.StudentT(4.0, 0.1, 1 / 3), dist.TruncatedNormal(1.0, 2.0, low=0.0), dist.HalfCauchy(0.7)):
            found = there_and_back(value, tmp_path)
            assert type(found) is type(value)
            np.testing.assert_array_equal(found.log_prob(x), value.log_prob(x))


def half(x: Any) -> Any:
    return x / 2


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda x: x, "`c` of the formula is `.*<lambda>`, a function that another Python process cannot import"),
        (np.random.default_rng(0), "`c` of the formula is a Generator, which cannot be kept in a file"),
        ([1, {"a": (object(),)}], "`c` of the formula is a object, which cannot be kept"),
        (
            dist.TransformedDistribution(dist.Normal(0.0, 1.0), dist.transforms.ExpTransform()),
            "`c` of the formula is a TransformedDistribution, which cannot be made again",
        ),
    ],
    ids=["lambda", "generator", "deep inside", "distribution"],
)
def test_what_cannot_come_back_is_refused(value: Any, message: str) -> None:
    with pytest.raises(lgm.LgmError, match=f"{message}.*Nothing was written"):
        Archive().pack(value, "`c` of the formula")


def test_a_function_of_the_main_program_is_refused() -> None:
    """Another process has another main program."""
    local = FunctionType(half.__code__, globals(), "half")
    local.__module__, local.__qualname__ = "__main__", "half"
    with pytest.raises(lgm.LgmError, match="Put the function into a module"):
        Archive().pack(local, "it")


def test_a_name_that_leads_to_another_object_is_no_home() -> None:
    impostor = FunctionType(half.__code__, globals(), "sqrt")
    impostor.__module__, impostor.__qualname__ = "math", "sqrt"
    with pytest.raises(lgm.LgmError, match="`sqrt`, a function that another Python process cannot import"):
        Archive().pack(impostor, "it")


def test_the_file_is_a_zip_of_text_and_plain_arrays(tmp_path: Path) -> None:
    write(tmp_path / "f", {"a": 1}, {"x": np.eye(2), "y": np.array(["u", "vw"])})
    with zipfile.ZipFile(tmp_path / "f") as file:
        assert file.namelist() == ["values.json", "x.npy", "y.npy"]
        assert json.loads(file.read("values.json")) == {"a": 1}
    header, arrays = read(tmp_path / "f")
    assert header == {"a": 1} and sorted(arrays) == ["x", "y"]
    np.testing.assert_array_equal(arrays["x"], np.eye(2))


def test_arrays_of_objects_are_never_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle=False"):
        write(tmp_path / "f", {}, {"x": np.array([half], dtype=object)})
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "f", {"a": 1}, {})
    with pytest.raises(TypeError):
        write(tmp_path / "f", {"a": half}, {})
    assert read(tmp_path / "f")[0] == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_the_file_may_be_read_by_whom_the_user_lets_read_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "f", {}, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"there is no such folder: '{tmp_path / 'nowhere'}'"):
        write(tmp_path / "nowhere" / "f", {}, {})


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 broken"], ids=["empty", "text", "broken"])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(lgm.LgmError, match="f is not a file that fit.save.. wrote, or it is damaged"):
        read(tmp_path / "f")


def test_a_zip_without_a_header_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", a=np.ones(3))
    with pytest.raises(lgm.LgmError, match=r"f\.npz is not a file that fit\.save.*values\.json"):
        read(tmp_path / "f.npz")


def test_pickles_in_a_file_are_not_opened(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "f", "w") as file:
        file.writestr("values.json", "{}")
        with file.open("x.npy", "w") as member:
            np.save(member, np.array([half], dtype=object), allow_pickle=True)
    with pytest.raises(lgm.LgmError, match="is not a file that fit.save"):
        read(tmp_path / "f")
