"""Words for messages: lists, counts, and what a mistyped name may mean."""

from __future__ import annotations

import difflib
import itertools
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Any


def in_composed_form(text: str) -> str:
    """Text with accented letters as one character each: an accent of its own looks the same, and is no other name."""
    return unicodedata.normalize("NFC", text)


def suggest(name: str, candidates: Collection[str]) -> str:
    """To append to a message: a space and a sentence with the candidates closest to a mistyped name, or nothing."""
    if name not in candidates:
        for candidate in sorted(candidates):
            if _unified(candidate) == _unified(name):
                return f" `{candidate}` is another name, with {_difference(candidate, name)}."
    folded = {candidate.casefold(): candidate for candidate in sorted(candidates)}
    close = difflib.get_close_matches(name.casefold(), folded, n=2)
    return f" Did you mean {' or '.join(f'`{folded[match]}`' for match in close)}?" if close else ""


def _unified(name: str) -> str:
    """A name as Python reads it."""
    return unicodedata.normalize("NFKC", name)


def _difference(one: str, other: str) -> str:
    """The first characters that differ in two names that look alike."""
    a, b = next((a, b) for a, b in itertools.zip_longest(one, other, fillvalue="") if a != b)
    return f"{unicodedata.name(a, 'nothing')} where this has {unicodedata.name(b, 'nothing')}"


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
