"""Probabilities of smaller responses."""

import left_out
import numpy as np
from scipy.stats import norm

from lgm.families.response import Response
from lgm.results.comparing.pit import _ends


def test_gaussian_probabilities_are_exact() -> None:
    case = left_out.case("Penicillin")
    found = case.fit.loo().pit
    inverse = np.linalg.inv(case.V)
    gain = inverse - inverse @ case.X @ np.linalg.solve(case.X.T @ inverse @ case.X, case.X.T @ inverse)
    expected = norm.cdf(gain @ case.y / np.sqrt(np.diag(gain)))  # Sundararajan & Keerthi 2001
    np.testing.assert_allclose(found["lower"], expected, atol=1e-9)
    np.testing.assert_allclose(found["upper"], expected, atol=1e-9)


def test_where_a_response_may_be() -> None:
    """Known, above, below, and between two numbers."""
    y = Response(np.full(4, 2.0), upper=np.full(4, 3.0), censored=np.array([0, 1, -1, 2]))
    low, high = _ends(y, np.tile([1.0, 2.0, 3.0, 4.0], (4, 1)))
    assert low.tolist() == [0.25, 0.5, 0.0, 0.5]
    assert high.tolist() == [0.5, 1.0, 0.5, 0.75]
