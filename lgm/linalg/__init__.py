"""Symmetric positive definite matrices in JAX: factor once, use in every way that a Gaussian model needs.

``sym = analyse(Q)`` looks at the pattern of a sparse matrix once, on the host. The verbs then take ``sym`` and the
values in pattern order (``sym.values(Q)``) and work under ``jit``, ``grad`` and ``vmap``. With an analysis from
``analyse_dense(Q)`` the same verbs use dense algebra. `cholesky_update` changes a dense Cholesky factor by one vector.
"""

from lgm.linalg import cholesky as _cholesky  # noqa: F401  registers the sparse kernel
from lgm.linalg.analysis import Analysis, SparseAnalysis, analyse
from lgm.linalg.dense import DenseAnalysis, analyse_dense
from lgm.linalg.iterative import IterativeAnalysis, analyse_iterative
from lgm.linalg.rank_one import cholesky_update, cholesky_update_info
from lgm.linalg.verbs import (
    factor_info,
    logdet,
    logdet_quad,
    marginal_variances,
    require_positive_definite,
    sample,
    selected_inverse,
    solve,
    solve_and_invert,
    solve_and_sample,
)

__all__ = [
    "Analysis",
    "DenseAnalysis",
    "IterativeAnalysis",
    "SparseAnalysis",
    "analyse",
    "analyse_dense",
    "analyse_iterative",
    "cholesky_update",
    "cholesky_update_info",
    "factor_info",
    "logdet",
    "logdet_quad",
    "marginal_variances",
    "require_positive_definite",
    "sample",
    "selected_inverse",
    "solve",
    "solve_and_invert",
    "solve_and_sample",
]
