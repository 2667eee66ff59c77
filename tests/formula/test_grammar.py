"""Terms of operators: what lgm relies on in formulaic's parser, and bounds on what it is asked to expand."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

import pytest
from formulaic import Formula as Formulaic
from formulaic.errors import FormulaicError
from formulaic.parser.types import OrderedSet

from lgm.formula import grammar
from lgm.formula.grammar import formulaic_terms
from lgm.formula.tokens import FIXED, Kind, Problem, Span, formulaic_mark, tokenize

# Fragment of a message -> a formula that makes formulaic say it. Where a new formulaic says it in other words, the
# table of translations must follow.
SAID = {
    "Unknown operator": "x @ z",
    "Numeric literals": "x + 5",
    "String literals": "'a'",
    "different numerical scaling": "x + 2:x",
    "Operator": "x:",
}


def test_every_translation_has_its_formula() -> None:
    assert SAID.keys() == {fragment for fragment, _ in grammar._TRANSLATIONS}


@pytest.mark.parametrize("fragment", SAID)
def test_formulaic_says_what_is_translated(fragment: str) -> None:
    with pytest.raises(FormulaicError) as caught:
        grammar._PARSER.get_terms(SAID[fragment])
    said = str(caught.value).partition("\n\n")[0]
    first = next(theirs for theirs, _ in grammar._TRANSLATIONS if theirs in said)
    assert first == fragment, f"formulaic {version('formulaic')} says: {said}"


def test_formulaic_marks_what_it_cannot_read() -> None:
    with pytest.raises(FormulaicError) as caught:
        grammar._PARSER.get_terms("x +  'a'")
    assert formulaic_mark(caught.value) == Span(5, 8)
    assert formulaic_mark(ValueError("no mark")) is None


def _terms(right: str) -> Formulaic:
    found = tokenize(right)
    return formulaic_terms(found, {t: t.body for t in found if t.kind in (Kind.NAME, Kind.PYTHON)})


def _read(right: str) -> list[tuple[str, list[str]]]:
    return [(str(term), [factor.eval_method.value for factor in term.factors]) for term in _terms(right)]


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


@pytest.mark.parametrize(
    "right",
    [
        "a + b + c + d + e",
        "a + (b + (c + a) + d) + b + e",
        "a + b - a + c - 1 + a + d",
        "(a + b + c + d):(a + e + b) + c",
        "a*b + c*d + (a + b + c)**2 + a/b/c + d %in% (a + b + c)",
        "0 + a + b + c + 0 + d + 1 + e",
        "-1 + a + b + -c + d + e",
    ],
)
def test_balanced_sums_are_those_of_formulaic(right: str) -> None:
    assert [str(term) for term in _terms(right)] == [str(term) for term in Formulaic(right)]


def test_a_long_sum_copies_few_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = 0
    made = OrderedSet.__init__

    def counting(self: OrderedSet[object], values: Iterable[object] = ()) -> None:
        nonlocal copied
        made(self, values)
        copied += len(self)

    monkeypatch.setattr(OrderedSet, "__init__", counting)
    n = 512
    assert len(_terms(" + ".join(f"v{i}" for i in range(n)))) == n + 1
    assert n < copied < 2 * n * n.bit_length()  # a union in turn copies n^2 / 2


TOO_MUCH = [
    "(a + b)**50",
    "(a + b)**1000000000",
    "a^99999999999999999999",
    "z + " + "*".join("abcdefghijklmnopqrst"),
    "/".join(f"v{i}" for i in range(3000)),
    "((a + b + c)**9)**9",
    ":".join(["(a + b)"] * 30),
    "z %in% (" + " + ".join(f"v{i}" for i in range(700)) + ")**2",
    " + ".join(f"v{i}" for i in range(900)) + " - v" * 900,
]


@pytest.mark.parametrize("right", TOO_MUCH, ids=[case[:30] for case in TOO_MUCH])
def test_what_expands_to_too_much_is_refused(right: str) -> None:
    with pytest.raises(Problem) as caught:
        _terms(right)
    assert caught.value.message == "Written out, this has more than 200,000 factors."


def test_the_operator_that_expands_to_too_much_is_marked() -> None:
    with pytest.raises(Problem) as caught:
        _terms("z + (a + b)**50:c - 1")
    assert caught.value.span == Span(5, 15)


@pytest.mark.parametrize("right", ["*".join("abcdefghij"), "(" + " + ".join("abcdefghijklmnopqrst") + ")**3"])
def test_what_expands_to_much_is_read(right: str) -> None:
    assert len(_terms(right)) > 1000


def test_a_number_is_finite() -> None:
    for number in ("9" * 400, "9" * 5000):
        with pytest.raises(Problem, match="too large") as caught:
            _terms(f"x + {number}:z")
        assert caught.value.span == Span(4, 4 + len(number))
    assert _read("x + " + "9" * 300 + ":z")[-1][0].startswith("999")


@pytest.mark.parametrize("power", ["00", "01", "1.0", "-1", "z", "'2'", "(1 + 1)", "2**2", "0", "²"])
def test_a_power_is_a_whole_number(power: str) -> None:
    with pytest.raises(Problem) as caught:
        _terms(f"(a + b)**{power}")
    assert caught.value.accepted == FIXED
