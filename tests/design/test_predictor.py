"""Parts of a linear predictor: which columns count, and which columns of the data they need."""

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.design.design import encode
from lgm.design.predictor import Parts

N = 30
RNG = np.random.default_rng(3)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.normal(size=N),
        "t": RNG.integers(0, 9, N),
        "g": RNG.choice(["a", "b", "c"], N),
        "e": RNG.normal(size=N),
    }
)


@pytest.fixture(scope="module")
def design():
    return lgm.model("y ~ x + rw2(t) + (1|g) + offset(e)", DATA).design


def parts(design, fixed=(), terms=(), offset=False):
    labels = [term.label in terms for term in design.terms]
    return Parts(np.isin(design.fixed_names, list(fixed)), tuple(labels), offset)


def test_everything(design):
    rows = encode(design)
    np.testing.assert_array_equal(rows.X.toarray(), design.predictor.X.toarray())
    np.testing.assert_array_equal(rows.offset, DATA["e"])
    assert all(each is not None for each in rows.encoded)


def test_what_does_not_count_is_empty_and_needs_no_columns(design):
    rows = encode(design, DATA[["x"]], parts(design, fixed=["x"]))
    assert rows.X.toarray()[:, 0].tolist() == [0.0] * N
    np.testing.assert_array_equal(rows.X.toarray()[:, 1], DATA["x"])
    assert rows.encoded == (None, None) and not rows.offset.any()
    rows = encode(design, DATA[["g"]], parts(design, terms=["(1 | g)"]))
    assert rows.X.nnz == 0 and rows.encoded[0] is None and rows.encoded[1] is not None
    assert encode(design, DATA[["e"]], parts(design, offset=True)).offset.tolist() == DATA["e"].tolist()


def test_a_straight_line_is_read_from_its_walk(design):
    rows = encode(design, DATA[["t"]], parts(design, fixed=["rw2(t)[linear]"]))
    np.testing.assert_array_equal(rows.X.toarray()[:, 2], DATA["t"])
    assert rows.encoded == (None, None)


def test_what_counts_needs_its_columns(design):
    with pytest.raises(lgm.DataError, match=r"lacks the column\(s\) t\. It has: x"):
        encode(design, DATA[["x"]], parts(design, fixed=["x"], terms=["rw2(t)"]))
