"""Formulas are read into pieces with true spans, and what cannot be read is marked."""

from __future__ import annotations

from random import Random

import fuzz
import pytest
from formulaic import Formula as Formulaic
from formulaic.parser.algos.tokenize import tokenize
from hypothesis import given, settings
from hypothesis import strategies as st

from lgm.errors import FormulaError
from lgm.formula.hints import unknown_call_message
from lgm.formula.parse import parse
from lgm.formula.sides import Formula
from lgm.formula.tokens import Span
from lgm.words import suggest

TERMS = {"s", "rw1", "rw2", "icar"}

# right-hand side -> (fixed part, intercept, bars, calls)
RIGHT_SIDES = {
    "x": ("x", True, [], []),
    "1": ("1", True, [], []),
    "0": ("0", False, [], []),
    "-1": ("-1", False, [], []),
    "x - 1": ("x - 1", False, [], []),
    "x + 0": ("x + 0", False, [], []),
    "x - -1": ("x - -1", True, [], []),
    "+ x": ("x", True, [], []),
    ".": (".", True, [], []),
    "x*z - 1 + (1|g)": ("x*z - 1", False, ["(1 | g)"], []),
    "(1|g)": ("1", True, ["(1 | g)"], []),
    "(1|g) - 1": ("-1", False, ["(1 | g)"], []),
    "(1|g) + x + s(t) + z": ("x + z", True, ["(1 | g)"], ["s(t)"]),
    "Days+(Days|Subject)": ("Days", True, ["(Days | Subject)"], []),
    "(Days||Subject)": ("1", True, ["(Days || Subject)"], []),
    "(1|a/b)": ("1", True, ["(1 | a)", "(1 | a:b)"], []),
    "(1|a/b/c)": ("1", True, ["(1 | a)", "(1 | a:b)", "(1 | a:b:c)"], []),
    "(1|a:b)": ("1", True, ["(1 | a:b)"], []),
    "(1|a/b:c)": ("1", True, ["(1 | a)", "(1 | a:b:c)"], []),
    "(1|a:b/c)": ("1", True, ["(1 | a:b)", "(1 | a:b:c)"], []),
    "( 0+x | g )": ("1", True, ["(0 + x | g)"], []),
    "(x - 1 | g)": ("1", True, ["(x - 1 | g)"], []),
    "(-1 + x|g)": ("1", True, ["(-1 + x | g)"], []),
    "(1 + x1 + x2 | g)": ("1", True, ["(1 + x1 + x2 | g)"], []),
    "(x1*x2|g)": ("1", True, ["(x1*x2 | g)"], []),
    "(C(f)|g)": ("1", True, ["(C(f) | g)"], []),
    "(poly(x, 2)|g)": ("1", True, ["(poly(x, 2) | g)"], []),
    "((x + z):w|g)": ("1", True, ["((x + z):w | g)"], []),
    "(1|C(g)) + (1|{g + 1})": ("1", True, ["(1 | C(g))", "(1 | {g + 1})"], []),
    "(1|`my g`)": ("1", True, ["(1 | my g)"], []),
    "x:z + x**2 + (x + z)^2": ("x:z + x**2 + (x + z)^2", True, [], []),
    "a %in% b + a/b": ("a %in% b + a/b", True, [], []),
    "C(f, levels=['a', 'b']) + bs(x, df=4)": ("C(f, levels=['a', 'b']) + bs(x, df=4)", True, [], []),
    "{x + 1} + `my x` + np.log(x)": ("{x + 1} + `my x` + np.log(x)", True, [], []),
    "2:x": ("2:x", True, [], []),
    "{a | b}": ("{a | b}", True, [], []),
    "S(x) + rw3(t)": ("S(x) + rw3(t)", True, [], []),
    "s + icar:x": ("s + icar:x", True, [], []),
    'x\n\t+ s(x,bs="tp",\n k = 10)': ("x", True, [], ["s(x, bs='tp', k=10)"]),
    "rw1(t, cyclic=True) + rw2(t)": ("1", True, [], ["rw1(t, cyclic=True)", "rw2(t)"]),
    "icar(region, graph) + s(log( x ))": ("1", True, [], ["icar(region, graph)", "s(log(x))"]),
    "s(`my x`, by=`z`) + s(x.y)": ("1", True, [], ["s(`my x`, by=z)", "s(x.y)"]),
}


