"""Keys of JAX's random numbers, mixed from seeds by NumPy: JAX would compile programs for it."""

from __future__ import annotations

import math

import jax
import numpy as np


def key(*seeds: int, shape: tuple[int, ...] = ()) -> jax.Array:
    """Keys of this shape; other seeds give unrelated ones."""
    words = np.random.SeedSequence(seeds).generate_state(2 * math.prod(shape)).reshape(*shape, 2)
    return jax.random.wrap_key_data(jax.device_put(words))
