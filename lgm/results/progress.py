"""A progress bar for work that takes longer than one likes to wait without a word."""

from __future__ import annotations

from typing import Any

from tqdm.auto import tqdm

PATIENCE = 2.0  # seconds of work before a bar appears


def bar(total: int | None, what: str, *, progress: bool) -> tqdm[Any]:
    """A bar over ``total`` steps, or so many as come, that appears after two seconds and goes when the work is done."""
    return tqdm(total=total, desc=f"lgm: {what}", delay=PATIENCE, leave=False, disable=not progress)
