"""Words for messages."""

import pytest

from lgm.words import counted, listed, some, suggest

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
