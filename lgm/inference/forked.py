"""A process forked after JAX has computed: its threads are gone there, and a computation would wait for ever."""

from __future__ import annotations

import functools
import os

from lgm.errors import LgmError


class _Here:
    forked = False


def refuse() -> None:
    """Raise where this process was forked from one that had called this; to be called before JAX computes."""
    if _Here.forked:
        raise LgmError(
            "this process was forked from one in which lgm was at work, and JAX's threads do not survive that. "
            'Start workers afresh: multiprocessing.get_context("spawn"), or joblib, whose processes are fresh.'
        )
    _listen()


@functools.cache
def _listen() -> None:
    if hasattr(os, "register_at_fork"):  # Windows does not fork
        os.register_at_fork(after_in_child=lambda: setattr(_Here, "forked", True))
