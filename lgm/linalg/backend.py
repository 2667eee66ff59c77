"""What a backend does: five operations, which dispatch on the class of the analysis.

The verbs of `lgm.linalg` check their arguments and bring them to one form: ``q`` (nnz,) holds the values in pattern
order, ``b`` (n, k) right-hand sides and ``z`` (n, m) standard normals, one per column; all are float64, and k and m may
be zero. For a matrix that is not positive definite and finite, every number is NaN. A backend is a class of analysis
and its own version of each operation, registered here.
"""

from __future__ import annotations

from functools import singledispatch

import jax

from lgm.linalg.analysis import Analysis


@singledispatch
def logdet_quad(sym: Analysis, q: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``log|Q|``, ``B'X`` (k, k) and ``X = Q^-1 B`` (n, k); differentiable twice."""
    raise _unknown(sym)


@singledispatch
def solve(sym: Analysis, q: jax.Array, b: jax.Array) -> jax.Array:
    """``Q^-1 B`` (n, k); differentiable to any order."""
    raise _unknown(sym)


@singledispatch
def solve_and_invert(sym: Analysis, q: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``log|Q|``, ``Q^-1 B`` (n, k) and the inverse on the pattern (nnz,); differentiable once."""
    raise _unknown(sym)


@singledispatch
def solve_and_sample(sym: Analysis, q: jax.Array, b: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``log|Q|``, ``Q^-1 B`` (n, k) and ``R z`` (n, m) with ``R R' = Q^-1``; never differentiated."""
    raise _unknown(sym)


@singledispatch
def factor_info(sym: Analysis, q: jax.Array) -> jax.Array:
    """0, or 1 + the row whose pivot is not positive and finite; int32, never differentiated."""
    raise _unknown(sym)


def _unknown(sym: object) -> TypeError:
    return TypeError(f"the verbs of lgm.linalg take an analysis, as from analyse(Q), not a {type(sym).__name__}")
