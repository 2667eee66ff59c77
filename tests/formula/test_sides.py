"""What a formula says can be walked through, compared, and marked in messages."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from lgm.errors import FormulaError
from lgm.formula.parse import parse

TERMS = {"s", "rw1", "rw2", "icar"}


def test_pieces_are_all_that_formulaic_does_not_see() -> None:
    side = parse("y ~ x*log(z) + (x|g/h) + s(log(x), k=n) + offset(e)", {"s"}).mu
    assert [piece.text for piece in side.pieces] == ["g", "g", "h", "log(x)", "n", "e"]
    assert list(side.fixed.factors) == ["x", "log(z)"]
    factors = [factor.text for effects in side.effects for factor in effects.factors.values()]
    assert factors == ["x", "log(z)", "x", "x"]
    assert [each.text for each in side.expressions] == [*factors, "g", "g", "h", "log(x)", "n", "e"]


def test_values_do_not_change() -> None:
    formula = parse("y ~ x + (1|g)", TERMS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        formula.mu.fixed.text = "z"  # type: ignore[misc]
    assert formula == parse("y ~ x + (1|g)", TERMS) != parse("y ~ z + (1|g)", TERMS)
    assert hash(formula) == hash(parse("y ~ x + (1|g)", TERMS))


def test_error_marks_the_span() -> None:
    formula = parse("y ~ a +\n\tb +\tc", TERMS)
    assert str(formula.error("No column `c`.", formula.mu.fixed.factors["c"].span, "the columns a and b.")).split(
        "\n"
    ) == [
        "No column `c`.",
        "     b + c",
        "         ^",
        "Accepted: the columns a and b.",
    ]
    assert str(formula.error("Something.", formula.mu.fixed.span)).split("\n") == [
        "Something.",
        "    y ~ a +",
        "        ^^^",
        "     b + c",
        "     ^^^^^",
    ]
    assert str(formula.error("Something.")).split("\n") == ["Something.", "    y ~ a +", "     b + c"]
    assert isinstance(formula.error("Something."), FormulaError)


def test_a_formula_is_copied_with_all_that_it_says() -> None:
    formula = parse("log(y) ~ x*log(`a b`) + (1|g/h) + s(t, k=5)", TERMS)
    for again in (copy.deepcopy(formula), pickle.loads(pickle.dumps(formula))):
        assert again == formula
        assert [str(term) for term in again.mu.fixed.formula] == [str(term) for term in formula.mu.fixed.formula]
        assert list(again.mu.expressions) == list(formula.mu.expressions)
