"""What a formula without Python may hold; everything that is not listed is refused."""

from __future__ import annotations

import ast

import numpy as np
import pytest
from formulaic.transforms import TRANSFORMS

import lgm
from lgm.formula.parse import parse
from lgm.formula.plain import FUNCTIONS, MEMBERS, is_plain, python_in, require_plain
from lgm.formula.python import Expression
from lgm.formula.tokens import Span, tokenize


def _read(text: str) -> Expression:
    (token,) = tokenize(text)
    return Expression.of(token)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "`body mass`",
        "class",
        "{2}",
        "{-x + 1.5 * `a b` / (z - 3) // 2 % 4}",
        "{x**2 + x**-1 + x**(1/3) + (x + z)**0.5}",
        "{(x > 0) & ~(z <= 1) | (g == 'a') | ('b' != g)}",
        "log(x)",
        "np.log1p(np.abs(x) + np.pi)",
        "np.maximum(x, 0)",
        "np.where(x > 0, x, -x)",
        "I({x + 1})",
        "Q('body mass')",
        "poly(x, 2, raw=True)",
        "bs(x, df=5, knots=[0.1, -0.2], degree=3)",
        "C(f, contr.treatment('b'), levels=['a', 'b'])",
        "C(f, contr.sum)",
        "C(f, Treatment(reference=None))",
        "C(f, contr.custom([[1, 0], [0, 1]]))",
        "scale(log(x), center=False)",
    ],
)
def test_plain(text: str) -> None:
    assert is_plain(_read(text))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{exit()}", "exit()"),
        ("I(x + exit())", "exit()"),
        ("__import__('os')", "__import__('os')"),
        ("{x.max()}", "x.max()"),
        ("{x.values}", "x.values"),
        ("{().__class__}", "().__class__"),
        ("np.load('f')", "np.load('f')"),
        ("np.lib.npyio.DataSource(x)", "np.lib.npyio.DataSource(x)"),
        ("{np.random}", "np.random"),
        ("{contr.mro()}", "contr.mro()"),
        ("log.at(x)", "log.at(x)"),
        ("np.log.at(x)", "np.log.at(x)"),
        ("log(x, z)", "log(x, z)"),
        ("np.log(x, out=z)", "np.log(x, out=z)"),
        ("np.log(*x)", "*x"),
        ("poly(*x)", "*x"),
        ("poly(x, **z)", "poly(x, **z)"),
        ("poly(x, _state=z)", "poly(x, _state=z)"),
        ("hashed(x, levels=3, hash_func=exec)", "hashed(x, levels=3, hash_func=exec)"),
        ("Q(f'{x}')", "Q(f'{x}')"),
        ("I(log)(x)", "I(log)(x)"),
        ("I(Q(x))", "Q(x)"),
        ("I(lambda: x)", "lambda: x"),
        ("I(x for x in z)", "(x for x in z)"),
        ("I([x for x in z])", "[x for x in z]"),
        ("I(x if z else 1)", "x if z else 1"),
        ("I(f'{x}')", "f'{x}'"),
        ("I(x := 3)", "(x := 3)"),
        ("I({1: x})", "{1: x}"),
        ("I({1, x})", "{1, x}"),
        ("{x[0]}", "x[0]"),
        ("{x @ z}", "x @ z"),
        ("{1 << 9}", "1 << 9"),
        ("{x and z}", "x and z"),
        ("{x in z}", "x in z"),
        ("{x is z}", "x is z"),
        ("{'a' * 9}", "'a'"),
        ("{[0] * 9}", "[0]"),
        ("{x == ['a'] * 9}", "['a']"),
        ("I('%99d' % 1)", "'%99d'"),
        ("{x + 1j}", "1j"),
        ("I(...)", "..."),
        ("I(b'a')", "b'a'"),
        ("{x ** 101}", "x ** 101"),
        ("{x ** z}", "x ** z"),
        ("{9**9**9}", "9 ** 9 ** 9"),
        ("{((x**9) + 1)**9}", "(x ** 9 + 1) ** 9"),
    ],
)
def test_python_is_found(text: str, part: str) -> None:
    expression = _read(text)
    found = python_in(expression)
    assert found is not None and expression.text_of(found) == part and not is_plain(expression)


def test_a_kind_of_syntax_that_is_not_listed_is_python() -> None:
    listed = {"Name", "Constant", "List", "Tuple", "Set", "BinOp", "UnaryOp", "Compare", "Attribute", "Call"}
    kinds = {kind.__name__ for kind in ast.expr.__subclasses__()}
    assert listed < kinds
    for kind in kinds - listed:
        assert python_in(Expression("", Span(0, 0), getattr(ast, kind)(), None)) is not None  # type: ignore[arg-type]


def test_what_is_listed_exists() -> None:
    assert FUNCTIONS - {"abs"} <= set(TRANSFORMS)
    assert all(hasattr(np, name) for name in MEMBERS["np"])
    assert all(hasattr(TRANSFORMS["contr"], name) for name in MEMBERS["contr"])


@pytest.mark.parametrize(
    ("formula", "mark"),
    [
        ("y.max() ~ x", "y.max()"),
        ("y ~ x + I(exit())", "exit()"),
        ("y ~ x + (1 | g.str.upper())", "g.str.upper()"),
        ("y ~ (z.max() | g)", "z.max()"),
        ("y ~ s(x, k=open('f'))", "open('f')"),
        ("y ~ offset(e.sum())", "e.sum()"),
    ],
)
def test_every_place_of_a_formula_is_looked_at(formula: str, mark: str) -> None:
    with pytest.raises(lgm.FormulaError) as caught:
        require_plain(parse(formula, {"s"}))
    said = str(caught.value).split("\n")
    assert said[0] == f"`{mark}` is Python, which this formula may not use."
    assert said[2].index("^") - 4 == formula.index(mark) and said[2].count("^") == len(mark)
    assert said[3].startswith("Accepted: names, numbers, operators")


def test_a_plain_formula_passes() -> None:
    require_plain(parse("log(y) ~ x*C(f) + 2:z + (1 + x | a/b) + s(t, k=10, bs='cr') + offset(log(e)) - 1", {"s"}))


def test_a_column_may_have_a_name_with_dots() -> None:
    columns = {"Sepal.Length", "a.b.c"}
    formula = parse("Sepal.Length ~ a.b.c + log(a.b.c) + s(Sepal.Length)", {"s"})
    require_plain(formula, columns)
    with pytest.raises(lgm.FormulaError, match="`Sepal.Length` is Python"):
        require_plain(formula, {"a.b.c"})
    assert not is_plain(_read("{a.b}"), columns) and not is_plain(_read("a.b.c()"), columns)
