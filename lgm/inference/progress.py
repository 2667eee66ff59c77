"""Long work says so: a bar that notebooks draw their own way, and a forecast before the first draw."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

LONG = 60.0  # seconds: shorter work needs no forecast
STEPS = 8  # gradients of a draw by NUTS, with all chains waiting for the longest of them
OF_GRADIENT = 0.5  # what a value and draws of the effects cost beside a gradient


def bar(total: int, unit: str, *, shown: bool) -> Any:
    """A progress bar on stderr where that is a terminal, or a widget in a notebook; nothing elsewhere."""
    from tqdm.auto import tqdm  # noqa: PLC0415 - late: in a notebook it looks for widgets

    return tqdm(total=total, disable=disabled(shown), desc="lgm", unit=unit)


def disabled(shown: bool) -> bool | None:
    """What tqdm shall know of a bar that is wanted or not: None lets it look whether stderr is a terminal.

    Widgets of notebooks take None for no.
    """
    return None if shown and sys.stderr is not None else True  # there is none in programs without a console


def seconds(work: Callable[[], Any]) -> float:
    """What this takes, the second time that it is done."""
    work()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def forecast(gradient: float, *, chains: int, draws: int, values: int) -> str | None:
    """What NUTS will about take, and what importance sampling would, if that is long.

    Parameters
    ----------
    gradient : float
        Seconds for one gradient.
    chains, draws : int
        Draws of each chain, warm-up included.
    values : int
        Of one round of importance sampling.
    """
    at_once = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    by_nuts = draws * STEPS * gradient * -(-chains // at_once)
    if by_nuts <= LONG:
        return None
    by_points = values * OF_GRADIENT * gradient / at_once
    return (
        f"one gradient takes {gradient:.2g} s, so {draws} draws of {chains} chain{'s' if chains > 1 else ''} will take "
        f'roughly {_duration(by_nuts)}; method="importance" would take {_duration(by_points)} or a few times as long.'
    )


def _duration(seconds: float) -> str:
    """Such as ``"40 s"``, ``"7 minutes"``, ``"3.5 hours"``."""
    if seconds < 90:
        return f"{max(seconds, 1.0):.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.2g} hours"
