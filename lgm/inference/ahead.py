"""Compiled functions whose compilation can begin before their arguments are known.

XLA compiles outside Python's lock, so what a fit will need can be compiled while it searches the mode. A function is
compiled once for each structure of its arguments (shapes and static parts), like a jitted one.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp

# The kernel does the work, and XLA's own code only leads up to it. Optimising that code doubles the time of
# compilation; in loops it repays the first level and no more, in functions that run a few times not even that.
QUICK: dict[str, Any] = {"xla_backend_optimization_level": 0}
LOOPS: dict[str, Any] = {"xla_backend_optimization_level": 1}
jit = functools.partial(jax.jit, compiler_options=QUICK)


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="lgm-compile")


def in_background(task: Callable[[], Any]) -> None:
    """Run something in a thread of its own; whoever needs its result asks for it again and meets its errors there."""

    def quietly() -> None:
        try:
            task()
        except Exception:  # noqa: BLE001 - raised again, in the foreground, by the call that needs the result
            pass

    _pool().submit(quietly)


class Compiled:
    """A function compiled for each structure of its arguments, in this thread or ahead of time in another.

    Parameters
    ----------
    function : callable
        Pure; positional arguments are pytrees of arrays, keyword arguments are static and hashable.
    donate : tuple of int
        Arguments whose memory the result may use.
    options : dict
        Of XLA's compiler.

    Examples
    --------
    >>> import numpy as np
    >>> double = Compiled(lambda x: 2.0 * x)
    >>> _ = double.ahead(jax.ShapeDtypeStruct((2,), np.float32))
    >>> double(np.ones(2, np.float32)).tolist()
    [2.0, 2.0]
    """

    def __init__(
        self, function: Callable[..., Any], donate: tuple[int, ...] = (), options: dict[str, Any] = QUICK
    ) -> None:
        self._function, self._donate, self._options = function, donate, options
        self._known: dict[Any, Future[Any]] = {}
        self._lock = threading.Lock()

    def __call__(self, *args: Any, **static: Any) -> Any:
        """Call, compiling first if that is still to be done, or waiting for the thread that is at it."""
        return self._compiled(args, static).result()(*args)

    def ahead(self, *args: Any, **static: Any) -> Any:
        """Compile for arguments of these shapes (arrays or `jax.ShapeDtypeStruct`); returns shapes of the result."""
        return self._compiled(args, static).result().out_info

    def _compiled(self, args: Any, static: dict[str, Any]) -> Future[Any]:
        leaves, structure = jax.tree.flatten(args)
        kinds = tuple((jnp.shape(leaf), _dtype(leaf)) for leaf in leaves)
        key = (structure, kinds, tuple(sorted(static.items())))
        with self._lock:
            future = self._known.get(key)
            if future is not None and not (future.done() and future.exception()):
                return future
            future = self._known[key] = Future()
        try:
            function = functools.wraps(self._function)(functools.partial(self._function, **static))
            specs = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in kinds]
            lowered = jax.jit(function, donate_argnums=self._donate).lower(*jax.tree.unflatten(structure, specs))
            future.set_result(lowered.compile(compiler_options=self._options))
        except BaseException as error:
            future.set_exception(error)
            raise
        return future


def _dtype(leaf: Any) -> Any:
    return leaf.dtype if hasattr(leaf, "dtype") else jax.dtypes.result_type(leaf)
