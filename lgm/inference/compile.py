"""Compiled functions whose compilation can begin before their arguments are known.

Tracing a function is Python, compiling it is not: XLA works outside Python's lock. So what a fit will need is traced
from shapes alone at its beginning, and compiled by other threads while the mode is searched. A function is compiled
once for each structure of its arguments (shapes and static parts), like a jitted one. Of these programs the last ones
used are kept: a loop over models of ever new shapes does not grow.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from lgm.inference import forked
from lgm.xla import QUICK, own_settings, shape_and_type, suited

KEPT = 24  # structures for which a function is kept compiled, each about 10 MB; the one used longest ago goes first


@functools.cache
def _compilers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="lgm-compile")


class _Program:
    """A function on its way to being compiled for one structure of its arguments."""

    def __init__(self) -> None:
        self.result_shapes: Future[Any] = Future()
        self.executable: Future[Any] = Future()

    @property
    def failed(self) -> bool:
        return self.executable.done() and self.executable.exception() is not None

    def fail(self, error: BaseException) -> None:
        """Let everybody who waits know."""
        for future in (self.result_shapes, self.executable):
            if not future.done():
                future.set_exception(error)


class Compiled:
    """A function compiled for each structure of its arguments, in this thread or ahead of time in another.

    Parameters
    ----------
    function : callable
        Pure. Its first argument, ``how``, is static and hashable: all that is known before the numbers are. The others
        are pytrees of arrays.
    shapes : callable
        ``shapes(post, how)`` gives the other arguments as shapes (`floats`, `wholes`): what a caller with this
        posterior and this ``how`` will pass.
    donate : tuple of int
        Which of the others' memory the result may use.
    options : dict
        Of XLA's compiler.

    Examples
    --------
    >>> import numpy as np
    >>> times = Compiled(lambda how, x: how * x, shapes=lambda post, how: (floats(post),))
    >>> with jax.enable_x64(True):
    ...     begin(2, [Plan(times, 3.0)])
    ...     times(3.0, np.ones(2)).tolist()
    [3.0, 3.0]
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        shapes: Callable[[Any, Any], tuple[Any, ...]],
        donate: tuple[int, ...] = (),
        options: dict[str, Any] = QUICK,
    ) -> None:
        self._function, self._shapes, self._donate, self._options = function, shapes, donate, options
        self._known: OrderedDict[Any, _Program] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, how: Hashable, *args: Any) -> Any:
        """Call, compiling first if that is still to be done, or waiting for the thread that is at it."""
        return self.bound(how)(*args)

    def bound(self, how: Hashable, *first: Any) -> Callable[..., Any]:
        """The function of its last arguments, the first ones given.

        Arguments are looked at for longer than a small program runs. Of calls with the same first ones, and last ones
        of the same shapes, only the first call does so.
        """
        before = jax.tree.leaves(first)
        executable: Callable[..., Any] | None = None

        def call(*last: Any) -> Any:
            nonlocal executable
            if executable is None:
                forked.refuse()
                executable = self._program(how, (*first, *last), wait=True).executable.result()
            return executable(*before, *jax.tree.leaves(last))

        return call

    def ahead(self, post: Any, how: Hashable, args: tuple[Any, ...] | None = None) -> Any:
        """Begin to compile for this posterior, or for arguments like these.

        Returns the shapes of the result, as soon as the function is traced.
        """
        shapes = self._shapes(post, how) if args is None else args
        return self._program(how, shapes, wait=False).result_shapes.result()

    def _program(self, how: Hashable, args: tuple[Any, ...], *, wait: bool) -> _Program:
        leaves, structure = jax.tree.flatten(args)
        kinds = tuple(map(shape_and_type, leaves))
        key = (how, structure, kinds)
        with self._lock:
            program = self._known.get(key)
            if program is not None and not program.failed:
                self._known.move_to_end(key)
                return program
            program = self._known[key] = _Program()
            self._known.move_to_end(key)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        try:
            lowered = self._traced(how, args, [jax.ShapeDtypeStruct(*kind) for kind in kinds])
            program.result_shapes.set_result(lowered.out_info)
        except BaseException as error:
            program.fail(error)
            raise
        options = suited(self._options, (shape for shape, _ in kinds))
        if wait:
            self._finish(lowered, options, program)
        else:
            _compilers().submit(self._finish, lowered, options, program)
        return program

    def _traced(self, how: Hashable, args: tuple[Any, ...], leaves: Sequence[jax.ShapeDtypeStruct]) -> Any:
        """A program of leaves: a call with trees would take them apart again, in Python."""
        structure = jax.tree.structure(args)

        def of_leaves(*leaves: Any) -> Any:
            return self._function(how, *jax.tree.unflatten(structure, leaves))

        of_leaves.__name__ = self._function.__name__
        owners = [i for i, arg in enumerate(args) for _ in jax.tree.leaves(arg)]
        donated = [place for place, i in enumerate(owners) if i in self._donate]
        return jax.jit(of_leaves, donate_argnums=donated).lower(*leaves)

    def _finish(self, lowered: Any, options: dict[str, Any], program: _Program) -> None:
        try:
            program.executable.set_result(lowered.compile(compiler_options=options))
        except BaseException as error:
            program.fail(error)
            raise


class Jitted:
    """A function of arrays alone, compiled when called, as by `jax.jit`, but keeping as few programs as `Compiled`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> square = Jitted(jnp.square)
    >>> with jax.enable_x64(True):
    ...     begin(None, [square.plan(floats(1))])
    ...     square(np.array([3.0])).tolist()
    [9.0]
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)

        @functools.wraps(function)
        def of_arrays(_: None, *args: Any) -> Any:
            return function(*args)

        self._compiled = Compiled(of_arrays, shapes=lambda post, how: ())

    def __call__(self, *args: Any) -> Any:
        """Call, compiling first if that is still to be done."""
        return self._compiled(None, *args)

    def bound(self, *first: Any) -> Callable[..., Any]:
        """See `Compiled.bound`."""
        return self._compiled.bound(None, *first)

    def plan(self, *args: Any) -> Plan:
        """To compile it for arguments like these."""
        return Plan(self._compiled, None, args)


def jit(function: Callable[..., Any]) -> Jitted:
    """`Jitted` as a decorator."""
    return Jitted(function)


def compiled(**how: Any) -> Callable[[Callable[..., Any]], Compiled]:
    """`Compiled` as a decorator."""
    return functools.partial(Compiled, **how)


class Plan(NamedTuple):
    """A compiled function, and what of its call is known before the numbers are."""

    function: Compiled
    how: Hashable
    args: tuple[Any, ...] | None = None  # their shapes, where they do not follow from these


def begin(post: Any, plans: Iterable[Plan]) -> None:
    """Begin to compile all that is planned for a posterior, in this order."""
    forked.refuse()
    with own_settings():
        for plan in plans:
            plan.function.ahead(post, plan.how, plan.args)


def floats(*shape: int) -> jax.ShapeDtypeStruct:
    """An array of floats of this shape, without its numbers."""
    return jax.ShapeDtypeStruct(shape, np.float64)


def wholes(*shape: int) -> jax.ShapeDtypeStruct:
    """An array of integers of this shape, without its numbers."""
    return jax.ShapeDtypeStruct(shape, np.int64)
