"""A formula is read once: no later stage parses Python or asks formulaic's parser again."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from formulaic.parser import DefaultFormulaParser

import lgm
import lgm.formula.tokens
from lgm.formula import tokens

N = 40
RNG = np.random.default_rng(3)
DATA = pd.DataFrame(
    {
        "y": RNG.uniform(1, 2, N),
        "x": RNG.normal(size=N),
        "body mass": RNG.normal(size=N),
        "z": RNG.normal(size=N),
        "f": RNG.choice(list("ab"), N),
        "g": RNG.choice(list("uvw"), N),
        "h": RNG.choice(list("pqr"), N),
        "t": RNG.normal(size=N),
        "t2": RNG.integers(0, 8, N),
        "id": RNG.choice(list("nesw"), N),
    }
)
GRAPH = lgm.graph([("n", "e"), ("e", "s"), ("s", "w")])

# formula, its pieces of Python, right-hand sides that formulaic reads
FORMULAS = [
    ("log(y) ~ x*f + scale(z) + (1 + x | g) + s(t, k=6) + rw1(t2) + icar(id, graph)", 5, 2),
    ("y ~ x + z", 0, 1),
    ("y ~ (1 | g/h) + (0 + poly(x, 2) | g) + offset({z / 2})", 2, 3),
    ("y ~ icar(id, graph, group=ar1(t2)) + rw1(t2, replicate=g) + rw2(t2, group=iid(h))", 3, 1),
    ("y ~ 2:x + scale(`body mass`) + scale(z) - 1 + s({t * 2}, bs='cr', k=5)", 3, 1),
]


class Counts:
    """How often the two parsers, and formulaic's tokenizer, were called."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.python = self.formulaic = self.tokens = 0
        patch.setattr(ast, "parse", self._counting(ast.parse, "python"))
        parse = DefaultFormulaParser.get_terms
        patch.setattr(DefaultFormulaParser, "get_terms", self._counting(parse, "formulaic"))
        tokenize = vars(tokens)["formulaic_tokenize"]
        patch.setattr(tokens, "formulaic_tokenize", self._counting(tokenize, "tokens"))

    def _counting(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def counted(*args: Any, **keywords: Any) -> Any:
            setattr(self, name, getattr(self, name) + 1)
            return function(*args, **keywords)

        return counted

    def taken(self) -> tuple[int, int, int]:
        """The counts, which start again."""
        counts = self.python, self.formulaic, self.tokens
        self.python = self.formulaic = self.tokens = 0
        return counts


@pytest.mark.filterwarnings("ignore:there is no intercept:lgm.DataWarning")
@pytest.mark.parametrize(("formula", "python", "sides"), FORMULAS, ids=[case[0] for case in FORMULAS])
def test_a_model_reads_its_formula_once(formula: str, python: int, sides: int, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counts(monkeypatch)
    lgm.model(formula, DATA, env={"graph": GRAPH})
    assert counts.taken() == (python, sides, 1)


def test_nothing_after_the_model_reads_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    formula = FORMULAS[0][0]
    fit = lgm.fit(formula, DATA, env={"graph": GRAPH}, method="mode", draws=8, seed=1, progress=False)
    fit.plot_term("s(t)")  # matplotlib reads its own settings with Python's parser, when it is imported
    counts = Counts(monkeypatch)
    fit.predict(DATA.iloc[:4].assign(x=[0.0, 1.0, 2.0, 3.0]), seed=1)
    fit.predict(DATA.iloc[:4].drop(columns="g"), include_group_specific=False, seed=1)
    fit.plot_term("s(t)")
    fit.plot_term("rw1(t2)")
    str(fit)
    assert counts.taken() == (0, 0, 0)


def test_a_mark_in_a_message_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counts(monkeypatch)
    with pytest.raises(lgm.FormulaError, match="`missing` is not a column"):
        lgm.model("y ~ x + log(z + missing)", DATA)
    assert counts.taken() == (1, 1, 1)
