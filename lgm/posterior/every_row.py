"""The rows of the data one by one, as criteria want them that leave some of them out."""

from __future__ import annotations

from typing import NamedTuple

from lgm.posterior.inner import Observed
from lgm.posterior.leaves import Leaves


class EveryRow(NamedTuple):
    """Rows that were not made one with others like them.

    Parameters
    ----------
    observed : Observed
    leaves : Leaves, optional
        Effects that can be integrated out given the others, and which rows have them.
    """

    observed: Observed
    leaves: Leaves | None
