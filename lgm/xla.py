"""Where and how lgm's own programs run: JAX's settings for them, and the options of XLA's compiler.

The kernel does the work, and XLA's own code only leads up to it: what XLA spends on that code is what a user waits for.
Its older code generator for fused operations, in jaxlib before 0.11, compiles in 0.4 of the time of the newer one, and
a program in one part in 0.6 to 0.8 of that (parts are for threads, which are busy with other programs). Optimised, code
takes up to twice as long to compile; in loops it repays the first level and no more, in functions that run a few times
not even that.

The names of options may move with a release of jaxlib, hence the upper bound in pyproject.toml.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import jax
import numpy as np

from lgm.errors import LgmError

_OLDER_GENERATOR: dict[str, Any] = {"xla_cpu_use_fusion_emitters": False} if jax.__version_info__ < (0, 11) else {}
_BRIEF: dict[str, Any] = {"xla_cpu_parallel_codegen_split_count": 1, **_OLDER_GENERATOR}
QUICK: dict[str, Any] = {**_BRIEF, "xla_backend_optimization_level": 0}
LOOPS: dict[str, Any] = {**_BRIEF, "xla_backend_optimization_level": 1}
MANY = 20_000  # numbers in an array, from which on running takes longer than compiling


def suited(options: dict[str, Any], shapes: Iterable[tuple[int, ...]]) -> dict[str, Any]:
    """The options for arguments of these shapes: where one is large, code of the newer generator, up to a fifth faster.

    Examples
    --------
    >>> suited(QUICK, [(1000, 100)])
    {'xla_backend_optimization_level': 0}
    """
    if all(math.prod(shape) <= MANY for shape in shapes):
        return options
    return {name: value for name, value in options.items() if name not in _BRIEF}


def shape_and_type(leaf: Any) -> tuple[Any, Any]:
    """Of an array, or of a number as JAX takes it.

    Examples
    --------
    >>> shape_and_type(np.ones((2, 3)))
    ((2, 3), dtype('float64'))
    """
    if hasattr(leaf, "dtype"):
        return leaf.shape, leaf.dtype
    return np.shape(leaf), jax.dtypes.result_type(leaf)


@contextmanager
def own_settings() -> Iterator[None]:
    """JAX as lgm's own computations need it: in float64, and on the CPU, where the kernel is.

    What the user has set holds again afterwards, and meanwhile in other threads.

    Raises
    ------
    LgmError
        If JAX is told to leave the CPU out.
    """
    with ExitStack() as settings:
        settings.enter_context(jax.enable_x64(True))
        if jax.default_backend() != "cpu":
            try:
                cpu = jax.local_devices(backend="cpu")[0]
            except RuntimeError as error:
                raise LgmError(
                    "lgm computes on the CPU, and JAX was told to leave it out: add it to the variable JAX_PLATFORMS "
                    '(or jax.config.jax_platforms), as in "cuda,cpu"; what comes first stays the default of your own '
                    "computations"
                ) from error
            settings.enter_context(jax.default_device(cpu))
        yield
