"""What is observed of each row: a number, and what some families need beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from lgm.arrays import Numbers


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Response:
    """The response of n rows.

    Parameters
    ----------
    value : float array (n,)
        The number itself: a measurement, a count, 0 or 1, the number of successes, or the place of a category.
    trials : float array (n,), optional
        Of which these are successes.
    upper : float array (n,), optional
        Upper end of an interval that is known to hold the number; ``value`` is the lower one.
    censored : int array (n,), optional
        0 where the number is known, 1 where it is above ``value`` (right), -1 where it is below (left), 2 where it is
        between ``value`` and ``upper``.
    times : float array (n,), optional
        How many rows of the data each stands for, where that is not one.
    """

    value: Numbers
    trials: Numbers | None = None
    upper: Numbers | None = None
    censored: Numbers | None = None
    times: Numbers | None = None

    @property
    def size(self) -> int:
        """Number of rows."""
        return int(self.value.shape[0])

    @property
    def number(self) -> int:
        """Of rows of the data."""
        return self.size if self.times is None else int(np.sum(self.times))

    def mean(self, values: Any) -> float:
        """Of numbers (n,) over the rows of the data."""
        return float(np.mean(values) if self.times is None else np.average(values, weights=self.times))

    def rows(self, take: Any) -> Response:
        """Some of the rows, by numbers or a mask."""
        return jax.tree.map(lambda column: column[take], self)

    def spread(self, offset: Any, *, about_zero: bool) -> float:
        """Sd of the values less their offset, or root mean square of these."""
        free = self.value - offset
        return float(np.sqrt(np.mean(free**2))) if about_zero else float(np.std(free))

    def less(self, offset: Any) -> Response:
        """The same with a number taken from each value."""
        return replace(self, value=self.value - offset)
