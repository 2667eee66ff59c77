"""Counting what XLA compiles."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax.monitoring

_seen: list[str] = []


def _note(event: str, duration: float, **details: object) -> None:
    if event.endswith("backend_compile_duration"):
        _seen.append(str(details.get("fun_name", event)))


# There is no public way to take a listener off again, so there is one for the whole run.
jax.monitoring.register_event_duration_secs_listener(_note)


@contextmanager
def compilations() -> Iterator[list[str]]:
    """Names of the functions that are compiled inside the block, complete when it ends."""
    names: list[str] = []
    start = len(_seen)
    yield names
    names.extend(_seen[start:])
