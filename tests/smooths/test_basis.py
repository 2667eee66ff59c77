"""Settling columns, and the polynomials that a penalty does not see."""

import numpy as np
import pytest

from lgm.errors import DataError
from lgm.smooths.basis import Polynomials, require_dimension, root_inverse, rows, settle, typical

RNG = np.random.default_rng(8)
X = np.column_stack([RNG.normal(3.0, 2.0, 40), RNG.integers(0, 9, 40)])


class _Waves:
    def __call__(self, x):
        return np.column_stack([np.sin(x[:, 0]), np.cos(x[:, 0] * x[:, 1]), x[:, 1] ** 3, np.exp(-x[:, 0])])


def test_columns_are_settled() -> None:
    """Uncorrelated with the null space and each other, from the largest to the smallest, and the same functions."""
    found = settle("any", 7, _Waves(), np.eye(4), X, [[1, 0], [0, 1]])
    z = found.evaluate(X)
    inner = np.column_stack([np.ones(40), X, z]).T @ z
    np.testing.assert_allclose(inner[:3], 0.0, atol=1e-11)
    np.testing.assert_allclose(inner[3:], np.diag(np.diag(inner[3:])), atol=1e-11)
    assert np.all(np.diff(np.diag(inner[3:])) < 0.0)
    assert typical(np.sum(z**2, axis=1)) == pytest.approx(1.0)
    plain, null = _Waves()(X), np.column_stack([np.ones(40), X])
    rest = plain - null @ np.linalg.lstsq(null, plain, rcond=None)[0]
    np.testing.assert_allclose(found.scale * z @ z.T, rest @ rest.T, atol=1e-10)


def test_columns_are_the_same_for_rows_in_any_order_and_number() -> None:
    first = settle("any", 7, _Waves(), np.eye(4), X, [[1, 0]])
    again = settle("any", 7, _Waves(), np.eye(4), np.concatenate([X, X])[RNG.permutation(80)], [[1, 0]])
    np.testing.assert_allclose(first.evaluate(X), again.evaluate(X), atol=1e-12)


def test_columns_that_may_not_turn_lose_their_fit_only() -> None:
    found = settle("any", 7, _Waves(), np.eye(4), X, [[1, 0]], rotate=False)
    null = np.column_stack([np.ones(40), X[:, 0]])
    plain = _Waves()(X)
    rest = plain - null @ np.linalg.lstsq(null, plain, rcond=None)[0]
    np.testing.assert_allclose(found.evaluate(X) * found.scale**0.5, rest, atol=1e-11)


def test_outside() -> None:
    found = settle("any", 7, _Waves(), np.eye(4), X, np.zeros((0, 2)))
    low, high = X.min(axis=0), X.max(axis=0)
    assert found.outside(np.array([low, high, [low[0] - 1, low[1]], [high[0], high[1] + 1]])).tolist() == [0, 0, 1, 1]
    everywhere = settle("any", 7, _Waves(), np.eye(4), X, np.zeros((0, 2)), everywhere=True)
    assert not everywhere.outside(X * 100).any()


def test_polynomials_of_the_fixed_part() -> None:
    """A variable alone is as it is, products are about the means."""
    found = Polynomials.of(X, [[1, 0], [1, 1], [0, 2]])
    columns = found.named(X, ("u", "v"))
    u, v = (X - X.mean(axis=0)).T
    assert list(columns) == ["u", "u:v", "v^2"]
    for values, expected in zip(columns.values(), [X[:, 0], u * v, v**2], strict=True):
        np.testing.assert_allclose(values, expected, atol=1e-11)
    about = np.column_stack([u, u * v - np.mean(u * v), v**2 - np.mean(v**2)])
    np.testing.assert_allclose(found.about_means(X), about, atol=1e-11)


def test_polynomials_go_on_as_lines() -> None:
    x = np.linspace(0.0, 4.0, 9)[:, None]
    found = Polynomials.of(x, [[1], [2]], (0.0, 4.0))
    line, square = found.named(np.array([[-1.0], [1.0], [6.0]]), ("x",)).values()
    assert line.tolist() == [-1.0, 1.0, 6.0]
    np.testing.assert_allclose(square, [4.0 + 4.0, 1.0, 4.0 + 4.0 * 2.0])


def test_a_typical_variance() -> None:
    assert typical(np.array([4.0, 1.0, 0.0])) == pytest.approx(2.0)
    assert typical(np.array([4.0, 1.0]), [3, 1]) == pytest.approx(2.0**1.5)
    assert typical(np.zeros(3)) == 1.0


def test_coefficients_of_a_penalty() -> None:
    d = np.diff(np.eye(6), 2, axis=0)
    c = root_inverse(d.T @ d, 2)
    np.testing.assert_allclose(c.T @ d.T @ d @ c, np.eye(4), atol=1e-12)


def test_one_variable_or_several() -> None:
    assert rows(np.zeros(3)).shape == (3, 1) and rows(np.zeros((3, 2))).shape == (3, 2)
    assert rows(np.zeros(0)).shape == (0, 1)


@pytest.mark.parametrize(
    ("k", "largest", "message"),
    [(2, 9, "k=2 is too small; bs='cr' needs k=3 or more"), (12, 9, "pass k=9 or less"), (12, 1, "needs 3 or more")],
)
def test_dimensions(k: int, largest: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        require_dimension(k, 3, largest, "cr", "s(x)", "there are few values")
    assert require_dimension(5, 3, 9, "cr", "s(x)", "") == 5
