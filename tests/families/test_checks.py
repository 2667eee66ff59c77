"""What several families ask of a response."""

import numpy as np
import pytest

from lgm.errors import DataError
from lgm.families.checks import RowError, require_positive, require_varied
from lgm.families.response import Response


def test_positive_numbers():
    require_positive(Response(np.array([1e-300, 2.0])), "`y`", "gamma")
    for value in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(DataError, match=f"`y` has {value:g} in row 2 .*gamma is for numbers above 0"):
            require_positive(Response(np.array([1.0, value])), "`y`", "gamma")


def test_numbers_that_vary():
    require_varied(Response(np.array([1.0, 1.0 + 1e-9])), "`y`")
    with pytest.raises(DataError, match="`y` is 1 in all 2 rows"):
        require_varied(Response(np.ones(2)), "`y`")


def test_rows_are_named_by_whoever_knows_their_labels():
    error = RowError("the response `y` has -1", np.array([1, 2]), ", but more is wanted.")
    assert str(error) == "the response `y` has -1 in row 2 of those with a response, but more is wanted."
    assert str(error.labelled(["u", "v", "w"])) == "the response `y` has -1 in row v (2 such rows), but more is wanted."
    one = RowError("it is 3", np.array([2]), ".").labelled(["u", "v", "w"])
    assert str(one) == "it is 3 in row w." and type(one) is DataError
