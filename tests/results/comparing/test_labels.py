"""Groups, folds and blocks."""

from typing import Any

import left_out
import numpy as np
import pandas as pd
import pytest
from synthetic import counts

import lgm
from lgm.results.comparing.labels import by_group, folds


@pytest.mark.parametrize(
    ("groups", "match"),
    [
        ("plates", r"no column 'plates'. Did you mean `plate`\?.*array with a label for each of the 144 rows"),
        (["a", "b"], "one label for each of its 144 rows; got 2 labels"),
        (3, "got 3"),
        (np.zeros(144), "groups has one group only"),
        (np.append(np.nan, np.ones(143)), "groups has 1 missing labels"),
    ],
    ids=["name", "number", "scalar", "one", "missing"],
)
def test_what_is_no_grouping(groups: Any, match: str) -> None:
    with pytest.raises(lgm.DataError, match=match):
        left_out.case("Penicillin").fit.loo(groups=groups)


def test_a_group_of_two_columns() -> None:
    found = by_group(left_out.case("Penicillin").fit, "plate:sample")
    assert len(found.index) == 144
    assert found.index.name == "plate:sample"


def test_folds_are_of_equal_size() -> None:
    found = folds(23, 4, seed=1)
    assert sorted(found.sizes) == [5, 6, 6, 6]
    assert not np.array_equal(found.of, folds(23, 4, seed=2).of)


def test_blocks() -> None:
    days = pd.to_datetime(["2001-01-01", "2001-01-30", "2001-03-20"])
    assert lgm.blocks(days, "40D").tolist() == [0, 0, 1]
    assert lgm.blocks(pd.DataFrame({"x": [0.0, 5.0, 0.5], "y": [0.0, 0.0, 0.9]}), 1.0).tolist() == [0, 1, 0]
    for x, size, match in (([1, np.nan], 1, "1 values of x are missing"), ([1, 2], 0, "size=0 is no length")):
        with pytest.raises(lgm.DataError, match=match):
            lgm.blocks(x, size)


@pytest.mark.parametrize("x", ["t", 3.0, [], np.zeros((4, 3)), np.zeros((2, 2, 2)), None])
def test_what_is_no_time_or_place(x: object) -> None:
    with pytest.raises(lgm.DataError, match=r"x is .*; accepted: times \(n,\), or coordinates in two columns"):
        lgm.blocks(x, 1.0)


def test_an_array_with_a_name_is_called_by_it() -> None:
    fit = counts()
    of = pd.Series(np.arange(32) % 3, name="site")
    assert (by_group(fit, of).index.name, by_group(fit, of.to_numpy()).index.name) == ("site", "groups")
