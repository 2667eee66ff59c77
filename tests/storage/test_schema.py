"""What a file holds is a fit, or is refused: types, sizes that agree over all parts, numbers in their range."""

from dataclasses import fields
from typing import Any, get_origin, get_type_hints

import numpy as np
import pandas as pd
import pytest

from lgm.inference.chains import Chains
from lgm.inference.draws import Draws
from lgm.inference.mode import Mode
from lgm.inference.weighted import Weighted
from lgm.storage import schema
from lgm.storage.container import Damaged
from lgm.storage.record import _plain


@pytest.mark.parametrize("kind", schema.RESULTS.values(), ids=lambda kind: kind.__name__)
def test_every_array_has_its_sizes(kind: type) -> None:
    hints = {field.name: get_type_hints(kind)[field.name] for field in fields(kind)}
    arrays = {name for name, hint in hints.items() if get_origin(hint) in (np.ndarray, dict)}
    assert set(schema.SHAPES[kind.__name__]) == arrays
    for name in hints.keys() - arrays:
        assert hints[name] in schema._NUMBERS or hints[name].__name__ in schema.RESULTS


def _chains(c: int = 2, d: int = 3, k: int = 2, **changes: Any) -> Chains:
    parts: dict[str, Any] = {
        "theta": np.ones((c, d, k)),
        "stats": {"diverging": np.zeros((c, d), dtype=bool), "n_steps": np.ones((c, d), dtype=np.int32)},
        "interrupted": False,
        "step_size": np.ones(c),
        "warmup": 150,
    }
    return Chains(**{**parts, **changes})


def test_results_come_back() -> None:
    again = schema.Results().made(_plain(_chains()), Draws)
    assert type(again) is Chains and again.theta.shape == (2, 3, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"theta": np.ones((2, 3))}, "theta of its Chains is no array of the right kind"),
        ({"theta": np.ones((2, 3, 2), dtype=np.float32)}, "theta .* right kind"),
        ({"theta": "a"}, "theta .* right kind"),
        ({"theta": np.full((2, 3, 2), np.nan)}, "theta .* not finite"),
        ({"step_size": np.ones(3)}, r"step_size .* shape \(3,\), which disagrees"),
        ({"stats": {"diverging": np.zeros((2, 3))}}, "stats .*, diverging, is no array"),
        ({"stats": {"diverging": np.zeros((2, 3), dtype=bool), "lp": np.zeros((2, 4))}}, "stats .*, lp, has the shape"),
        ({"stats": {3: np.zeros((2, 3))}}, "stats .* no arrays with names"),
        ({"stats": {"lp": np.zeros((2, 3))}}, "stats .* do not say which draws diverged"),
        ({"stats": np.zeros((2, 3))}, "stats .* no arrays with names"),
        ({"interrupted": 1}, "interrupted .* is wrong"),
        ({"warmup": 1.5}, "warmup .* is wrong"),
        ({"warmup": True}, "warmup .* is wrong"),
    ],
)
def test_wrong_parts_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Damaged, match=message):
        schema.Results().made(_plain(_chains(**changes)), Draws)


def test_sizes_agree_between_results() -> None:
    """Two chains of three draws, and points of another number of hyperparameters."""
    results = schema.Results()
    results.made(_plain(_chains()), Draws)
    with pytest.raises(Damaged, match="disagrees"):
        results.made(_plain(_chains(k=3)), Draws)
    points: dict[str, Any] = {
        "theta": np.ones((4, 2)),
        "log_weights": np.ones(4),
        "mean": np.ones((4, 0)),
        "draws": np.ones((4, 0, 7)),
        "cov": np.ones((0, 0, 0)),
    }
    points |= {"k": 0.1, "ess": 3.0, "log_evidence": np.float64(1), "log_evidence_se": 0, "failed": 0}
    content = {"theta": np.ones((1, 3, 2)), "stats": {"diverging": np.zeros((1, 3), dtype=bool)}, "interrupted": False}
    content |= {"points": {"class": "Points", "content": points}, "index": np.array([0, 3, 1])}
    made = schema.Results().made({"class": "Weighted", "content": content}, Draws)
    assert type(made) is Weighted and made.points.size == 4
    content["index"] = np.array([0, 4, 1])
    with pytest.raises(Damaged, match="index of its Weighted leads to no point"):
        schema.Results().made({"class": "Weighted", "content": content}, Draws)


@pytest.mark.parametrize(
    "plain",
    [None, {"class": "Chains"}, {"class": "os", "content": {}}, {"class": "Chains", "content": {}}, _plain(_chains())],
    ids=["nothing", "half", "no class", "no parts", "another kind"],
)
def test_no_result(plain: Any) -> None:
    with pytest.raises(Damaged):
        schema.Results().made(plain, Mode)


ROWS: dict[str, Any] = {"kept": np.array([0, 2, 3]), "index": pd.Index(list("abcd")), "library": "polars"}
ROWS |= {"missing_in": {"x": 1}, "columns": ["x", "y"]}
ASKED = {"method": "nuts", "approximation": "auto", "fallback": None, "chains": 4, "draws": 1000, "warmup": None}
SETTINGS: dict[str, Any] = {"interval": 0.9, "seed": 3, "method": "nuts", "weights": None, "asked": ASKED}
INPUTS: dict[str, Any] = {
    "formula": "y ~ x",
    "family": "gaussian",
    "link": "identity",
    "missing": "drop",
    "data": pd.DataFrame(),
}
INPUTS |= {"env": {}, "priors": {}, "weights": None}


def test_what_is_right_passes() -> None:
    schema.require_rows(ROWS, pd.DataFrame({"x": [1, 2, 3]}))
    schema.require_settings(SETTINGS)
    schema.require_inputs(INPUTS)
    schema.require_sections({"inputs": INPUTS, **dict.fromkeys(schema._SECTIONS - {"inputs"}), "names": ["a"]})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("kept", kept) for kept in (None, [0, 1, 2], np.arange(4), np.array([0, 2, 2]), np.array([-1, 0, 1]))),
        *(("kept", kept) for kept in (np.ones(3), np.array([[0, 1, 2]]))),
        *(("index", value) for value in (None, ["a", "b", "c", "d"], pd.Index(list("abc")))),
        *(("library", value) for value in ("os", True, 1.0, ["polars"])),
        *(("missing_in", value) for value in (None, {1: 1}, {"x": -1}, {"x": "1"}, [1])),
        *(("columns", value) for value in (None, "xy", [1], ["x", None])),
        ("more", 1),
    ],
)
def test_wrong_rows(name: str, value: Any) -> None:
    with pytest.raises(Damaged):
        schema.require_rows({**ROWS, name: value}, pd.DataFrame({"x": [1, 2, 3]}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("interval", value) for value in (0.0, 1.0, np.nan, "0.9", None, 1)),
        *(("seed", value) for value in (-1, 1.5, None, "1")),
        *(("method", value) for value in ("os", None, 3)),
        *(("weights", value) for value in (3, ["w"])),
        *(
            ("asked", value)
            for value in (3, {}, {**ASKED, "draws": 1.5}, {**ASKED, "method": 1}, {**ASKED, "warmup": -1})
        ),
        ("more", 1),
    ],
)
def test_wrong_settings(name: str, value: Any) -> None:
    with pytest.raises(Damaged):
        schema.require_settings({**SETTINGS, name: value})


@pytest.mark.parametrize("name", INPUTS)
def test_wrong_inputs(name: str) -> None:
    with pytest.raises(Damaged, match=f"its {name} "):
        schema.require_inputs({**INPUTS, name: 3})
