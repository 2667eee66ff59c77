"""Python in formulas: one parse, names in backticks, and the way back to what was typed."""

from __future__ import annotations

import ast
import copy
import pickle

import pytest

from lgm.formula.python import Expression
from lgm.formula.tokens import Problem, Span, tokenize


def _read(text: str) -> Expression:
    (token,) = tokenize(text)
    return Expression.of(token)


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("x", "x"),
        ("`x`", "x"),
        ("`body mass`", "`body mass`"),
        ("x.y", "`x.y`"),
        ("`class`", "`class`"),
        ("log( x )", "log(x)"),
        ("{x\n   + 1}", "x + 1"),
        ("{\n  x +  # why\n 1\n}", "x + 1"),
        ("f(x,\n  {a\n + 1})", "f(x, {a + 1})"),
        ("{ x+1 }", "x + 1"),
        ('C(f, levels=["a", "b"])', "C(f, levels=['a', 'b'])"),
        ("log(`x` + `a b`)", "log(x + `a b`)"),
        ("f(`a b`, `a b`, `c d`)", "f(`a b`, `a b`, `c d`)"),
        ("C(f, levels=['a `b` c', \"`d`\"])", "C(f, levels=['a `b` c', '`d`'])"),
        ("{'it\\'s `a`' + `b c`}", '"it\'s `a`" + `b c`'),
        ("f(`it's`, `that's`)", "f(`it's`, `that's`)"),
    ],
)
def test_text_is_normalised(typed: str, text: str) -> None:
    assert _read(typed).text == text


def test_names_in_backticks_stand_in_the_tree_as_names() -> None:
    read = _read("f(`a b`, x, '`c`')")
    names = [read.quoted.get(node.id, node.id) for node in read.nodes() if isinstance(node, ast.Name)]
    assert names == ["f", "a b", "x"]
    assert [node.value for node in read.nodes() if isinstance(node, ast.Constant)] == ["`c`"]


@pytest.mark.parametrize("typed", ["{~_`a b`}", "{`a b`c}", "{`a``b`}", "f(x.`a b`)", "f(`a b`=3)"])
def test_a_name_in_backticks_is_a_name_by_itself(typed: str) -> None:
    with pytest.raises(Problem) as caught:
        _read(typed)
    assert caught.value.message == "This is not valid Python: invalid syntax."
    assert caught.value.span == Span(0, len(typed))


def test_spans_of_what_is_inside() -> None:
    source = "f(é, `a bc`,\r\n  x.y + `a bc`, k=(3 +\n 4))"
    (token,) = tokenize(source)
    read = Expression.of(token)
    assert isinstance(read.tree, ast.Call)
    parts = [read.part(node) for node in (*read.tree.args, read.tree.keywords[0].value)]
    assert [part.text for part in parts] == ["é", "`a bc`", "x.y + `a bc`", "3 + 4"]
    assert [source[part.span.start : part.span.stop] for part in parts] == [
        "é", "`a bc`", "x.y + `a bc`", "3 +\n 4",
    ]  # fmt: skip
    assert read.span_of(read.tree.keywords[0]) == Span(source.index("k="), len(source) - 1)
    assert parts[2].find("a bc") == Span(source.rindex("`a bc`"), source.rindex("`a bc`") + 6)
    assert read.find("a bc") == Span(source.index("`a bc`"), source.index("`a bc`") + 6)
    assert read.find("x.y") == Span(source.index("x.y"), source.index("x.y") + 3)
    assert read.find("y") is None


def test_braces_inside_a_call_hold_an_expression_together() -> None:
    read = _read("s({x / 2}, {1, 2})")
    assert isinstance(read.tree, ast.Call)
    one, two = [read.part(node) for node in read.tree.args]
    assert (one.text, ast.unparse(one.tree)) == ("{x / 2}", "x / 2")
    assert (two.text, ast.unparse(two.tree)) == ("{1, 2}", "{1, 2}")


# \u00b5 is the micro sign, \u03bc the Greek letter that Python makes of it
@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("f(nº, no)", ["nº", "no"]),
        ("{\u00b5 + \u03bc + \u00b5*`\u00b5`}", ["\u00b5", "\u03bc", "\u00b5", "\u00b5"]),
        ("f(é,\n  nº)", ["é", "nº"]),
        ("f(`a`, `a`, nº, `b`, nº)", ["a", "a", "nº", "b", "nº"]),
        ("f(nº.x, k=nº)", ["nº", "nº"]),
        ("I([\u00b5 for \u00b5 in nº])", ["nº"]),
        ("I(lambda \u00b5: \u00b5 + nº)", ["nº"]),
        ("I(no)", ["no"]),
    ],
)
def test_a_name_is_the_one_that_is_typed(typed: str, names: list[str]) -> None:
    read = _read(typed)
    bound = {"\u03bc"} if "for" in typed or "lambda" in typed else set()
    assert sorted(_names(read, bound)) == sorted(names)
    assert read.text == _read(f"{{{read.text}}}").text  # as it is printed, it says the same
    for name in names:
        assert read.find(name) is not None


