"""Scaling by component: geometric mean variance one, and the generalised determinant that goes with it."""

import numpy as np
from dense_model import icar_structure, rounding, scaled_covariance

from lgm.precision.icar import icar


def test_scaled_by_component():
    """A path of three, a pair and an island: with factors c, ``log|R|*`` gains ``rank log c`` per component."""
    n, edges = 6, [[0, 2], [2, 5], [1, 4]]
    structure = icar(edges, [0, 1, 0, 2, 1, 0])
    R = icar_structure(n, edges)
    variances = np.diag(np.linalg.pinv(R))
    template, factors = structure.scaled(variances, np.log(3.0 * 2.0))  # eigenvalues 1 and 3; 2; 1
    covariance, means = scaled_covariance(R)
    np.testing.assert_allclose(factors, means, rtol=rounding(n))
    scaled = template.pattern.matrix(template.entries).toarray()
    np.testing.assert_allclose(np.linalg.pinv(scaled), covariance, rtol=0, atol=rounding(n))
    eigenvalues = np.linalg.eigvalsh(scaled)[2:]
    np.testing.assert_allclose(template.log_det, np.log(eigenvalues).sum(), rtol=0, atol=rounding(n))
    by_component = [np.exp(np.mean(np.log(np.diag(np.linalg.pinv(scaled))[part]))) for part in ([0, 2, 5], [1, 4], [3])]
    np.testing.assert_allclose(by_component, 1.0, rtol=rounding(n))
    assert (template.n, template.n_shape) == (n, 0)
