"""Options of XLA's compiler for lgm's own programs.

The kernel does the work, and XLA's own code only leads up to it: what XLA spends on that code is what a user waits for.
Its older code generator for fused operations, in jaxlib before 0.11, compiles in 0.4 of the time of the newer one, and
a program in one part in 0.6 to 0.8 of that (parts are for threads, which are busy with other programs). Optimised, code
takes up to twice as long to compile; in loops it repays the first level and no more, in functions that run a few times
not even that.

The names of options may move with a release of jaxlib, hence the upper bound in pyproject.toml.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import jax

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
