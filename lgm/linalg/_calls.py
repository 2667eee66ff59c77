"""The kernel's calls as JAX functions: shapes and batches, no derivatives.

Arguments may have leading batch dimensions in common. Under ``vmap`` a batch of matrices is one native call, whose
elements share the threads; one matrix with a batch of right-hand sides is factored once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lgm.linalg._jax import custom_vmap, symmetric_map
from lgm.linalg.analysis import SparseAnalysis


def _native(
    target: str, sym: SparseAnalysis, results: Sequence[tuple[tuple[int, ...], Any]]
) -> Callable[..., tuple[jax.Array, ...]]:
    """The call of one native target whose results have these shapes and types."""
    call = jax.ffi.ffi_call(
        target, [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in results], vmap_method="broadcast_all"
    )
    return lambda *args: tuple(call(*args, analysis=sym.key))


def _columns_first(array: jax.Array, batched: bool, size: int) -> tuple[jax.Array, Callable[[jax.Array], jax.Array]]:
    """A batch (B, ..., n, k) of right-hand sides as one (..., n, B k), and the way back."""
    if not batched:
        return array, lambda out: out
    k = array.shape[-1]
    side_by_side = jnp.moveaxis(array, 0, -2)
    wide = side_by_side.reshape(*side_by_side.shape[:-2], size * k)
    return wide, lambda out: jnp.moveaxis(out.reshape(*out.shape[:-1], size, k), -2, 0)


def _batch(array: jax.Array, batched: bool, size: int) -> jax.Array:
    return array if batched else jnp.broadcast_to(array, (size, *array.shape))


def factor_solve(
    sym: SparseAnalysis, values: jax.Array, rhs: jax.Array, normals: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Log-determinant, info, ``Q^-1 rhs`` and ``L^-T normals`` from one factorisation.

    Shapes: values (..., nnz), rhs (..., n, k), normals (..., n, m); logdet and info (...), the others like their
    arguments.
    """

    @custom_vmap
    def call(values: jax.Array, rhs: jax.Array, normals: jax.Array) -> tuple[jax.Array, ...]:
        batch = values.shape[:-1]
        results = [(batch, np.float64), (batch, np.int32), (rhs.shape, np.float64), (normals.shape, np.float64)]
        return _native("lgm_factor_solve", sym, results)(values, rhs, normals)

    @call.def_vmap
    def rule(
        size: int, batched: Sequence[bool], values: jax.Array, rhs: jax.Array, normals: jax.Array
    ) -> tuple[tuple[jax.Array, ...], tuple[bool, ...]]:
        if batched[0]:
            everything = (_batch(a, b, size) for a, b in zip((values, rhs, normals), batched, strict=True))
            return call(*everything), (True,) * 4
        wide_rhs, rhs_back = _columns_first(rhs, batched[1], size)
        wide_normals, normals_back = _columns_first(normals, batched[2], size)
        logdet, info, x, draws = call(values, wide_rhs, wide_normals)
        return (logdet, info, rhs_back(x), normals_back(draws)), (False, False, batched[1], batched[2])

    return call(values, rhs, normals)


def factor_solve_invert(
    sym: SparseAnalysis, values: jax.Array, rhs: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Log-determinant, info, ``Q^-1 rhs`` and the inverse on the pattern, from one fused call.

    Shapes: values (..., nnz), rhs (..., n, k); logdet and info (...), the others like their arguments.
    """

    @custom_vmap
    def call(values: jax.Array, rhs: jax.Array) -> tuple[jax.Array, ...]:
        batch = values.shape[:-1]
        results = [(batch, np.float64), (batch, np.int32), (rhs.shape, np.float64), (values.shape, np.float64)]
        return _native("lgm_factor_solve_invert", sym, results)(values, rhs)

    @call.def_vmap
    def rule(
        size: int, batched: Sequence[bool], values: jax.Array, rhs: jax.Array
    ) -> tuple[tuple[jax.Array, ...], tuple[bool, ...]]:
        if batched[0]:
            return call(values, _batch(rhs, batched[1], size)), (True,) * 4
        wide, back = _columns_first(rhs, batched[1], size)
        logdet, info, x, z = call(values, wide)
        return (logdet, info, back(x), z), (False, False, batched[1], False)

    return call(values, rhs)


# With Z = Q^-1 and pattern positions e = (i, j), f = (k, l), the entry of the map direction -> tangent is
#     J[e, f] = -c_f (Z_ik Z_lj + Z_il Z_kj),   c_f = 1/2 on the diagonal, 1 off it,
# for a stored off-diagonal stands for two. The bracket is symmetric in e and f: J is a symmetric map of c times the
# direction.
@partial(jax.jit, static_argnums=0, inline=True)
def selected_inverse_tangent(sym: SparseAnalysis, values: jax.Array, direction: jax.Array) -> jax.Array:
    """``-(Q^-1 G Q^-1)`` on the pattern, for G given like Q by its stored entries; shapes (..., nnz).

    Linear in the direction, with a transpose; not differentiable by the values.
    """
    weights = np.where(sym.pattern.rows == sym.pattern.cols, 0.5, 1.0)  # powers of two: no rounding

    def tangent(values: jax.Array, weighted: jax.Array) -> jax.Array:
        results = [(values.shape, np.float64)]
        return _native("lgm_selected_inverse_tangent", sym, results)(values, weighted / weights)[0]

    refusal = "the third derivative of a sparse log-determinant (second of a selected inverse)"
    return symmetric_map(tangent, values, jnp.multiply(weights, direction), refusal)


def shared(
    target: str,
    common: Any,
    results: Callable[[tuple[int, ...]], Sequence[tuple[tuple[int, ...], Any]]],
    **attributes: Any,
) -> Callable[..., tuple[jax.Array, ...]]:
    """A native target which takes some arguments, and others that all elements of a batch have in common.

    Parameters
    ----------
    target : str
    common : pytree of arrays
        Come last. Where a batch differs in these, its elements are done one by one.
    results : callable
        From the batch dimensions to the shapes and types of the results.
    attributes
        Static arguments.
    """

    def run(*own: jax.Array) -> tuple[jax.Array, ...]:
        rank = jnp.ndim(own[0])

        @custom_vmap
        def call(own: tuple[jax.Array, ...], common: Any) -> tuple[jax.Array, ...]:
            batch = own[0].shape[: own[0].ndim - rank]
            shapes = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in results(batch)]
            return tuple(jax.ffi.ffi_call(target, shapes)(*own, *jax.tree.leaves(common), **attributes))

        @call.def_vmap
        def rule(size: int, batched: Any, own: tuple[jax.Array, ...], common: Any) -> Any:
            wide = tuple(_batch(array, is_batched, size) for array, is_batched in zip(own, batched[0], strict=True))
            if any(jax.tree.leaves(batched[1])):
                each = jax.tree.map(lambda array, is_batched: _batch(array, is_batched, size), common, batched[1])
                out = jax.lax.map(lambda one: call(*one), (wide, each))
            else:
                out = call(wide, common)
            return out, (True,) * len(out)

        return tuple(call(tuple(map(jnp.asarray, own)), jax.tree.map(jnp.asarray, common)))

    return run
