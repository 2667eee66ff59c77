"""Counting what XLA compiles."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import jax.monitoring

from lgm.inference.compile import _compilers

_seen: list[str] = []


def _note(event: str, duration: float, **details: object) -> None:
    if event.endswith("backend_compile_duration"):
        _seen.append(str(details.get("fun_name", event)))


# There is no public way to take a listener off again, so there is one for the whole run.
jax.monitoring.register_event_duration_secs_listener(_note)


def _settle() -> None:
    """Wait for what is compiled ahead of its use: all of lgm's threads meet after their work."""
    pool = _compilers()
    meeting = threading.Barrier(pool._max_workers)
    for arrived in [pool.submit(meeting.wait) for _ in range(meeting.parties)]:
        arrived.result()


@contextmanager
def compilations() -> Iterator[list[str]]:
    """Names of the functions whose compilation begins inside the block, complete when it ends."""
    names: list[str] = []
    _settle()
    start = len(_seen)
    yield names
    _settle()
    names.extend(_seen[start:])
