"""Formulas after a change: R's rules, summand by summand."""

from __future__ import annotations

import pytest

from lgm.errors import FormulaError
from lgm.formula.update import updated

TERMS = {"s", "rw1"}

CHANGES = [
    ("y ~ x", ". ~ . + z", "y ~ x + z"),
    ("y ~ x", "~ . + z", "y ~ x + z"),
    ("y ~ x + z", ". ~ . - x", "y ~ z"),
    ("y ~ x", ". ~ . - x", "y ~ 1"),
    ("y ~ x", ". ~ . + x", "y ~ x"),
    ("y ~ x", "z ~ .", "z ~ x"),
    ("y ~ x", "log(. + 1) ~ .", "log(y + 1) ~ x"),
    ("y | trials(n) ~ x", ". ~ . - 1 + z", "y | trials(n) ~ x - 1 + z"),
    ("y ~ x*z", ". ~ . - x:z", "y ~ x*z - x:z"),
    ("y ~ x*z - x:z", ". ~ . + x:z", "y ~ x*z - x:z + x:z"),
    ("y ~ 0 + x", ". ~ . + 1", "y ~ x"),
    ("y ~ x - 1", ". ~ . - x + 1", "y ~ 1"),
    ("y ~ x", ". ~ . + 0", "y ~ x + 0"),
    ("y ~ x + w", ". ~ .:z", "y ~ (x + w):z"),
    ("y ~ x + w", ". ~ (. + z)^2", "y ~ ((x + w) + z)^2"),
    ("y ~ x + {z + .5}", ". ~ . + np.log(x)", "y ~ x + {z + .5} + np.log(x)"),
    ("y ~ x + (1|g)", ". ~ . - ( 1 | g ) + (x|g)", "y ~ x + (x|g)"),
    ("y ~ x + (1|g)", ". ~ . + (1 | g)", "y ~ x + (1|g)"),
    ("y ~ (1|a/b)", ". ~ . - (1|a:b)", "y ~ (1 | a)"),
    ("y ~ (1|`my a`/b)", ". ~ . - (1|`my a`)", "y ~ (1 | `my a`:b)"),
    ("y ~ (1|a/b)", ". ~ . - (1|a/b)", "y ~ 1"),
    ("y ~ s(t, k=5) + offset(log(e))", ". ~ . - s(t,k = 5) + x - offset(log(e))", "y ~ x"),
    ("`y .` ~ x", "log(`y .`) ~ .", "log(`y .`) ~ x"),
]


@pytest.mark.parametrize(("source", "change", "wanted"), CHANGES)
def test_changes(source: str, change: str, wanted: str) -> None:
    assert updated(source, change, TERMS) == wanted


@pytest.mark.parametrize(
    ("source", "change", "message"),
    [
        ("y ~ x + z", ". ~ . - w", "`w` is not in the formula.*\n.*\n *\\^\nAccepted: what is there: `x`, `z`"),
        ("y ~ x + (1|g)", ". ~ . - (1|h)", "`\\(1 \\| h\\)` is not in the formula. Did you mean `\\(1 \\| g\\)`"),
        ("y ~ x", ". ~ . - s(x)", "nothing is there"),
        ("y ~ x + (1|g)", ". ~ .:z", "part of a larger term"),
        ("y ~ x", ". ~ z - .", "all that is there is subtracted"),
        ("y ~ x", ". + z", "There is no `~`"),
        ("y ~ x", ". ~ . + (1|", "never closed"),
        ("y ~ x", 3, "must be text, not int"),
    ],
)
def test_what_cannot_be_changed(source: str, change: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        updated(source, change, TERMS)
