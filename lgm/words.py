"""Words for messages: lists, counts, and what a mistyped name may mean."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import Any


def suggest(name: str, candidates: Collection[str]) -> str:
    """To append to a message: a space and a sentence with the candidates closest to a mistyped name, or nothing."""
    folded = {candidate.casefold(): candidate for candidate in sorted(candidates)}
    close = difflib.get_close_matches(name.casefold(), folded, n=2)
    return f" Did you mean {' or '.join(f'`{folded[match]}`' for match in close)}?" if close else ""


def listed(names: Sequence[Any], limit: int = 12) -> str:
    """The first few names, for a message."""
    return ", ".join(str(name) for name in names[:limit]) + (", ..." if len(names) > limit else "")


def counted(n: int, noun: str) -> str:
    """A number with its noun, such as ``"1 level"`` or ``"2 levels"``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def amount(bytes_: float) -> str:
    """Memory for a message, such as ``"3.2 GB"`` or ``"12 MB"``."""
    return f"{bytes_ / 1e9:.3g} GB" if bytes_ >= 1e9 else f"{bytes_ / 1e6:.3g} MB"


def some(items: Iterable[Any], limit: int = 5) -> str:
    """First few items for a message, and how many more there are.

    Examples
    --------
    >>> some(["a", 2, 3], limit=2)
    "'a', 2 and 1 more"
    """
    items = list(items)
    shown = ", ".join(repr(item) for item in itertools.islice(items, limit))
    return shown if len(items) <= limit else f"{shown} and {len(items) - limit} more"
