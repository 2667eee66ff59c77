"""Term calls: what they put in Z, where they find it again, and how a user adds one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lgm
from lgm.data.scope import Scope
from lgm.design.design import Design, encode
from lgm.errors import FormulaError, LgmError
from lgm.formula.parse import parse
from lgm.formula.sides import Call
from lgm.parameter import standard_deviation
from lgm.precision.iid import Iid
from lgm.terms import TERMS, register_term, splines
from lgm.terms.block import Block
from lgm.terms.term import Encoded, Signature, Term, Variable, arguments, one_hot
from lgm.terms.timeline import Timeline

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


@pytest.mark.parametrize(
    ("right", "variable"), [("rw1(t)", "t"), ("rw2(w)", "w"), ("ar1(t)", "t"), ("rw1(log(w))", "w")]
)
def test_walks_have_a_column_per_distinct_value(right: str, variable: str) -> None:
    design = _design(right)
    values = np.log(DATA["w"]) if "log" in right else DATA[variable]
    times = np.unique(values)
    np.testing.assert_array_equal(design.predictor.Z.toarray(), np.equal.outer(values.to_numpy(), times).astype(float))
    (variable_of,) = design.terms[0].variables
    np.testing.assert_array_equal(variable_of.labels, times)
    assert variable_of.name == right


@pytest.mark.parametrize("right", ["rw1(t)", "rw2(t)", "ar1(t)"])
def test_walks_continue_at_new_values(right: str) -> None:
    design = _design(right)
    new = pd.DataFrame({"t": [2, 3, 40, 3, 4]})
    (encoded,) = encode(design, new).encoded
    times = design.terms[0].variables[0].labels.tolist()
    known = np.zeros((5, len(times)))
    known[0, times.index(2)] = known[4, times.index(4)] = 1.0
    np.testing.assert_array_equal(encoded.z.toarray(), known)
    assert encoded.novel is not None and not encoded.novel.population
    assert encoded.novel.what == "2 values of t that the data do not have"
    assert encoded.novel.z.toarray().tolist() == [[0, 0], [1, 0], [0, 1], [1, 0], [0, 0]]


def test_a_timeline() -> None:
    line = Timeline.of(np.array([3.0, 1.0, 3.0, 7.0]))
    assert line.times.tolist() == [1.0, 3.0, 7.0]
    at, new, where = line.locate(np.array([7.0, 8.0, 0.0, 1.0, 8.0]))
    assert (at.tolist(), new.tolist(), where.tolist()) == ([2, -1, -1, 0, -1], [0.0, 8.0], [-1, 1, 0, -1, 1])
    times, old_places, new_places = line.merged(new)
    assert times.tolist() == [0.0, 1.0, 3.0, 7.0, 8.0]
    assert (old_places.tolist(), new_places.tolist()) == ([1, 2, 3], [0, 4])


def test_regions_have_a_column_per_node() -> None:
    design = _design("icar(region, graph)")
    np.testing.assert_array_equal(
        design.predictor.Z.toarray(), np.equal.outer(DATA["region"].to_numpy(), np.array(GRAPH.nodes)).astype(float)
    )
    assert design.terms[0].variables[0].labels.tolist() == list(GRAPH.nodes)
    (encoded,) = encode(design, pd.DataFrame({"region": ["isle", "w"]})).encoded
    assert encoded.z.toarray().argmax(axis=1).tolist() == [4, 0] and encoded.novel is None


@pytest.mark.parametrize("kind", ["tp", "cr", "ps"])
def test_smooths_have_the_columns_of_their_basis(kind: str) -> None:
    design = _design(f"s(x, bs={kind!r}, k=7)")
    basis = splines.build(kind, DATA["x"].to_numpy(), 7)
    np.testing.assert_allclose(design.predictor.Z.toarray(), basis.evaluate(DATA["x"]))
    rows = encode(design, DATA.iloc[:4].assign(x=[0.5, 0.1, 2.0, -1.0]))
    np.testing.assert_allclose(rows.encoded[0].z.toarray(), basis.evaluate([0.5, 0.1, 2.0, -1.0]))
    assert rows.X.toarray()[:, 1].tolist() == [0.5, 0.1, 2.0, -1.0]
    (note,) = rows.encoded[0].notes
    assert note.startswith("s(x): 2 rows outside the data's range") and note.endswith("extrapolated")


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


# A term of a user's own: effects of levels, as (1|g) has them -------------------------------------------------------


@dataclass(frozen=True)
class _Effects(Term):
    label: str
    call: Call
    levels: list[Any]
    z: sp.csc_array
    block: Block

    @property
    def variables(self) -> tuple[Variable, ...]:
        n = len(self.levels)
        return (Variable(self.label, np.arange(n), self.call.args[0].text, np.array(self.levels, dtype=object)),)

    @property
    def size(self) -> str:
        return f"{len(self.levels)} levels"

    def encode(self, scope: Scope) -> Encoded:
        column = scope.column(self.call.args[0], "the group")
        codes = pd.Index(self.levels).get_indexer(column)
        return Encoded(one_hot(codes, len(self.levels)))


def _build(call: Call, scope: Scope, label: str, yardstick: float) -> _Effects:
    column = scope.column(arguments(call, scope, Signature(("group",)))["group"], "the group")
    levels = sorted(column.unique())
    z = one_hot(pd.Index(levels).get_indexer(column), len(levels))
    block = Block(Iid(len(levels)), (standard_deviation(label, yardstick),))
    return _Effects(label, call, levels, z, block)


def test_a_term_of_a_users_own() -> None:
    with pytest.raises(
        FormulaError, match=r"lgm has no term `re\(\)`.* A group effect is written as a bar, `\(1 | g\)`"
    ):
        lgm.model("y ~ re(g)", DATA)
    try:
        register_term("re", _build)
        own, bar = lgm.model("y ~ x + re(g)", DATA), lgm.model("y ~ x + (1|g)", DATA)
        np.testing.assert_array_equal(own.design.predictor.Z.toarray(), bar.design.predictor.Z.toarray())
        theta = {"sigma": 0.9}
        one = own.log_density({"sd(re(g))": 0.4, **theta})
        assert one == pytest.approx(bar.log_density({"sd(Intercept|g)": 0.4, **theta}), rel=1e-12)
        assert (
            encode(own.design, DATA.iloc[:3]).encoded[0].z.toarray().tolist()
            == own.design.predictor.Z.toarray()[:3].tolist()
        )
        with pytest.raises(FormulaError, match=r"re\(\) needs `group`"):
            lgm.model("y ~ re()", DATA)
        with pytest.raises(FormulaError, match="is part of a larger term"):
            lgm.model("y ~ x:re(g)", DATA)
        with pytest.raises(
            FormulaError,
            match="the term `re` cannot be registered: lgm has ar1, bym2, icar, rw1, rw2, s, seasonal, re and",
        ):
            register_term("re", _build)
    finally:
        del TERMS["re"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("s", "lgm has ar1, bym2, icar, rw1, rw2, s, seasonal and offset already"),
        ("offset", "lgm has ar1, bym2, icar, rw1, rw2, s, seasonal and offset already"),
        ("log", "`log` is a function of formulas"),
        ("poly", "`poly` is a function of formulas"),
        ("my term", "its name must be a Python name"),
        ("lambda", "its name must be a Python name"),
    ],
)
def test_names_that_cannot_be_registered(name: str, reason: str) -> None:
    before = dict(TERMS)
    with pytest.raises(LgmError, match=reason):
        register_term(name, _build)
    assert before == TERMS
