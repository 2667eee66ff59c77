"""What cannot be compared; the numbers are tested with the engine that gives them."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lgm
from lgm.families.response import Response
from lgm.results.comparing.compare import labels, same_response

DATA = lgm.load_dataset("Dyestuff")
FIT = lgm.fit("Yield ~ 1", DATA, method="mode", draws=4, seed=1, progress=False)


@pytest.mark.parametrize(
    ("fits", "got"),
    [
        ([], "got 0."),
        ([FIT], "got 1."),
        ([[FIT, FIT]], "got a list among them."),
        ([FIT, "a"], "got a str among them."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_fit(fits: list[Any], got: str) -> None:
    text = f"compare() takes two or more fits one by one, as in compare(one, other); {got}"
    with pytest.raises(lgm.LgmError, match=re.escape(text)):
        lgm.compare(*fits)


def test_other_rows_in_another_order() -> None:
    again = lgm.fit("Yield ~ 1", DATA[::-1], method="mode", draws=4, seed=1, progress=False)
    with pytest.raises(lgm.DataError, match=r"responses \(30 and 30 rows\) differ.*in the same order"):
        lgm.compare(FIT, again)


def test_the_same_successes_of_other_trials_are_other_data() -> None:
    y = np.array([1.0, 0.0, 3.0])
    assert same_response(Response(y), Response(y.copy(), np.ones(3)))
    assert not same_response(Response(y, np.full(3, 4.0)), Response(y, np.full(3, 5.0)))
    assert not same_response(Response(y), Response(y, censored=np.zeros(3)))


def test_models_are_told_apart() -> None:
    """By their numbers, and by their families where these differ."""
    other: Any = SimpleNamespace(design=lgm.model("Yield ~ 1", DATA, "lognormal").design)
    assert labels([FIT, FIT]) == ["Yield ~ 1 [1]", "Yield ~ 1 [2]"]
    assert labels([FIT, other]) == ["Yield ~ 1, gaussian", "Yield ~ 1, lognormal"]
