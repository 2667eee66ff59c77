"""Linear algebra on symmetric sparse matrices with a fixed pattern, inside JAX."""

from lgm.linalg.dense import (
    Analysis,
    analyse,
    logdet,
    logdet_quad,
    marginal_variances,
    sample,
    selected_inverse,
    solve,
    solve_and_sample,
)

__all__ = [
    "Analysis",
    "analyse",
    "logdet",
    "logdet_quad",
    "marginal_variances",
    "sample",
    "selected_inverse",
    "solve",
    "solve_and_sample",
]