@pytest.mark.parametrize("right", RIGHT_SIDES)
def test_right_side(right: str) -> None:
    fixed, intercept, bars, calls = RIGHT_SIDES[right]
    formula = parse(f"y ~ {right}", TERMS)
    side = formula.mu
    assert (side.fixed.text, _has_intercept(formula)) == (fixed, intercept)
    assert [bar.text for bar in side.bars] == bars
    assert [call.text for call in side.calls] == calls
    assert side.fixed.wildcard == (Span(4, 5) if right == "." else None)
    assert [str(term) for term in side.fixed.formula] == (["1", "."] if right == "." else _terms(fixed))
    for bar in side.bars:
        assert [str(term) for term in bar.effects.formula] == _terms(bar.effects.text)


@pytest.mark.parametrize("left", ["y", "`my y`", "log(y)", "np.log(y + 1)", "scale(y)", "C(y)", "{y / n}"])
def test_response_is_kept_as_text(left: str) -> None:
    for source in (f"{left}~x", f" {left}  ~\n x", f"(({left})) ~ x"):
        formula = parse(source, TERMS)
        assert formula.response.text == left
        assert _slice(formula, formula.response.span) == left


def test_spans_cover_what_was_typed() -> None:
    source = "log(y) ~ x +\n\t( 1+z | a/`b c` ) + s(é, by = {'k': 1}) + offset( log(e) ) - 1"
    formula = parse(source, TERMS)
    side = formula.mu
    (call,) = side.calls
    assert [_slice(formula, bar.span) for bar in side.bars] == ["( 1+z | a/`b c` )"] * 2
    assert [(bar.effects.text, _slice(formula, bar.effects.span)) for bar in side.bars] == [("1 + z", "1+z")] * 2
    assert [([p.text for p in bar.group], bar.group_name) for bar in side.bars] == [
        (["a"], "a"),
        (["a", "`b c`"], "a:b c"),
    ]
    assert [_slice(formula, piece.span) for piece in side.bars[1].group] == ["a", "`b c`"]
    assert (call.name, call.text, _slice(formula, call.span)) == ("s", "s(é, by={'k': 1})", "s(é, by = {'k': 1})")
    assert [(one.name, one.value.text, _slice(formula, one.value.span)) for one in call.keywords] == [
        ("by", "{'k': 1}", "{'k': 1}")
    ]
    assert _slice(formula, call.keywords[0].span) == "by = {'k': 1}"
    assert [(piece.text, _slice(formula, piece.span)) for piece in side.offsets] == [("log(e)", "log(e)")]
    fixed = _slice(formula, side.fixed.span)
    assert fixed.startswith("x +") and fixed.endswith("- 1")
    assert formula.source == source and side.bars[0].correlated


def test_spans_in_calls_of_several_lines_and_names_in_backticks() -> None:
    formula = parse("y ~ s(`a bc`,\r\n  `a b`, k=(3 +\n 4))", TERMS)
    pieces = list(formula.mu.pieces)
    assert [piece.text for piece in pieces] == ["`a bc`", "`a b`", "3 + 4"]
    assert [_slice(formula, piece.span) for piece in pieces] == ["`a bc`", "`a b`", "3 +\n 4"]


def test_factors_are_known_by_formulaics_names() -> None:
    fixed = parse("y ~ `a b`*log( `a b` ) + x.y + {x} + 2:log(z) - w", TERMS).mu.fixed
    assert [str(term) for term in fixed.formula] == [
        "1",
        "a b",
        "log(`a b`)",
        "x.y",
        "x",
        "2:log(z)",
        "a b:log(`a b`)",
    ]
    assert {name: factor.text for name, factor in fixed.factors.items()} == {
        "a b": "`a b`",
        "log(`a b`)": "log(`a b`)",
        "x.y": "`x.y`",
        "x": "x",
        "log(z)": "log(z)",
    }


