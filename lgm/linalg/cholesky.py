"""The operations of `lgm.linalg.backend` by the sparse kernel, and their derivatives.

Every operation is one native call: it factors ``P Q P' = L L'`` and uses the factor at once; no factor outlives its
call.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lgm.linalg import _calls, backend, products
from lgm.linalg._jax import SymbolicZero
from lgm.linalg.analysis import SparseAnalysis

# Derivatives. Let S(q) be the symmetric matrix with stored entries q, w = 1 on the diagonal and 2 off it, and Z the
# inverse of Q = S(q) on the pattern. Then, for directions dq and dB,
#     d log|Q|    = tr(Q^-1 dQ) = sum_e w_e Z_e dq_e,
#     d (B'X)     = X'dB + dB'X - X' dQ X,     X = Q^-1 B,
#     d X         = Q^-1 (dB - dQ X),
#     d Z         = -(Q^-1 dQ Q^-1) on the pattern.
# All are linear in the directions, so JAX transposes them into the reverse mode; the solve in d X is dropped there
# unless X has a cotangent.


@backend.logdet_quad.register(SparseAnalysis)
@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _logdet_quad(sym: SparseAnalysis, values: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    nothing = jnp.zeros((sym.n, 0), b.dtype)
    logdet, _, x, _ = _calls.factor_solve(sym, values, b, nothing)
    return logdet, b.T @ x, x


def _logdet_quad_jvp(sym: SparseAnalysis, primals: Any, tangents: Any) -> Any:
    values, b = primals
    dq, db = tangents
    if isinstance(dq, SymbolicZero):
        logdet, _, x = _logdet_quad(sym, values, b)
        d_logdet = jnp.zeros_like(logdet)
    else:
        logdet, x, z = _solve_and_invert(sym, values, b)
        d_logdet = _trace(sym, z, dq)
    return (logdet, b.T @ x, x), (d_logdet, _d_quad(sym, x, dq, db), _d_solve(sym, values, x, dq, db))


_logdet_quad.defjvp(_logdet_quad_jvp, symbolic_zeros=True)


@backend.solve_and_invert.register(SparseAnalysis)
@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _solve_and_invert(sym: SparseAnalysis, values: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    logdet, _, x, z = _calls.factor_solve_invert(sym, values, b)
    return logdet, x, z


def _solve_and_invert_jvp(sym: SparseAnalysis, primals: Any, tangents: Any) -> Any:
    values, b = primals
    dq, db = tangents
    logdet, x, z = _solve_and_invert(sym, values, b)
    dx = _d_solve(sym, values, x, dq, db)
    if isinstance(dq, SymbolicZero):
        return (logdet, x, z), (jnp.zeros_like(logdet), dx, jnp.zeros_like(z))
    dz = _calls.selected_inverse_tangent(sym, values, dq)
    return (logdet, x, z), (_trace(sym, z, dq), dx, dz)


_solve_and_invert.defjvp(_solve_and_invert_jvp, symbolic_zeros=True)


@backend.solve_and_sample.register
def _solve_and_sample(
    sym: SparseAnalysis, values: jax.Array, b: jax.Array, z: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    logdet, _, x, draws = _calls.factor_solve(sym, values, b, z)
    return logdet, x, draws


@backend.factor_info.register
def _factor_info(sym: SparseAnalysis, values: jax.Array) -> jax.Array:
    nothing = jnp.zeros((sym.n, 0), values.dtype)
    return _calls.factor_solve(sym, values, nothing, nothing)[1]


@backend.solve.register(SparseAnalysis)
@partial(jax.jit, static_argnums=0, inline=True)  # outside a trace, custom_linear_solve alone would compile every time
def _solve(sym: SparseAnalysis, values: jax.Array, b: jax.Array) -> jax.Array:
    def native(_: Any, rhs: jax.Array) -> jax.Array:
        return _calls.factor_solve(sym, values, rhs, jnp.zeros((sym.n, 0), rhs.dtype))[2]

    out: jax.Array = jax.lax.custom_linear_solve(partial(products.multiply, sym, values), b, native, symmetric=True)
    return out


def _d_solve(sym: SparseAnalysis, values: jax.Array, x: jax.Array, dq: Any, db: Any) -> jax.Array:
    """``Q^-1 (dB - dQ X)``."""
    if x.shape[-1] == 0 or (isinstance(dq, SymbolicZero) and isinstance(db, SymbolicZero)):
        return jnp.zeros_like(x)
    rhs = jnp.zeros_like(x) if isinstance(db, SymbolicZero) else db
    if not isinstance(dq, SymbolicZero):
        rhs = rhs - products.multiply(sym, dq, x)
    return _solve(sym, values, rhs)


def _d_quad(sym: SparseAnalysis, x: jax.Array, dq: Any, db: Any) -> jax.Array:
    """``X'dB + dB'X - X' dQ X``."""
    total = jnp.zeros((x.shape[-1],) * 2, x.dtype)
    if not isinstance(db, SymbolicZero):
        cross = x.T @ db
        total = total + cross + cross.T
    if not isinstance(dq, SymbolicZero):
        total = total - x.T @ products.multiply(sym, dq, x)
    return total


def _trace(sym: SparseAnalysis, z: jax.Array, dq: jax.Array) -> jax.Array:
    """``tr(Z dQ)`` of symmetric matrices in pattern order."""
    ones = jnp.ones((sym.n, 1), z.dtype)
    return jnp.vdot(products.gradient(sym, ones, ones) * z, dq)
