"""Words for messages."""

import pytest

from lgm.words import counted, in_composed_form, listed, some, suggest

NAMES = ["Reaction", "Days", "Subject", "day_of_week"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("reaction", " Did you mean `Reaction`?"),  # case does not matter, and the name comes back as it is written
        ("Dayz", " Did you mean `Days`?"),
        ("SUBJ", " Did you mean `Subject`?"),
        ("entirely different", ""),
        ("", ""),
    ],
)
def test_suggest(typed: str, said: str) -> None:
    assert suggest(typed, NAMES) == said
    assert suggest(typed, []) == ""


def test_at_most_two_are_suggested_and_the_closest_first() -> None:
    assert suggest("alpha", {"alpha2", "alphas", "alpah", "alph"}) == " Did you mean `alphas` or `alpha2`?"


def test_the_order_of_a_set_does_not_matter() -> None:
    """Of names that differ in case only, always the same one is suggested."""
    assert suggest("days", ["DAYS", "Days"]) == suggest("days", ["Days", "DAYS"]) == " Did you mean `Days`?"


def test_a_name_that_looks_alike_is_told_apart() -> None:
    micro, mu = "\u00b5g", "\u03bcg"
    said = " `\u03bcg` is another name, with GREEK SMALL LETTER MU where this has MICRO SIGN."
    assert suggest(micro, [mu, "g"]) == said
    assert suggest("n\u00ba", ["nope", "no"]) == (
        " `no` is another name, with LATIN SMALL LETTER O where this has MASCULINE ORDINAL INDICATOR."
    )
    assert suggest("\u2075x", ["5x"]) == " `5x` is another name, with DIGIT FIVE where this has SUPERSCRIPT FIVE."
    assert "another" not in suggest("x", ["x", "\uff58"])


def test_composed_form() -> None:
    assert in_composed_form("cafe\u0301") == "caf\u00e9" and in_composed_form("\u00b5g") == "\u00b5g"


@pytest.mark.parametrize(
    ("n", "shown"), [(0, ""), (1, "0"), (3, "0, 1, 2"), (4, "0, 1, 2, ...")], ids=["none", "one", "all", "more"]
)
def test_listed(n: int, shown: str) -> None:
    assert listed(range(n), 3) == shown


def test_twelve_are_listed_unless_told() -> None:
    assert listed(list("abcdefghijkl")).endswith("k, l")
    assert listed(list("abcdefghijklm")).endswith("k, l, ...")


@pytest.mark.parametrize(("n", "said"), [(0, "0 levels"), (1, "1 level"), (2, "2 levels"), (1_000, "1000 levels")])
def test_counted(n: int, said: str) -> None:
    assert counted(n, "level") == said


def test_some_of_anything_that_can_be_gone_through() -> None:
    assert some(x for x in ("a", 2)) == "'a', 2"
    assert some(range(5)) == "0, 1, 2, 3, 4"
    assert some(range(7)) == "0, 1, 2, 3, 4 and 2 more"
    assert some([]) == ""
