"""Relationship matrices in the forms that people hold them in, and those that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from lgm.data.relationship import read_matrix
from lgm.errors import DataError

K = np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 1.0]])
NAMES = ["a", "b", "c"]
FORMS = {
    "frame": pd.DataFrame(K, NAMES, NAMES),
    "columns in another order": pd.DataFrame(K, NAMES, NAMES)[["c", "a", "b"]],
    "array": (K, NAMES),
    "sparse": (sp.coo_array(K), np.array(NAMES)),
    "matrix of scipy": [sp.csr_matrix(K), pd.Series(NAMES)],
    "integers": (K.round().astype(int), NAMES),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    found = read_matrix(FORMS[form])
    assert found.levels == ("a", "b", "c")
    np.testing.assert_array_equal(found.matrix.toarray(), K.round() if form == "integers" else K)
    assert found.dense == (form not in ("sparse", "matrix of scipy"))


def test_levels_are_pythons_own_numbers() -> None:
    assert [type(level) for level in read_matrix((K, np.arange(3))).levels] == [int] * 3


def test_rounding_of_files_is_no_asymmetry() -> None:
    almost = K.copy()
    almost[0, 1] += 1e-12
    found = read_matrix((almost, NAMES)).matrix
    assert abs(found - found.T).max() == 0.0


BAD: list[tuple[Any, str]] = [
    (K, "is of the type ndarray; accepted: a data frame whose rows and columns are named by levels"),
    (None, "is of the type NoneType"),
    ((K[:2], NAMES), "is 2 x 3, but it must be square"),
    ((K, ["a", "b"]), "has 3 rows, and 2 levels are named"),
    ((K, ["a", "b", "a"]), r"has levels twice \('a'\)"),
    ((K, ["a", "b", None]), "has a row whose level is missing"),
    ((K + np.triu(np.ones((3, 3)), 1), NAMES), "is not symmetric: 0.5 for 'b' and 'a', 1.5 the other way"),
    ((np.where(K == 0.0, np.nan, K), NAMES), "holds numbers that are not finite"),
    ((np.full((3, 3), "x"), NAMES), "does not hold numbers"),
    (pd.DataFrame(K, NAMES, ["a", "b", "z"]), r"names other levels in its columns \('z'\) than in its rows"),
]


@pytest.mark.parametrize(("value", "message"), BAD, ids=[message[:25] for _, message in BAD])
def test_what_is_none(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_matrix(value)
