"""The parts of JAX outside its everyday interface that `lgm.linalg` leans on, all named here and nowhere else.

`custom_vmap` says what a batch of calls is: one matrix with many right-hand sides is factored once; `sequential_vmap`,
that it is done one by one, `vmap_in_parts` a few at a time. `SymbolicZero` marks, in a derivative rule, an argument
that is not differentiated. `symmetric_map` and `linear_map` stand in for something that JAX lacks:
`jax.custom_derivatives.linear_call` does not batch. `Bilinear` is linear in each of two arrays, both of which are
differentiated; only a primitive of its own can say so.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap, sequential_vmap
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

__all__ = ["Bilinear", "SymbolicZero", "custom_vmap", "linear_map", "sequential_vmap", "symmetric_map", "vmap_in_parts"]


class Bilinear:
    """A function of two arrays that is linear in each of them: it has derivatives of every order, and batches.

    Parameters
    ----------
    name : str
    function : callable
        ``function(x, y, **static)``, pure, whose arrays may both have the same leading dimensions more: those of a
        batch. It is never differentiated.

    Notes
    -----
    Its transposes are functions of its kind too, and `transposes` must be told of them before derivatives are asked
    for.
    """

    def __init__(self, name: str, function: Callable[..., jax.Array]) -> None:
        self._primitive = Primitive(name)
        self._primitive.def_impl(lambda x, y, **static: _run(function, tuple(sorted(static.items())))(x, y))
        self._primitive.def_abstract_eval(self._abstract)
        self._function = function
        batching.primitive_batchers[self._primitive] = self._batched
        mlir.register_lowering(self._primitive, mlir.lower_fun(function, multiple_results=False))

    def __call__(self, x: jax.Array, y: jax.Array, **static: Any) -> jax.Array:
        """Static arguments are hashable."""
        out: jax.Array = self._primitive.bind(x, y, **static)
        return out

    def transposes(self, by_first: Callable[..., jax.Array], by_second: Callable[..., jax.Array]) -> None:
        """The transposes, ``by_first(g, y, **static)`` like x and ``by_second(x, g, **static)`` like y, for any g."""
        ad.defbilinear(
            self._primitive,
            lambda g, x, y, **static: by_first(g, y, **static),
            lambda g, x, y, **static: by_second(x, g, **static),
        )

    def _abstract(self, x: Any, y: Any, **static: Any) -> Any:
        shapes = (jax.ShapeDtypeStruct(each.shape, each.dtype) for each in (x, y))
        out = jax.eval_shape(lambda x, y: self._function(x, y, **static), *shapes)
        return jax.core.ShapedArray(out.shape, out.dtype)

    def _batched(self, arrays: Any, places: Any, **static: Any) -> tuple[jax.Array, int]:
        size = next(a.shape[at] for a, at in zip(arrays, places, strict=True) if at is not None)
        wide = (
            jnp.broadcast_to(a, (size, *a.shape)) if at is None else jnp.moveaxis(a, at, 0)
            for a, at in zip(arrays, places, strict=True)
        )
        return self(*wide, **static), 0


@functools.lru_cache(maxsize=64)
def _run(function: Callable[..., jax.Array], static: tuple[tuple[str, Any], ...]) -> Callable[..., jax.Array]:
    return jax.jit(functools.partial(function, **dict(static)))


def vmap_in_parts(function: Callable[..., Any], most: int) -> Callable[..., Any]:
    """A function of pytrees of arrays of which a batch is done in parts of so many elements at most, to save memory.

    It has no derivatives.
    """
    function = jax.jit(function)  # traced once, for one and for parts

    @custom_vmap
    def call(*args: Any) -> Any:
        return function(*args)

    @call.def_vmap
    def rule(size: int, batched: Any, *args: Any) -> Any:
        width = max(each for each in range(1, min(most, size) + 1) if size % each == 0)
        arrays, structure = jax.tree.flatten(args)
        varies = jax.tree.leaves(batched)

        def part(own: list[jax.Array]) -> Any:
            def one(own: list[jax.Array]) -> Any:
                left = iter(own)
                each = [next(left) if v else x for v, x in zip(varies, arrays, strict=True)]
                return function(*jax.tree.unflatten(structure, each))

            return jax.vmap(one)(own)

        parts = (size // width, width)
        own = [x.reshape(*parts, *x.shape[1:]) for v, x in zip(varies, arrays, strict=True) if v]
        out = jax.tree.map(lambda x: x.reshape(size, *x.shape[2:]), jax.lax.map(part, own))
        return out, jax.tree.map(lambda _: True, out)

    return call


def symmetric_map(
    function: Callable[[jax.Array, jax.Array], jax.Array], values: jax.Array, direction: jax.Array, refusal: str
) -> jax.Array:
    """``function(values, direction)``, which is linear in the direction and its own transpose, and batches.

    Its derivative by the values is not known: whoever asks for it gets NotImplementedError with the text `refusal`.

    Notes
    -----
    JAX is told that the result solves a symmetric linear system, whose derivative and transpose by the right-hand side
    are solutions again. The matrix of that system, the inverse of the map, is never applied: it is there for JAX to see
    that it depends on the values.
    """

    @jax.custom_jvp
    def undo(_: jax.Array, solution: jax.Array) -> jax.Array:
        return solution

    @undo.defjvp
    def refuse(primals: object, tangents: object) -> tuple[jax.Array, jax.Array]:
        raise NotImplementedError(refusal)

    def solve(_: object, right_hand_side: jax.Array) -> jax.Array:
        return function(values, right_hand_side)

    out: jax.Array = jax.lax.custom_linear_solve(lambda x: undo(values, x), direction, solve, symmetric=True)
    return out


def linear_map(
    there: Callable[[jax.Array], jax.Array],
    back: Callable[[jax.Array], jax.Array],
    x: jax.Array,
    result: tuple[int, ...],
) -> jax.Array:
    """``there(x)`` of shape `result`, for a linear map whose transpose is `back`; it batches.

    Notes
    -----
    With a pair (x, y) the map to (back(y), there(x)) is symmetric, so that JAX can be told that it solves a system, as
    in `symmetric_map`. What is not wanted of a pair is never computed: the compiler takes it out.
    """
    size = math.prod(result)

    def swap(_: object, both: jax.Array) -> jax.Array:
        there_from, back_from = both[: x.size].reshape(x.shape), both[x.size :].reshape(result)
        return jnp.concatenate([back(back_from).ravel(), there(there_from).ravel()])

    # in one piece, for JAX differentiates all of a solve or nothing
    both = jnp.concatenate([x.ravel(), jnp.zeros(size, x.dtype)])
    out: jax.Array = jax.lax.custom_linear_solve(lambda both: both, both, swap, symmetric=True)
    return out[x.size :].reshape(result)
