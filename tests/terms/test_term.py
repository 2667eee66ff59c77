"""What all terms have in common: how they are called and named, and what a variable is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.design.design import Design
from lgm.formula.parse import parse
from lgm.terms import TERMS
from lgm.terms.term import Signature, Variable, one_hot

N = 30
RNG = np.random.default_rng(2)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.uniform(size=N),
        "t": RNG.integers(0, 10, N) * 2,
        "w": RNG.choice([0.5, 1.25, 4.0, 9.0], N),
        "region": RNG.choice(["n", "e", "s"], N),
        "g": RNG.choice(["a", "b", "c"], N),
    }
)
GRAPH = lgm.graph([("n", "e"), ("e", "s"), ("s", "w")], nodes=["w", "s", "e", "n", "isle"])


def _design(right: str, data: pd.DataFrame = DATA) -> Design:
    return lgm.model(f"y ~ {right}", data, env={"graph": GRAPH}).design


def test_arguments_by_position_or_by_keyword() -> None:
    one, two = _design("s(x, k=5) + icar(region, graph)"), _design("s(k=5, x=x) + icar(graph=graph, region=region)")
    np.testing.assert_array_equal(one.predictor.Z.toarray(), two.predictor.Z.toarray())
    assert two.terms[0].label == "s(x)"
    assert _design("s(x, k=-1)").terms[0].size == "tp basis, k=10"


LABELS = {
    "s(x, k=5)": "s(x)",
    "s(k=5, x=log(x))": "s(log(x))",
    "s(bs=kind, x=`my x`)": "s(`my x`)",
    "icar(region, graph)": "icar(region)",
    "icar(graph=graph, region=region)": "icar(region)",
    "rw1(t)": "rw1(t)",
    "ar1(t=t)": "ar1(t)",
    "s()": "s()",
}


@pytest.mark.parametrize("text", LABELS)
def test_the_name_of_a_term_is_read_from_its_arguments(text: str) -> None:
    (call,) = parse(f"y ~ {text}", TERMS).mu.calls
    assert TERMS[call.name].signature.label(call) == LABELS[text]


def test_signatures() -> None:
    both = Signature(("x", "z"), others=("graph",), options=("k",), shown=("by",))
    calls = parse("y ~ te(x, z, g) + te(z=x, by=f, x=z, k=3, graph=g) + te(x)", {"te"}).mu.calls
    assert [both.label(call) for call in calls] == ["te(x, z)", "te(z, x, by=f)", "te(x)"]
    assert {name: each.text for name, each in both.given(calls[1]).items()} == {
        "z": "x",
        "by": "f",
        "x": "z",
        "k": "3",
        "graph": "g",
    }
    assert Signature(("variable",)).label(parse("y ~ re(group=g)", {"re"}).mu.calls[0]) == "re(g)"


def test_signatures_of_many_variables() -> None:
    many = Signature(("x",), options=("k",), shown=("by",), many=True)
    calls = parse("y ~ te(x, log(z), v, by=f, k=3) + te(x, z) + te(k=3, x=x)", {"te"}).mu.calls
    assert [many.label(call) for call in calls] == ["te(x, log(z), v, by=f)", "te(x, z)", "te(x)"]
    assert {name: each.text for name, each in many.given(calls[0]).items()} == {
        "x": "x",
        "x2": "log(z)",
        "x3": "v",
        "by": "f",
        "k": "3",
    }


def test_indicator_columns() -> None:
    assert one_hot(np.array([1, -1, 0]), 3).toarray().tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert one_hot(np.array([], dtype=int), 2).shape == (0, 2)


def test_a_variable_is_a_part_of_the_effects_or_sums_of_them() -> None:
    effects = np.arange(12.0).reshape(2, 6)
    assert Variable("a", np.array([4, 1]), "d", np.array([0, 1])).of(effects).tolist() == [[4, 1], [10, 7]]
    pairs = Variable("a", np.array([[0, 3], [1, 4], [2, 5]]), "d", np.arange(3))
    assert pairs.of(effects).tolist() == [[3, 5, 7], [15, 17, 19]]
    own = Variable("a", np.array([[0, 3], [1, 4]]), "d", np.arange(2), weights=np.array([[1.0, 2.0], [3.0, -1.0]]))
    assert own.of(effects).tolist() == [[6, -1], [24, 11]]


@pytest.mark.parametrize(
    ("right", "message"),
    [
        (
            "s()",
            r"s\(\) needs `x`.*\n.*\n.*\n.*`s\(x, ..., bs=..., k=..., m=..., knots=..., xt=..., graph=..., by=...\)`",
        ),
        ("s(x, 5)", r"the variable of s\(x, 5\) `5` is a single value, 5"),
        ("rw1(t, 5)", r"rw1\(\) takes 1 argument without a keyword"),
        ("s(x, K=5)", r"s\(\) has no argument `K`"),
        ("s(x, x=t)", r"s\(\) gets `x` twice"),
        ("icar(region)", r"icar\(\) needs `graph`"),
        ("icar(region, graph, 3)", r"icar\(\) takes 2 arguments without a keyword"),
    ],
)
def test_arguments_that_do_not_fit(right: str, message: str) -> None:
    with pytest.raises(lgm.FormulaError, match=message):
        _design(right)
