"""Settings for the tests of `lgm.linalg`, which leaves JAX's x64 mode to its callers."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def _x64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield
