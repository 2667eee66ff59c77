"""Sparse symmetric positive definite matrices in JAX: factor once, use in every way that a Gaussian model needs.

``sym = analyse(Q)`` looks at the pattern of a matrix once, on the host. The verbs then take ``sym`` and the values in
pattern order (``sym.values(Q)``) and work under ``jit``, ``grad`` and ``vmap``.
"""

from lgm.linalg.analysis import Analysis, analyse
from lgm.linalg.cholesky import (
    factor_info,
    logdet,
    logdet_quad,
    marginal_variances,
    require_positive_definite,
    sample,
    selected_inverse,
    solve,
    solve_and_sample,
)

__all__ = [
    "Analysis",
    "analyse",
    "factor_info",
    "logdet",
    "logdet_quad",
    "marginal_variances",
    "require_positive_definite",
    "sample",
    "selected_inverse",
    "solve",
    "solve_and_sample",
]
