"""Leading eigenvectors against all of them."""

import numpy as np
import pytest

from lgm.smooths.leading import leading


@pytest.mark.parametrize(("n", "k"), [(40, 5), (600, 12), (600, 500)])
def test_against_all_eigenvectors(n: int, k: int) -> None:
    t = np.sort(np.random.default_rng(n).uniform(size=n))
    a = np.abs(t[:, None] - t) ** 3 / 12.0  # of both signs
    values, vectors = leading(a, k)
    every = np.linalg.eigvalsh(a)
    wanted = every[np.argsort(-np.abs(every))][:k]
    assert np.any(wanted > 0.0) and np.any(wanted < 0.0)
    largest = np.abs(wanted[0])
    np.testing.assert_allclose(values, wanted, rtol=0.0, atol=1e-14 * n * largest)
    np.testing.assert_allclose(a @ vectors, vectors * values, rtol=0.0, atol=1e-14 * n * largest)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(k), atol=1e-11)


def test_the_same_bits_each_time() -> None:
    a = np.exp(-np.abs(np.subtract.outer(np.arange(600.0), np.arange(600.0))) / 50.0)
    one, two = leading(a, 8), leading(a.copy(), 8)
    assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])
