"""Tokens, and what lgm relies on in formulaic's tokenizer; limits; marks."""

from __future__ import annotations

import pytest
from formulaic.errors import FormulaicError
from formulaic.parser.algos.tokenize import tokenize as formulaic_tokenize

from lgm.formula.tokens import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_TOKENS,
    MAX_WORD,
    Kind,
    Problem,
    Span,
    formulaic_mark,
    marked,
    tokenize,
)


@pytest.mark.parametrize(
    ("source", "closer", "mark"),
    [("y ~ log(x", ")", "log(x"), ("y ~ {x", "}", "x"), ("y ~ `a b", "`", "a b")],
)
def test_formulaic_says_what_is_missing_and_where(source: str, closer: str, mark: str) -> None:
    with pytest.raises(FormulaicError) as caught:
        list(formulaic_tokenize(source))
    assert str(caught.value).partition("\n\n")[0].endswith(f"Expected: {closer}")
    span = formulaic_mark(caught.value)
    assert span is not None and mark in source[span.start : span.stop]


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


@pytest.mark.parametrize(
    "name", ["x\u0304", "\u0915\u0940\u092e\u0924", "\u0e0a\u0e37\u0e48\u0e2d", "nº", "x²", "a.b_1", "a\u00b7b"]
)
def test_letters_with_marks_are_names(name: str) -> None:
    found = tokenize(f"{name}+log({name})")
    assert [(token.kind, token.text) for token in found] == [
        (Kind.NAME, name),
        (Kind.OPERATOR, "+"),
        (Kind.PYTHON, f"log({name})"),
    ]


# source, what is marked, first words of the message
LIMITS = [
    ("y ~ x" + " + x" * (MAX_LENGTH // 4), None, "The formula has 200,005 characters."),
    ("y ~ x" + "+x" * MAX_TOKENS, Span(4 + MAX_TOKENS - 2, 3 + MAX_TOKENS), "The formula has more than 25,000 parts."),
    ("y ~ z + " + "x" * (MAX_WORD + 1), Span(8, 8 + MAX_WORD + 1), "This name, or piece of Python, has more than"),
    ("y ~ log(" + "x + " * MAX_WORD + "x)", Span(4, 10 + 4 * MAX_WORD), "This name, or piece of Python, has more than"),
    ("y ~ `" + "a b" * MAX_WORD + "`", Span(4, 6 + 3 * MAX_WORD), "This name, or piece of Python, has more than"),
    ("y ~ " + "(" * 150 + "x" + ")" * 150, Span(4 + MAX_DEPTH, 5 + MAX_DEPTH), "Brackets are nested too deep."),
]


@pytest.mark.parametrize(("source", "mark", "message"), LIMITS, ids=[case[2][:25] for case in LIMITS])
def test_limits(source: str, mark: Span | None, message: str) -> None:
    with pytest.raises(Problem) as caught:
        tokenize(source)
    assert caught.value.message.startswith(message) and caught.value.span == mark


def test_what_is_long_is_read_up_to_the_limits() -> None:
    assert len(tokenize("y ~ " + " + ".join(f"a_column_with_a_name_{i}" for i in range(1500)))) == 2 + 2999
    assert tokenize("x" * MAX_WORD)[0].span == Span(0, MAX_WORD)
    assert len(tokenize("(" * MAX_DEPTH + "x" + ")" * MAX_DEPTH)) == 2 * MAX_DEPTH + 1


def test_a_long_line_is_cut_around_the_mark() -> None:
    source = "y ~ " + " + ".join(f"x{i}" for i in range(1000))
    start = source.index("x700 ")
    said = marked(source, "Look:", Span(start, start + 4), "").split("\n")
    assert said[1].startswith("    ...") and said[1].endswith("...") and len(said[1]) < 200
    assert said[1][said[2].index("^") :].startswith("x700 ") and said[2].count("^") == 4
    first = marked(source, "Look:", Span(4, 6), "").split("\n")
    assert first[1].startswith("    y ~ x0 + x1") and first[2] == "        ^^"
    last = marked(source, "Look:", Span(len(source) - 4, len(source)), "").split("\n")
    assert last[1].endswith("x998 + x999") and last[2].rstrip() == last[2] and len(last[1]) == len(last[2])


def test_a_long_mark_many_lines_and_a_long_message_are_cut() -> None:
    source = "y ~ x" + "\n+ z" * 1000
    for span in (None, Span(4, len(source))):
        said = marked(source, f"`{'x' * 10**6}` is long.", span, "less.")
        assert len(said) < 2000 and said.startswith("`xxx") and "xxx` is long.\n    y ~ x\n" in said
        assert "\n    ...\n" in said and said.endswith("\nAccepted: less.")
    said = marked("y ~ `" + "a b" * 10**5 + "`", "Long.", Span(4, 4 + 3 * 10**5), "")
    assert len(said) < 500 and said.endswith("^")
