"""Ctrl-C is never lost, is acted upon where nothing gets lost by it, and leaves Python's handler as it was."""

import asyncio
import contextlib
import io
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lgm.inference.interrupt import interruptible, watched


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    """As in a terminal; whatever a test does, the handler is the same afterwards."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    after = signal.signal(signal.SIGINT, before)
    assert after is signal.default_int_handler


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_watched_raises_at_once() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), watched():
        press()
        reached = True
    assert not reached


def test_what_a_callback_swallowed_is_raised_at_the_end() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), watched():
        with contextlib.suppress(KeyboardInterrupt):
            press()
        reached = True
    assert reached


def test_what_a_callback_swallowed_is_raised_at_the_next_piece_of_work() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), watched():
        with contextlib.suppress(KeyboardInterrupt):
            press()
        with interruptible("block"):
            reached = True
    assert not reached


def test_nothing_is_raised_without_a_key() -> None:
    with watched(), interruptible("block") as stopped:
        pass
    assert stopped == []


def test_an_error_passes_and_is_not_replaced() -> None:
    with pytest.raises(ZeroDivisionError), watched():
        with contextlib.suppress(KeyboardInterrupt):
            press()
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), interruptible("block"):
        press()
        raise ZeroDivisionError


def test_a_piece_of_work_is_finished_first(caplog: pytest.LogCaptureFixture) -> None:
    done = []
    with interruptible("block of draws") as stopped:
        done.append(bool(stopped))
        press()
        done.append(bool(stopped))
    assert done == [False, True]
    words = "stopping after this block of draws; press Ctrl-C again to stop at once"
    assert caplog.record_tuples == [("lgm.inference.interrupt", logging.WARNING, words)]


def test_a_key_pressed_while_the_screen_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream refuses what a handler writes to it from within its own writing."""

    class Screen(io.RawIOBase):
        shown = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            if bytes(data).startswith(b"bar"):
                press()
            self.shown += bytes(data)
            return len(data)

    screen = Screen()
    stderr = io.TextIOWrapper(io.BufferedWriter(screen), line_buffering=True)
    monkeypatch.setattr(sys, "stderr", stderr)
    log, handler = logging.getLogger("lgm.inference.interrupt"), logging.StreamHandler(stderr)
    log.addHandler(handler)
    try:
        with interruptible("block of draws") as stopped:
            print("bar", file=sys.stderr)
            assert stopped
    finally:
        log.removeHandler(handler)
    assert screen.shown.decode().splitlines()[:2] == [
        "bar",
        "stopping after this block of draws; press Ctrl-C again to stop at once",
    ]


def test_a_second_press_stops_at_once() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interruptible("block"):
        press()
        done.append(1)
        press()
        done.append(2)
    assert done == [1]


def test_a_stop_inside_a_watch_is_the_works_own_affair() -> None:
    """The piece of work has been told, and keeps what it has; the watch does not raise on top of that."""
    with watched(), interruptible("block") as stopped:
        press()
    assert stopped == [True]


MANAGERS = pytest.mark.parametrize(
    "manager", [watched, lambda: interruptible("block")], ids=["watched", "interruptible"]
)


@MANAGERS
def test_in_other_threads_nothing_is_touched(manager: Callable[[], contextlib.AbstractContextManager[object]]) -> None:
    """Python delivers signals to the main thread, and lets only that one set handlers."""
    seen: list[object] = []

    def work() -> None:
        with manager():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


@MANAGERS
def test_a_handler_that_python_did_not_set_stays(
    manager: Callable[[], contextlib.AbstractContextManager[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another program embeds Python: it cannot be put back."""
    monkeypatch.setattr(signal, "getsignal", lambda _: None)
    with manager():
        assert signal.signal(signal.SIGINT, signal.default_int_handler) is signal.default_int_handler


def test_under_an_event_loop() -> None:
    """asyncio has a handler of its own, which cancels its task; it hears of a key pressed later, not of ours."""

    async def work() -> list[bool]:
        theirs = signal.getsignal(signal.SIGINT)
        assert theirs is not signal.default_int_handler
        with watched(), interruptible("block") as stopped:
            press()
        await asyncio.sleep(0)  # where a cancelled task would stop
        assert signal.getsignal(signal.SIGINT) is theirs
        with pytest.raises(KeyboardInterrupt), watched():
            press()
        return stopped

    assert asyncio.run(work()) == [True]
