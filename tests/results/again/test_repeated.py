"""Work that is repeated: as often as is asked for, without its warnings, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import warnings

from lgm.errors import LgmWarning, warn
from lgm.results.again.repeated import repeated


def test_until_there_are_enough_or_ctrl_c() -> None:
    done: list[int] = []

    def step() -> int:
        done.append(1)
        warn("each time", LgmWarning)
        if len(done) == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return len(done)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not repeated(step, 5, "piece", progress=False)
        assert len(done) == 5
        assert repeated(step, 9, "piece", progress=False)
    assert len(done) == 7


def test_an_interrupt_inside_ends_it() -> None:
    def step() -> int:
        raise KeyboardInterrupt

    assert repeated(step, 5, "piece", progress=False)