def test_a_term_in_a_term() -> None:
    formula = parse(
        "y ~ icar(id, w, group=rw1( `my t` )) + rw1(t, group=iid(g)) + s(t, group=log(x)) + rw2(t, by=g)", TERMS
    )
    first, second, third, fourth = formula.mu.calls
    (group,) = first.keywords
    assert group.call is not None and (group.call.name, group.call.text) == ("rw1", "rw1(`my t`)")
    assert _slice(formula, group.call.span) == _slice(formula, group.value.span) == "rw1( `my t` )"
    assert [piece.text for piece in first.expressions] == ["id", "w", "`my t`"]
    assert second.keyword("group") == second.keywords[0] and second.keyword("by") is None
    assert second.keywords[0].call is not None and second.keywords[0].call.name == "iid"
    assert third.keywords[0].call is None and [piece.text for piece in third.expressions] == ["t", "log(x)"]
    assert fourth.keywords[0].call is None


def test_several_offsets() -> None:
    formula = parse("y ~ offset(log(e)) + x + offset(`w 1`)", TERMS)
    assert ([piece.text for piece in formula.mu.offsets], formula.mu.fixed.text) == (["log(e)", "`w 1`"], "x")


def test_terms_come_from_the_caller() -> None:
    assert parse("y ~ s(x) + kron(t)", {"kron"}).mu.fixed.text == "s(x)"


def test_accents_of_their_own_are_part_of_their_letters() -> None:
    formula = parse("y ~ cafe\u0301 + I(cafe\u0301) + (1|cote\u0302)", TERMS)
    assert formula == parse("y ~ caf\u00e9 + I(caf\u00e9) + (1|cot\u00ea)", TERMS)
    assert list(formula.mu.fixed.factors) == ["caf\u00e9", "I(caf\u00e9)"]
    assert _slice(formula, formula.mu.bars[0].group[0].span) == "cot\u00ea"


@pytest.mark.parametrize("name", ["yield", "class", "None", "True"])
def test_columns_may_be_called_like_words_of_python(name: str) -> None:
    formula = parse(f"{name} ~ x + `{name}`:z", TERMS)
    assert formula.response.value.is_name and list(formula.response.value.quoted.values()) == [name]


# name -> the part of the source that the first expression which has it marks, between two arrows
FOUND = {
    "x": "y ~ x1 + log(>x<) + x",
    "x1": "y ~ >x1< + log(x) + x",
    "g": "y ~ (gg|>g<)",
    "my x": "y ~ x + >`my x`<",
    "my z": "y ~ log(>`my z`<)",
    "k": "y ~ C(f, ['k']) + s(x, k=3, m=>k<)",
    "log(x)": "y ~ exp(x) + >log( x )<",
    "np.log": "y ~ >np.log<(x)",
    "np": "y ~ >np<.log(x)",
    "rw3": "y ~ >rw3<(t)",
    "{g + 1}": "y ~ (1|>{g + 1}<)",
    "z": "log(>z<) ~ z",
}


@pytest.mark.parametrize("name", FOUND)
def test_find(name: str) -> None:
    before, marked, after = FOUND[name].replace("<", ">").split(">")
    formula = parse(before + marked + after, TERMS)
    assert _find(formula, name) == Span(len(before), len(before) + len(marked))


def test_find_a_wildcard() -> None:
    assert parse("y ~ x + .", TERMS).mu.fixed.wildcard == Span(8, 9)


@pytest.mark.parametrize("name", ["w", "lo", "", "x1", "Days "])
def test_find_nothing(name: str) -> None:
    assert _find(parse("y ~ x + x10 + log(x_1) + Days", TERMS), name) is None


