"""What is known at some thetas is carried over to all."""

import numpy as np

from lgm.results.comparing.over_theta import carried


def test_polynomials_of_the_second_degree_are_exact() -> None:
    rng = np.random.default_rng(1)
    theta = np.column_stack([rng.normal(size=(200, 2)), np.ones(200)])  # one that does not move
    base = np.sin(theta[:, :1]) * [1.0, -2.0]
    true = base + (1 + theta[:, :1] * theta[:, 1:2] - 0.3 * theta[:, 1:2] ** 2) * [0.1, 0.2]
    at = np.arange(0, 200, 8)
    found, miss = carried(base, true[at], at, theta)
    np.testing.assert_allclose(found, true, atol=1e-12)
    assert np.all(miss < 1e-12)


def test_what_is_missed_is_said() -> None:
    theta = np.linspace(-1, 1, 101)[:, None]
    true = np.abs(theta)
    at = np.arange(0, 101, 5)
    found, miss = carried(np.zeros((101, 1)), true[at], at, theta)
    error = np.sqrt(np.mean((found - true) ** 2))
    assert 0.5 < miss[0] / error < 2.0


def test_known_everywhere_is_taken_as_it_is() -> None:
    known = np.random.default_rng(2).normal(size=(5, 3))
    found, miss = carried(np.zeros((5, 3)), known, np.arange(5), np.ones((5, 1)))
    assert np.array_equal(found, known)
    assert not miss.any()