def _names(read: Expression, bound: set[str]) -> list[str]:
    called = [node.func for node in read.nodes() if isinstance(node, ast.Call)]
    found = [node for node in read.nodes() if isinstance(node, ast.Name) and node not in called]
    return [read.quoted.get(node.id, node.id) for node in found if node.id not in bound]


def test_a_function_is_called_by_the_name_that_python_has() -> None:
    read = _read("\u00b5f(nº)")
    assert isinstance(read.tree, ast.Call) and isinstance(read.tree.func, ast.Name)
    assert read.tree.func.id == "\u03bcf" and list(read.quoted.values()) == ["nº"]


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("log(class)", "class"),
        ("{yield * 2}", "yield"),
        ("s(x, by=lambda)", "lambda"),
        ("s(x.1)", "x.1"),
        ("log(2.5 * x.1.b)", "x.1.b"),
    ],
)
def test_a_column_whose_name_python_does_not_take(typed: str, word: str) -> None:
    with pytest.raises(Problem) as caught:
        _read(typed)
    assert caught.value.message.startswith("This is not valid Python: invalid syntax")
    assert caught.value.message.endswith(f". A column called `{word}` is written in backticks.")


@pytest.mark.parametrize("typed", ["log(x if)", "f(x,,'class')", "f(x.class)", "{`class` x}", "f(2.5 x)", "f('x.1' x)"])
def test_other_mistakes_have_no_such_hint(typed: str) -> None:
    with pytest.raises(Problem) as caught:
        _read(typed)
    assert "backticks" not in caught.value.message


def test_calls() -> None:
    read = _read("log(s(`a b`) + rw1(s(x)))")
    assert [read.text_of(call) for call in read.calls({"s", "rw1"})] == ["s(`a b`)", "rw1(s(x))", "s(x)"]


def test_a_column_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ast, "parse", None)
    for name in ("x", "body mass", "x.y", "(1|g)", "class"):
        column = Expression.column(name, Span(3, 4))
        assert column.is_name and list(column.quoted.values()) == [name]
        assert column.find(name) == column.span == Span(3, 4)
        assert column.find("nothing") is None


@pytest.mark.parametrize(
    "typed",
    [
        "{" + "x + " * 100 + "x}",
        "{" + "-" * 100 + "x}",
        "{" + "-" * 9_000 + "x}",
        "f" + "(f" * 150 + "(x)" + ")" * 150,
        "{x" + "[0]" * 120 + "}",
        "{x" + ".a" * 4_000 + "}",
        "I(" + "lambda: " * 1_000 + "x)",
    ],
    ids=lambda typed: typed[:8],
)
def test_python_that_is_nested_too_deep(typed: str) -> None:
    with pytest.raises(Problem) as caught:
        _read(typed)
    assert caught.value.span == Span(0, len(typed))
    assert caught.value.message.startswith(
        ("This Python is nested too deep", "This is not valid Python: too many nested")
    )


@pytest.mark.parametrize("typed", ["{" + "x + " * 98 + "x}", "f" + "(f" * 90 + "(x)" + ")" * 90])
def test_python_that_is_nested_less_can_be_used(typed: str) -> None:
    read = _read(typed)
    copies = [copy.deepcopy(read), pickle.loads(pickle.dumps(read))]
    assert all(ast.unparse(each.tree) == read.text for each in copies)


def test_expressions_are_values() -> None:
    one = _read("log(`a b`)")
    assert one == _read("log(`a b`)") != _read("log(`a c`)") and hash(one) == hash(_read("log(`a b`)"))
    for again in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert again == one and ast.dump(again.tree) == ast.dump(one.tree)
        assert again.quoted == one.quoted


def test_spans_in_braces_of_several_lines() -> None:
    typed = "{x\n  + log(`a b`\n + é)}"
    read = _read(typed)
    for name in ("x", "a b", "é", "log(`a b` + é)"):
        span = read.find(name)
        assert span is not None
        assert typed[span.start : span.stop].replace("\n", "") in (name, f"`{name}`")


@pytest.mark.parametrize("typed", ["{x :=\n 1}", "{x for x\n in y}", "{yield\n x}", "{\n}", "{x\n y}"])
def test_lines_in_braces_take_what_one_line_takes(typed: str) -> None:
    with pytest.raises(Problem, match=r"not valid Python|empty"):
        _read(typed)
