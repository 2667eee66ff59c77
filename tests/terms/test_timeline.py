"""Distinct values in order, and the values between and beyond them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lgm
from lgm.formula.python import Expression
from lgm.terms.timeline import MOST_PARTS, MOST_TIMES, Timeline, every, require_few, require_ordinary

VALUES = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=12)


@settings(deadline=None, max_examples=50)
@given(VALUES, VALUES)
def test_every_value_is_found_or_counted_among_the_new_ones(known: list[float], asked: list[float]) -> None:
    line, values = Timeline.of(np.array(known)), np.array(asked)
    assert line.times.tolist() == sorted(set(known)) and line.n == len(set(known))
    at, new, where = line.locate(values)
    assert new.tolist() == sorted(set(asked) - set(known))
    assert ((at >= 0) ^ (where >= 0)).all()  # one or the other
    np.testing.assert_array_equal(np.where(at >= 0, line.times[at], np.append(new, np.nan)[where]), values)


@pytest.mark.parametrize("off", [3e-17, -2e-16])
def test_a_value_that_differs_by_rounding_is_known_where_that_is_asked_for(off: float) -> None:
    line = Timeline.of(np.array([0.1, 0.2, 0.3, 0.7]))
    at, new, _ = line.locate(np.array([0.3 + 2 * off, 0.7 - off, 0.5]), line.rounding)
    assert at.tolist() == [2, 3, -1] and new.tolist() == [0.5]
    assert line.locate(np.array([0.1 + 0.2]))[0].tolist() == [-1]  # 0.30000000000000004


def test_gaps_are_cut_into_pieces_of_typical_length() -> None:
    line = Timeline.of(np.array([0.0, 1.0, 2.0, 3.0, 7.0, 8.0, 10.4]))
    np.testing.assert_allclose(line.between(), [4.0, 5.0, 6.0, 9.2])
    np.testing.assert_allclose(line.between(np.array([0, 5])), [9.2])
    assert Timeline.of(np.arange(5.0)).between().size == 0
    wide = Timeline.of(np.array([0.0, 1.0, 2.0, 1e9])).between()
    assert wide.size == MOST_PARTS - 1 and 2.0 < wide.min() and wide.max() < 1e9


def test_the_way_to_new_values_does_not_depend_on_what_else_is_asked() -> None:
    line = Timeline.of(np.array([0.0, 1.0, 2.0, 3.0, 7.0, 8.0]))
    np.testing.assert_allclose(line.walked(np.array([5.0])), [4.0, 5.0, 6.0])
    np.testing.assert_allclose(line.walked(np.array([0.5])), [0.5])
    np.testing.assert_allclose(line.walked(np.array([-2.5, 4.0 + 1e-15, 11.0])), [-2.5, -2, -1, 4, 5, 6, 9, 10, 11])
    few, more = (line.walked(np.array(new)) for new in ([1000.0], [400.5, 1000.0]))
    assert set(more) == {*few, 400.5} and few.size < 250
    assert np.all(np.diff(few) <= 1.0 + 1.0 / MOST_PARTS * (few[1:] - 8.0))


@pytest.mark.parametrize(
    ("values", "what"), [([0.0, 1e300], "large"), ([-1.7e308, 1.7e308], "large"), ([0, 1e-320], "small")]
)
def test_ranges_that_double_precision_does_not_have(values: list[float], what: str) -> None:
    piece = Expression.column("t")
    with pytest.raises(
        lgm.DataError, match=f"rw1\\(t\\): `t` runs from .* to .*, a range too {what} for double precision"
    ):
        require_ordinary(np.array(values), piece, "rw1(t)")
    require_ordinary(np.array([1e60, -1e60]), piece, "rw1(t)")


def test_every_whole_value_of_a_range_but_not_of_any() -> None:
    piece = Expression.column("t")
    assert every(-2.0, 3.0, piece, "rw1(t)").tolist() == [-2, -1, 0, 1, 2, 3]
    with pytest.raises(lgm.DataError, match=f"0 to 1e\\+06; accepted are up to {MOST_TIMES} of them"):
        every(0.0, float(MOST_TIMES), piece, "rw1(t)")
    require_few(MOST_TIMES, "it")