LARGER, SUBTRACTED = "is part of a larger term.", "is subtracted."
VARYING = "A smooth for each level of a factor is `f + s(x, by=f)`, and a varying coefficient `s(x, by=z)`."
BESIDE, NOTHING = "Two terms stand side by side without an operator.", "There is nothing between these quotes."
XOR = "Inside a call or braces `^` is Python's exclusive or."
AS_FACTOR = "R's `as.factor(x)` is written `C(x)`."
GROUPING = "The grouping cannot be read from here on."

# (formula with the marked part between two arrows, first line of the message, what is accepted begins so)
ERRORS = [
    ("y", "There is no `~` in this formula.", "a response, one `~`"),
    ("y x + (1|g", "There is no `~` in this formula.", "a response, one `~`"),
    ("`y ~ x`", "There is no `~` in this formula.", "a response, one `~`"),
    ("", "The formula is empty.", "a response, one `~`"),
    (" \n ", "The formula is empty.", "a response, one `~`"),
    ("y ~ x >~< z", "This is a second `~`.", "a response, one `~`"),
    ("(y >~< x)", "This `~` stands inside brackets.", "a response, one `~`"),
    (">~< x", "Nothing stands before `~`.", "one column or"),
    ("y >~<", "Nothing stands after `~`.", "terms after `~`; `y ~ 1`"),
    (">y1 + y2< ~ x", "The response has several parts, and lgm reads one.", "one column or"),
    (">3< ~ x", "The response is neither a column nor a Python expression.", "one column or"),
    ("log(>s(y)<) ~ x", "`s()` belongs to the right-hand side, not to the response.", "one column or"),
    ("y ~ x + >(<1|g", "This bracket is never closed.", "quotes and brackets"),
    ("y ~ x>)<", "This bracket closes nothing.", "quotes and brackets"),
    ("y ~ (x>]<", "This bracket closes nothing.", "quotes and brackets"),
    ("y ~ x + >()<", "There is nothing inside these brackets.", "quotes and brackets"),
    ("y ~ >log(x<", "This is never closed; ) is missing.", "quotes and brackets"),
    ("y ~ >`x<", "This is never closed; ` is missing.", "quotes and brackets"),
    ("y ~ log(x)>'<a'", "This character is out of place.", "quotes and brackets"),
    ("y ~ >``< + x", NOTHING, "quotes and brackets"),
    ("y ~ >{}< + x", NOTHING, "quotes and brackets"),
    ("y ~ x + >``<", NOTHING, "quotes and brackets"),
    ("y ~ >log (<x)", "There is a space between a name and a bracket.", "`log(x)`"),
    ("y ~ x >|< g", "This bar stands outside parentheses.", "effects, one bar"),
    ("y ~ (>|<g)", "Nothing stands before this bar.", "effects, one bar"),
    ("y ~ (1>||<)", "Nothing stands after this bar.", "effects, one bar"),
    ("y ~ (1|a>|<b)", "This is a second bar in one group effect.", "effects, one bar"),
    ("y ~ (1||a>|<b)", "This is a second bar in one group effect.", "effects, one bar"),
    ("y ~ (>0<|g)", "No effect remains before the bar.", "effects, one bar"),
    ("y ~ (x + >.<|g)", "`.` cannot stand for columns in a group effect.", "the names"),
    ("y ~ (1|a>+b<)", GROUPING, "columns or Python calls"),
    ("y ~ (1|a>:<)", GROUPING, "columns or Python calls"),
    ("y ~ (1|>/a<)", GROUPING, "columns or Python calls"),
    ("y ~ (1|>1<)", GROUPING, "columns or Python calls"),
    ("y ~ (1|a:>a<)", "`a` appears twice in this grouping.", "columns or Python calls"),
    ("y ~ >(1|g)<:x", f"Here a group effect {LARGER}", "group effects, term calls"),
    ("y ~ x*>s(t)<", f"Here `s()` {LARGER} {VARYING}", "group effects, term calls"),
    ("y ~ (x + >(1|g)<)", f"Here a group effect {LARGER}", "group effects, term calls"),
    ("y ~ (>(1|g)<)", f"Here a group effect {LARGER}", "group effects, term calls"),
    ("y ~ >[1|g]<", f"Here a group effect {LARGER}", "group effects, term calls"),
    ("y ~ (>s(t)<)", f"Here `s()` {LARGER}", "group effects, term calls"),
    ("y ~ log(>s(t)<)", f"Here `s()` {LARGER}", "group effects, term calls"),
    ("y ~ {>s(t)<}", f"Here `s()` {LARGER}", "group effects, term calls"),
    ("y ~ s(>rw1(t)<)", f"Here `rw1()` {LARGER}", "group effects, term calls"),
    ("y ~ s(t, by=>rw1(g)<)", f"Here `rw1()` {LARGER}", "group effects, term calls"),
    ("y ~ s(t, group=rw1(g, group=>rw2(h)<))", f"Here `rw2()` {LARGER}", "group effects, term calls"),
    ("y ~ s(t, group=log(>rw1(g)<))", f"Here `rw1()` {LARGER}", "group effects, term calls"),
    ("y ~ s(t, group=rw1(g, k=2, k=>3<))", "The keyword `k` is given twice.", "a call such as"),
    ("y ~ s(t, group=>offset(e)<)", f"Here `offset()` {LARGER}", "group effects, term calls"),
    ("y ~ >s(t)<[0]", f"Here `s()` {LARGER}", "group effects, term calls"),
    ("y ~ (>s(t)<|g)", f"Here `s()` {LARGER}", "group effects, term calls"),
    ("y ~ x:>offset(e)<", f"Here `offset()` {LARGER}", "group effects, term calls"),
    ("y ~ x >- (1|g)<", f"Here a group effect {SUBTRACTED}", "group effects, term calls"),
    ("y ~ >-s(t)<", f"Here `s()` {SUBTRACTED}", "group effects, term calls"),
    ("y ~ x >+ - offset(e)<", f"Here `offset()` {SUBTRACTED}", "group effects, term calls"),
    ("y ~ >offset()<", "`offset()` takes one expression.", "`offset(log(e))`;"),
    ("y ~ >offset(a, b)<", "`offset()` takes one expression.", "`offset(log(e))`;"),
    ("y ~ >offset(x=a)<", "`offset()` takes one expression.", "`offset(log(e))`;"),
    ("y ~ s(>t | g<)", "A bar inside a term call does not make one term per group.", "a call such as"),
    ("y ~ s(>*a<)", "Arguments cannot be unpacked in a term call.", "a call such as"),
    ("y ~ s(x, >**a<)", "Arguments cannot be unpacked in a term call.", "a call such as"),
    ("y ~ s(x, k=1, k=>2<)", "The keyword `k` is given twice.", "a call such as"),
    ("y ~ >log(x,,)<", "This is not valid Python: invalid syntax.", "a Python expression"),
    ("y ~ >as.factor(x)<", f"This is not valid Python: invalid syntax. {AS_FACTOR}", "a Python expression"),
    ("y ~ (1|>is.na(x)<)", f"This is not valid Python: invalid syntax. {AS_FACTOR}", "a Python expression"),
    (
        "y ~ >rw1(t, replicate=g:f)<",
        "This is not valid Python: invalid syntax. "
        "In a call, factors together are `g.astype(str) + ':' + f.astype(str)`.",
        "a Python expression",
    ),
    ("y ~ >{~_`a b`}<", "This is not valid Python: invalid syntax.", "a Python expression"),
    ("y ~ >s(x.`a b`)<", "This is not valid Python: invalid syntax.", "a Python expression"),
    ("y ~ I(>x^2<)", XOR, "`**` for a power"),
    ("y ~ log(>1 + (x + z)^2<)", XOR, "`**` for a power"),
    ("y ~ x + {>x^2<}", XOR, "`**` for a power"),
    ("y ~ s(>t^2<)", XOR, "`**` for a power"),
    ("y ~ (I(>t^2<) | g)", XOR, "`**` for a power"),
    ("y ~ (1 | C(>t^2<))", XOR, "`**` for a power"),
    ("log(>y^2<) ~ x", XOR, "`**` for a power"),
    ("y ~ (1|g) + x + >( 1|g )<", "`(1 | g)` is written twice.", "each term once"),
    ("y ~ (1|a/b) + >(1|a)<", "`(1 | a)` is written twice.", "each term once"),
    ("y ~ s(t, k=3) + >s(t,k = 3)<", "`s(t, k=3)` is written twice.", "each term once"),
    ("y ~ offset(e) + >offset( e )<", "`offset(e)` is written twice.", "each term once"),
    ("y ~ (1|g) >+<", "A term is missing after this `+`.", "terms joined by"),
    ("y ~ >x z<", BESIDE, "terms joined by"),
    ("y ~ >x 0<", BESIDE, "terms joined by"),
    ("y ~ >x (<1|g) + s(t)", "There is a space between a name and a bracket.", "`log(x)`"),
    ("y ~ (1|g>) s(t)<", BESIDE, "terms joined by"),
    ("y ~ x^>.0.<", "The power after `**` or `^` must be a whole number of at least 1.", "terms joined by"),
    ("y ~ (a + b)**>00<", "The power after `**` or `^` must be a whole number of at least 1.", "terms joined by"),
    ("y ~ x + (>a + b)**50< + z", "Written out, this has more than 200,000 factors.", "operators that expand"),
    ("y ~ x >@< z", "This is not an operator of formulas.", "terms joined by"),
    ("y ~ x + >5<*z", "A number other than 0 or 1 cannot be a term; `2:x` scales a term.", "terms joined by"),
    ("y ~ >'a'<", "Text in quotes cannot be a term.", "terms joined by"),
    ("y ~ x ** >z<", "The power after `**` or `^` must be a whole number of at least 1.", "terms joined by"),
    ("y ~ >x<*1", "The same term appears twice, with different numbers in front of it.", "terms joined by"),
    ("y ~ s(t) + x>:<", "This operator needs a term on each side.", "terms joined by"),
]


