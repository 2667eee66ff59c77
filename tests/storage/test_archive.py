"""Values come back, what cannot is refused with its place, and nothing is imported for a file that is not trusted."""

from __future__ import annotations

import json
import math
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy.spatial import Delaunay

import lgm
from lgm.storage import archive, container
from lgm.storage.archive import Archive

# A damaged file is an LgmError, which `container.opened` makes of all of these.
REFUSALS = (lgm.LgmError, container.Damaged, KeyError, ValueError, TypeError)


def there_and_back(value: Any, *, trusted: bool = False) -> Any:
    box = Archive()
    packed = json.loads(json.dumps(box.pack(value, "it")))
    return Archive(box.arrays, trusted=trusted).unpack(packed)


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
    np,
    np.log,
    np.where,
]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_values_come_back(value: Any) -> None:
    found = there_and_back(value)
    assert type(found) is type(value)
    assert found == value


@pytest.mark.parametrize("value", [math, math.sqrt, pd, pd.DataFrame, np.linalg, np.linalg.norm, np.save])
def test_of_modules_and_functions_few_come_back_from_a_file_that_is_not_trusted(value: Any) -> None:
    assert there_and_back(value, trusted=True) is value
    with pytest.raises(lgm.LgmError, match=r"the file asks for `.*`, .* lgm.load\(path, trusted=True\)"):
        there_and_back(value)


def test_values_that_equal_nothing_come_back() -> None:
    assert math.isnan(there_and_back(math.nan))
    assert math.copysign(1.0, there_and_back(-0.0)) == -1.0


def test_numbers_of_numpy_keep_their_type() -> None:
    for value in (np.float64(0.1), np.int8(-3), np.bool_(True), np.float32(0.1), np.datetime64("2020-01-01")):
        found = there_and_back(value)
        assert type(found) is type(value) and found == value


def test_graphs_come_back_as_those_of_lgm() -> None:
    graph = lgm.graph([("a", "b"), ("b", "c")], nodes=["a", "b", "c", "d"])
    assert there_and_back(graph) == graph
    turned = lgm.graph([("a", "b"), ("b", "c")], nodes=["c", "a", "b"])  # effects of a fit are in this order
    assert there_and_back(turned).nodes == ("c", "a", "b")
    assert there_and_back(nx.path_graph(4)) == lgm.graph(nx.path_graph(4))


def test_meshes_come_back_as_those_of_lgm() -> None:
    mesh = lgm.mesh(np.random.default_rng(1).uniform(size=(9, 2)), edge=0.4)
    assert there_and_back(mesh) == mesh
    points = np.random.default_rng(2).uniform(size=(9, 2))
    found = there_and_back(Delaunay(points))
    np.testing.assert_array_equal(found.points, points)


PRIORS = [
    lgm.priors.pc_sd(1.234567891, 0.01),
    lgm.priors.normal(0.1, 3),
    lgm.priors.flat(),
    lgm.priors.lkj(2),
    lgm.priors.constant(1 / 3),
    lgm.priors.gamma(2, 0.1),
]


@pytest.mark.parametrize("prior", PRIORS, ids=repr)
def test_priors_come_back(prior: Any) -> None:
    found = there_and_back(prior)
    assert type(found) is type(prior) and repr(found) == repr(prior)


def test_distributions_come_back_with_all_that_made_them() -> None:
    x = jnp.array([0.3, 1.7])
    with jax.enable_x64(True):
        for value in (dist.StudentT(4.0, 0.1, 1 / 3), dist.TruncatedNormal(1.0, 2.0, low=0.0), dist.HalfCauchy(0.7)):
            found = there_and_back(value)
            assert type(found) is type(value)
            np.testing.assert_array_equal(found.log_prob(x), value.log_prob(x))


HOSTILE: list[Any] = [
    {"kind": "module", "is": "antigravity"},
    {"kind": "import", "is": "os:system"},
    {"kind": "import", "is": "numpy:load"},
    {"kind": "import", "is": "numpy:log.__class__"},
    {"kind": "distribution", "is": {"class": "os:system", "arguments": {"command": "exit 3"}}},
    {"kind": "distribution", "is": {"class": "subprocess:run", "arguments": {"args": "exit 3", "shell": True}}},
    {"kind": "distribution", "is": {"class": "numpyro.distributions:Normal", "arguments": {"loc": 0.0}}},
    {"kind": "distribution", "is": {"class": "ImproperUniform", "arguments": {}}},
    {"kind": "distribution", "is": {"class": "Normal", "arguments": {"loc": "0", "scale": 1.0}}},
    {
        "kind": "distribution",
        "is": {"class": "FoldedDistribution", "arguments": {"base_dist": {"kind": "list", "is": []}}},
    },
    {"kind": "prior", "is": {"class": "dataclass", "content": {}}},
    {"kind": "prior", "is": {"class": "math", "content": {}}},
    {"kind": "prior", "is": {"class": "Normal", "content": {"mean": "0", "sd": 1.0}}},
    {"kind": "prior", "is": {"class": "Prior", "content": {"distribution": 3, "label": "a"}}},
    {"kind": "series", "is": {"values": {"values": "a0", "dtype": "string[pyarrow]"}, "index": {}, "name": None}},
    {
        "kind": "index",
        "is": {"levels": [{"ticks": "a0", "dtype": "datetime64[ns, dateutil//etc/passwd]"}], "names": [None]},
    },
    {"kind": "index", "is": {"range": [0, 2**62, 1], "names": [None]}},
    {"kind": "sparse", "is": {"data": "a0", "indices": "a1", "indptr": "a2", "shape": [2, 2]}},
    {"kind": "list", "is": [{"kind": "array", "is": "a0"}, {"kind": "array", "is": "a0"}]},
    {"kind": "array", "is": {"shape": [1], "text": "a0", "lengths": "a1"}},
    {"kind": "array", "is": {"shape": [10**12], "items": []}},
    {"kind": "__import__", "is": "os"},
    {"kind": "module", "is": "os", "more": 1},
    ["a"],
]


@pytest.mark.parametrize("packed", HOSTILE, ids=lambda packed: str(packed)[:60])
def test_hostile_values_are_refused(packed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is imported or called, and no memory is taken for what is only declared."""
    monkeypatch.setattr(archive, "_imported", lambda home: pytest.fail(f"imports {home}"))
    arrays = {"a0": np.array([5, 6]), "a1": np.array([0, 7]), "a2": np.array([0, 1, 2])}
    with pytest.raises(REFUSALS):
        Archive(arrays, rows=10**6).unpack(packed)


def test_text_takes_its_bytes_and_no_more() -> None:
    labels = np.array([["Ä", "", "\ud800"], ["long " * 100, "b", "c"]], dtype=object)
    box = Archive()
    packed = box.pack(labels, "it")
    assert len(json.dumps(packed)) < 120 and sorted(box.arrays) == ["a0", "a1"]
    assert Archive(box.arrays).unpack(packed).tolist() == labels.tolist()
    for wrong in (box.arrays["a1"] - 1, box.arrays["a1"][:-1], -box.arrays["a1"], box.arrays["a1"].astype(float)):
        with pytest.raises(container.Damaged, match="lengths"):
            Archive({**box.arrays, "a1": wrong}).unpack(packed)


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
