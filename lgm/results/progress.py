"""A progress bar for work that takes longer than one likes to wait without a word."""

from __future__ import annotations

from typing import Any

from lgm.inference.progress import disabled

PATIENCE = 2.0  # seconds of work before a bar appears


def bar(total: int | None, what: str, *, progress: bool) -> Any:
    """A bar over ``total`` steps, or so many as come, that appears after two seconds and goes when the work is done.

    Like all bars it is for terminals and notebooks.
    """
    from tqdm.auto import tqdm  # noqa: PLC0415 - late: in a notebook it looks for widgets

    return tqdm(total=total, desc=f"lgm: {what}", delay=PATIENCE, leave=False, disable=disabled(progress))
