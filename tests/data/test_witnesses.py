"""Distinct values: counts, and the first row that has them, whatever the parts."""

import numpy as np
import pandas as pd
import pytest

from lgm.data.witnesses import Question, Witnesses
from lgm.errors import DataError

ASKED = Question("`a`", 6, "less.")
FRAME = pd.DataFrame({"a": [3, 1, 3, 2, 1, 3], "b": list("xyxxyy"), "row": range(6)})


def _of(frame: pd.DataFrame, *names: str) -> Witnesses:
    return Witnesses.of(ASKED, [frame[name] for name in names], frame)


@pytest.mark.parametrize("names", [("a",), ("b",), ("a", "b")])
@pytest.mark.parametrize("cut", [0, 1, 4, 6])
def test_parts_give_what_the_whole_gives(names, cut):
    found = _of(FRAME.iloc[:cut], *names) + _of(FRAME.iloc[cut:], *names)
    wanted = FRAME.groupby(list(names), sort=False).agg(row=("row", "first"), count=("row", "size"))
    assert found.frame["row"].tolist() == wanted["row"].tolist()
    assert found.counts.tolist() == wanted["count"].tolist()


def test_numbers_of_two_kinds_are_the_same_and_categories_are_their_values():
    found = _of(FRAME.iloc[:3], "a") + _of(FRAME.iloc[3:].astype({"a": float}), "a")
    assert found.counts.tolist() == [3.0, 2.0, 1.0]
    found = _of(FRAME.iloc[:3], "b") + _of(FRAME.iloc[3:].astype({"b": "category"}), "b")
    assert dict(zip(found.values[0], found.counts, strict=True)) == {"x": 3.0, "y": 3.0}


def test_too_many_are_refused():
    many = pd.DataFrame({"a": np.arange(7)})
    with pytest.raises(DataError, match="`a` has more than 6 distinct values.*Accepted: less"):
        _of(many, "a")
    with pytest.raises(DataError, match="more than 6"):
        _of(many.iloc[:4], "a") + _of(many.iloc[4:], "a")
