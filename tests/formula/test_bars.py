"""Group effects: classes, groupings with options, members; and marked places of what cannot be read."""

from __future__ import annotations

import pytest

from lgm.errors import FormulaError
from lgm.formula.bars import CLASSES
from lgm.formula.parse import parse
from lgm.formula.sides import Bar

# right-hand side -> for each bar: text, class, name of the group, options
READ: dict[str, list[tuple[str, str, str, dict[str, str]]]] = {
    "cs(0 + f | g)": [("cs(0 + f | g)", "cs", "g", {})],
    "ar1(0+C(time)|a:b)": [("ar1(0 + C(time) | a:b)", "ar1", "a:b", {})],
    "ou( 0 + t|`my g` )": [("ou(0 + t | my g)", "ou", "my g", {})],
    "us(x|g) + x": [("us(x | g)", "us", "g", {})],
    "diag(x | g, hom=TRUE)": [("homdiag(x | g)", "homdiag", "g", {})],
    "toep(x | g, hom=False)": [("toep(x | g)", "toep", "g", {})],
    "ar1(0 + f | g, hom=FALSE)": [("hetar1(0 + f | g)", "hetar1", "g", {})],
    "(1 | g, cov=K)": [("(1 | g, cov=K)", "us", "g", {"cov": "K"})],
    "(1 | gr(g, cov=K))": [("(1 | g, cov=K)", "us", "g", {"cov": "K"})],
    "(x || gr(g, by=f))": [("(x || g, by=f)", "us", "g", {"by": "f"})],
    "(1 | a/b, by=f)": [
        ("(1 | a, by=f)", "us", "a", {"by": "f"}),
        ("(1 | a:b, by=f)", "us", "a:b", {"by": "f"}),
    ],
    "cs(0 + f | g, precision=Q[0])": [("cs(0 + f | g, precision=Q[0])", "cs", "g", {"precision": "Q[0]"})],
    "(1 | mm(a, b))": [("(1 | mm(a, b))", "us", "mm(a, b)", {})],
    "(1 | g) + (1 | g, cov=K)": [("(1 | g)", "us", "g", {}), ("(1 | g, cov=K)", "us", "g[K]", {"cov": "K"})],
}


def bars(right: str) -> tuple[Bar, ...]:
    return parse(f"y ~ {right}", {"s", "ar1", "ou"}).mu.bars


@pytest.mark.parametrize("right", READ)
def test_bars(right: str) -> None:
    found = [
        (bar.text, bar.structure, bar.group_name, {option.name: option.value.text for option in bar.options})
        for bar in bars(right)
    ]
    assert found == READ[right]


def test_spans_are_those_of_the_source() -> None:
    source = "y ~ x + cs(0 + log(z) | g, cov=K)"
    (bar,) = parse(source, ()).mu.bars
    assert source[bar.span.start : bar.span.stop] == "cs(0 + log(z) | g, cov=K)"
    (factor,) = bar.effects.factors.values()
    assert source[factor.span.start : factor.span.stop] == "log(z)"
    assert source[bar.options[0].span.start : bar.options[0].span.stop] == "cov=K"
    assert [source[each.span.start : each.span.stop] for each in bar.grouping] == ["g", "K"]


def test_members_and_weights() -> None:
    (bar,) = bars("(1 | mm(a, b, weights=cbind(w, 1 - w), scale=False))")
    assert bar.pooled and not bar.scaled
    assert [weight.text for weight in bar.weights] == ["w", "1 - w"]
    assert [each.text for each in bar.expressions] == ["a", "b", "w", "1 - w"]
    (equal,) = bars("(1 | mm(a, b, c))")
    assert equal.pooled and equal.scaled and not equal.weights


def test_calls_of_the_same_names_without_a_bar() -> None:
    """Splines of formulaic's and terms in time."""
    side = parse("y ~ cs(x, df=4) + ar1(t)", {"ar1"}).mu
    assert side.fixed.text == "cs(x, df=4)" and [call.name for call in side.calls] == ["ar1"] and not side.bars


def test_a_class_may_stand_beside_a_call_of_the_same_name() -> None:
    side = parse("y ~ ar1(t) + ar1(0 + t | g)", {"ar1"}).mu
    assert [call.text for call in side.calls] == ["ar1(t)"] and [bar.structure for bar in side.bars] == ["ar1"]


# formula with the marked place between > and <; part of the message
BAD = [
    ("us(x >||< g)", "`||` says that effects are independent, and `us()` says how they are not."),
    ("x*cs>(0+f|g)<", "Here a group effect is part of a larger term."),
    ("x >-cs(0+f|g)<", "Here a group effect is subtracted."),
    ("cs(0+f|g>|<h)", "This is a second bar in one group effect."),
    ("(1|g,>foo=2<)", "This is not an option of a group."),
    ("(1|g, >foo=K<)", "A group has no option `foo`."),
    ("(1|gr(g, >cof=K<))", "A group has no option `cof`. Did you mean `cov`?"),
    ("(1|>g<, cov=K, precision=Q)", "`cov=` and `precision=` say the same."),
    ("(1|>g<, by=f, by=h)", "An option of this group is given twice."),
    ("(1|>a/b<, cov=K)", "A relationship matrix is of one grouping."),
    ("(1|>gr(a, b)<)", "`gr()` takes one grouping factor."),
    ("(1|>mm(a)<)", "`mm()` is for levels of several columns."),
    ("(1|mm(a, b, >weights=w<))", "These weights cannot be read."),
    ("(1|mm(a, b, >weights=[w]<))", "`mm()` has 1 weights for 2 columns."),
    ("(1|mm(a, b, >scale=2<))", "`scale` says whether the weights of a row are divided by their sum."),
    ("(x|g, >hom=True<)", "`hom=True` is not for this bar."),
    ("ou(x|g, >hom=False<)", "`hom=False` is not for `ou()`."),
    ("cs(>|<g)", "Nothing stands before this bar."),
]


@pytest.mark.parametrize(("right", "message"), BAD)
def test_what_cannot_be_read(right: str, message: str) -> None:
    with pytest.raises(FormulaError) as caught:
        bars(right.replace(">", "").replace("<", ""))
    text = str(caught.value)
    assert message in text
    shown, mark = text.splitlines()[1:3]
    start = right.index(">")
    stop = right.index("<") - 1
    assert shown[mark.index("^") : mark.rindex("^") + 1] == right.replace(">", "").replace("<", "")[start:stop]


def test_classes_are_known_to_terms() -> None:
    from lgm.terms.group_series import SERIES
    from lgm.terms.structures import _KINDS

    assert set(CLASSES) == {*_KINDS, *SERIES}
