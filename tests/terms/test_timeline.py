"""Distinct values in order, and draws at new ones against dense algebra."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from lgm.pattern import Pattern
from lgm.terms import timeline
from lgm.terms.timeline import Timeline, conditional_draw

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


@settings(deadline=None, max_examples=50)
@given(VALUES, VALUES)
def test_old_and_new_values_are_merged_in_order(known: list[float], asked: list[float]) -> None:
    line = Timeline.of(np.array(known))
    new = line.locate(np.array(asked))[1]
    times, old_places, new_places = line.merged(new)
    assert (np.diff(times) > 0).all() and times.size == line.n + new.size
    np.testing.assert_array_equal(times[old_places], line.times)
    np.testing.assert_array_equal(times[new_places], new)


def _precision(n: int, rng: np.random.Generator) -> np.ndarray:
    """Sparse and well conditioned."""
    half = np.tril(np.where(rng.uniform(size=(n, n)) < 0.4, rng.normal(size=(n, n)), 0.0), -1)
    return half + half.T + np.diag(np.abs(half + half.T).sum(axis=1) + 1.0)


@pytest.fixture(params=["the same for all draws", "one for each draw"])
def case(request: pytest.FixtureRequest) -> tuple[Pattern, np.ndarray, np.ndarray, np.ndarray]:
    """A pattern, its values (1 or S rows), and the dense matrices and means they stand for."""
    rng = np.random.default_rng(5)
    n, draws = 9, 6
    base = _precision(n, rng)
    pattern = Pattern.of(sp.csc_array(base))
    stored = base[pattern.rows, pattern.cols]
    factors = np.ones(1) if request.param.startswith("the same") else rng.uniform(0.5, 2.0, draws)
    dense = np.broadcast_to(factors[:, None, None] * base, (draws, n, n))
    return pattern, factors[:, None] * stored, dense, rng.normal(size=(draws, n))


OLD, NEW = np.array([0, 2, 3, 5, 8]), np.array([7, 1, 4, 6])


def _drawn(case: tuple, scale: np.ndarray, normals: np.ndarray) -> np.ndarray:
    pattern, values, _, b = case
    return conditional_draw(pattern, values, OLD, NEW, b[:, OLD], scale, normals)


def test_without_noise_it_is_the_conditional_mean(case: tuple) -> None:
    """E[b_n | b_o] = -Q_nn^-1 Q_no b_o, whatever the scale."""
    _, _, dense, b = case
    found = _drawn(case, np.full(len(b), 3.0), np.zeros((len(b), NEW.size)))
    for s, q in enumerate(dense):
        expected = -np.linalg.solve(q[np.ix_(NEW, NEW)], q[np.ix_(NEW, OLD)] @ b[s, OLD])
        np.testing.assert_allclose(found[s], expected, rtol=1e-12, atol=1e-13)


def test_noise_has_the_conditional_covariance(case: tuple) -> None:
    """The draw is linear in its normals: the columns of its matrix F come from unit vectors, and F F' = s^2 Q_nn^-1."""
    _, _, dense, b = case
    scale = np.linspace(0.5, 2.0, len(b))
    mean = _drawn(case, scale, np.zeros((len(b), NEW.size)))
    columns = [_drawn(case, scale, np.tile(unit, (len(b), 1))) - mean for unit in np.eye(NEW.size)]
    for s, q in enumerate(dense):
        f = np.column_stack([column[s] for column in columns])
        np.testing.assert_allclose(f @ f.T, scale[s] ** 2 * np.linalg.inv(q[np.ix_(NEW, NEW)]), rtol=1e-11, atol=1e-12)


def test_pieces_of_the_draws_do_not_matter(case: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    b = case[3]
    scale, normals = rng.uniform(1, 2, len(b)), rng.normal(size=(len(b), NEW.size))
    whole = _drawn(case, scale, normals)
    monkeypatch.setattr(timeline, "_CHUNK", 4)  # 4 + 2 draws
    np.testing.assert_array_equal(_drawn(case, scale, normals), whole)


def test_effects_without_a_tie_are_drawn_from_their_prior() -> None:
    pattern = Pattern.of(sp.csc_array(np.diag([4.0, 1.0, 9.0])))
    normals = np.array([[1.0, -2.0]])
    found = conditional_draw(
        pattern, np.array([[4.0, 1.0, 9.0]]), np.array([1]), np.array([0, 2]), np.array([[50.0]]), np.ones(1), normals
    )
    np.testing.assert_allclose(found, [[1 / 2, -2 / 3]], rtol=1e-15)
