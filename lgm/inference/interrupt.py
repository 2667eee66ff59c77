"""Ctrl-C during long work: never lost, and acted upon when a piece of work is done where that keeps results."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_log = logging.getLogger(__name__)


class _Watch:
    """A handler that raises as Python's does, and remembers: what is raised in a callback of JAX is lost there."""

    def __init__(self) -> None:
        self.pressed = False

    def __call__(self, signum: int, frame: Any) -> None:
        self.pressed = True
        raise KeyboardInterrupt


def _raise_if_pressed(handler: Any) -> None:
    if isinstance(handler, _Watch) and handler.pressed:
        raise KeyboardInterrupt


def _ours() -> bool:
    """Whether a handler can be set here and put back: in the main thread, over one that Python knows.

    Python knows no handler that a program set around it which embeds Python.
    """
    return threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is not None


@contextmanager
def watched() -> Iterator[None]:
    """Let no Ctrl-C be lost: raise at once, else at the next `interruptible` piece of work or at the end."""
    if not _ours():
        yield
        return
    watch = _Watch()
    before = signal.signal(signal.SIGINT, watch)
    try:
        yield
        _raise_if_pressed(watch)
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interruptible(piece: str) -> Iterator[list[bool]]:
    """Collect Ctrl-C in a list instead of raising it in the middle of a piece of work."""
    stopped: list[bool] = []
    if not _ours():
        yield stopped
        return
    # In a thread: the key may be pressed while a progress bar is being written, and a stream cannot be written to from
    # within its own writing.
    words = f"stopping after this {piece}; press Ctrl-C again to stop at once"
    saying = threading.Thread(target=_log.warning, args=(words,))

    def note(signum: int, frame: Any) -> None:
        if stopped:  # pressed twice: stop now
            raise KeyboardInterrupt
        stopped.append(True)
        saying.start()

    before = signal.getsignal(signal.SIGINT)
    _raise_if_pressed(before)
    signal.signal(signal.SIGINT, note)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)
        if stopped:
            saying.join()
