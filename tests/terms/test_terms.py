"""How a user adds a term."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lgm
from lgm.data.scope import Scope
from lgm.design.design import encode
from lgm.errors import FormulaError, LgmError
from lgm.formula.sides import Call
from lgm.parameter import standard_deviation
from lgm.precision.iid import Iid
from lgm.terms import TERMS, register_term
from lgm.terms.block import Block
from lgm.terms.term import Encoded, Signature, Term, Variable, arguments, one_hot

N = 30
RNG = np.random.default_rng(2)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.uniform(size=N),
        "g": RNG.choice(["a", "b", "c"], N),
    }
)

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
    finally:
        del TERMS["re"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("s", "lgm has ar, ar1, .* and offset already"),
        ("offset", "lgm has ar, ar1, .* and offset already"),
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
