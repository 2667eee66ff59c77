"""The left-hand side: a response with what belongs to it, and the place of what cannot be read."""

from __future__ import annotations

import pytest

from lgm.errors import FormulaError
from lgm.formula.parse import parse

READ = [
    ("y", "y", {}),
    ("log(y)", "log(y)", {}),
    ("events / size", "events / size", {}),
    ("x.y/n", "x.y/n", {}),
    ("cbind(a, b)", "a", {"failures": "b"}),
    ("cbind(a, n - a)", "a", {"trials": "n"}),
    ("cbind(a, m + n - a)", "a", {"trials": "m + n"}),
    ("cbind(a, n - b)", "a", {"failures": "n - b"}),
    ("cbind(`a b`, n - `a b`)", "`a b`", {"trials": "n"}),
    ("y | trials(n)", "y", {"trials": "n"}),
    ("y | trials(10)", "y", {"trials": "10"}),
    ("(y | cens(c))", "y", {"censored": "c"}),
    ("y | cens(c, u)", "y", {"censored": "c", "upper": "u"}),
    ("y|cens(c == 1, upper=u)", "y", {"censored": "c == 1", "upper": "u"}),
]


@pytest.mark.parametrize(("left", "value", "parts"), READ)
def test_what_is_read(left: str, value: str, parts: dict[str, str]) -> None:
    side = parse(f" {left} ~ x", ()).response
    assert side.text == value
    names = ("trials", "failures", "censored", "upper")
    found = {name: getattr(side, name).text for name in names if getattr(side, name) is not None}
    assert found == parts
    assert [each.text for each in side.expressions] == [value, *(parts[name] for name in names if name in parts)]
    assert side.counts_trials == bool({"trials", "failures"} & parts.keys())


def test_parts_know_their_places() -> None:
    source = "dead | trials(size) ~ x"
    side = parse(source, ()).response
    spans = [source[part.span.start : part.span.stop] for part in side.expressions]
    assert spans == ["dead", "size"] and source[side.span.start : side.span.stop] == "dead | trials(size)"
    quotient = parse("dead  /size ~ x", ()).response.value
    assert quotient.find("size") is not None and "dead  /size ~ x"[7:11] == "size"
    assert (quotient.find("size").start, quotient.find("size").stop) == (7, 11)  # type: ignore[union-attr]


WRONG = [
    (">y + z<", "The response has several parts"),
    (">y || trials(n)<", "The response has several parts"),
    (">a / b / c<", "The response has several parts"),
    ("y >|<", "Nothing stands after this bar."),
    (">|< trials(n)", "Nothing stands before this bar."),
    ("y | trials(n) >|< cens(c)", "This is a second bar in the response."),
    ("y | >n<", "After the bar stands `trials(n)` or `cens(code)`."),
    ("y | >-<trials(n)", "After the bar stands"),
    ("y | trials(n) >*< 2", "This cannot stand here."),
    ("y | trials(n) >+<", "This cannot stand here."),
    ("y | trials(n) + >trials(m)<", "`trials()` is written twice."),
    ("y | >weights(w)<", "`weights()` is not available in a response. Weights are an argument"),
    ("y | >se(s)<", "`se()` is not available in a response."),
    ("y | >trials()<", "`trials()` takes one expression."),
    ("y | >trials(n, 2)<", "`trials()` takes one expression."),
    ("y | >trials(*n)<", "`trials()` takes one expression."),
    ("y | >cens(a, b, c)<", "`cens()` takes a code, and"),
    ("y | >cens(upper=b)<", "`cens()` takes a code, and"),
    ("y | >cens(a, y2=b)<", "`cens()` takes a code, and"),
    (">cbind(a)<", "`cbind()` takes successes and failures."),
    (">cbind(a, b, c)<", "`cbind()` takes successes and failures."),
    ("log(>cbind(a, b)<)", "Here `cbind()` is part of a larger expression."),
    ("cbind(>s(a)<, b)", "`s()` belongs to the right-hand side"),
    ("y | trials(>s(n)<)", "`s()` belongs to the right-hand side"),
    (">s(a)< / b", "`s()` belongs to the right-hand side"),
    (">3<", "The response is neither a column nor"),
]


@pytest.mark.parametrize(("left", "message"), WRONG, ids=[left for left, _ in WRONG])
def test_errors(left: str, message: str) -> None:
    source = f"{left} ~ x".replace(">", "").replace("<", "")
    with pytest.raises(FormulaError) as caught:
        parse(source, ("s",))
    lines = str(caught.value).split("\n")
    assert lines[0].startswith(message)
    start, length = left.index(">"), left.index("<") - left.index(">") - 1
    assert lines[2] == " " * (4 + start) + "^" * length
    assert lines[3].startswith("Accepted: one column or one Python expression before `~`")
