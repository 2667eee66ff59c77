"""Random numbers by seed: keys for JAX, mixed by NumPy as JAX would compile programs for it, and numbered normals."""

from __future__ import annotations

import math
import secrets
from typing import Any

import jax
import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.errors import LgmError


def key(*seeds: int, shape: tuple[int, ...] = ()) -> jax.Array:
    """Keys of this shape; other seeds give unrelated ones."""
    return _wrapped(_words(seeds, math.prod(shape)).reshape(*shape, 2))


def keys(*seeds: int, size: int) -> list[jax.Array]:
    """The same one by one: taking them from an array would compile a program."""
    return [_wrapped(each) for each in _words(seeds, size)]


def _words(seeds: tuple[int, ...], size: int) -> Any:
    return np.random.SeedSequence(seeds).generate_state(2 * size).reshape(size, 2)


def _wrapped(words: Any) -> jax.Array:
    return jax.random.wrap_key_data(jax.device_put(words))


def normals(*seeds: int, numbers: IntArray, size: int) -> FloatArray:
    """Standard normals, ``size`` for each number; a number has the same ones whatever is asked for beside it."""
    [word] = np.random.SeedSequence(seeds).generate_state(1, np.uint64)
    bits = np.random.Philox(key=np.array([word, 0], dtype=np.uint64))
    generator, state = np.random.Generator(bits), bits.state
    out = np.empty((len(numbers), size))
    for row, number in zip(out, numbers, strict=True):
        state["state"]["key"][1] = number
        bits.state = state  # a generator for each number would take five times as long
        generator.standard_normal(out=row)
    return out


def chosen(seed: Any) -> int:
    """The seed that was given, or a fresh one for None.

    Raises
    ------
    LgmError
        For anything but a whole number from 0.
    """
    if seed is None:
        return secrets.randbits(31)
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise LgmError(f"seed={seed!r}; accepted: a whole number from 0.")
    return int(seed)
