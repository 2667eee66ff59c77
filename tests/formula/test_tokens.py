"""Tokens, and what lgm relies on in formulaic's tokenizer and parser."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from formulaic.errors import FormulaicError
from formulaic.parser.algos.tokenize import tokenize as formulaic_tokenize

from lgm.formula import tokens
from lgm.formula.tokens import Kind, Problem, Span, formulaic_terms, tokenize

# Fragment of a message -> a formula that makes formulaic say it. Where a new formulaic says it in other words, the
# table of translations must follow.
SAID = {
    "Unknown operator": "x @ z",
    "argument of `**`": "x ** z",
    "Numeric literals": "x + 5",
    "String literals": "'a'",
    "different numerical scaling": "x + 2:x",
    "Operator": "x:",
}


def test_every_translation_has_its_formula() -> None:
    assert SAID.keys() == {fragment for fragment, _ in tokens._TRANSLATIONS}


@pytest.mark.parametrize("fragment", SAID)
def test_formulaic_says_what_is_translated(fragment: str) -> None:
    with pytest.raises(FormulaicError) as caught:
        tokens._PARSER.get_terms(SAID[fragment])
    said = str(caught.value).partition("\n\n")[0]
    first = next(theirs for theirs, _ in tokens._TRANSLATIONS if theirs in said)
    assert first == fragment, f"formulaic {version('formulaic')} says: {said}"


@pytest.mark.parametrize(
    ("source", "closer", "mark"),
    [("y ~ log(x", ")", "log(x"), ("y ~ {x", "}", "x"), ("y ~ `a b", "`", "a b")],
)
def test_formulaic_says_what_is_missing_and_where(source: str, closer: str, mark: str) -> None:
    with pytest.raises(FormulaicError) as caught:
        list(formulaic_tokenize(source))
    assert str(caught.value).partition("\n\n")[0].endswith(f"Expected: {closer}")
    span = tokens._formulaic_mark(caught.value)
    assert span is not None and mark in source[span.start : span.stop]


def test_formulaic_marks_what_it_cannot_read() -> None:
    with pytest.raises(FormulaicError) as caught:
        tokens._PARSER.get_terms("x +  'a'")
    assert tokens._formulaic_mark(caught.value) == Span(5, 8)
    assert tokens._formulaic_mark(ValueError("no mark")) is None


def test_formulaics_tokens_have_the_places_that_spans_are_made_of() -> None:
    raw = [(t.token, t.kind, t.source_start, t.source_end) for t in formulaic_tokenize("log(x) + `a b`*{z}-2")]
    assert raw == [
        ("log(x)", Kind.PYTHON, 0, 5),
        ("+", Kind.OPERATOR, 7, 7),
        ("a b", Kind.NAME, 9, 12),
        ("*", Kind.OPERATOR, 14, 14),
        ("z", Kind.PYTHON, 15, 16),
        ("-", Kind.OPERATOR, 18, 18),
        ("2", Kind.VALUE, 19, 19),
    ]


def test_tokens() -> None:
    source = "y ~ (x:`a b`) - {z + 1} %in% log( w )"
    found = tokenize(source)
    assert [source[t.span.start : t.span.stop] for t in found] == [t.text for t in found] == [
        "y", "~", "(", "x", ":", "`a b`", ")", "-", "{z + 1}", "%in%", "log( w )",
    ]  # fmt: skip
    assert [t.depth for t in found] == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0]
    assert [t.body for t in found if t.quoted] == ["a b", "z + 1", "in"]


def _read(right: str) -> list[tuple[str, list[str]]]:
    found = tokenize(right)
    operands = {t: t.body for t in found if t.kind in (Kind.NAME, Kind.PYTHON)}
    terms = formulaic_terms(right, found, operands)
    return [(str(term), [factor.eval_method.value for factor in term.factors]) for term in terms]


def test_terms_are_those_of_the_operands() -> None:
    assert _read("x*log(z)") == [
        ("1", ["literal"]),
        ("x", ["lookup"]),
        ("log(z)", ["python"]),
        ("x:log(z)", ["lookup", "python"]),
    ]
    assert _read("0 + (x + z)**2 - z") == [("x", ["lookup"]), ("x:z", ["lookup", "lookup"])]
    assert _read("0 + x + {x} + x:{x}") == [("x", ["lookup"])]
    assert _read("-1 + 2.5:`a:b`") == [("2.5:`a:b`", ["literal", "lookup"])]
    assert _read("0") == []


def test_many_operands() -> None:
    names = [f"v{i}" for i in range(300)]
    assert [term for term, _ in _read(" + ".join(names))] == ["1", *names]


def test_an_operand_of_many_characters_is_marked_as_a_whole() -> None:
    with pytest.raises(Problem) as caught:
        _read("z + log(x)*1")
    assert caught.value.span == Span(4, 10)
