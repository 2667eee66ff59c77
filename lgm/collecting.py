"""Python's search for garbage in cycles, put off while there is none to find.

It goes through all objects whenever there are a quarter more of them: while modules are read, which make many objects
that stay, that is a fifth of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def put_off() -> Iterator[None]:
    """No search inside; afterwards as before. Another thread's may end earlier, never later.

    Examples
    --------
    >>> with put_off():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
