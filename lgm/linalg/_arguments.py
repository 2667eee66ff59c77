"""The arguments of the verbs: float64 arrays of the right shape, or an error that says what is wanted."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from lgm.linalg.analysis import Analysis


def as_columns(b: jax.Array) -> jax.Array:
    """One vector (n,) as one column."""
    return b[:, None] if b.ndim == 1 else b


def no_columns(sym: Analysis) -> jax.Array:
    """Right-hand sides (n, 0) for a verb that wants no solutions."""
    return jnp.zeros((sym.n, 0), jnp.float64)


def matrix_values(sym: Analysis, values: ArrayLike) -> jax.Array:
    """Values (nnz,) of a matrix in pattern order."""
    out = float64("values", values)
    if out.shape != (sym.nnz,):
        raise ValueError(
            f"values must have shape ({sym.nnz},), one number per stored entry, not {out.shape}; "
            "sym.values(Q) gathers them, and jax.vmap runs over a batch"
        )
    return out


def vectors(sym: Analysis, array: ArrayLike, name: str, most: int = 2) -> jax.Array:
    """One vector (n,) or, if so many dimensions are allowed, several (n, k)."""
    out = float64(name, array)
    if not 1 <= out.ndim <= most or out.shape[0] != sym.n:
        shapes = f"({sym.n},)" if most == 1 else f"({sym.n},) or ({sym.n}, k)"
        raise ValueError(f"{name} must have shape {shapes}, not {out.shape}")
    return out


def float64(name: str, array: ArrayLike) -> jax.Array:
    """Numbers of 64 bits, or an error that says how to get them."""
    if jax.dtypes.canonicalize_dtype(np.float64) != np.float64:
        raise TypeError(
            'lgm.linalg computes in float64, but JAX is in 32-bit mode: call jax.config.update("jax_enable_x64", True) '
            "before the first computation, or work inside `with jax.enable_x64(True):`"
        )
    out = jnp.asarray(array)
    if jnp.issubdtype(out.dtype, jnp.integer):
        out = out.astype(jnp.float64)
    if out.dtype != jnp.float64:
        raise TypeError(f"{name} must be float64, not {out.dtype}; convert it with {name}.astype(jnp.float64)")
    return out


def factor(lower: ArrayLike) -> jax.Array:
    """A square matrix of which the lower triangle is read."""
    out = float64("lower", lower)
    if out.ndim != 2 or out.shape[0] != out.shape[1]:
        raise ValueError(f"lower must have shape (n, n), not {out.shape}; jax.vmap runs over a batch")
    return out
