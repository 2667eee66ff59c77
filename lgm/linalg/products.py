"""Products with a symmetric matrix that is given by its entries in pattern order, as sums and never by its factor.

For a sparse one they are passes of the kernel over its pattern, which compiled programs then hold no copy of. Written
with indices, a derivative would scatter, and that is what XLA is slow at on a CPU: several times a factorisation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lgm.linalg._jax import Bilinear
from lgm.linalg.analysis import Analysis, SparseAnalysis


# With the matrix S of stored entries s, of which those on the diagonal count d times,
#     multiply: (s, x) -> S x,      outer: (x, y) -> g,   g_ij = x_i'y_j + x_j'y_i off the diagonal, d x_i'y_i on it,
# are each other's transposes, for y'S x = s'g for rows x_i, y_i of x and y (n, m).
def native(multiply: str, outer: str) -> tuple[Bilinear, Bilinear]:
    """Both by the native targets of a backend; static arguments are ``sym``, which has a key, and ``diagonal``."""

    def of(target: str, shape: Callable[..., Any]) -> Bilinear:
        def call(a: jax.Array, b: jax.Array, *, sym: Any, diagonal: float) -> jax.Array:
            result = jax.ShapeDtypeStruct(shape(a, b, sym), np.float64)
            out: jax.Array = jax.ffi.ffi_call(target, result)(a, b, analysis=sym.key, diagonal=np.float64(diagonal))
            return out

        return Bilinear(target, call)

    multiplied = of(multiply, lambda s, x, sym: x.shape)
    paired = of(outer, lambda x, y, sym: (*x.shape[:-2], sym.nnz))
    multiplied.transposes(by_first=paired, by_second=multiplied)
    paired.transposes(by_first=multiplied, by_second=lambda x, g, **static: multiplied(g, x, **static))
    return multiplied, paired


_multiply, _outer = native("lgm_multiply", "lgm_outer")


@singledispatch
def summed(sym: Analysis, values: jax.Array, x: jax.Array) -> jax.Array:
    """`multiply` by a backend."""
    rows, cols = sym.pattern.rows, sym.pattern.cols
    below = jnp.where(rows == cols, 0.0, values)
    lower = jnp.zeros_like(x).at[rows].add(values[:, None] * x[cols])
    return lower.at[cols].add(below[:, None] * x[rows])


@summed.register
def _(sym: SparseAnalysis, values: jax.Array, x: jax.Array) -> jax.Array:
    return _multiply(values, x, sym=sym, diagonal=1.0)


@singledispatch
def pairs(sym: Analysis, x: jax.Array, y: jax.Array, diagonal: float) -> jax.Array:
    """Products of rows of x and y by a backend, in which the diagonal counts so many times."""
    rows, cols = sym.pattern.rows, sym.pattern.cols
    both = jnp.sum(x[rows] * y[cols] + x[cols] * y[rows], axis=-1)
    return jnp.where(rows == cols, 0.5 * diagonal, 1.0) * both


@pairs.register
def _(sym: SparseAnalysis, x: jax.Array, y: jax.Array, diagonal: float) -> jax.Array:
    return _outer(x, y, sym=sym, diagonal=diagonal)


def multiply(sym: Analysis, values: jax.Array, x: jax.Array) -> jax.Array:
    """``S x`` (n, m), for S with these values (nnz,) in pattern order and x (n, m)."""
    return summed(sym, values, x)


def gradient(sym: Analysis, x: jax.Array, y: jax.Array) -> jax.Array:
    """What ``x'S y`` (m, m) has for a trace, by the stored entries of S (nnz,), for x and y (n, m).

    An entry off the diagonal stands for two of the matrix.
    """
    return pairs(sym, x, y, 1.0)


def scaled(sym: Analysis, values: jax.Array, scale: jax.Array) -> jax.Array:
    """``D S D`` in pattern order (nnz,), for a diagonal D (n,)."""
    # Products of two scales may have no place among doubles where those with the values have one.
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(scale)))
    unit = jnp.where(largest > 0.0, largest, 1.0)
    wide = (scale / unit)[:, None]
    return unit * values * (0.5 * pairs(sym, wide, wide, 2.0)) * unit