@pytest.mark.parametrize(("marked", "message", "accepted"), ERRORS, ids=[case[0] for case in ERRORS])
def test_errors(marked: str, message: str, accepted: str) -> None:
    source = marked.replace(">", "").replace("<", "")
    with pytest.raises(FormulaError) as caught:
        parse(source, TERMS)
    lines = str(caught.value).split("\n")
    start, stop = marked.find(">"), marked.find("<") - 1
    carets = [" " * (4 + start) + "^" * (stop - start)] if start >= 0 else []
    assert lines[:-1] == [message, *(["    " + source] if source.strip() else []), *carets]
    assert lines[-1].startswith(f"Accepted: {accepted}")
    assert caught.value.__suppress_context__


def test_an_error_in_a_formula_of_several_lines() -> None:
    with pytest.raises(FormulaError) as caught:
        parse("y ~\n\tx +\n\t(1|g):z", TERMS)
    assert str(caught.value).split("\n")[1:3] == ["     (1|g):z", "     ^^^^^"]


@pytest.mark.parametrize("source", [3, None, ["y ~ x"], b"y ~ x"])
def test_a_formula_is_text(source: object) -> None:
    with pytest.raises(FormulaError, match=f"The formula must be text, not {type(source).__name__}. Accepted: a resp"):
        parse(source, TERMS)  # type: ignore[arg-type]


