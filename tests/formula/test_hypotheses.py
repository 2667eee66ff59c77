"""Hypotheses as text: names as tables print them, whatever signs they hold."""

import ast

import pytest

from lgm.formula.hypotheses import Hypothesis, message, read
from lgm.formula.tokens import Problem

KNOWN = [
    "Intercept",
    "Days",
    "Days:age",
    "C(period)[T.2]",
    "poly(x, 2)[1]",
    "log(x)",
    "a - b",
    "a",
    "b",
    "sd(Days|Subject)",
    "corr(Intercept,Days|Subject)",
    "Days|Subject[308]",
    "Intercept|g[new york]",
    "sigma",
    "sd(s(t))",
]


def shown(found: Hypothesis) -> str:
    text = ast.unparse(found.tree)
    for mask, name in found.names.items():
        text = text.replace(mask, f"<{name}>")
    return f"{text} {found.sign} 0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Days > 5", "<Days> - 5 > 0"),
        ("Days<5", "<Days> - 5 < 0"),
        ("Days == 0", "<Days> - 0 = 0"),
        ("Days:age >= 1e-3", "<Days:age> - 0.001 > 0"),
        ("Days | Subject[308] > 0", "<Days|Subject[308]> - 0 > 0"),
        ("sd(Days | Subject) > 2*sigma", "<sd(Days|Subject)> - 2 * <sigma> > 0"),
        ("corr(Intercept, Days|Subject) = 0", "<corr(Intercept,Days|Subject)> - 0 = 0"),
        ("C(period)[T.2] - C(period)[T.2] / 2 > 0", "<C(period)[T.2]> - <C(period)[T.2]> / 2 - 0 > 0"),
        ("poly(x,2)[1] < -1", "<poly(x, 2)[1]> - -1 < 0"),
        ("log(x) > 0", "<log(x)> - 0 > 0"),
        ("log(sigma) > 0", "log(<sigma>) - 0 > 0"),
        ("exp( log(x) ) ** 2 > sqrt(sigma)", "exp(<log(x)>) ** 2 - sqrt(<sigma>) > 0"),
        ("a - b = 0", "<a - b> - 0 = 0"),
        ("`a` - `b` = 0", "<a> - <b> - 0 = 0"),
        ("b - a = 0", "<b> - <a> - 0 = 0"),
        ("`Intercept|g[new york]` > 0", "<Intercept|g[new york]> - 0 > 0"),
        ("(Days - 1) * -2 > sd(s(t))", "(<Days> - 1) * -2 - <sd(s(t))> > 0"),
    ],
)
def test_what_is_read(text: str, expected: str) -> None:
    assert shown(read(text, KNOWN)) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Day > 5", "There is no parameter `Day`. Did you mean `Days`"),
        ("Days|Subject[309] > 5", r"There is no parameter `Days\|Subject\[309\]`. Did you mean `Days\|Subject\[308\]`"),
        ("sd(Days|Subjec) > 5", r"There is no parameter `sd\(Days\|Subjec\)`. Did you mean `sd\(Days\|Subject\)`"),
        ("`day s` > 5", "There is no parameter `day s`"),
        ("sin(Days) > 0", "There is no parameter"),
        ("Days", "has no comparison"),
        ("1 < Days < 2", "has several comparisons"),
        ("Days >", "One side of the hypothesis is empty"),
        ("(Days > 0", "This is no arithmetic"),
        ("Days sigma > 0", "This is no arithmetic"),
        ("exp(Days, 2) > 0", "out of place"),
        ("Days > 'a'", "out of place"),
        ("Days ^ 2 > 0", "out of place"),
        ("2 > 1", "has no parameter"),
        ("`Days > 5", "never closed"),
        ("Days" + "+1" * 6000 + " > 0", "has 12,008 characters"),
    ],
)
def test_what_cannot_be_read(text: str, problem: str) -> None:
    with pytest.raises(Problem, match=problem):
        read(text, KNOWN)


def test_a_message_marks_the_place() -> None:
    with pytest.raises(Problem) as found:
        read("Days + Dazs > 5", KNOWN)
    lines = message("Days + Dazs > 5", found.value).split("\n")
    assert lines[1].index("Dazs") == lines[2].index("^^^^")
    assert lines[3].startswith("Accepted: Intercept, Days, Days:age")
