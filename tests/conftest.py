"""Settings of every test. Warnings are errors (pyproject.toml); x64 is left alone: lgm must switch it on itself."""

import gc
import os
import signal
import sys
from collections.abc import Iterator

import jax
import pytest
from helpers import CHECKOUT, PACKAGE

from lgm.xla import QUICK

# Before anything imports matplotlib, and for the interpreters that tests start.
os.environ["MPLBACKEND"] = "Agg"
# Most programs of a test run once: what JAX compiles beside lgm's own programs is compiled as briefly as those.
os.environ["XLA_FLAGS"] = " ".join(
    [os.environ.get("XLA_FLAGS", ""), *(f"--{name}={str(value).lower()}" for name, value in QUICK.items())]
)
# Where in Python an operation comes from is for readers of compiled programs, and half a dozen frames each.
jax.config.update("jax_traceback_in_locations_limit", 0)


def pytest_report_header() -> str:
    return f"lgm: {PACKAGE}"


def pytest_sessionstart() -> None:
    """Ctrl-C is heard, also of tests that a shell started in its background, which tells them not to.

    `make test` sets LGM_TEST_INSTALLED: then the checkout beside the tests must not shadow the installed package.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get("LGM_TEST_INSTALLED") and PACKAGE == CHECKOUT / "lgm":
        pytest.exit(f"the tests would run against the checkout, {PACKAGE}, not the installed package", returncode=4)


def pytest_collection_finish() -> None:
    """What stays until the end is not looked through again, and what JAX keeps of its traces only seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
