"""Ctrl-C during long work: noted, and acted upon when a piece of it is done."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interruptible(piece: str) -> Iterator[list[bool]]:
    """Collect Ctrl-C in a list instead of raising it in the middle of a piece of work."""
    stopped: list[bool] = []
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def note(signum: int, frame: Any) -> None:
        if stopped:  # pressed twice: stop now
            raise KeyboardInterrupt
        stopped.append(True)
        print(f"\nstopping after this {piece}; press Ctrl-C again to stop at once", file=sys.stderr)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)