def test_suggest() -> None:
    assert suggest("S", TERMS) == " Did you mean `s`?"
    assert suggest("rw3", TERMS) == " Did you mean `rw2` or `rw1`?"
    assert suggest("subjct", ["Subject", "Days"]) == " Did you mean `Subject`?"
    assert suggest("zzz", TERMS) == suggest("x", []) == ""


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("f", 'INLA\'s `f(x, model="rw1")` is written'),
        ("re", "A group effect is written as a bar, `(1 | g)`."),
        ("me", "and lgm does not have it. Instead, fit data sets"),
        ("foo", "nor is there a function of that name. The terms are"),
        ("iid", "A group effect is written as a bar, `(1 | g)`."),
        ("besag", "Map effects are written `icar(region, graph)`."),
        ("factor", "A factor is written `C(x)`."),
        ("sqrt", "NumPy's is written `np.sqrt()`."),
        ("S", "Did you mean `s`? The terms are"),
    ],
)
def test_unknown_call_message(name: str, hint: str) -> None:
    message = unknown_call_message(name, TERMS)
    assert message.startswith(f"lgm has no term `{name}()`, nor is there a function of that name. ")
    assert hint in message and message.endswith("The terms are `icar`, `rw1`, `rw2`, `s`.")


FIXED = ["x", "x:z", "x*z", "`my x`", "log(x + 1)", "{x + 1}", "(x + z)**2", "a %in% b", "C(f)", "0", "1", "-1"]
LIFTED = ["(1|g)", "(0 + x || a)", "(x|`h i`)", "s(t)", 's(x, bs="tp", k=10)', "icar(r, graph)", "offset(log(e))"]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(FIXED), max_size=5),
    st.lists(st.sampled_from(LIFTED), max_size=5, unique=True),
    st.randoms(use_true_random=False),
    st.sampled_from(["+", " + ", "\n\t+ "]),
)
def test_lifted_and_fixed_tokens_cover_the_right_side(
    fixed: list[str], lifted: list[str], random: Random, plus: str
) -> None:
    summands = random.sample([*fixed, *lifted], len(fixed) + len(lifted)) or ["x"]
    formula = parse("y ~ " + plus.join(summands), TERMS)
    side = formula.mu
    inside = [bar.span for bar in side.bars] + [call.span for call in side.calls]
    inside += [Span(piece.span.start - len("offset("), piece.span.stop + 1) for piece in side.offsets]
    rest = "".join(
        " " if any(span.start <= i < span.stop for span in inside) else char for i, char in enumerate(formula.source)
    )
    assert len(inside) == len(lifted)
    assert _operands(rest) == _operands(f"y ~ {side.fixed.text if len(summands) > len(lifted) else ''}")
    assert _terms(side.fixed.text) == [str(term) for term in side.fixed.formula]
    again = parse(f"y ~ {side.fixed.text}", TERMS)
    assert (again.mu.fixed.text, _has_intercept(again)) == (side.fixed.text, _has_intercept(formula))


