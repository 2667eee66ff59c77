"""What a column holds in all partitions, and the dtype of the whole."""

import pandas as pd
import pytest

from lgm.data.column_kind import ColumnKind
from lgm.errors import DataError


def _whole(*parts: pd.Series) -> ColumnKind:
    first, *rest = (ColumnKind.of(part.rename("x"), i) for i, part in enumerate(parts))
    return sum(rest, first)


def test_numbers_are_those_of_the_column_in_one_piece():
    kind = _whole(pd.Series([1, 2]), pd.Series([1.5]), pd.Series([], dtype=object))
    assert kind.cast(pd.Series([1, 2])).dtype == float
    assert _whole(pd.Series([1, 2]), pd.Series([3])).cast(pd.Series([1])).dtype == int


def test_categories_are_joined_without_those_that_no_row_has():
    one = pd.Series(pd.Categorical(["b", "a"], categories=["b", "never", "a"]))
    two = pd.Series(pd.Categorical(["c"], categories=["c", "a"]))
    assert _whole(one, two).cast(two).cat.categories.tolist() == ["b", "a", "c"]
    assert _whole(one, one).cast(one).tolist() == ["b", "a"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            [pd.Series([1]), pd.Series([], dtype=float), pd.Series(["a"])],
            "whole numbers in partition 0 and text in part",
        ),
        ([pd.Series([True]), pd.Series([1.0])], "holds booleans in partition 0 and numbers in partition 1"),
        (
            [pd.Series(pd.Categorical(["a"], categories=list(c), ordered=True)) for c in ("ab", "ba")],
            "other ordered categories in partition 0 than in partition 1",
        ),
    ],
)
def test_what_does_not_go_together(parts, message):
    with pytest.raises(DataError, match=message):
        _whole(*parts)
