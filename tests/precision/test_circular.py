"""The structure of a walk on a circle, difference by difference from its definition."""

import numpy as np
import pytest
from dense_model import EPS, circular_structure, rounding

from lgm.precision.circular import circular
from lgm.precision.intrinsic import intrinsic_moments

orders = pytest.mark.parametrize("order", [1, 2])
sizes = pytest.mark.parametrize("n", [3, 4, 5, 8, 12, 31, 90])


def dense(order: int, n: int):
    structure = circular(order, n)
    return structure, structure.pattern.matrix(structure.entries).toarray()


@orders
@sizes
def test_the_matrix_is_that_of_its_differences(order: int, n: int) -> None:
    """Small whole numbers: exact."""
    structure, R = dense(order, n)
    np.testing.assert_array_equal(R, circular_structure(order, n))
    np.testing.assert_array_equal(np.roll(R, 1, axis=(0, 1)), R)
    assert np.linalg.matrix_rank(R) == n - 1
    np.testing.assert_array_equal(structure.constraint.null_space.toarray(), np.ones((n, 1)))
    assert structure.constraint.anchors.size == 1


@orders
@sizes
def test_closed_forms_of_variances_and_determinant(order: int, n: int) -> None:
    """Against eigenvalues, and against the sparse factor that a structure without closed forms has."""
    structure, R = dense(order, n)
    values, vectors = np.linalg.eigh(R)
    assert structure.moments is not None
    factored = intrinsic_moments(structure)
    bound = 10 * rounding(n) * values[-1] / values[1]
    wanted = np.sum(vectors[:, 1:] ** 2 / values[1:], axis=1)
    np.testing.assert_allclose(structure.moments.variances, wanted, rtol=bound)
    np.testing.assert_allclose(structure.moments.variances, factored.variances, rtol=bound)
    assert structure.moments.logdet == pytest.approx(np.log(values[1:]).sum(), abs=n * bound)
    assert structure.moments.logdet == pytest.approx(factored.logdet, abs=n * bound)


@orders
def test_scaled_to_a_variance_of_one(order: int) -> None:
    structure, R = dense(order, 20)
    template, factors = structure.scaled("rw(t)")
    scaled = template.pattern.matrix(template.entries).toarray()
    np.testing.assert_allclose(np.diag(np.linalg.pinv(scaled)), 1.0, rtol=1e-10)
    np.testing.assert_allclose(scaled, factors[0] * R, rtol=rounding(20))
    logs = np.log(np.linalg.eigvalsh(scaled)[1:])
    assert float(template.log_det) == pytest.approx(logs.sum(), abs=1e-8)


def test_a_year_of_days() -> None:
    """The scale of a stored fit to the 366 days of Tokyo, from eigenvalues that err by eps times the largest."""
    moments = circular(2, 366).moments
    assert moments is not None
    least = (2.0 * np.sin(np.pi / 366)) ** 4
    assert moments.variances[0] == pytest.approx(68099.38186, rel=EPS * 16.0 / least)