def _slice(formula: Formula, span: Span) -> str:
    return formula.source[span.start : span.stop]


def _operands(source: str) -> list[str]:
    return [str(token) for token in tokenize(source) if token.kind is not token.Kind.OPERATOR]


def _terms(fixed: str) -> list[str]:
    """Terms as formulaic itself reads and orders them."""
    return [str(term) for term in Formulaic(fixed)]


def _has_intercept(formula: Formula) -> bool:
    return "1" in [str(term) for term in formula.mu.fixed.formula]


def _find(formula: Formula, name: str) -> Span | None:
    expressions = sorted([*formula.response.expressions, *formula.mu.expressions], key=lambda each: each.span.start)
    return next((span for each in expressions if (span := each.find(name)) is not None), None)


def _is_read_or_refused(seed: int, times: int) -> None:
    random = Random(seed)
    for _ in range(times):
        source = fuzz.formula(random)
        try:
            parse(source, TERMS)
        except FormulaError as error:
            assert len(str(error)) < 3000, source[:200]
        except Exception as error:
            raise AssertionError(f"{source[:200]!r} gives {error!r}") from error


def test_any_text_is_read_or_refused() -> None:
    _is_read_or_refused(seed=1, times=300)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_any_of_very_many_texts_is_read_or_refused(seed: int) -> None:
    _is_read_or_refused(seed, times=10_000)
