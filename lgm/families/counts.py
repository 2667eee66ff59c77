"""What families of counts have in common."""

from __future__ import annotations

import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.errors import DataError
from lgm.families.response import Response


def require_counts(y: Response, name: str, family: str) -> None:
    """Raise a DataError unless all values are whole numbers from zero."""
    values = np.asarray(y.value)
    wrong = np.flatnonzero(~((values >= 0.0) & (values == np.floor(values)) & np.isfinite(values)))
    if wrong.size:
        raise DataError(
            f"the response {name} has {values[wrong[0]]:g} in row {wrong[0] + 1} of those with a response, but "
            f"{family} is for counts: whole numbers from 0."
        )


def log_level(y: Response, offset: FloatArray, weights: FloatArray) -> float:
    """``log(sum w y / sum w exp(offset))``, with half an event more than were seen, so that none is no infinity."""
    events = float(np.sum(weights * y.value)) + 0.5
    highest = float(np.max(offset))
    return float(np.log(events) - np.log(np.sum(weights * np.exp(offset - highest))) - highest)


def no_events(y: Response) -> IntArray:
    """-1 where the count is zero, whose likelihood grows as long as the mean falls, else 0."""
    return -(np.asarray(y.value) == 0).astype(np.int64)
